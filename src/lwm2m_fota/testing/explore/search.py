"""Breadth-first search through every state that a model reaches, with the shortest trace to whatever must not be.

A model says where it starts and what can happen; the search knows nothing of firmware. It finds each state once and
remembers the move by which it was found first. From all moves together it tells from which states no end can be
reached, and where moves of some kinds go round for ever.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, final

import attrs

_S = TypeVar("_S", bound=Hashable)

_NOWHERE: Final = -1


class Broken(NamedTuple):
    """A rule does not hold.

    Attributes:
        rule: its name.
        words: what was seen.
    """

    rule: str
    words: str


class Move(NamedTuple, Generic[_S]):
    """Something that can happen.

    Attributes:
        kind: what sort of thing.
        state: what follows.
        words: more of it, for traces.
        fired: the rows of tables that were taken.
        broken: what does not hold of this move.
        code: what a peer is told that waits for an answer.
    """

    kind: str
    state: _S
    words: str = ""
    fired: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    code: int | None = None


class Model(Protocol[_S]):
    """What is explored; its states are compared and hashed."""

    def initial(self) -> Iterable[_S]:
        """Where it starts."""
        ...

    def moves(self, state: _S) -> Iterable[Move[_S]]:
        """All that can happen in a state; nothing in one that is over."""
        ...

    def check(self, state: _S, /) -> Iterable[Broken]:
        """What does not hold in a state."""
        ...

    def is_end(self, state: _S) -> bool:
        """An end of what is under way; every state must have a way to one."""
        ...


@final
@attrs.frozen
class Finding:
    """A rule that does not hold, and the shortest way there.

    Attributes:
        rule: its name.
        words: what was seen.
        trace: what happened, move by move.
    """

    rule: str
    words: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        moves = "".join(f"\n  {number}. {words}" for number, words in enumerate(self.trace, 1))
        return f"{self.rule}: {self.words}, after{moves or ' nothing'}"


class TooManyStatesError(Exception):
    """The model has more states than the search was allowed to keep."""


def _told(kind: str, words: str) -> str:
    return f"{kind}: {words}" if words else kind


@final
class Space(Generic[_S]):
    """What a search has found.

    Attributes:
        states: every state, in the order in which it was found.
        fired: how often each row was taken.
        findings: the first finding of each rule that does not hold, shortest trace first.
    """

    def __init__(self, model: Model[_S]) -> None:
        self._model = model
        self.states: list[_S] = []
        self.fired: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._numbers: dict[_S, int] = {}
        self._parents = array("q")
        self._ways: list[tuple[str, str]] = []
        self._kinds: dict[str, int] = {}
        self._from, self._to, self._by = array("I"), array("I"), array("H")

    @property
    def transitions(self) -> int:
        """How many moves there are, of all states together."""
        return len(self._from)

    def trace(self, number: int) -> tuple[str, ...]:
        """The shortest way to a state, move by move."""
        words = []
        while self._parents[number] != _NOWHERE:
            words.append(_told(*self._ways[number]))
            number = self._parents[number]
        return tuple(reversed(words))

    # -- searching

    def _found(self, state: _S, parent: int, move: Move[_S] | None) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self._parents.append(parent)
            self._ways.append(("", "") if move is None else (move.kind, move.words))
        return number

    def _note(self, broken: Iterable[Broken], number: int, *last: str) -> None:
        for each in broken:
            if all(finding.rule != each.rule for finding in self.findings):
                self.findings.append(Finding(each.rule, each.words, (*self.trace(number), *last)))

    def search(self, most: int, *, stop_at_finding: bool) -> None:
        """Find every state.

        Raises:
            TooManyStatesError: there are more than `most`.
        """
        for state in self._model.initial():
            self._found(state, _NOWHERE, None)
        number = 0
        while number < len(self.states):
            if len(self.states) > most:
                raise TooManyStatesError(f"more than {most} states")
            self._visit(number)
            if stop_at_finding and self.findings:
                return
            number += 1

    def _visit(self, number: int) -> None:
        state = self.states[number]
        self._note(self._model.check(state), number)
        kinds, found = self._kinds, self._numbers
        for move in self._model.moves(state):
            if move.fired:
                self.fired.update(move.fired)
            if move.broken:
                self._note(move.broken, number, _told(move.kind, move.words))
            after = found.get(move.state)
            self._from.append(number)
            self._to.append(self._found(move.state, number, move) if after is None else after)
            self._by.append(kinds.setdefault(move.kind, len(kinds)))

    # -- what follows from all moves together

    def check_ends(self) -> None:
        """Every state must have a way to an end."""
        closed = bytearray(len(self.states))
        ends = [number for number, state in enumerate(self.states) if self._model.is_end(state)]
        for number in self._back(ends):
            closed[number] = 1
        stuck = closed.find(0)
        if stuck != _NOWHERE:
            self._note([Broken("every state has a way to an end", "none leads from here")], stuck)

    def _back(self, ends: Iterable[int]) -> Iterator[int]:
        """All states from which one of these is reached."""
        first, nexts = self._sorted_by(self._to, self._from)
        seen = bytearray(len(self.states))
        waiting = list(ends)
        for number in waiting:
            seen[number] = 1
        while waiting:
            number = waiting.pop()
            yield number
            for before in nexts[first[number] : first[number + 1]]:
                if not seen[before]:
                    seen[before] = 1
                    waiting.append(before)

    def _sorted_by(self, keys: "array[int]", values: "array[int]") -> tuple["array[int]", "array[int]"]:
        """The values of each key, one after another, and where those of a key begin."""
        first = array("I", bytes(4 * (len(self.states) + 1)))
        for key in keys:
            first[key + 1] += 1
        for number in range(len(self.states)):
            first[number + 1] += first[number]
        place, sorted_ = array("I", first), array("I", bytes(4 * len(values)))
        for key, value in zip(keys, values, strict=True):
            sorted_[place[key]] = value
            place[key] += 1
        return first, sorted_

    def check_no_circle(self, rule: str, kinds: Callable[[str], bool]) -> None:
        """Moves of these kinds alone must not go round for ever."""
        chosen = {number for kind, number in self._kinds.items() if kinds(kind)}
        after: dict[int, dict[int, int]] = {}
        for start, end, by in zip(self._from, self._to, self._by, strict=True):
            if by in chosen:
                after.setdefault(start, {}).setdefault(end, by)
        circle = _circle(after)
        if circle:
            names = {number: kind for kind, number in self._kinds.items()}
            words = " -> ".join(names[after[one][other]] for one, other in pairwise([*circle, circle[0]]))
            self._note([Broken(rule, f"round and round: {words}")], circle[0])


def _circle(after: Mapping[int, Mapping[int, int]]) -> list[int]:
    """States that lead to one another and back to the first, which is the earliest found; none if there are none."""
    before: Counter[int] = Counter(end for ends in after.values() for end in ends)
    left = set(after)
    free = [number for number in left if not before[number]]
    while free:  # what no circle leads to
        number = free.pop()
        left.discard(number)
        for end in after[number]:
            before[end] -= 1
            if not before[end] and end in left:
                free.append(end)
    for start in sorted(left):
        way = _way_back(start, after, left)
        if way:
            return way
    return []


def _way_back(start: int, after: Mapping[int, Mapping[int, int]], left: Container[int]) -> list[int]:
    """The shortest way from a state back to itself."""
    came: dict[int, int] = {}
    waiting = [start]
    for number in waiting:
        for end in after[number]:
            if end == start:
                way = [number]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return way[::-1]
            if end in left and end not in came:
                came[end] = number
                waiting.append(end)
    return []


def explore(
    model: Model[_S],
    *,
    most: int = 5_000_000,
    stop_at_finding: bool = False,
    circles: Mapping[str, Callable[[str], bool]] | None = None,
) -> Space[_S]:
    """Find every state of a model, and what does not hold.

    Args:
        model: what is explored.
        most: how many states may be kept.
        stop_at_finding: stop at the first rule that does not hold.
        circles: rules by name: which kinds of moves must not go round for ever.

    Raises:
        TooManyStatesError: the model has more states.
    """
    space = Space(model)
    space.search(most, stop_at_finding=stop_at_finding)
    if not (stop_at_finding and space.findings):
        space.check_ends()
        for rule, kinds in (circles or {}).items():
            space.check_no_circle(rule, kinds)
    return space
