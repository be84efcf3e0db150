"""What becomes of datagrams on a bad path, drawn from a seed: loss, duplicates, delay, reordering."""

import random
from collections import Counter
from enum import StrEnum
from typing import final

from lwm2m_fota.errors import UsageError


@final
class Fate(StrEnum):
    """What became of a datagram."""

    DELIVERED = "delivered"
    DUPLICATED = "duplicated"
    LOST = "lost"
    CUT = "cut"


@final
class Weather:
    """Faults of a path. The same seed and the same number of datagrams meet the same faults.

    The attributes may be changed at any time; the draws for later datagrams stay the same.

    Args:
        seed: of the faults.
        loss: the share of datagrams that vanish, 0 to 1.
        duplicate: the share of the others that arrive twice, 0 to 1.
        latency_s: the least delay, seconds.
        reorder_s: what comes to it, at most, drawn for each copy: later datagrams may overtake.

    Attributes:
        counts: how many datagrams met each fate.

    Raises:
        UsageError: a share is not between 0 and 1, or a time is negative.
    """

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        latency_s: float = 0.0,
        reorder_s: float = 0.0,
    ) -> None:
        if not (0 <= loss <= 1 and 0 <= duplicate <= 1):
            raise UsageError("loss and duplicate are shares between 0 and 1")
        if latency_s < 0 or reorder_s < 0:
            raise UsageError("latency_s and reorder_s are not negative")
        self._random = random.Random(seed)  # noqa: S311 - faults are to be repeatable
        self.loss = loss
        self.duplicate = duplicate
        self.latency_s = latency_s
        self.reorder_s = reorder_s
        self.counts: Counter[Fate] = Counter()

    def draw(self, *, is_cut: bool = False) -> tuple[Fate, list[float]]:
        """What becomes of the next datagram, and the delay in seconds of each copy that arrives.

        Args:
            is_cut: it is lost whatever is drawn.
        """
        # as many draws for every datagram, so that one fault more does not change all that follow
        lost, doubled, first, second = (self._random.random() for _ in range(4))
        delays = [self.latency_s + first * self.reorder_s, self.latency_s + second * self.reorder_s]
        if is_cut:
            fate, delays = Fate.CUT, []
        elif lost < self.loss:
            fate, delays = Fate.LOST, []
        elif doubled < self.duplicate:
            fate = Fate.DUPLICATED
        else:
            fate, delays = Fate.DELIVERED, delays[:1]
        self.counts[fate] += 1
        return fate, delays
