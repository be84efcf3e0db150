"""Q-Block: the parameters of transfers by sets of non-confirmable messages, and their waits (RFC 9177 section 7.2).

A set is MAX_PAYLOADS blocks: those with numbers from a multiple of it on. It is sent at once; the next one follows when
the other end says that it has the set, or else after a pause. What is missing is asked for by number.
"""

import math
from enum import Enum
from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.coap.missing import ListForm
from lwm2m_fota.errors import UsageError

MAX_SET_BLOCKS: Final = 1024
"""The largest MAX_PAYLOADS: more blocks than that at once are no set but a flood."""

_SET_MARGIN_S: Final = 1.0  # by which NON_RECEIVE_TIMEOUT exceeds NON_TIMEOUT_RANDOM at least


@final
class QTimers(Enum):
    """Where the waits of a transfer come from."""

    FIXED = "fixed"
    """The parameters as they are: right on every path, slow to repair where the path is fast."""

    MEASURED = "measured"
    """The round trip as measured (its mean and four times its deviation, as TCP does: RFC 6298), where that is shorter
    than the parameters. RFC 9177 asks for fixed ones: this is for paths that one knows."""


@final
@attrs.frozen(kw_only=True, slots=True)
class QBlock:
    """The knobs of Q-Block; both ends should use the same.

    Attributes:
        max_payloads: MAX_PAYLOADS, how many blocks are sent at a time, 1 to 1024; where the ends differ, a transfer is
            slow.
        non_timeout_s: NON_TIMEOUT, the shortest pause between two sets, above 0.
        ack_random_factor: the pause is up to this many times NON_TIMEOUT (NON_TIMEOUT_RANDOM), at least 1.
        non_receive_timeout_s: NON_RECEIVE_TIMEOUT, the wait for a missing block before it is asked for; it doubles each
            time.
        non_max_retransmit: NON_MAX_RETRANSMIT, how often what is missing is asked for without a sign of the peer.
        max_latency_s: MAX_LATENCY, the longest a datagram is assumed to stay in the network.
        timers: whether these times are used as they are.
        shortest_timeout_s: the shortest NON_TIMEOUT that measuring can lead to.
        unheard_sets: how many sets are sent beyond the last that the peer has confirmed: more would help on a path that
            carries nothing back, and would help whoever asks in the name of others.
        early_bytes: what is kept of blocks that come out of turn; others are dropped, and asked for again.
        lists: which lists of missing blocks are read.
        ahead_bytes: the most of a body that goes out that is asked for at once, at least a set: several sets, where the
            peer takes them fast.

    Raises:
        UsageError: a value is out of range or not finite.
    """

    max_payloads: int = 10
    non_timeout_s: float = 2.0
    ack_random_factor: float = 1.5
    non_receive_timeout_s: float = 4.0
    non_max_retransmit: int = 4
    max_latency_s: float = 100.0
    timers: QTimers = QTimers.FIXED
    shortest_timeout_s: float = 0.05
    unheard_sets: int = 3
    early_bytes: int = 1 << 16
    lists: ListForm = ListForm.LENIENT
    ahead_bytes: int = 1 << 16

    def __attrs_post_init__(self) -> None:
        for name, lowest in (
            ("max_payloads", 1),
            ("ack_random_factor", 1.0),
            ("non_max_retransmit", 0),
            ("max_latency_s", 0.0),
            ("unheard_sets", 0),
            ("early_bytes", 0),
            ("ahead_bytes", 0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= lowest):
                raise UsageError(f"{name} must be finite and at least {lowest}, not {value}")
        if self.max_payloads > MAX_SET_BLOCKS:
            raise UsageError(f"max_payloads must be at most {MAX_SET_BLOCKS}, not {self.max_payloads}")
        for name in ("non_timeout_s", "non_receive_timeout_s", "shortest_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be finite and above 0, not {value}")
        if self.non_receive_timeout_s < self.non_timeout_s * self.ack_random_factor + _SET_MARGIN_S:
            raise UsageError("who waits for a block must wait a second longer than the sender pauses between two sets")

    @property
    def patience_s(self) -> float:
        """How long a transfer goes on without a sign of the peer: all waits for a missing block together."""
        return self.non_receive_timeout_s * ((2 << self.non_max_retransmit) - 1)

    @property
    def non_partial_timeout_s(self) -> float:
        """NON_PARTIAL_TIMEOUT: how long a body that is not complete is kept after its last block."""
        return self._span_s + 2 * self.max_latency_s + self.non_timeout_s

    def non_probing_wait_s(self, non_timeout_random_s: float) -> float:
        """NON_PROBING_WAIT: the longest wait for the next body where one was not answered at all.

        Args:
            non_timeout_random_s: NON_TIMEOUT_RANDOM of that body.
        """
        return self._span_s + 2 * self.max_latency_s + non_timeout_random_s

    @property
    def _span_s(self) -> float:
        return self.non_timeout_s * ((1 << self.non_max_retransmit) - 1) * self.ack_random_factor

    def set_end(self, num: int, count: int) -> int:
        """The number behind the set that block `num` of a body of `count` blocks is in."""
        return min((num // self.max_payloads + 1) * self.max_payloads, count)


@final
class Waits:
    """The times of one end of one transfer.

    Attributes:
        expires: monotonic seconds at which the wait for what is missing ends; infinite while nothing is.
    """

    __slots__ = ("_deviation_s", "_factor", "_heard_at", "_mean_s", "_measures", "_q", "_repeats", "expires")

    def __init__(self, q: QBlock, factor: float, now: float, round_trip_s: float = 0.0) -> None:
        """Begin with the parameters.

        Args:
            q: the parameters.
            factor: drawn for this transfer, from 1 to `ack_random_factor`.
            now: monotonic seconds.
            round_trip_s: of a message to this peer before; 0 if none was measured.
        """
        self._q = q
        self._factor = factor
        self._measures = q.timers is QTimers.MEASURED
        self._mean_s = 0.0
        self._deviation_s = 0.0
        self._repeats = 0
        self._heard_at = now
        self.expires = inf
        self.measured(round_trip_s)

    def measured(self, round_trip_s: float) -> None:
        """A round trip has taken so long (RFC 6298 section 2); 0 says nothing."""
        if not (self._measures and round_trip_s):
            return
        if not self._mean_s:
            self._mean_s = round_trip_s
            self._deviation_s = round_trip_s / 2
            return
        self._deviation_s += (abs(self._mean_s - round_trip_s) - self._deviation_s) / 4
        self._mean_s += (round_trip_s - self._mean_s) / 8

    @property
    def _share(self) -> float:
        """What of the fixed times is waited."""
        q = self._q
        if not self._mean_s:
            return 1.0
        return min(max(self._mean_s + 4 * self._deviation_s, q.shortest_timeout_s) / q.non_timeout_s, 1.0)

    @property
    def between_sets_s(self) -> float:
        """NON_TIMEOUT_RANDOM: the pause between two sets."""
        return self._q.non_timeout_s * self._factor * self._share

    def heard(self, now: float) -> None:
        """The peer has shown a sign: what is missing is waited for as at first."""
        self._repeats = 0
        self._heard_at = now

    def wait(self, now: float, *, again: bool = False) -> float:
        """Wait for what is missing, from now on.

        Args:
            now: monotonic seconds.
            again: it was asked for once more, and is waited for twice as long.

        Returns:
            When that ends, monotonic seconds.
        """
        if again:
            self._repeats += 1
        wait_s = self._q.non_receive_timeout_s * self._share * (1 << self._repeats)
        end = self._heard_at + self._q.patience_s
        expires = now + wait_s
        self.expires = expires if end - expires >= wait_s else max(end, now)  # no short wait before the end
        return self.expires

    def over(self, now: float) -> bool:
        """The peer has shown no sign for too long."""
        return now >= self._heard_at + self._q.patience_s

    def rest(self) -> None:
        """Nothing is waited for."""
        self.expires = inf
