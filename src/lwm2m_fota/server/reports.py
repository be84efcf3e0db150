"""What devices send by themselves: Send, `POST /dp` (LwM2M Core 1.1 and later, 6.4.6)."""

from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.content.codec import COMPOSITE, decode
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import ContentError, FotaError, RefusedError
from lwm2m_fota.lwm2m.bodies import BodyLimits, RequestBodies
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.registry import Registration
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.listeners import Listeners, Listening
from lwm2m_fota.server.ports import EntriesListener
from lwm2m_fota.transport.base import Peer

PATH: Final = "dp"
_BODIES: Final = BodyLimits()
_UNDERSTOOD: Final = ADDRESSING | {Option.ACCEPT, Option.BLOCK1}
_INSTANCE_IDS: Final = 2


@final
class Reports:
    """Takes what devices send, and tells whoever listens for a device.

    Of several values of one resource with different times only the latest counts.

    Args:
        registration_at: the device at an address.
        definitions: of the objects whose values are to be understood.
        bodies: bounds of what comes in blocks.
    """

    def __init__(
        self,
        registration_at: Callable[[Peer], Registration | None],
        definitions: Definitions,
        bodies: BodyLimits = _BODIES,
    ) -> None:
        self._registration_at = registration_at
        self._definitions = definitions
        self._bodies = RequestBodies(bodies)
        self._listeners: Listeners[EntriesListener] = Listeners()

    def listen(self, endpoint: str, listener: EntriesListener) -> Listening[EntriesListener]:
        """Tell of everything that this device sends."""
        return self._listeners.add(endpoint, listener)

    def handle(self, message: Message, peer: Peer, now: float) -> Response:
        """Answer a request to `/dp`.

        Raises:
            RefusedError, BlockwiseError, MessageFormatError: with the code to answer.
        """
        check_options(message, _UNDERSTOOD)
        if message.code != Code.POST:
            raise RefusedError("only POST")
        body = self._bodies.take(message, peer, now)
        if isinstance(body, Response):
            return body
        try:
            endpoint, entries = self._read(message, peer, body)
        except FotaError as error:
            return self._bodies.answered(message, peer, error_response(error))
        for listener in self._listeners.of(endpoint):
            tell(listener, entries)
        return self._bodies.answered(message, peer, Response(Code.CHANGED))

    def _read(self, message: Message, peer: Peer, body: bytes) -> tuple[str, Entries]:
        device = self._registration_at(peer)
        if device is None:
            raise ContentError("nobody is registered from here", code=Code.NOT_FOUND)
        content_format = message.uint(Option.CONTENT_FORMAT)
        if content_format is None or content_format not in COMPOSITE:
            raise ContentError(f"content format {content_format} is not for Send")
        entries = decode(body, content_format, Path(()), self._definitions)
        if not entries:
            raise ContentError("nothing is reported")
        for path, _ in entries:
            if not _is_registered(device, path):
                raise ContentError(f"{path} is not in the registered list of objects", code=Code.NOT_FOUND)
        return device.endpoint, entries


def _is_registered(device: Registration, path: Path) -> bool:
    """An object whose instances the device has not listed counts as a whole."""
    instance = Path(path.ids[:_INSTANCE_IDS])
    listed = [each for each in device.instances if each.object_id == path.object_id]
    return path.object_id in device.objects and (instance in listed or not listed)
