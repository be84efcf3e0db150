"""No way back to what was superseded: counters of packages, and the floor under them that a device keeps."""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import Final, Self, final

import attrs

from lwm2m_fota.errors import UsageError


@final
class Counted(Enum):
    """What a counter is of; names of one kind have nothing to do with those of another.

    COMPONENT is of what is installed in the component of that name, MANIFEST of the manifest that is called so. ROOT is
    of a first manifest that is called nothing, and leaves it to others to install the component of that name.
    """

    COMPONENT = "component"
    MANIFEST = "manifest"
    ROOT = "root"


@final
@attrs.frozen
class Counter:
    """A number that grows with every release that must not be gone back behind.

    Attributes:
        name: of what it counts; None for a package that names no component, which counts for the one that receives it.
        value: 0 or more.
        of: what has that name.
    """

    name: str | None
    value: int
    of: Counted = Counted.COMPONENT

    @property
    def key(self) -> tuple[str, bool, str]:
        """What it counts: equal for two counters that are to be compared, and in an order."""
        return self.of.value, self.name is not None, self.name or ""

    @property
    def label(self) -> str:
        """What it counts, for people."""
        return "the package" if self.name is None else f"{_TITLES[self.of]} {self.name}"


_TITLES: Final = {
    Counted.COMPONENT: "component",
    Counted.MANIFEST: "manifest",
    Counted.ROOT: "the first manifest for component",
}


def _marks(marks: Iterable[Counter]) -> tuple[Counter, ...]:
    highest: dict[tuple[str, bool, str], Counter] = {}
    for mark in marks:
        if mark.key not in highest or highest[mark.key].value < mark.value:
            highest[mark.key] = mark
    return tuple(highest[key] for key in sorted(highest))


@final
@attrs.frozen
class RollbackFloor:
    """The lowest counters that are taken.

    A floor that is not empty takes only packages that have a counter, each at least as high as the mark of the same
    name and kind, and as that of every counter.

    Attributes:
        marks: the lowest value for each name; of several the highest.
        every: the lowest value of every counter, whatever its name; None for any.

    Raises:
        UsageError: a negative value.
    """

    marks: tuple[Counter, ...] = attrs.field(default=(), converter=_marks)
    every: int | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if any(mark.value < 0 for mark in self.marks) or (self.every is not None and self.every < 0):
            raise UsageError("a counter is not negative")

    @classmethod
    def at_least(cls, value: int) -> Self:
        """Every counter has at least this value.

        Raises:
            UsageError: it is negative.
        """
        return cls(every=value)

    @property
    def is_empty(self) -> bool:
        """Whether it takes every package, and those without a counter too."""
        return not self.marks and self.every is None

    def lowest(self, counter: Counter) -> int:
        """The lowest value that is taken where a counter counts."""
        mine = (mark.value for mark in self.marks if mark.key == counter.key)
        return max(self.every or 0, *mine, 0)

    def problem(self, counters: Collection[Counter]) -> str | None:
        """Why a package with these counters is not taken; None if it is."""
        if not self.is_empty and not counters:
            return "it has no counter that could be compared"
        for counter in counters:
            lowest = self.lowest(counter)
            if counter.value < lowest:
                return f"counter {counter.value} of {counter.label}, at least {lowest}"
        return None

    def raised(self, counters: Iterable[Counter]) -> Self:
        """The floor after a package with these counters was installed."""
        return type(self)((*self.marks, *counters), every=self.every)

    def joined(self, other: Self) -> Self:
        """The higher mark of both, for each name."""
        every = [each.every for each in (self, other) if each.every is not None]
        return type(self)(self.marks + other.marks, every=max(every, default=None))
