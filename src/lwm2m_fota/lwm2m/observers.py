"""Who observes what on a device, and who is to be told when (RFC 7641; LwM2M Core 6.4).

Pure. Values are rendered by the owner when a notification goes out, so an observer sees the newest value even where
several changes came together.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final, final

import attrs

from lwm2m_fota.lwm2m.attributes import Changes
from lwm2m_fota.lwm2m.watching import NumberOf, Rules, Watch
from lwm2m_fota.model.paths import Path

_SEQUENCE_MASK: Final = 0xFFFFFF
DEFAULT_MAX_OBSERVERS: Final = 64


def _no_changes() -> Changes:
    return {}


@final
@attrs.frozen
class Observer:
    """One observation.

    Attributes:
        peer: who observes.
        token: its token.
        paths: what is observed: one path, or those of an Observe-Composite.
        accept: the content format that it asked for, or None.
        composite: whether it came by Observe-Composite.
        own: attributes that came with the request, for this observation alone (LwM2M Core 1.2, 6.4.1).
        szx: the largest block that it asked for, as exponent (RFC 7959 section 2.4); None if it asked for none.
    """

    peer: Hashable
    token: bytes
    paths: tuple[Path, ...]
    accept: int | None = None
    composite: bool = attrs.field(default=False, kw_only=True)
    own: Changes = attrs.field(factory=_no_changes, kw_only=True, hash=False)
    szx: int | None = attrs.field(default=None, kw_only=True)

    def concerns(self, changed: Path) -> bool:
        """A change of this path is a change of what is observed."""
        return any(path.contains(changed) or changed.contains(path) for path in self.paths)

    def replaces(self, other: "Observer") -> bool:
        """The peer observes the same again, and has lost the older token; or it has used the token again."""
        same = (self.paths, self.composite) == (other.paths, other.composite)
        return self.peer == other.peer and (same or self.token == other.token)


RulesOf = Callable[[Observer], Rules]
"""By which rules an observer is told: these may change while it observes."""


@final
class ObserverTable:
    """All observations of one device, bounded."""

    __slots__ = ("_max_observers", "_observers", "_ranks", "_sequence")

    def __init__(self, max_observers: int = DEFAULT_MAX_OBSERVERS) -> None:
        self._max_observers = max_observers
        self._observers: dict[tuple[Hashable, bytes], tuple[Observer, Watch]] = {}
        self._ranks = 0
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._observers)

    def add(self, observer: Observer, rules: Rules, now: float, number: NumberOf) -> bool:
        """Take an observation; False if there is no room (it is then answered as a plain read, RFC 7641 4.1).

        Args:
            observer: replaces an older one of the same peer and paths.
            rules: by which it is told.
            now: monotonic seconds; it is told the present values now.
            number: reads numeric resources.
        """
        for key, (other, _) in tuple(self._observers.items()):
            if observer.replaces(other):
                del self._observers[key]
        if len(self._observers) >= self._max_observers:
            return False
        watch = Watch(now)
        rules.told(watch, now, number)
        self._observers[observer.peer, observer.token] = observer, watch
        return True

    def remove(self, peer: Hashable, token: bytes) -> bool:
        """End one observation; True if it was there."""
        return self._observers.pop((peer, token), None) is not None

    def clear(self, peer: Hashable) -> None:
        """End all observations of a peer: a new registration begins without any (LwM2M Core 6.4.1)."""
        for key in tuple(self._observers):
            if key[0] == peer:
                del self._observers[key]

    def changed(self, paths: Iterable[Path]) -> None:
        """Note what has new values, in the order in which observers must hear of it."""
        for path in paths:
            for observer, watch in self._observers.values():
                if observer.concerns(path):
                    if not watch.changed and not watch.owed:
                        self._ranks += 1
                        watch.rank = self._ranks
                    watch.changed[path] = None

    def take_due(self, now: float, rules_of: RulesOf, number: NumberOf) -> list[tuple[Observer, Rules]]:
        """The observers to be told now, in the order in which their values changed; they count as told."""
        due: list[tuple[int, Observer, Rules]] = []
        for observer, watch in self._observers.values():
            rules = rules_of(observer)
            if rules.is_due(watch, now, number):
                rules.told(watch, now, number)
                due.append((watch.rank, observer, rules))
        return [(observer, rules) for _, observer, rules in sorted(due, key=lambda each: each[0])]

    def next_deadline(self, rules_of: RulesOf) -> float | None:
        """When `take_due` has something to do, monotonic seconds; None if only a change can make it so."""
        deadlines = (rules_of(observer).deadline(watch) for observer, watch in self._observers.values())
        deadline = min(deadlines, default=float("inf"))
        return None if deadline == float("inf") else deadline

    def next_sequence(self) -> int:
        """The next value of the Observe option, 24 bits, ascending over all observers (RFC 7641 4.4)."""
        self._sequence = (self._sequence + 1) & _SEQUENCE_MASK
        return self._sequence
