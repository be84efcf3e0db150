"""Connections that come in over HTTP, each with its time: who says nothing, or does not read, is closed.

uvicorn gets plain connections, and those over TLS once their handshake is done: so that counts, and has a limit, too.
"""

import asyncio
import logging
import ssl
from typing import Any, Final, Protocol, final

import attrs

from lwm2m_fota.credentials.values import CredentialKind, Identity
from lwm2m_fota.errors import MissingExtraError, TransportError
from lwm2m_fota.transport.refusals import Refusals
from lwm2m_fota.transport.tcp_security import shown_by

try:
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as error:
    raise MissingExtraError("http and https need: pip install 'lwm2m-fota[http]'") from error

IDENTITY: Final = "lwm2m_fota.identity"
"""Where the identity of a connection is in the state of a scope."""

_LOG: Final = logging.getLogger(__name__)


@final
@attrs.frozen(kw_only=True)
class ConnectionLimits:
    """Bounds of the connections.

    Attributes:
        connections: at a time. Where there are more, the oldest of those without an answer under way is closed.
        head_s: how long the handshake of TLS may take, and how long the head of a request, from the beginning of the
            connection or from its first byte.
        stalled_s: how long what is sent may wait for the other end to read on.
        warning_pause_s: no more than one line of the log in this time tells of connections that were refused or closed.
    """

    connections: int
    head_s: float
    stalled_s: float
    warning_pause_s: float


class Member(Protocol):
    """A connection, before its TLS handshake or after it."""

    @property
    def identity(self) -> Identity | None:
        """What the other end has proven to be."""
        ...

    @property
    def is_answering(self) -> bool:
        """A request is whole, and its answer under way."""
        ...

    def refuse(self, reason: str) -> None:
        """Close it at once."""
        ...


