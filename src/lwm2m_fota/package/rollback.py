"""No way back to what was superseded: counters of packages, and the floor under them that a device keeps."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Self, final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError

EVERY_NAME: Final = ""
MAX_NAMES: Final = 64
"""How many names a floor may have; a device that installs packages of more has been given someone else's."""


@final
@attrs.frozen
class Counter:
    """A number that grows with every release that must not be gone back behind.

    Attributes:
        name: of what it counts; one device may have several.
        value: 0 or more.
    """

    name: str
    value: int


def _marks(marks: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(dict(marks).items()))


@final
@attrs.frozen
class RollbackFloor:
    """The lowest counters that are taken.

    A floor with any mark takes only packages that have a counter, each at least as high as the mark of its name and as
    the mark of every name.

    Attributes:
        marks: pairs of name and lowest value; the name "" is for every name.

    Raises:
        UsageError: a negative value, or more than 64 names.
    """

    marks: tuple[tuple[str, int], ...] = attrs.field(default=(), converter=_marks)

    def __attrs_post_init__(self) -> None:
        if len(self.marks) > MAX_NAMES:
            raise UsageError(f"a rollback floor has at most {MAX_NAMES} names")
        if any(value < 0 for _, value in self.marks):
            raise UsageError("a counter is not negative")

    @classmethod
    def at_least(cls, value: int) -> Self:
        """Every counter has at least this value.

        Raises:
            UsageError: it is negative.
        """
        return cls(((EVERY_NAME, value),))

    def lowest(self, name: str) -> int:
        """The lowest value that is taken for a name."""
        marks = dict(self.marks)
        return max(marks.get(EVERY_NAME, 0), marks.get(name, 0))

    def problem(self, counters: Collection[Counter]) -> str | None:
        """Why a package with these counters is not taken; None if it is."""
        if self.marks and not counters:
            return "it has no counter that could be compared"
        for counter in counters:
            lowest = self.lowest(counter.name)
            if counter.value < lowest:
                return f"counter {counter.value} of {counter.name}, at least {lowest}"
        return None

    def raised(self, counters: Iterable[Counter]) -> Self:
        """The floor after a package with these counters was installed.

        Raises:
            UsageError: the names are more than 64.
        """
        return self.joined(type(self)(tuple((counter.name, counter.value) for counter in counters)))

    def joined(self, other: Self) -> Self:
        """The higher mark of both, for each name.

        Raises:
            UsageError: the names are more than 64.
        """
        marks = dict(self.marks)
        for name, value in other.marks:
            marks[name] = max(marks.get(name, 0), value)
        return type(self)(tuple(marks.items()))

    def to_plain(self) -> dict[str, int]:
        """What JSON can hold."""
        return dict(self.marks)

    @classmethod
    def from_plain(cls, plain: object) -> Self:
        """What `to_plain` gave.

        Raises:
            SnapshotError: it is something else.
        """
        if not isinstance(plain, Mapping):
            raise SnapshotError("a rollback floor is damaged")
        marks = []
        for name, value in plain.items():
            if not isinstance(name, str) or type(value) is not int:
                raise SnapshotError("a rollback floor is damaged")
            marks.append((name, value))
        try:
            return cls(tuple(marks))
        except UsageError as error:
            raise SnapshotError(f"a rollback floor is damaged: {error}") from error
