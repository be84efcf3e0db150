"""When to look at which of many things: few entries each, early ones allowed, late ones never."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar, final

_SLACK: Final = 64

_Watched = TypeVar("_Watched", bound=Hashable)


@final
class Alarms(Generic[_Watched]):
    """One alarm each. `set` moves it forward in time only: what rings too early is set again, and most never ring."""

    __slots__ = ("_heap", "_number", "_set")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Watched]] = []
        self._set: dict[_Watched, tuple[float, int]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._set)

    def set(self, watched: _Watched, when: float) -> None:
        """Look at it no later than `when`, monotonic seconds."""
        if when < self._set.get(watched, (inf, 0))[0]:
            self._number += 1
            self._set[watched] = (when, self._number)
            heappush(self._heap, (when, self._number, watched))
            self._tidy()

    def drop(self, watched: _Watched) -> None:
        """Look at it no more."""
        if self._set.pop(watched, None) is not None:
            self._tidy()

    def _tidy(self) -> None:
        """Keep what no longer counts to about half of the heap."""
        if len(self._heap) > 2 * len(self._set) + _SLACK:
            self._heap = [entry for entry in self._heap if self._set.get(entry[2]) == entry[:2]]
            heapify(self._heap)

    def due(self, now: float) -> list[_Watched]:
        """What is to be looked at now, each once; its alarm is off then."""
        found: list[_Watched] = []
        while self._heap and self._heap[0][0] <= now:
            when, number, watched = heappop(self._heap)
            if self._set.get(watched) == (when, number):
                del self._set[watched]
                found.append(watched)
        return found

    def next_deadline(self) -> float | None:
        """When `due` may have something, monotonic seconds; None if nothing is watched."""
        return self._heap[0][0] if self._set else None
