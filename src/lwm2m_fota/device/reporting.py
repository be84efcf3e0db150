"""What a client sends by itself: the values of chosen paths, when they change (Send; LwM2M Core 1.2, 6.4.6)."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.device.membership import Membership
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import FotaError, ResponseError, TransportError, UsageError
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.paths import Path

_DATA_PATH: Final = ("dp",)


@final
class Reporter:
    """Sends to one server.

    Args:
        at: the place at this server.
        paths: what is sent whenever it changes, and after a registration; together what changes together.
        body: the present values of paths for this server, in SenML CBOR.
        trouble: hears, in words, why something was not sent; it goes with the next change, or registration message.
    """

    def __init__(
        self,
        at: Membership,
        paths: Iterable[Path],
        body: Callable[[Sequence[Path]], bytes],
        trouble: Callable[[str], None],
    ) -> None:
        self._at = at
        self._paths = tuple(paths)
        self._body = body
        self._trouble = trouble
        self._due: dict[Path, None] = {}
        self._task: asyncio.Task[None] | None = None

    def changed(self, changed: Iterable[Path]) -> None:
        """Send what has changed of the chosen paths, as soon as the server is to hear of it."""
        for change in changed:
            self._due.update(dict.fromkeys(each for each in self._paths if each.contains(change)))
        self.again()

    def all(self) -> None:
        """Send every chosen path: the server has registered this client, or has allowed it to send."""
        self._due.update(dict.fromkeys(self._paths))
        self.again()

    def again(self) -> None:
        """Send what could not be sent before."""
        can_go = self._at.is_registered and self._at.takes_reports
        if self._due and can_go and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send_due())
            self._task.add_done_callback(show_failure)

    async def stop(self) -> None:
        """Send nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, paths: Sequence[Path]) -> None:
        """Send the present values of paths now.

        Raises:
            UsageError: the server has forbidden it, or does not know it.
            TransportError: this client is not registered there, or no answer came.
            ResponseError: the server refused.
            FotaError: nothing of it can be read.
        """
        party = self._at.party
        if not self._at.takes_reports:
            raise UsageError(f"server {self._at.server_id} takes nothing that it has not asked for")
        if party is None or not self._at.is_registered:
            raise TransportError(f"not registered at server {self._at.server_id}")
        content_format = int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.SENML_CBOR)
        options = sort_options((*path_options(_DATA_PATH), content_format))
        answer = await party.pump.call(party.peer, Request(Code.POST, options, self._body(paths)))
        if not is_success(answer.code):
            raise ResponseError("Send", response_code=answer.code)

    async def _send_due(self) -> None:
        while self._due:
            due, self._due = self._due, {}
            try:
                await self.send(tuple(due))
            except FotaError as error:
                self._due = {**due, **self._due}
                self._trouble(f"nothing was sent: {error}")
                return
