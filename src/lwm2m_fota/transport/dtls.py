"""CoAP over DTLS 1.2 (extra `dtls`): a `SessionTransport` over any transport of datagrams, UDP above all.

The sessions are in `dtls_endpoint`, which does no I/O; this is its pump. What is refused is logged, never with a key.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate, CredentialKind
from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.transport.base import DatagramAnswerer, DatagramHandler, DatagramTransport, Peer
from lwm2m_fota.transport.dtls_client import USABLE
from lwm2m_fota.transport.dtls_endpoint import DtlsEndpoint, DtlsEvent, Ended, Failed, Ignored, Received, Stands
from lwm2m_fota.transport.dtls_session import DtlsLimits, DtlsSession
from lwm2m_fota.transport.refusals import DROPPED, Refusals
from lwm2m_fota.transport.sessions import SessionPeer

__all__ = ["DtlsLimits", "DtlsTransport"]

SCHEME: Final = "coaps"
_LOG: Final = logging.getLogger(__name__)


@final
class DtlsTransport:
    """A `SessionTransport` over DTLS. Its peers are `SessionPeer`s.

    Args:
        under: carries the datagrams; opened and closed with this one, and nobody else's.
        keyring: what to prove towards servers; without one none is connected to.
        store: the credentials of devices; None lets nobody in.
        certificate: of the server's side, with the authorities of its devices; None leaves pre-shared keys alone.
        limits: bounds.
        token: unpredictable bytes, so many.

    Attributes:
        unsent: datagrams for sessions that were over, or that could not be protected, since the object was made.
    """

    def __init__(
        self,
        under: DatagramTransport,
        *,
        keyring: Keyring | None = None,
        store: CredentialStore | None = None,
        certificate: Certificate | None = None,
        limits: DtlsLimits | None = None,
        token: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._under = under
        self._keyring = keyring or Keyring()
        self._store = store
        self._certificate = certificate
        self._limits = limits or DtlsLimits()
        self._token = token
        self._refusals = Refusals(_LOG, self._limits.warning_pause_s)
        self._drops = Refusals(_LOG, self._limits.warning_pause_s, DROPPED)
        self._handler: DatagramHandler | None = None
        self._answer_to: Callable[[bytes, Peer], bytes | None] | None = None
        self._endpoint: DtlsEndpoint | None = None
        self._clock: Callable[[], float] = _closed
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[DtlsSession, asyncio.Future[SessionPeer]] = {}
        self._turning = False
        self._has_handed = False
        self._has_more = False
        self._over: list[Peer] = []
        self.unsent = 0
        if store is not None:
            store.listen(self._credential_ended)

    def _opened(self) -> DtlsEndpoint:
        if self._endpoint is None:
            raise UsageError("the transport is not open")
        return self._endpoint

    # -- a transport

    @property
    def scheme(self) -> str:
        """CoAP over DTLS."""
        return SCHEME

    @property
    def sessions(self) -> "DtlsTransport":
        """This transport: its peers are sessions."""
        return self

    @property
    def credentials(self) -> CredentialStore | None:
        """The credentials of devices; None lets nobody in."""
        return self._store

    @property
    def can_connect(self) -> bool:
        """There is a credential in the keyring that DTLS can use."""
        return self._keyring.serves(USABLE)

    async def open(self, handler: DatagramHandler) -> None:
        """Open the transport below, and begin without sessions.

        Raises:
            TransportError: the local address cannot be had.
            UsageError: it is open already, or a certificate cannot be used.
        """
        if self._endpoint is not None:
            raise UsageError("the transport is open already")
        endpoint = DtlsEndpoint(
            self._token,
            keyring=self._keyring,
            store=self._store,
            certificate=self._certificate,
            limits=self._limits,
        )
        self._clock = asyncio.get_running_loop().time
        await self._under.open(self)
        self._handler, self._endpoint = handler, endpoint
        self._answer_to = handler.answer if isinstance(handler, DatagramAnswerer) else None

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one datagram on a session, or lose it; if that session is over, `ended` tells.

        Raises:
            UsageError: the transport is not open.
        """
        endpoint = self._endpoint
        if endpoint is None:
            raise UsageError("the transport is not open")
        protected = endpoint.protect(data, peer)
        if protected is None:
            self._lose(endpoint, peer)
            return
        if endpoint.has_datagrams:
            self._flush(endpoint)  # a handshake ends before there is data
        self._under.send(*protected)

    def _lose(self, endpoint: DtlsEndpoint, peer: Peer) -> None:
        self.unsent += 1
        if not endpoint.is_standing(peer):
            self._over.append(peer)
            asyncio.get_running_loop().call_soon(self._turn)

    async def close(self) -> None:
        """End all sessions, and close the transport below. Twice is harmless."""
        endpoint, self._endpoint, self._handler, self._answer_to = self._endpoint, None, None, None
        if endpoint is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            _fail(future, TransportError("the transport was closed"))
        self._over.clear()
        endpoint.end_all()
        self._flush(endpoint)
        await self._under.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of the transport below.

        Raises:
            UsageError: the transport is not open.
        """
        self._opened()
        return self._under.local_address

    async def resolve(self, host: str, port: int) -> Peer:
        """The session with a host, opened if there is none.

        Raises:
            InvalidUriError: there is no such host, or no such port.
            MissingCredentialError: there is no credential for `coaps://host:port`.
            TransportError: the handshake failed, or the name service cannot tell at present.
            UsageError: the transport is not open, or the credential cannot be used.
        """
        self._opened()
        address = await self._under.resolve(host, port)
        endpoint = self._opened()
        origin = Origin(SCHEME, host.lower(), port)
        session = endpoint.connect(address, origin, self._clock())
        future = self._waiting.get(session)
        if future is None:
            future = self._waiting[session] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_heard)
            if session.peer is not None:
                del self._waiting[session]
                future.set_result(session.peer)
        self._turn()
        try:
            return await asyncio.shield(future)
        except TransportError as error:
            raise TransportError(f"no session with {origin}: {error}") from error

    # -- sessions

    @property
    def capabilities(self) -> None:
        """Datagrams are datagrams here."""

    def hold(self, peer: Peer) -> None:
        """Keep this session while it is idle; harmless if it has ended."""
        self._opened().hold(peer)

    def release(self, peer: Peer) -> None:
        """Let this session end when it is idle; harmless if it has ended or was not held."""
        endpoint = self._opened()
        endpoint.release(peer, self._clock())
        self._arm(endpoint)

    def end(self, peer: Peer, why: str | None = None) -> None:
        """End this session and tell the other end; harmless if it has ended."""
        del why  # DTLS says goodbye without a reason
        endpoint = self._opened()
        endpoint.end(peer)
        self._flush(endpoint)

    def _credential_ended(self, kind: CredentialKind, name: str) -> None:
        if self._endpoint is not None:
            self._endpoint.credential_ended(kind, name)
            self._turn()

    # -- what the transport below tells

    def datagram_received(self, data: bytes, peer: Peer) -> bool:
        """Feed one datagram, and let the answer to one of a session go out at once: its peer waits for that.

        Returns:
            False if the rest is for `drained`, here or above.
        """
        endpoint, handler = self._endpoint, self._handler
        if endpoint is None or handler is None:
            raise UsageError("the transport is not open")
        received = endpoint.receive(data, peer, self._clock())
        if received is None:
            self._has_more = True
            return False
        self._has_handed = self._turning = True
        try:
            return handler.datagram_received(*received)
        finally:
            self._turning = False

    def answer(self, data: bytes, peer: Peer) -> bytes | None:
        """The same, for a transport below and a handler above that both can: the answer goes back protected."""
        endpoint, answer_to = self._endpoint, self._answer_to
        if endpoint is None or answer_to is None:
            return b"" if self.datagram_received(data, peer) else None
        received = endpoint.receive(data, peer, self._clock())
        if received is None:
            self._has_more = True
            return None
        self._has_handed = self._turning = True
        try:
            answer = answer_to(*received)
        finally:
            self._turning = False
        if not answer:
            return answer
        protected = None if endpoint.has_datagrams else endpoint.protect(answer, received[1])
        if protected is not None:
            return protected[0]
        self.send(answer, received[1])
        return b""

    def unreachable(self, peer: Peer) -> None:
        """A hint that anybody may have forged: handshakes and exchanges have limits of their own."""

    def ended(self, peer: Peer) -> None:
        """The transport below has no sessions."""

    def drained(self) -> None:
        """The transport below has nothing more for now."""
        if self._has_handed and self._handler is not None:
            self._has_handed = False
            self._handler.drained()
        if self._has_more:
            self._has_more = False
            self._turn()

    # -- the pump

    def _turn(self) -> None:
        endpoint, handler = self._endpoint, self._handler
        if endpoint is None or handler is None:
            return
        if self._turning:
            self._has_more = True
            return
        self._turning = True
        try:
            self._hand_out(endpoint, handler)
        finally:
            self._turning = False
        if self._endpoint is endpoint:
            self._flush(endpoint)
            self._arm(endpoint)

    def _hand_out(self, endpoint: DtlsEndpoint, handler: DatagramHandler) -> None:
        events, over = endpoint.take_events(), self._over
        while events or over:
            self._over = []
            try:
                for event in events:
                    self._tell(event, handler)
                for peer in over:
                    handler.ended(peer)
            finally:
                handler.drained()
            events, over = endpoint.take_events(), self._over

    def _tell(self, event: DtlsEvent, handler: DatagramHandler) -> None:
        match event:
            case Received(peer, data):
                handler.datagram_received(data, peer)
            case Stands(session):
                future = self._waiting.pop(session, None)
                if future is not None and session.peer is not None:
                    future.set_result(session.peer)
                _LOG.debug("a session stands: %r", session.peer)
            case Failed(session, reason):
                future = self._waiting.pop(session, None)
                if future is not None:
                    _fail(future, TransportError(reason))
                else:
                    self._refusals.refused(session.address, reason, self._clock())
            case Ignored(address, why):
                self._drops.refused(address, why.value, self._clock())
            case Ended(peer, reason):
                _LOG.debug("a session has ended: %r: %s", peer, reason)
                handler.ended(peer)

    def _flush(self, endpoint: DtlsEndpoint) -> None:
        send = self._under.send
        for data, address in endpoint.take_datagrams():
            send(data, address)

    def _arm(self, endpoint: DtlsEndpoint) -> None:
        deadline = endpoint.next_deadline()
        timer = self._timer
        if timer is not None:
            if deadline is not None and timer.when() <= deadline:
                return  # it fires early and looks again
            timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._endpoint is not None:
            self._endpoint.handle_timeout(self._clock())
            self._turn()


def _closed() -> float:
    raise UsageError("the transport is not open")


def _fail(future: "asyncio.Future[SessionPeer]", error: TransportError) -> None:
    if not future.done():
        future.set_exception(error)


def _heard(future: "asyncio.Future[SessionPeer]") -> None:
    """An error that nobody waits for any more is no accident."""
    if not future.cancelled():
        future.exception()
