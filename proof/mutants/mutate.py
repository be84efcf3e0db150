"""Wrong tables made of right ones: a row dropped, changed in one field, or added."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError

Names: TypeAlias = Mapping[str, object]
"""What takes the place of names of the module that defines a table."""

Choices: TypeAlias = Mapping[str, Callable[[Any], Iterable[object]]]
"""For each field of a row, what it might wrongly be."""


@final
@attrs.frozen
class Mutant:
    """One wrong table.

    Attributes:
        mistake: its kind: `drop`, `add`, or the field that is wrong.
        what: the row and the mistake, in words.
        names: makes what takes the place of names of the module.
    """

    mistake: str
    what: str
    names: Callable[[], Names]


Made: TypeAlias = Callable[[Any], Names]
"""Makes names of a whole wrong table."""


def others(values: Iterable[object]) -> Callable[[object], Iterator[object]]:
    """Every value but the right one."""
    every = tuple(values)
    return lambda right: (each for each in every if each != right)


def sequences(words: Collection[object]) -> Callable[[tuple[object, ...]], Iterator[tuple[object, ...]]]:
    """A sequence with one item dropped, one changed, two exchanged, or one more at its end."""

    def choices(right: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
        for index, item in enumerate(right):
            yield right[:index] + right[index + 1 :]
            yield from ((*right[:index], word, *right[index + 1 :]) for word in words if word != item)
        for index in range(len(right) - 1):
            yield (*right[:index], right[index + 1], right[index], *right[index + 2 :])
        yield from ((*right, word) for word in words if word not in right)

    return choices


def sets(words: Collection[object]) -> Callable[[frozenset[object]], Iterator[frozenset[object]]]:
    """A set with one member less, or one more."""
    return lambda right: (right ^ {word} for word in words)


def wrong(row: Any, choices: Choices) -> Iterator[tuple[str, str, Any]]:  # noqa: ANN401 - a row of any table
    """A row with one field changed: the field, the mistake in words, the row. What the row itself refuses is none."""
    for field, made in choices.items():
        for value in made(getattr(row, field)):
            try:
                changed = attrs.evolve(row, **{field: value})
            except UsageError:
                continue
            yield field, f"{field} is {show(value)}", changed


def rows(
    table: Iterable[Any], choices: Choices, told: Callable[[Any], str], made: Made, extra: Iterable[object] = ()
) -> Iterator[Mutant]:
    """Mutants of a sequence of rows; `extra` are rows that it should not have."""
    whole = tuple(table)

    def replaced(index: int, *instead: object) -> Callable[[], Names]:
        return lambda: made((*whole[:index], *instead, *whole[index + 1 :]))

    def added(row: object) -> Callable[[], Names]:
        return lambda: made((*whole, row))

    for index, row in enumerate(whole):
        yield Mutant("drop", f"{told(row)}: is gone", replaced(index))
        for field, what, changed in wrong(row, choices):
            yield Mutant(field, f"{told(row)}: {what}", replaced(index, changed))
    for row in extra:
        yield Mutant("add", f"{told(row)}: is there, as {show(row)}", added(row))


def cells(
    table: Mapping[Any, Any], choices: Choices, made: Made, extra: Mapping[Any, Any] | None = None
) -> Iterator[Mutant]:
    """Mutants of a mapping of cells; `extra` are cells that it should not have."""

    def replaced(cell: object, *instead: object) -> Callable[[], Names]:
        return lambda: made({key: row for key, row in table.items() if key != cell} | dict.fromkeys([cell], *instead))

    def dropped(cell: object) -> Callable[[], Names]:
        return lambda: made({key: row for key, row in table.items() if key != cell})

    for cell, row in table.items():
        yield Mutant("drop", f"{show(cell)}: is gone", dropped(cell))
        for field, what, changed in wrong(row, choices):
            yield Mutant(field, f"{show(cell)}: {what}", replaced(cell, changed))
    for cell, row in (extra or {}).items():
        yield Mutant("add", f"{show(cell)}: is there, as {show(row)}", replaced(cell, row))


def show(value: object) -> str:
    """A value in short words."""
    if isinstance(value, tuple | frozenset):
        return "(" + ", ".join(sorted(map(show, value)) if isinstance(value, frozenset) else map(show, value)) + ")"
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    return name if isinstance(name, str) else str(value)
