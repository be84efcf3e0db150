"""The rollback floor of a device, which has one for each of its components and for each name that packages count by."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Self, TypeAlias, final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.package.rollback import Counted, Counter, RollbackFloor

MAX_MARKS: Final = 128
"""How many marks of names a device keeps; one that installs packages of more has been given someone else's."""

_Own: TypeAlias = tuple[tuple[int, int], ...]

_INSTANCE: Final = "instance"
_EVERY: Final = "every"
_KINDS: Final = {each.value: each for each in Counted}
_OLD_WHOLE: Final = "image"
_OLD_INSTANCE: Final = re.compile(_OLD_WHOLE + "/(0|[1-9][0-9]{0,4})", re.ASCII)


def _highest(own: Iterable[tuple[int, int]]) -> _Own:
    found: dict[int, int] = {}
    for instance, value in own:
        found[instance] = max(found.get(instance, 0), value)
    return tuple(sorted(found.items()))


@final
@attrs.frozen
class DeviceFloor:
    """What packages must not be older than.

    Attributes:
        named: the marks of names, which mean the same whichever component receives the package.
        own: the lowest counter of packages that name no component, by the instance that receives them.

    Raises:
        UsageError: more than 128 marks of names.
    """

    named: RollbackFloor = attrs.field(factory=RollbackFloor)
    own: _Own = attrs.field(default=(), converter=_highest)

    def __attrs_post_init__(self) -> None:
        if len(self.named.marks) > MAX_MARKS:
            raise UsageError(f"a rollback floor has at most {MAX_MARKS} marks")

    def of(self, instance: int, called: Iterable[Collection[str]] = ()) -> RollbackFloor:
        """The part of it that a package for one component has to meet.

        Args:
            instance: that of the component.
            called: the names of each component: what one of them was raised to counts under each.
        """
        own = [Counter(None, value) for each, value in self.own if each == instance]
        marks = [mark for mark in self.named.marks if mark.of is not Counted.MANIFEST]
        same = [
            attrs.evolve(mark, name=each) for names in called for mark in marks if mark.name in names for each in names
        ]
        return self.named.raised([*own, *same])

    def after(self, counters: Iterable[Counter], instance: int) -> Self:
        """The floor once a package with these counters is installed in a component.

        Raises:
            UsageError: the marks of names are more than 128.
        """
        counters = tuple(counters)
        own = [(instance, each.value) for each in counters if each.name is None]
        return type(self)(self.named.raised(each for each in counters if each.name is not None), (*self.own, *own))

    def to_plain(self) -> list[list[object]]:
        """What JSON can hold: each mark as its kind, its instance or name, and its value."""
        every = self.named.every
        marks: list[list[object]] = [[_INSTANCE, instance, value] for instance, value in self.own]
        marks += [[mark.of.value, mark.name, mark.value] for mark in self.named.marks]
        return marks if every is None else [*marks, [_EVERY, None, every]]

    @classmethod
    def from_plain(cls, plain: object, *, of_several: bool = False) -> Self:
        """What `to_plain` gave, or gave when marks had names alone.

        Args:
            plain: that.
            of_several: whether it is of Object 33629, which has several components.

        Raises:
            SnapshotError: it is something else.
        """
        marks = _from_names(plain, of_several=of_several) if isinstance(plain, Mapping) else plain
        if not isinstance(marks, list):
            raise SnapshotError("a rollback floor is damaged")
        own, named, every = list[tuple[int, int]](), list[Counter](), None
        for mark in marks:
            match mark:
                case [str(kind), str(name), int(value)] if kind in _KINDS and type(value) is int:
                    named.append(Counter(name, value, _KINDS[kind]))
                case [str(kind), int(instance), int(value)] if kind == _INSTANCE and _are_counts(instance, value):
                    own.append((instance, value))
                case [str(kind), None, int(value)] if kind == _EVERY and type(value) is int:
                    every = value
                case _:
                    raise SnapshotError("a rollback floor is damaged")
        try:
            return cls(RollbackFloor(tuple(named), every=every), tuple(own))
        except UsageError as error:
            raise SnapshotError(f"a rollback floor is damaged: {error}") from error


def _are_counts(*numbers: int) -> bool:
    return all(type(each) is int and each >= 0 for each in numbers)


def _from_names(plain: Mapping[object, object], *, of_several: bool) -> list[list[object]]:
    """Marks as they were kept before they had kinds.

    "image/1" was the mark of packages that name no component, in instance 1. With Object 5 it was also that of a
    component of this name, or called "image": it counts for all that it may have meant. Of several components none
    could be called "image", and a mark of a name would ask for a counter in packages for the others too.
    """
    marks: list[list[object]] = []
    for name, value in plain.items():
        own = _OLD_INSTANCE.fullmatch(name) if isinstance(name, str) else None
        if name == "":
            marks.append([_EVERY, None, value])
        elif own is None:
            marks.append([Counted.COMPONENT.value, name, value])
        else:
            named = () if of_several else (name, _OLD_WHOLE)
            marks += [[_INSTANCE, int(own[1]), value], *([Counted.COMPONENT.value, each, value] for each in named)]
    return marks
