"""The registration interface of a server (LwM2M Core 6.2): requests of devices in; presence out, to whoever waits."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias, final

from lwm2m_fota.coap.endpoint import Entropy, Response
from lwm2m_fota.coap.events import Peer
from lwm2m_fota.coap.message import Message, Options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.lwm2m.bodies import BodyLimits, RequestBodies
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.registry import (
    Registered,
    Registration,
    Registry,
    RegistryAnswer,
    RegistryEvent,
    RegistryLimits,
    Removed,
)
from lwm2m_fota.lwm2m.responses import diagnostic_payload, retry_option
from lwm2m_fota.model.codes import Code
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.listeners import Listeners, Listening
from lwm2m_fota.server.ports import Joined, Left, Presence, PresenceListener

_BODIES: Final = BodyLimits()
_ID_BYTES: Final = 8
_LOG: Final = logging.getLogger(__name__)
_UNDERSTOOD: Final = ADDRESSING | {Option.ACCEPT, Option.BLOCK1, Option.BLOCK2}


Permit: TypeAlias = Callable[[Peer, str, Peer | None], bool]
"""Whether a peer may use an endpoint name that another peer may have now."""


@final
class Registrations:
    """Who is registered, and who wants to know.

    Args:
        root: the path at which devices register.
        limits: bounds of the registry.
        entropy: makes the ids of registrations.
        clock: monotonic seconds.
        on_event: hears of every event of the registry, before anyone who watches.
        permit: whether a peer may use an endpoint name; without it, all may.
        bodies: bounds of lists of objects that come in blocks.
    """

    def __init__(
        self,
        root: str,
        limits: RegistryLimits,
        entropy: Entropy,
        clock: Callable[[], float],
        on_event: Callable[[RegistryEvent], None],
        permit: Permit | None = None,
        bodies: BodyLimits = _BODIES,
    ) -> None:
        self._root = root
        self._permit = permit
        self._registry = Registry(limits)
        self._bodies = RequestBodies(bodies)
        self._entropy = entropy
        self._clock = clock
        self._on_event = on_event
        self._watches: Listeners[PresenceListener] = Listeners()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Let registrations lapse from now on, those of an earlier life included."""
        self._arm()

    def stop(self) -> None:
        """Let none lapse any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def all(self) -> tuple[Registration, ...]:
        """Every present registration."""
        return tuple(self._registry)

    def get(self, endpoint: str) -> Registration | None:
        """The present registration of an endpoint."""
        return self._registry.get(endpoint)

    def at(self, peer: Peer) -> Registration | None:
        """The registration that was made or updated last from an address."""
        return self._registry.at(peer)

    def watch(self, endpoint: str, listener: PresenceListener) -> Listening[PresenceListener]:
        """Tell of every registration of this endpoint, and of its end."""
        return self._watches.add(endpoint, listener)

    async def registered(self, endpoint: str) -> Registration:
        """Wait for a device."""
        present = self._registry.get(endpoint)
        if present is not None:
            return present
        arrived: asyncio.Future[Registration] = asyncio.get_running_loop().create_future()

        def listener(presence: Presence) -> None:
            if isinstance(presence, Joined) and not arrived.done():
                arrived.set_result(presence.registration)

        watch = self.watch(endpoint, listener)
        try:
            return await arrived
        finally:
            watch.cancel()

    # -- requests

    def handle(self, message: Message, peer: Peer, now: float) -> Response:
        """Answer a request to the registration interface.

        Raises:
            RefusedError, BlockwiseError, MessageFormatError: with the code to answer.
        """
        check_options(message, _UNDERSTOOD)
        _, *rest = message.path()
        match message.code, rest:
            case _, [_, _, *_]:
                return Response(Code.NOT_FOUND)
            case (Code.POST, _) | (Code.DELETE, [_]):
                pass
            case _:
                return Response(Code.METHOD_NOT_ALLOWED)
        body = self._bodies.take(message, peer, now)
        if isinstance(body, Response):
            return body
        answer = self._answer(message, rest, peer, body, now)
        self._tell(answer.events)
        return self._bodies.answered(message, peer, self._response(answer))

    def _answer(self, message: Message, rest: list[str], peer: Peer, body: bytes, now: float) -> RegistryAnswer:
        endpoint = self._endpoint(message, rest)
        if endpoint is not None and not self._is_permitted(peer, endpoint):
            _LOG.warning("%s may not use the endpoint name %r", peer, endpoint)
            return RegistryAnswer(Code.FORBIDDEN, diagnostic="this endpoint name belongs to another identity")
        if not rest:
            new_id = self._entropy.token(_ID_BYTES).hex()
            return self._registry.register(peer, message.queries(), body, new_id=new_id, now=now)
        if message.code == Code.DELETE:
            return self._registry.deregister(rest[0])
        return self._registry.update(rest[0], peer, message.queries(), body, now)

    def _is_permitted(self, peer: Peer, endpoint: str) -> bool:
        if self._permit is None:
            return True
        present = self._registry.get(endpoint)
        return self._permit(peer, endpoint, None if present is None else present.peer)

    def _endpoint(self, message: Message, rest: list[str]) -> str | None:
        """The endpoint name that a request is about; None where it names none that is known."""
        if rest:
            registration = self._registry.find(rest[0])
            return None if registration is None else registration.endpoint
        return next((query[3:] for query in message.queries() if query.startswith("ep=")), None)

    def _response(self, answer: RegistryAnswer) -> Response:
        options: Options = ()
        if answer.location_id is not None:
            location = (self._root, answer.location_id)
            options = tuple((int(Option.LOCATION_PATH), part.encode()) for part in location)
        if answer.code == Code.SERVICE_UNAVAILABLE:
            options = (retry_option(),)
        return Response(answer.code, options, diagnostic_payload(answer.diagnostic))

    # -- events out

    def _tell(self, events: tuple[RegistryEvent, ...]) -> None:
        for event in events:
            self._on_event(event)
            presence = _presence(event)
            if presence is not None:
                # after the answer to the registration has left: a request before it would meet a client not ready
                asyncio.get_running_loop().call_soon(self._announce, presence)
        self._arm()

    def _announce(self, presence: Presence) -> None:
        for listener in self._watches.of(presence.registration.endpoint):
            tell(listener, presence)

    def _arm(self) -> None:
        self.stop()
        deadline = self._registry.next_deadline()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._tell(self._registry.expire(self._clock()))


def _presence(event: RegistryEvent) -> Presence | None:
    if isinstance(event, Removed):
        return Left(event.registration, event.expired)
    return Joined(event.registration) if isinstance(event, Registered) or event.moved else None
