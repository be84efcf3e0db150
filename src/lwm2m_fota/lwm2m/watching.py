"""When one observer is to be told: the notification attributes as a schedule (LwM2M Core 1.2, 6.4.2 and 7.3.2).

Pure: changes and times in, deadlines out. A change is looked at, no sooner than `epmin` after the last look; where it
passes a threshold, or where there is none, a notification is owed, and due no sooner than `pmin` after the last one.
`pmax` makes one due whatever happens. One that is owed stays so even if the value goes back meanwhile: the server
hears of the change, with the newest value.
"""

from collections.abc import Callable, Mapping
from typing import Final, final

from lwm2m_fota.lwm2m.attributes import Attributes, Number
from lwm2m_fota.model.paths import Path

NumberOf = Callable[[Path], Number | None]
"""The present value of a numeric resource; None if it cannot be read."""

_NEVER: Final = float("inf")


@final
class Rules:
    """What counts for one observer.

    Args:
        whole: its periods, and whether its notifications are confirmable.
        thresholds: of every resource that has some.
    """

    __slots__ = ("_epmax_s", "_epmin_s", "_pmax_s", "_pmin_s", "_thresholds", "confirmable")

    def __init__(self, whole: Attributes, thresholds: Mapping[Path, Attributes]) -> None:
        self._pmin_s = whole.pmin or 0
        pmax = whole.pmax or _NEVER
        self._pmax_s = pmax if pmax >= self._pmin_s else _NEVER
        self._epmin_s = whole.epmin or 0
        # objects tell of every change: without thresholds there is nothing to be found by looking
        self._epmax_s = whole.epmax or _NEVER if thresholds else _NEVER
        self._thresholds = thresholds
        self.confirmable = bool(whole.con)

    def deadline(self, watch: "Watch") -> float:
        """When `is_due` has something to do, monotonic seconds; infinite if it has not."""
        look_at = watch.looked_at + (self._epmin_s if watch.changed else self._epmax_s)
        return min(look_at, watch.told_at + (self._pmin_s if watch.owed else self._pmax_s))

    def is_due(self, watch: "Watch", now: float, number: NumberOf) -> bool:
        """Look at what has changed, if it is time to; true if a notification is to leave now."""
        overdue = now >= watch.looked_at + self._epmax_s
        if overdue or (watch.changed and now >= watch.looked_at + self._epmin_s):
            watch.owed = watch.owed or self._passes(watch, number, overdue=overdue)
            watch.changed.clear()
            watch.looked_at = now
        return now >= watch.told_at + (self._pmin_s if watch.owed else self._pmax_s)

    def _passes(self, watch: "Watch", number: NumberOf, *, overdue: bool) -> bool:
        """True if something has changed that has no thresholds, or something that has has passed one."""
        concerned = {path for path in self._thresholds if overdue or any(_meet(path, each) for each in watch.changed)}
        if any(not any(_meet(path, each) for path in concerned) for each in watch.changed):
            return True
        return any(_crosses(watch.numbers.get(path), number(path), self._thresholds[path]) for path in concerned)

    def told(self, watch: "Watch", now: float, number: NumberOf) -> None:
        """A notification leaves, with the present values."""
        watch.told_at = watch.looked_at = now
        watch.owed = False
        watch.changed.clear()
        watch.numbers = {path: number(path) for path in self._thresholds}


@final
class Watch:
    """How it stands with one observer.

    Attributes:
        told_at: when it was told last, by a notification or by the answer that began the observation.
        looked_at: when its changes were looked at last.
        changed: what has changed since, in order.
        owed: a notification is due once `pmin` has passed.
        numbers: what the server was told last of what has thresholds.
        rank: orders the observers that are to be told at the same time: by their first change.
    """

    __slots__ = ("changed", "looked_at", "numbers", "owed", "rank", "told_at")

    def __init__(self, now: float) -> None:
        self.told_at = now
        self.looked_at = now
        self.changed: dict[Path, None] = {}
        self.owed = False
        self.numbers: dict[Path, Number | None] = {}
        self.rank = 0


def _meet(one: Path, other: Path) -> bool:
    return one.contains(other) or other.contains(one)


def _crosses(told: Number | None, value: Number | None, attributes: Attributes) -> bool:
    """True if a value differs from the one last told in a way that the server wants to hear of."""
    if told is None or value is None:
        return told is not value
    gt, lt, st = attributes.gt, attributes.lt, attributes.st
    return (
        (gt is not None and (value > gt) != (told > gt))
        or (lt is not None and (value < lt) != (told < lt))
        or (st is not None and abs(value - told) >= st)
    )
