"""One message on its way: its datagram, its message id, its retransmissions (RFC 7252 sections 4.2 to 4.4)."""

from collections.abc import Collection, Container
from enum import Enum
from typing import Final, Protocol, final

from lwm2m_fota.coap.limits import MidExhaustion
from lwm2m_fota.coap.message import HEADER_BYTES, MAX_MID, MAX_TOKEN_BYTES, VERSION, Options, encode_options
from lwm2m_fota.coap.numbers import ACK, CON, NON, RST
from lwm2m_fota.errors import MessageFormatError

MID_COUNT: Final = 1 << 16
SEGMENT_BITS: Final = 10
"""Message ids are watched in segments of 1024, so that a peer costs at most 64 times, not 65536."""

_SEGMENT_MASK: Final = (1 << SEGMENT_BITS) - 1
_MARKER: Final = 0xFF


class Entropy(Protocol):
    """Where tokens and jitter come from."""

    def token(self, size_bytes: int, /) -> bytes:
        """`size_bytes` unpredictable bytes."""
        ...

    def uniform(self, low: float, high: float, /) -> float:
        """A number between `low` and `high`."""
        ...


def frame(kind: int, code: int, token: bytes, options: Options, payload: bytes) -> bytes:
    """A datagram whose message id is still 0; see `stamp`.

    Raises:
        MessageFormatError: the token is too long, or the options are not ascending.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise MessageFormatError("a token has at most 8 bytes")
    out = bytearray((VERSION | kind << 4 | len(token), code, 0, 0))
    out += token
    encode_options(out, options)
    if payload:
        out.append(_MARKER)
    return b"".join((out, payload))


def stamp(framed: bytes, mid: int) -> bytes:
    """The datagram under a message id."""
    return b"".join((framed[:2], mid.to_bytes(2, "big"), framed[HEADER_BYTES:]))


def empty_ack(mid: int) -> bytes:
    """The Empty message that acknowledges."""
    return bytes((VERSION | ACK << 4, 0, mid >> 8, mid & 0xFF))


def reset(mid: int) -> bytes:
    """The Empty message that refuses."""
    return bytes((VERSION | RST << 4, 0, mid >> 8, mid & 0xFF))


def is_reset(datagram: bytes) -> bool:
    """True if this is an Empty message that refuses one of ours."""
    return len(datagram) == HEADER_BYTES and datagram[0] == VERSION | RST << 4 and not datagram[1]


@final
class Purpose(Enum):
    """What a message of ours is."""

    REQUEST = "request"
    RESPONSE = "response"
    NOTIFICATION = "notification"


@final
class Outgoing:
    """A message that waits for its turn, or for an acknowledgement.

    Attributes:
        confirmable: CON, retransmitted until acknowledged; else NON, sent once.
        datagram: the bytes; under message id 0 until it is sent.
        token: its token.
        purpose: what it is.
        call: the number of the call that a request belongs to, else 0.
        mid: its message id once it was sent, else -1.
        timeout_s: seconds to wait after the last transmission.
        deadline: monotonic seconds at which that wait ends.
        retransmits_left: how often it will be sent again.
    """

    __slots__ = (
        "call",
        "confirmable",
        "datagram",
        "deadline",
        "mid",
        "purpose",
        "retransmits_left",
        "timeout_s",
        "token",
    )

    def __init__(
        self,
        *,
        confirmable: bool,
        framed: bytes,
        token: bytes,
        purpose: Purpose,
        call: int = 0,
    ) -> None:
        self.confirmable = confirmable
        self.datagram = framed
        self.token = token
        self.purpose = purpose
        self.call = call
        self.mid = -1
        self.timeout_s = 0.0
        self.deadline = 0.0
        self.retransmits_left = 0

    def was_repeated(self, max_retransmit: int) -> bool:
        """It was confirmable, and had to be sent more than once."""
        return self.confirmable and self.retransmits_left != max_retransmit

    @classmethod
    def of(
        cls,
        *,
        confirmable: bool,
        code: int,
        token: bytes,
        options: Options,
        payload: bytes,
        purpose: Purpose,
        call: int = 0,
    ) -> "Outgoing":
        """A message of these parts.

        Raises:
            MessageFormatError: the token is too long, or the options are not ascending.
        """
        framed = frame(CON if confirmable else NON, code, token, options, payload)
        return cls(confirmable=confirmable, framed=framed, token=token, purpose=purpose, call=call)

    def begin(self, datagram: bytes, mid: int, timeout_s: float, retransmits: int, now: float) -> None:
        """The datagram leaves under this message id; the first wait begins."""
        self.datagram = datagram
        self.mid = mid
        self.timeout_s = timeout_s
        self.retransmits_left = retransmits
        self.deadline = now + timeout_s

    def relaunch(self, now: float) -> bytes | None:
        """The same datagram again, and twice the wait; None if all retransmissions were used."""
        if not self.retransmits_left:
            return None
        self.retransmits_left -= 1
        self.timeout_s *= 2
        self.deadline = now + self.timeout_s
        return self.datagram


@final
class MessageIds:
    """The message ids that we give to messages for one peer: ascending from a random start.

    For each segment of ids it is known when one of them was last given out, and when one of them last went without
    a proof that the peer is done with it (a non-confirmable message, a time-out).
    """

    __slots__ = ("_next", "_policy", "_unsettled_at", "_used_at", "free_at")

    def __init__(self, first: int, policy: MidExhaustion) -> None:
        self._next = first % MID_COUNT
        self._policy = policy
        self._used_at: dict[int, float] = {}
        self._unsettled_at: dict[int, float] = {}
        self.free_at = 0.0

    def take(self, now: float, lifetime_s: float, busy: Container[int]) -> int | None:
        """The next id that is not in `busy`; None if it must wait until `free_at`."""
        mid = self._next
        if not mid & _SEGMENT_MASK or mid in busy:
            return self._take(now, lifetime_s, busy)
        self._next = mid + 1 & MAX_MID
        self._used_at[mid >> SEGMENT_BITS] = now
        return mid

    def take_some(self, most: int, until: float, now: float, lifetime_s: float, busy: Collection[int]) -> range | None:
        """The next ids that follow each other, as many as there are of one segment; None if they must wait.

        Args:
            most: how many at most, at least 1.
            until: monotonic seconds by which they will have been used.
            now: monotonic seconds.
            lifetime_s: EXCHANGE_LIFETIME.
            busy: ids that are in use.
        """
        first = self.take(now, lifetime_s, busy)
        if first is None:
            return None
        end = min(first + most, (first | _SEGMENT_MASK) + 1)
        end = next((mid for mid in range(first + 1, end) if mid in busy), end) if busy else end
        self._next = end & MAX_MID
        self._used_at[first >> SEGMENT_BITS] = until
        return range(first, end)

    def give_back(self, unused: range) -> None:
        """Those of `take_some` that were not used, if none were taken behind them."""
        if unused and self._next == unused.stop & MAX_MID:
            self._next = unused.start

    def take_run(self, count: int, now: float, lifetime_s: float, busy: Collection[int]) -> int | None:
        """The first of `count` ids that follow each other, none of them in `busy`; None if they must wait.

        Args:
            count: at most 1024.
            now: monotonic seconds.
            lifetime_s: EXCHANGE_LIFETIME.
            busy: ids that are in use.
        """
        mid = self._next
        place = mid & _SEGMENT_MASK
        if place and place + count <= _SEGMENT_MASK + 1 and not busy:
            self._next = mid + count & MAX_MID
            self._used_at[mid >> SEGMENT_BITS] = now
            return mid
        for _ in range(len(busy) + 1):  # each of them can break one run
            first = self.take(now, lifetime_s, busy)
            if first is None:
                return None
            ids = (each & MAX_MID for each in range(first + 1, first + count))
            if all(self.take(now, lifetime_s, busy) == each for each in ids):
                return first
        return None

    def _take(self, now: float, lifetime_s: float, busy: Container[int]) -> int | None:
        while True:
            mid = self._next
            segment = mid >> SEGMENT_BITS
            if not mid & _SEGMENT_MASK and not self._may_enter(segment, now, lifetime_s):
                return None
            self._next = mid + 1 & MAX_MID
            if mid not in busy:
                self._used_at[segment] = now
                return mid

    def _may_enter(self, segment: int, now: float, lifetime_s: float) -> bool:
        times = self._used_at if self._policy is MidExhaustion.WAIT else self._unsettled_at
        at = times.get(segment)
        if at is not None:
            self.free_at = at + lifetime_s
            return now >= self.free_at
        return True

    def unsettled(self, mid: int, now: float) -> None:
        """The peer may still remember this id: it went without acknowledgement."""
        self._unsettled_at[mid >> SEGMENT_BITS] = now

    def distrust(self) -> None:
        """The peer remembers completed ids too: from now on wait for all, those of this segment included."""
        if self._policy is not MidExhaustion.WAIT:
            self._policy = MidExhaustion.WAIT
            self._next = ((self._next | _SEGMENT_MASK) + 1) % MID_COUNT
