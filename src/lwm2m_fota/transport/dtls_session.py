"""One DTLS session: its connection, its peer, and when it must be looked at (RFC 6347 section 4.2.4)."""

from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.credentials.keyring import Origin
from lwm2m_fota.credentials.values import Credential
from lwm2m_fota.errors import UsageError
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.dtls_openssl import DtlsConnection
from lwm2m_fota.transport.dtls_records import cut as records_of
from lwm2m_fota.transport.dtls_records import pack
from lwm2m_fota.transport.sessions import SessionPeer

MIN_MTU_BYTES: Final = 256


@final
@attrs.frozen(kw_only=True)
class DtlsLimits:
    """Bounds of DTLS.

    Attributes:
        sessions: that stand at a time; when there are more, the one that was idle for longest and that nobody holds
            ends, and if all are held, the newcomer is refused.
        handshakes: that are under way at a time, beyond the exchange of cookies, which costs no memory.
        handshake_bytes: what the other end may send before its session stands.
        handshake_s: how long a handshake may take.
        retransmit_initial_s: the wait before a flight is sent again; it doubles each time.
        retransmit_max_s: the longest wait.
        flight_repeats: how often the last flight is sent again because the other end repeats its own.
        idle_s: a session that nobody holds ends after so long without a datagram of the other end.
        datagram_bytes: the largest datagram of a handshake.
        cookie_s: how long a cookie counts, at least; twice as long at most.
        resumable: sessions that can be resumed, as many as are remembered.
        resumption_s: for how long.
        warning_pause_s: no more than one line of the log in this time tells of refused sessions, and one of dropped
            datagrams; how many there were is told with the next.

    Raises:
        UsageError: a limit that is not positive, or datagrams too small for a handshake.
    """

    sessions: int = 16_384
    handshakes: int = 1_024
    handshake_bytes: int = 32_768
    handshake_s: float = 90.0
    retransmit_initial_s: float = 1.0
    retransmit_max_s: float = 60.0
    flight_repeats: int = 8
    idle_s: float = 300.0
    datagram_bytes: int = 1_280
    cookie_s: float = 60.0
    resumable: int = 16_384
    resumption_s: int = 86_400
    warning_pause_s: float = 1.0

    def __attrs_post_init__(self) -> None:
        if min(attrs.astuple(self)) <= 0:
            raise UsageError(f"a limit of DTLS is not positive: {self!r}")
        if self.datagram_bytes < MIN_MTU_BYTES:
            raise UsageError(f"a datagram of a handshake has at least {MIN_MTU_BYTES} bytes")


@final
class DtlsSession:
    """A session, from its beginning to its end.

    Attributes:
        connection: its state in OpenSSL.
        address: where the other end is.
        origin: what a client connects to; None on the server's side.
        credential: what a client proves itself with.
        hello: a hash of the ClientHello that began it, on the server's side.
        peer: its name above, once it stands.
        heard_bytes: what came before it stood.
        saw_keys: something under the keys came before it stood, and did not make it stand.
        is_held: it does not end while it is idle.
        idle_at: monotonic seconds at which it ends if nothing comes and nobody holds it.
        over: it has ended, or has failed to begin.
    """

    __slots__ = (
        "_flight",
        "_give_up_at",
        "_idle_s",
        "_limits",
        "_repeats_left",
        "_resend_at",
        "_wait_s",
        "address",
        "connection",
        "credential",
        "heard_bytes",
        "hello",
        "idle_at",
        "is_held",
        "origin",
        "over",
        "peer",
        "saw_keys",
    )

    def __init__(
        self,
        connection: DtlsConnection,
        address: Peer,
        limits: DtlsLimits,
        now: float,
        *,
        origin: Origin | None = None,
        credential: Credential | None = None,
        hello: int | None = None,
    ) -> None:
        self.connection = connection
        self.address = address
        self.origin = origin
        self.credential = credential
        self.hello = hello
        self.peer: SessionPeer | None = None
        self.heard_bytes = 0
        self.saw_keys = False
        self.is_held = False
        self.idle_at = inf
        self.over = False
        self._limits = limits
        self._idle_s = limits.idle_s
        self._flight: tuple[bytes, ...] = ()
        self._repeats_left = limits.flight_repeats
        self._wait_s = limits.retransmit_initial_s
        self._resend_at = inf
        self._give_up_at = now + limits.handshake_s

    # -- what goes out

    def take(self) -> list[bytes]:
        """The datagrams to be sent, records packed."""
        data = self.connection.take()
        return list(pack(records_of(data), self._limits.datagram_bytes)) if data else []

    def take_flight(self, now: float) -> tuple[bytes, ...]:
        """The datagrams of the next flight of the handshake, which is kept; the wait for its answer begins anew."""
        flight = tuple(self.take())
        if flight:
            self._flight = flight
            self._wait_s = self._limits.retransmit_initial_s
            self._resend_at = now + self._wait_s
        return flight

    def resend(self, now: float) -> tuple[bytes, ...]:
        """The last flight once more, if that is due: nothing came in answer.

        OpenSSL makes new records of it if its own clock says so too. That clock is the system's and cannot be given:
        where it does not agree (it was set back, or time here is virtual), the same records go out once more.

        Raises:
            DtlsError: the other end has been waited for long enough.
        """
        if now < self._resend_at:
            return ()
        self._wait_s = min(2 * self._wait_s, self._limits.retransmit_max_s)
        self._resend_at = now + self._wait_s
        self.connection.retransmit()
        return tuple(self.take()) or self._flight

    def repeat(self) -> tuple[bytes, ...]:
        """The last flight once more, because the other end repeats its own: it has not got this one.

        Not without end, for this is done before anything is proven.
        """
        if not self._repeats_left:
            return ()
        self._repeats_left -= 1
        return self._flight

    # -- time

    def stands(self, peer: SessionPeer, now: float) -> None:
        """The handshake is done."""
        self.peer = peer
        self._resend_at = self._give_up_at = inf
        self.touch(now)

    def touch(self, now: float) -> None:
        """The idle time begins."""
        self.idle_at = now + self._idle_s

    def heard(self, now: float) -> None:
        """Data of the other end came."""
        self._flight = ()
        self.idle_at = now + self._idle_s

    def forget_flight(self) -> None:
        """The other end has got the last flight, or has sent the last one itself: it is not sent again."""
        self._flight = ()

    def finish(self) -> None:
        """It is over; what OpenSSL holds for it is given back at once."""
        self.over = True
        self._flight = ()
        del self.connection

    def is_late(self, now: float) -> bool:
        """The handshake took too long."""
        return now >= self._give_up_at

    def is_idle(self, now: float) -> bool:
        """Nothing came for long, and nobody holds it."""
        return not self.is_held and now >= self.idle_at

    def due(self) -> float:
        """When it must be looked at, monotonic seconds."""
        return min(self._resend_at, self._give_up_at, inf if self.is_held else self.idle_at)