@final
class Crowd:
    """All connections of a host, oldest first.

    Args:
        limits: bounds.

    Attributes:
        limits: as given.
        lets_in: who comes in over TLS may prove himself; not while the host stops.
        refusals: tells of requests that were too many.
        closings: tells of connections that were closed here.
    """

    __slots__ = ("_members", "closings", "lets_in", "limits", "refusals")

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.lets_in = True
        self.refusals = Refusals(_LOG, limits.warning_pause_s, "no answer to")
        self.closings = Refusals(_LOG, limits.warning_pause_s, "closed the connection of")
        self._members: dict[Member, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def joined(self, newcomer: Member) -> None:
        """One came in: if that is one too many, one that is not being answered goes for it."""
        self._members[newcomer] = None
        if len(self._members) > self.limits.connections:
            silent = next((each for each in self._members if not each.is_answering), newcomer)
            if silent is not newcomer:
                silent.refuse("there was no room for a connection without a request")

    def end(self, kind: CredentialKind, name: str) -> None:
        """What this identity proved itself with no longer counts: its connections are closed."""
        for member in tuple(self._members):
            identity = member.identity
            if identity is not None and identity.kind is kind and name in identity.names:
                member.refuse(f"the credential of {identity} was rotated or revoked")

    def end_handshakes(self) -> None:
        """Let nobody in any more."""
        self.lets_in = False
        for member in tuple(self._members):
            if isinstance(member, Handshake):
                member.refuse("the host was stopped")

    def left(self, member: Member) -> None:
        """One is no more."""
        self._members.pop(member, None)


@final
class Connection(H11Protocol):
    """A connection of uvicorn with time limits.

    Args:
        crowd: of all connections.
        given: what uvicorn gives.

    Attributes:
        identity: what the other end has proven to be; None without a certificate. The application finds it in the state
            of its scope.
    """

    def __init__(self, crowd: Crowd, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**given)
        self._crowd = crowd
        self._heading = Timer(self)
        self._stalling = Timer(self)
        self._early = b""
        self._is_up = False
        self.identity: Identity | None = None

    @property
    def is_answering(self) -> bool:
        """A request is whole, and its answer under way."""
        return bool(self.cycle) and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """It is up."""
        super().connection_made(transport)
        self._is_up = True
        self._crowd.joined(self)
        try:
            self.identity = shown_by(transport.get_extra_info("ssl_object"))
        except TransportError as error:
            self.refuse(str(error))
            return
        self.app_state = {**self.app_state, IDENTITY: self.identity}
        early, self._early = self._early, b""
        if early:
            super().data_received(early)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if not self._is_up:  # TLS hands on what it has before it says that it is up
            self._early += data
            return
        super().data_received(data)
        self._expect()

    def pause_writing(self) -> None:
        """The other end does not read as fast as is sent."""
        super().pause_writing()
        self._stalling.set(self._crowd.limits.stalled_s, "the other end does not read")

    def resume_writing(self) -> None:
        """It has read on."""
        super().resume_writing()
        self._stalling.cancel()

    def timeout_keep_alive_handler(self) -> None:
        """It was idle: it is closed, once what is on its way was read."""
        super().timeout_keep_alive_handler()
        self._stalling.set(self._crowd.limits.stalled_s, "the other end does not read")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is down."""
        self._crowd.left(self)
        super().connection_lost(exc)
        self._heading.cancel()
        self._stalling.cancel()

    def refuse(self, reason: str) -> None:
        """Close it at once."""
        self._crowd.left(self)
        self._crowd.closings.refused(self.client, reason, self.loop.time())
        self.transport.abort()

    def _expect(self) -> None:
        """While there is no answer under way, a request is to come; more of one does not give it more time."""
        if self.is_answering:
            self._heading.cancel()
        elif not self._heading.is_set:
            self._heading.set(self._crowd.limits.head_s, "no whole request came in time")


@final
class Handshake(asyncio.Protocol):
    """A connection over TLS before its handshake is done; then a `Connection` goes on with it.

    Args:
        crowd: of all connections.
        context: of TLS.
        given: what uvicorn gives.

    Attributes:
        identity: nobody yet.
        is_answering: no.
    """

    identity: Final = None
    is_answering: Final = False

    def __init__(self, crowd: Crowd, context: ssl.SSLContext, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._crowd = crowd
        self._context = context
        self._connection = Connection(crowd, **given)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError
        if not self._crowd.lets_in:
            transport.abort()
            return
        transport.pause_reading()  # what comes is for TLS
        self._transport = transport
        self._shaking = self._loop.create_task(self._shake(transport))
        self._shaking.add_done_callback(self._shaken)
        self._crowd.joined(self)

    async def _shake(self, transport: asyncio.Transport) -> None:
        limit_s = self._crowd.limits.head_s
        try:
            secured = await self._loop.start_tls(
                transport, self._connection, self._context, server_side=True, ssl_handshake_timeout=limit_s
            )
        except (OSError, TimeoutError) as error:  # OSError: those of TLS too
            self._end(transport, str(error) or type(error).__name__)
            return
        self._crowd.left(self)
        if secured is not None:
            self._connection.connection_made(secured)

    def _shaken(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() and self._transport is not None:  # perhaps before it began
            self._transport.abort()

    def _end(self, transport: asyncio.Transport, reason: str) -> None:
        self._crowd.left(self)
        self._crowd.closings.refused(transport.get_extra_info("peername"), reason, self._loop.time())
        transport.abort()

    def refuse(self, reason: str) -> None:
        """Close it at once."""
        if self._transport is not None and self._shaking is not None:
            self._end(self._transport, reason)
            self._shaking.cancel()


@final
class Timer:
    """When a connection is closed, unless what is waited for comes.

    Args:
        connection: the connection.
    """

    __slots__ = ("_connection", "_handle")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Something is waited for."""
        return self._handle is not None

    def set(self, seconds: float, reason: str) -> None:
        """Close it in so many seconds, because of this."""
        self.cancel()
        self._handle = self._connection.loop.call_later(seconds, self._connection.refuse, reason)

    def cancel(self) -> None:
        """It came."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
