"""DTLS without I/O, client and server at once: datagrams and time in; datagrams, events and the next deadline out.

The server's side holds nothing for a stranger until it has shown that it receives at its address (cookies, RFC 6347
section 4.2.1). A new handshake from an address with a session does not touch that session until it is done (section
4.2.8). Whatever cannot be read is dropped without an answer, and counted.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate, Credential, CredentialKind, Identity, PreSharedKey
from lwm2m_fota.errors import MissingCredentialError
from lwm2m_fota.transport.alarms import Alarms
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.dtls_client import Connector
from lwm2m_fota.transport.dtls_openssl import DtlsError
from lwm2m_fota.transport.dtls_records import (
    APPLICATION_DATA,
    HANDSHAKE,
    HEADER_BYTES,
    cut,
    epoch_of,
    is_client_hello,
    is_data,
)
from lwm2m_fota.transport.dtls_server import Acceptor
from lwm2m_fota.transport.dtls_session import DtlsLimits, DtlsSession
from lwm2m_fota.transport.sessions import SessionPeer

_DEFAULT_LIMITS: Final = DtlsLimits()
_NO_KEYS: Final = Keyring()
_EVICTION_TRIES: Final = 8


@final
class Dropped(StrEnum):
    """Why a datagram was dropped."""

    MALFORMED = "no whole record"
    STRAY = "no session with this address"
    UNREADABLE = "data that came before, or are not under the keys of the session"
    REPEATED = "a ClientHello that has its session already"
    BAD_HELLO = "a ClientHello that begins nothing"
    BUSY = "too many handshakes"


@final
@attrs.frozen
class Stands:
    """A handshake is done: the peer of the session is there."""

    session: DtlsSession


@final
@attrs.frozen
class Failed:
    """A handshake was refused, or came to nothing."""

    session: DtlsSession
    reason: str


@final
@attrs.frozen
class Received:
    """A datagram of a session, in the clear."""

    peer: SessionPeer
    data: bytes


@final
@attrs.frozen
class Ended:
    """A session is over, and not because `end` was called."""

    peer: SessionPeer
    reason: str


@final
@attrs.frozen
class Ignored:
    """A datagram was dropped, for another reason than that it came twice."""

    address: Peer
    why: Dropped


DtlsEvent: TypeAlias = Stands | Failed | Received | Ended | Ignored


@final
class DtlsEndpoint:
    """All DTLS sessions over one transport. Times are monotonic seconds and never go back.

    Args:
        token: unpredictable bytes, so many.
        keyring: what to prove towards servers; without one none is connected to.
        store: the credentials of devices; None lets nobody in.
        certificate: of the server's side; None leaves pre-shared keys alone.
        limits: bounds.

    Raises:
        UsageError: the certificate cannot be used.

    Attributes:
        dropped: how many datagrams were dropped, and why.
    """

    def __init__(
        self,
        token: Callable[[int], bytes],
        *,
        keyring: Keyring = _NO_KEYS,
        store: CredentialStore | None = None,
        certificate: Certificate | None = None,
        limits: DtlsLimits = _DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self._connector = Connector(keyring, limits)
        self._acceptor = None if store is None else Acceptor(store, certificate, limits, token)
        self._sessions: OrderedDict[Peer, DtlsSession] = OrderedDict()  # in order of activity
        self._beginning: dict[Peer, DtlsSession] = {}
        self._datagrams: list[tuple[bytes, Peer]] = []
        self._events: list[DtlsEvent] = []
        self._alarms: Alarms[DtlsSession] = Alarms()
        self.dropped: Counter[Dropped] = Counter()

    def __len__(self) -> int:
        return len(self._sessions)

    def take_datagrams(self) -> list[tuple[bytes, Peer]]:
        """The datagrams to send, oldest first; each is handed out once."""
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self) -> list[DtlsEvent]:
        """What happened, oldest first; each event is handed out once."""
        taken, self._events = self._events, []
        return taken

    @property
    def has_datagrams(self) -> bool:
        """There are datagrams to send."""
        return bool(self._datagrams)

    # -- the network's side

    def receive(self, data: bytes, address: Peer, now: float) -> tuple[bytes, SessionPeer] | None:
        """Take one datagram. Never raises, whatever the bytes.

        Returns:
            What came, and from whom, if it is data of a session and nothing else happened, as mostly; None if
            `take_events` and `take_datagrams` tell what it led to.
        """
        session = self._sessions.get(address)
        peer = None if session is None else session.peer
        if session is None or peer is None or self._events or not is_data(data):
            self._receive(data, address, now)
            return None
        try:
            plain = session.connection.open(data)
        except DtlsError as error:
            self._lose(session, error)
            return None
        if plain is None:
            self._drop(address, Dropped.UNREADABLE)
            return None
        session.heard(now)
        self._sessions.move_to_end(address)
        return plain, peer

    def _receive(self, data: bytes, address: Peer, now: float) -> None:
        records = cut(data)
        if not records:
            self._drop(address, Dropped.MALFORMED)
            return
        session, beginning = self._sessions.get(address), self._beginning.get(address)
        first = records[0]
        if self._acceptor is not None and is_client_hello(first) and (beginning is None or beginning.origin is None):
            hello = hash(first[HEADER_BYTES:])  # which copies of it have in common
            if session is not None and session.hello == hello:
                self.dropped[Dropped.REPEATED] += 1
                return
            if beginning is None or beginning.hello != hello:
                self._greet(self._acceptor, b"".join(records), hello, address, now)
                return
        if beginning is not None and first[0] != APPLICATION_DATA:
            self._advance(beginning, records, now)
        elif session is not None:
            self._read(session, records, now)
        else:
            self._drop(address, Dropped.STRAY)

    def _drop(self, address: Peer, why: Dropped) -> None:
        self.dropped[why] += 1
        self._events.append(Ignored(address, why))

    def _greet(self, acceptor: Acceptor, data: bytes, hello: int, address: Peer, now: float) -> None:
        """A ClientHello of a new handshake: a cookie for it, or with its cookie a session that begins."""
        try:
            connection, answer = acceptor.listen(data, address, now)
        except DtlsError:
            connection, answer = None, b""
        if connection is None:
            if answer:
                self._datagrams.append((answer, address))
            else:
                self._drop(address, Dropped.BAD_HELLO)
            return
        former = self._beginning.pop(address, None)
        if former is not None:
            self._over(former)
        if len(self._beginning) >= self._limits.handshakes:
            self._drop(address, Dropped.BUSY)
            return
        session = DtlsSession(connection, address, self._limits, now, hello=hello)
        session.heard_bytes = len(data)
        self._beginning[address] = session
        self._advance(session, [], now)

    def _advance(self, session: DtlsSession, records: list[bytes], now: float) -> None:
        """Go on with a handshake."""
        data = b"".join(records)
        session.heard_bytes += len(data)
        if session.heard_bytes > self._limits.handshake_bytes:
            self._fail(session, f"it sent more than {self._limits.handshake_bytes} bytes before it had proven anything")
            return
        session.connection.feed(data)
        try:
            done = session.connection.handshake()
        except DtlsError as error:
            self._send(session, session.take())  # the alert
            self._fail(session, str(error))
            return
        flight = session.take_flight(now)
        self._send(session, flight)
        if done:
            if not flight:
                session.forget_flight()
            self._complete(session, now)
            return
        session.saw_keys = session.saw_keys or any(epoch_of(record) for record in records)
        self._alarms.set(session, session.due())

    def _complete(self, session: DtlsSession, now: float) -> None:
        try:
            if session.origin is not None or self._acceptor is None:
                identity = self._connector.admit(session)
            else:
                identity = self._acceptor.admit(session.connection, now)
            self._make_room(session.address)
        except DtlsError as error:
            self._say_goodbye(session)
            self._fail(session, str(error))
            return
        del self._beginning[session.address]
        former = self._sessions.pop(session.address, None)
        if former is not None:
            self._ended(former, "another session with its address has taken its place")
        session.stands(SessionPeer(session.address, identity), now)
        self._sessions[session.address] = session
        self._events.append(Stands(session))
        self._alarms.set(session, session.due())
        self._read(session, [], now)  # what came in one datagram with the end of the handshake

    def _read(self, session: DtlsSession, records: list[bytes], now: float) -> None:
        """Take what came for a session that stands."""
        connection, peer = session.connection, session.peer
        if peer is None:
            raise AssertionError("only a session that stands is read")
        for record in records:
            connection.feed(record)
        try:
            while (data := connection.read()) is not None:
                self._events.append(Received(peer, data))
                session.heard(now)
                self._sessions.move_to_end(session.address)
                if len(records) == 1:
                    return  # it had one record, and that was data
        except DtlsError as error:
            self._lose(session, error)
            return
        answer: list[bytes] | tuple[bytes, ...] = session.take()
        if not answer and any(record[0] == HANDSHAKE and epoch_of(record) for record in records):
            answer = session.repeat()
        self._send(session, answer)

    def _lose(self, session: DtlsSession, error: DtlsError) -> None:
        """The other end has ended a session, or broken it."""
        self._send(session, session.take())
        del self._sessions[session.address]
        self._ended(session, str(error))

    # -- the upper side

    def connect(self, address: Peer, origin: Origin, now: float) -> DtlsSession:
        """The session with an origin: one that stands (it has a peer), or one that begins (Stands or Failed will tell).

        A session that the other end has opened serves too, unless there is a credential for the origin, and it is
        another one than that session was proven with.

        Raises:
            MissingCredentialError: there is no credential for it, and no session.
            UsageError: the credential cannot be used.
            DtlsError: no certificate can be for this host.
        """
        session = self._sessions.get(address)
        try:
            credential = self._connector.credential(origin)
        except MissingCredentialError:
            if session is not None and session.origin is None:
                return session
            raise
        for known in (session, self._beginning.get(address)):
            if known is not None and _serves(known, origin, credential):
                return known
        connection = self._connector.connection(address, origin, credential)
        former = self._beginning.get(address)
        if former is not None:
            self._fail(former, "another handshake with its address has taken its place")
        session = DtlsSession(connection, address, self._limits, now, origin=origin, credential=credential)
        self._beginning[address] = session
        self._advance(session, [], now)
        return session

    def protect(self, data: bytes, peer: Peer) -> tuple[bytes, Peer] | None:
        """One datagram for a session, protected, and where it goes; None if there is no such session, or it cannot be.

        What `take_datagrams` has is to be sent before it.
        """
        session = self._sessions.get(peer.address) if isinstance(peer, SessionPeer) else None
        if session is None or session.peer is not peer:
            return None
        try:
            return session.connection.seal(data), session.address
        except DtlsError:
            return None

    def is_standing(self, peer: Peer) -> bool:
        """Whether the session of this peer is there."""
        return self._standing(peer) is not None

    def _standing(self, peer: Peer) -> DtlsSession | None:
        session = self._sessions.get(peer.address) if isinstance(peer, SessionPeer) else None
        return session if session is not None and session.peer is peer else None

    def hold(self, peer: Peer) -> None:
        """Keep this session while it is idle."""
        session = self._standing(peer)
        if session is not None:
            session.is_held = True

    def release(self, peer: Peer, now: float) -> None:
        """Let this session end once it has been idle, from now on."""
        session = self._standing(peer)
        if session is not None and session.is_held:
            session.is_held = False
            session.touch(now)
            self._alarms.set(session, session.due())

    def end(self, peer: Peer) -> None:
        """End a session and tell the other end."""
        session = self._standing(peer)
        if session is not None:
            del self._sessions[session.address]
            self._say_goodbye(session)
            self._over(session)

    def end_all(self) -> None:
        """End all sessions, and tell the other ends."""
        for session in tuple(self._sessions.values()):
            self._say_goodbye(session)
            self._over(session)
        for session in tuple(self._beginning.values()):
            self._over(session)
        self._sessions.clear()
        self._beginning.clear()

    def credential_ended(self, kind: CredentialKind, name: str) -> None:
        """What an identity proved itself with no longer counts: its sessions end, and none is resumed."""
        if self._acceptor is not None:
            self._acceptor.forget(kind, name)
        for session in tuple(self._sessions.values()):
            identity = session.peer.identity if session.peer is not None and session.origin is None else None
            if identity is not None and identity.kind is kind and name in identity.names:
                del self._sessions[session.address]
                self._say_goodbye(session)
                self._ended(session, "its credential was rotated or revoked")

    # -- time

    def next_deadline(self) -> float | None:
        """When to call `handle_timeout`, monotonic seconds; it may be too early, and is never too late."""
        return self._alarms.next_deadline()

    def handle_timeout(self, now: float) -> None:
        """Do what is due: send flights again, give up handshakes, end idle sessions."""
        for session in self._alarms.due(now):
            self._look_at(session, now)
            if not session.over:
                self._alarms.set(session, session.due())

    def _look_at(self, session: DtlsSession, now: float) -> None:
        if session.is_late(now):
            self._fail(session, _why_late(session))
        elif session.is_idle(now):
            del self._sessions[session.address]
            self._say_goodbye(session)
            self._ended(session, "it was idle")
        else:
            try:
                self._send(session, session.resend(now))
            except DtlsError as error:
                self._fail(session, str(error))

    # -- ends

    def _make_room(self, address: Peer) -> None:
        """See to it that one session more may stand.

        Raises:
            DtlsError: all the oldest are held.
        """
        if address in self._sessions or len(self._sessions) < self._limits.sessions:
            return
        for _ in range(min(_EVICTION_TRIES, len(self._sessions))):
            oldest = next(iter(self._sessions.values()))
            if not oldest.is_held:
                del self._sessions[oldest.address]
                self._say_goodbye(oldest)
                self._ended(oldest, "there was no room for more sessions")
                return
            self._sessions.move_to_end(oldest.address)
        raise DtlsError("there is no room for more sessions")

    def _send(self, session: DtlsSession, datagrams: "list[bytes] | tuple[bytes, ...]") -> None:
        for datagram in datagrams:
            self._datagrams.append((datagram, session.address))

    def _say_goodbye(self, session: DtlsSession) -> None:
        session.connection.close()
        self._send(session, session.take())

    def _fail(self, session: DtlsSession, reason: str) -> None:
        self._beginning.pop(session.address, None)
        self._connector.failed(session)
        self._over(session)
        self._events.append(Failed(session, reason))

    def _ended(self, session: DtlsSession, reason: str) -> None:
        peer = session.peer
        self._over(session)
        if peer is not None:
            self._events.append(Ended(peer, reason))

    def _over(self, session: DtlsSession) -> None:
        session.finish()
        self._alarms.drop(session)


def _serves(session: DtlsSession, origin: Origin, credential: Credential) -> bool:
    """Whether a session is what a connection to an origin with this credential would give."""
    if not isinstance(credential, PreSharedKey):
        return session.origin == origin and session.credential == credential
    if session.origin is not None:
        return session.credential == credential
    identity = session.peer.identity if session.peer is not None else None
    return identity is not None and identity == Identity.of_psk(credential.identity)


def _why_late(session: DtlsSession) -> str:
    if session.origin is None:
        if session.saw_keys:
            return "what came under the keys could not be read: the pre-shared key is likely another one"
        return "the handshake was not gone on with"
    if session.heard_bytes == 0:
        return "no answer"
    return "the handshake was begun and not ended: the pre-shared key is likely another one"
