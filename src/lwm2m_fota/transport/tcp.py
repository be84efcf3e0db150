"""CoAP over TCP and TLS (RFC 8323): a `SessionTransport` whose datagrams are messages in a stream.

TLS is that of the standard library. A listener with a certificate lets in who shows one of its authorities; without a
certificate it lets in who has a pre-shared key, which needs Python 3.13.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, final

from lwm2m_fota.coap.stream_frames import Parted, Rooms
from lwm2m_fota.coap.stream_signals import BASE, Capabilities
from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate, Credential, CredentialKind, Identity
from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.transport.alarms import Alarms
from lwm2m_fota.transport.base import DatagramHandler, PartsReceiver, Peer
from lwm2m_fota.transport.names import SocketAddress, bind_socket, prepare_listener, resolve_host
from lwm2m_fota.transport.refusals import Refusals
from lwm2m_fota.transport.sessions import SessionPeer
from lwm2m_fota.transport.tcp_link import READ_BYTES, Link, TcpLimits
from lwm2m_fota.transport.tcp_security import ClientSecurity, Proof, ServerSecurity

__all__ = ["TcpLimits", "TcpTransport"]

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128
_NO_BUFFER: Final = memoryview(b"")


class _Gate(asyncio.Protocol):
    """A connection that came in, before its TLS handshake."""

    def __init__(self, enter: Callable[[asyncio.Transport], None]) -> None:
        self._enter = enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()  # what comes is for TLS
            self._enter(transport)


@final
class TcpTransport:
    """A `SessionTransport` over TCP, or over TLS. Its peers are `SessionPeer`s.

    Args:
        host: the local address to listen at; None connects only.
        port: the local port; 0 takes a free one.
        secure: TLS.
        keyring: what to prove towards servers; for TLS.
        store: the credentials of devices; for a listener with TLS.
        certificate: of the listener, with the authorities of its devices; None lets in by pre-shared keys.
        limits: bounds.

    Raises:
        UsageError: the certificate cannot be used, or TLS is to let in nobody.

    Attributes:
        unsent: messages for sessions that were over, since the object was made.
        buffer: what connections read into; empty while it is closed.
        rooms: memory of their large messages.
    """

    def __init__(
        self,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        secure: bool = False,
        keyring: Keyring | None = None,
        store: CredentialStore | None = None,
        certificate: Certificate | None = None,
        limits: TcpLimits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits or TcpLimits()
        self._store = store
        self._client = ClientSecurity(keyring or Keyring()) if secure else None
        self._server = ServerSecurity(store, certificate) if secure and host is not None and store is not None else None
        if secure and host is not None and store is None:
            raise UsageError("a listener with TLS needs a credential store")
        self._refusals = Refusals(_LOG, self._limits.warning_pause_s)
        self._handler: DatagramHandler | None = None
        self._takes_parts = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None
        self._links: dict[Peer, Link] = {}
        self._outgoing: dict[Hashable, asyncio.Task[SessionPeer]] = {}
        self._entering: set[asyncio.Task[None]] = set()
        self._closing: set[Link] = set()
        self._alarms: Alarms[Link] = Alarms()
        self._timer: asyncio.TimerHandle | None = None
        self._over: list[Peer] = []
        self.unsent = 0
        self.buffer = _NO_BUFFER
        self.rooms = Rooms(self._limits.unfinished_bytes)
        if store is not None:
            store.listen(self._credential_ended)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise UsageError("the transport is not open")
        return self._loop

    # -- a transport

    @property
    def scheme(self) -> str:
        """CoAP over TCP, or over TLS."""
        return "coap+tcp" if self._client is None else "coaps+tcp"

    @property
    def sessions(self) -> "TcpTransport":
        """This transport: its peers are sessions."""
        return self

    async def open(self, handler: DatagramHandler) -> None:
        """Listen, unless it connects only.

        Raises:
            TransportError: the local address cannot be had.
            UsageError: it is open already.
        """
        loop = asyncio.get_running_loop()
        sock = None
        if self._host is not None and self._loop is None:
            sock = await bind_socket(self._host, self._port, socket.SOCK_STREAM, prepare_listener)
        if self._loop is not None:
            if sock is not None:
                sock.close()
            raise UsageError("the transport is open already")
        self._loop, self._handler = loop, handler
        self.buffer = memoryview(bytearray(READ_BYTES))
        self._takes_parts = isinstance(handler, PartsReceiver) and handler.takes_parts
        if sock is not None:
            host, port, *_ = sock.getsockname()
            self._address = (host, port)
            self._listener = await loop.create_server(self._new_protocol, sock=sock, backlog=_BACKLOG)

    def _new_protocol(self) -> asyncio.BaseProtocol:
        if self._server is not None:
            return _Gate(self._enter)
        return Link(self, self._limits, asyncio.get_running_loop(), initiator=False)

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one message on a session, or lose it; if that session is over, `ended` tells.

        Raises:
            UsageError: the transport is not open.
        """
        loop = self._running()
        link = self._links.get(peer)
        if link is None:
            self.unsent += 1
            self._over.append(peer)
            loop.call_soon(self._report_over)
            return
        link.connection.send(data)
        link.flush()

    def _report_over(self) -> None:
        over, self._over = self._over, []
        handler = self._handler
        if handler is not None and over:
            for peer in over:
                handler.ended(peer)
            handler.drained()

    async def close(self) -> None:
        """Release all connections, and listen no more. Twice is harmless."""
        if self._loop is None:
            return
        self._loop, self._handler, self._address = None, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        tasks = (*self._outgoing.values(), *self._entering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in tuple(self._links.values()):
            self._let_go(link)
        self._over.clear()
        self._alarms = Alarms()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_s):
                await self._until_down()
        for link in self._closing:
            link.abort()
        await self._until_down()
        if self._loop is None:  # not opened again meanwhile: its memory goes now, not when garbage is looked for
            self.buffer = _NO_BUFFER
            self.rooms = Rooms(self._limits.unfinished_bytes)

    async def _until_down(self) -> None:
        for link in tuple(self._closing):
            await link.down.wait()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port where it listens.

        Raises:
            UsageError: it is not open, or connects only.
        """
        if self._address is None:
            raise UsageError("the transport does not listen")
        return self._address

    async def resolve(self, host: str, port: int) -> Peer:
        """The session with a host, opened if there is none.

        Raises:
            InvalidUriError: there is no such host, or no such port.
            MissingCredentialError: there is no credential for it.
            TransportError: it cannot be connected to, or the name service cannot tell at present.
            UsageError: the transport is not open, or the credential cannot be used.
        """
        self._running()
        origin = Origin(self.scheme, host.lower(), port)
        credential = None if self._client is None else self._client.credential(origin)
        address = await resolve_host(host, port, socket.SOCK_STREAM)
        loop = self._running()
        key = (address, credential, origin if isinstance(credential, Certificate) else None)
        task = self._outgoing.get(key)
        if task is None:
            task = self._outgoing[key] = loop.create_task(self._connect(key, origin, address, credential))
            task.add_done_callback(_heard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise TransportError("the transport was closed") from None
            raise

    async def _connect(
        self, key: Hashable, origin: Origin, address: SocketAddress, credential: Credential | None
    ) -> SessionPeer:
        loop, client = self._running(), self._client
        link = Link(self, self._limits, loop, credential=credential, initiator=True, key=key)
        context = None if client is None or credential is None else client.context(credential)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await loop.create_connection(
                    lambda: link,
                    address[0],
                    address[1],
                    ssl=context,
                    server_hostname=None if context is None else origin.host,
                )
                return await link.until_ready()
        except (OSError, TimeoutError, TransportError) as error:  # OSError: those of TLS too
            raise TransportError(f"no session with {origin}: {str(error) or 'no answer'}") from error
        finally:
            if not link.is_up:
                link.abort()
                self._forget(link)

    # -- sessions

    @property
    def credentials(self) -> CredentialStore | None:
        """The credentials of devices."""
        return self._store

    @property
    def can_connect(self) -> bool:
        """Over TCP always; over TLS with a credential that it can use."""
        return self._client is None or self._client.can_connect

    def capabilities(self, peer: Peer) -> Capabilities:
        """What the other end of a session can take."""
        link = self._links.get(peer)
        return BASE if link is None else link.connection.capabilities

    def hold(self, peer: Peer) -> None:
        """Keep this session while it is idle; harmless if it has ended."""
        link = self._links.get(peer)
        if link is not None:
            link.is_held = True

    def release(self, peer: Peer) -> None:
        """Let this session end when it is idle; harmless if it has ended or was not held."""
        link = self._links.get(peer)
        if link is not None and link.is_held:
            link.is_held = False
            link.touch()
            self._watch(link)

    def end(self, peer: Peer, why: str | None = None) -> None:
        """End this session and tell the other end; harmless if it has ended."""
        link = self._links.get(peer)
        if link is not None:
            self._let_go(link, why)

    def _let_go(self, link: Link, why: str | None = None) -> None:
        self._forget(link)
        self._closing.add(link)
        if why is None:
            link.connection.release()
        else:
            link.connection.abort(why)
        link.flush()

    def _forget(self, link: Link) -> None:
        self._alarms.drop(link)
        if link.peer is not None:
            self._links.pop(link.peer, None)
        if link.key is not None:
            self._outgoing.pop(link.key, None)
            link.key = None

    def _credential_ended(self, kind: CredentialKind, name: str) -> None:
        for peer, link in tuple(self._links.items()):
            identity = link.peer.identity if link.peer is not None and link.credential is None else None
            if identity is not None and identity.kind is kind and name in identity.names:
                self._let_go(link)
                self._over.append(peer)
        self._report_over()

    # -- what links tell

    def _enter(self, transport: asyncio.Transport) -> None:
        """A connection came in, and is to prove itself."""
        if self._loop is None:  # closed meanwhile
            transport.abort()
            return
        if len(self._entering) >= self._limits.handshakes or len(self._links) >= self._limits.sessions:
            address = transport.get_extra_info("peername")
            self._refusals.refused(address, "there is no room for more connections", self._running().time())
            transport.abort()
            return
        task = self._running().create_task(self._let_in(transport))
        self._entering.add(task)
        task.add_done_callback(partial(self._entered, transport))

    def _entered(self, transport: asyncio.Transport, task: "asyncio.Task[None]") -> None:
        self._entering.discard(task)
        if task.cancelled():  # perhaps before it began
            transport.abort()

    async def _let_in(self, transport: asyncio.Transport) -> None:
        loop, server = self._running(), self._server
        if server is None:
            raise AssertionError("only a listener with TLS has a gate")
        address = transport.get_extra_info("peername")
        link = Link(self, self._limits, loop, initiator=False)
        link.admission = server.admission()
        try:
            secured = await loop.start_tls(
                transport,
                link,
                link.admission.context,  # type: ignore[arg-type]  # there is one
                server_side=True,
                ssl_handshake_timeout=self._limits.connect_s,
            )
        except (OSError, TimeoutError) as error:  # OSError: those of TLS too
            self._refusals.refused(address, str(error) or type(error).__name__, loop.time())
            transport.abort()
            return
        if secured is None:
            return
        link.connection_made(secured)

    def link_up(self, link: Link, proof: Proof) -> Identity | None:
        """A connection is there: who is at the other end.

        Raises:
            TransportError: nobody that is let in, or there are too many, or the transport was closed meanwhile.
        """
        if self._loop is None:
            raise TransportError("the transport was closed")
        try:
            return self._identity(link, proof)
        except TransportError as error:
            address = None if link.peer is None else link.peer.address
            self._refusals.refused(address, str(error), self._running().time())
            raise

    def _identity(self, link: Link, proof: Proof) -> Identity | None:
        if link.credential is not None and self._client is not None:
            return self._client.identity(link.credential, proof)
        if len(self._links) >= self._limits.sessions:
            raise TransportError("there is no room for more sessions")
        if link.admission is not None and self._server is not None:
            return self._server.admit(link.admission, proof)
        return None

    def link_received(self, link: Link, messages: list[bytes]) -> None:
        """Bytes came, and these messages with them."""
        handler, peer = self._handler, link.peer
        if handler is None or peer is None:
            return
        if peer not in self._links and not link.connection.has_ended() and link not in self._closing:
            self._links[peer] = link
        self._watch(link)
        if messages:
            for message in messages:
                if isinstance(message, Parted) and not self._takes_parts:
                    handler.datagram_received(message.whole(), peer)
                else:
                    handler.datagram_received(message, peer)
            handler.drained()

    def link_down(self, link: Link, reason: str) -> None:
        """A connection is no more."""
        told = link.peer in self._links
        self._closing.discard(link)
        self._forget(link)
        if told and link.peer is not None:
            _LOG.debug("a session has ended: %r: %s", link.peer, reason)
            self._over.append(link.peer)
            self._report_over()

    # -- time

    def _watch(self, link: Link) -> None:
        self._alarms.set(link, link.due())
        deadline = self._alarms.next_deadline()
        timer = self._timer
        if deadline is not None and (timer is None or deadline < timer.when()):
            if timer is not None:
                timer.cancel()
            self._timer = self._running().call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._running().time()
        for link in self._alarms.due(now):
            link.look(now)
            if not link.connection.has_ended():
                self._watch(link)
        deadline = self._alarms.next_deadline()
        if deadline is not None and self._timer is None:
            self._timer = self._running().call_at(deadline, self._fire)


def _heard(task: "asyncio.Task[SessionPeer]") -> None:
    """An error that nobody waits for any more is no accident."""
    if not task.cancelled():
        task.exception()
