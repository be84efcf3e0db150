"""One TCP connection: the protocol of asyncio on one side, a `StreamConnection` on the other."""

import asyncio
from collections.abc import Hashable
from math import inf
from typing import Final, Protocol, cast, final

import attrs

from lwm2m_fota.coap.stream import StreamConnection, StreamLimits
from lwm2m_fota.coap.stream_frames import Rooms
from lwm2m_fota.credentials.values import Credential, Identity
from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.transport.sessions import SessionPeer
from lwm2m_fota.transport.tcp_security import Admission, Proof

READ_BYTES: Final = 1 << 18
"""So much that the system maps it when touched, and takes it back; smaller ones of many transports stay in the heap."""


@final
@attrs.frozen(kw_only=True)
class TcpLimits:
    """Bounds of a TCP transport.

    Attributes:
        sessions: connections at a time; when there are more, the newcomer is closed.
        handshakes: connections at a time that have not shown yet who they are (TLS); more are closed.
        connect_s: how long it may take to connect, the handshake of TLS and the other end's CSM included.
        idle_s: a session that nobody holds ends after so long without a message.
        unfinished_bytes: large messages that are not whole yet, of all connections together; more end their connection.
        unsent_bytes: what may wait for a peer that does not read; beyond, its session ends.
        close_s: how long the last words may take when the transport is closed.
        warning_pause_s: no more than one line of the log in this time tells of refused connections; how many there were
            is told with the next.
        stream: of each connection.

    Raises:
        UsageError: a limit that is not positive.
    """

    sessions: int = 16_384
    handshakes: int = 1_024
    connect_s: float = 30.0
    idle_s: float = 300.0
    unfinished_bytes: int = 64 << 20
    unsent_bytes: int = 4 << 20
    close_s: float = 1.0
    warning_pause_s: float = 1.0
    stream: StreamLimits = attrs.field(factory=StreamLimits)

    def __attrs_post_init__(self) -> None:
        if min(attrs.astuple(self, recurse=False)[:-1]) <= 0:
            raise UsageError(f"a limit of TCP is not positive: {self!r}")


class LinkOwner(Protocol):
    """What a link tells of itself."""

    buffer: memoryview
    """Where links read into, one after the other; a view, for TLS takes slices of it."""

    rooms: Rooms
    """Memory of their large messages."""

    def link_up(self, link: "Link", proof: Proof) -> Identity | None:
        """It is connected, and its TLS handshake done: who is at the other end.

        Raises:
            TransportError: nobody that is let in.
        """
        ...

    def link_received(self, link: "Link", messages: list[bytes]) -> None:
        """Bytes came; these are the messages that are whole with them."""
        ...

    def link_down(self, link: "Link", reason: str) -> None:
        """It is closed, or has never been up."""
        ...


@final
class Link(asyncio.BufferedProtocol):
    """A connection, from its beginning to its end.

    Args:
        owner: told of it.
        limits: bounds.
        loop: the loop.
        credential: what we prove ourselves with, if we have opened it.
        initiator: we have opened it.
        key: what it is shared by, if we have.

    Attributes:
        connection: the stream.
        credential: as given.
        admission: how the other end proves itself, if that has opened it over TLS.
        peer: its name above, once it is up.
        key: as given.
        down: set when it is no more.
        is_held: it does not end while it is idle.
        idle_at: monotonic seconds.
        transport: of asyncio; None before it is up, and when it is no more.
    """

    def __init__(
        self,
        owner: LinkOwner,
        limits: TcpLimits,
        loop: asyncio.AbstractEventLoop,
        *,
        credential: Credential | None = None,
        initiator: bool,
        key: Hashable = None,
    ) -> None:
        self._owner = owner
        self._limits = limits
        self._loop = loop
        self.connection = StreamConnection(limits.stream, initiator=initiator, now=loop.time(), rooms=owner.rooms)
        self.credential = credential
        self.admission: Admission | None = None
        self.peer: SessionPeer | None = None
        self.key = key
        self.down = asyncio.Event()
        self._settled = asyncio.Event()
        self._failure: str | None = None
        self.is_held = False
        self.idle_at = inf
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    # -- the protocol of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is up."""
        self.transport = cast("asyncio.Transport", transport)
        self.peer = SessionPeer(transport.get_extra_info("peername"), None)
        try:
            identity = self._owner.link_up(self, transport.get_extra_info("ssl_object"))
        except TransportError as error:
            self.connection.over = str(error)
            self.transport.abort()
            return
        self.peer = SessionPeer(self.peer.address, identity)
        self.touch()
        self.flush()
        early, self._early = self._early, []
        self._hand_on(early)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where to read into: a large message goes into memory of its own, what else comes is taken at once."""
        room = self.connection.room
        return self._owner.buffer if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        connection, now = self.connection, self._loop.time()
        if connection.room is None:
            messages = connection.feed(self._owner.buffer[:nbytes], now)
        else:
            messages = connection.filled(nbytes, now)
        if messages:
            self.touch()
        if self.peer is None:  # TLS hands on what it has before it says that it is up
            self._early += messages
            return
        self.flush()
        self._hand_on(messages)

    def _hand_on(self, messages: list[bytes]) -> None:
        if self.connection.is_ready:
            self._settled.set()
        self._owner.link_received(self, messages)

    def eof_received(self) -> bool:
        """The other end sends no more: so it hears no more either."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is down."""
        why = self.connection.over or (str(exc) if exc is not None else "the other end has closed the connection")
        self._failure = why
        self.transport = None  # TLS refers to us, and would keep its buffers until garbage is looked for
        self.connection.close()
        self._settled.set()
        self.down.set()
        self._owner.link_down(self, why)

    # -- what the owner does

    @property
    def is_up(self) -> bool:
        """Both ends have said what they can take, and none has ended it."""
        return self.connection.is_ready and not self.connection.has_ended() and self._failure is None

    def abort(self) -> None:
        """Close the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    async def until_ready(self) -> SessionPeer:
        """Wait until the other end has said what it can take.

        Raises:
            TransportError: it has closed the connection instead.
        """
        await self._settled.wait()
        if self._failure is not None or self.peer is None:
            raise TransportError(self._failure or "it was never up")
        return self.peer

    def touch(self) -> None:
        """The other end is active."""
        self.idle_at = self._loop.time() + self._limits.idle_s

    def flush(self) -> None:
        """Send what is to be sent, and close the connection if it is over, or if the other end does not read."""
        transport, connection = self.transport, self.connection
        if transport is None:
            return
        output = connection.take_output()
        if transport.is_closing():
            return  # nothing is taken any more, and TLS would fail on it
        for piece in output:
            transport.write(piece)
        if connection.has_ended():
            transport.close()
        elif transport.get_write_buffer_size() > self._limits.unsent_bytes:
            connection.over = "the other end does not read"
            transport.abort()

    def due(self) -> float:
        """When to look at it, monotonic seconds."""
        return min(self.connection.due(), inf if self.is_held else self.idle_at)

    def look(self, now: float) -> None:
        """Do what is due."""
        if not self.is_held and now >= self.idle_at:
            self.connection.release()
        else:
            self.connection.handle_timeout(now)
        self.flush()
