"""Wrong tables, each with the rule that it breaks.

Loads no table: each is made in a child process, before it is used.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, final

import attrs

from lwm2m_fota.model.enums import State, UpdateResult

Names = Mapping[str, object]


@final
@attrs.frozen
class Wrong:
    """One wrong table.

    Attributes:
        name: the mistake.
        module: what defines the table, in `lwm2m_fota.machines`.
        names: makes what takes the place of names of the module.
        space: where it must be found.
        rule: what it breaks.
    """

    name: str
    module: str
    names: Callable[[Any], Names]
    space: str
    rule: str


def _rows(table: str, state: State, kind: str, **changes: object) -> Callable[[Any], Names]:
    """Change fields of each row of a state and kind."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        rows = getattr(module, table)
        wrong = [attrs.evolve(row, **changes) if (row.state, row.kind) == (state, kind) else row for row in rows]
        return {table: tuple(wrong)}

    return made


def _without(state: State, kind: str, do: str) -> Callable[[Any], Names]:
    """Leave out an effect."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        def left(row: Any) -> Any:  # noqa: ANN401 - a row
            return attrs.evolve(row, effects=tuple(each for each in row.effects if each.name != do))

        rows = [left(row) if (row.state, row.kind) == (state, kind) else row for row in module.ROWS]
        return {"ROWS": tuple(rows)}

    return made


def _more(state: State, kind: str, like: tuple[State, str]) -> Callable[[Any], Names]:
    """Add a row like another one."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        first = next(row for row in module.ROWS if (row.state, row.kind) == like)
        added = attrs.evolve(first, state=state, kind=next(each for each in type(first.kind) if each == kind))
        return {"ROWS": (*module.ROWS, added)}

    return made


def _unread(event: str, guard: str) -> Callable[[Any], Names]:
    """Leave out a reading."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        kind = next(each for each in module.READINGS if each.__name__ == event)
        left = tuple(each for each in module.READINGS[kind] if getattr(each.guard, "__name__", "") != guard)
        return {"READINGS": MappingProxyType({**module.READINGS, kind: left})}

    return made


def _cell(step: str, cue: str, **changes: Callable[[Any], object]) -> Callable[[Any], Names]:
    """Change fields of a cell of the update table."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        cell = next(each for each in module.TABLE if (each[0].value, each[1].value) == (step, cue))
        wrong = attrs.evolve(module.TABLE[cell], **{field: make(module) for field, make in changes.items()})
        return {"TABLE": MappingProxyType({**module.TABLE, cell: wrong})}

    return made


def _closed(junction: str, guard: str) -> Callable[[Any], Names]:
    """Take a branch away."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        at = next(each for each in module.JUNCTIONS if each.value == junction)
        left = tuple(one for one in module.JUNCTIONS[at] if one.guard is None or one.guard.value != guard)
        return {"JUNCTIONS": MappingProxyType({**module.JUNCTIONS, at: left})}

    return made


def _success(module: Any) -> object:  # noqa: ANN401 - a module
    return module.End(module.Kind.SUCCEEDED)


def _stay(module: Any) -> object:  # noqa: ANN401 - a module
    return module.Here.STAY


def _no_limit(step: str) -> Callable[[Any], Names]:
    """Take the limit of a step away."""

    def made(module: Any) -> Names:  # noqa: ANN401 - a module
        at = next(each for each in module.STEPS if each.value == step)
        return {"STEPS": MappingProxyType({**module.STEPS, at: attrs.evolve(module.STEPS[at], limit=None)})}

    return made


_IDLE, _DOWNLOADING, _DOWNLOADED, _UPDATING = State
_R = UpdateResult
_DEVICE, _COMPONENTS = "device, 5 1.1", "device, 33629, 2 components"

WRONG: Final = (
    Wrong(
        "a failed installation is called a success",
        "rows",
        _rows("ROWS", _UPDATING, "install failed, image lost", result=_R.SUCCESS),
        _DEVICE,
        "success only where the new image runs",
    ),
    Wrong(
        "a trial boot is called a success before it is confirmed",
        "rows",
        _rows("ROWS", _UPDATING, "restarted, boot pending", target=_IDLE, result=_R.SUCCESS),
        _DEVICE,
        "success only where the new image runs",
    ),
    Wrong(
        "Update begins no installation",
        "rows",
        _without(_DOWNLOADED, "update executed", "BEGIN_INSTALL"),
        _DEVICE,
        "one accepted Execute, one installation",
    ),
    Wrong(
        "Update is obeyed once more while Updating",
        "rows",
        _more(_UPDATING, "update executed", (_DOWNLOADED, "update executed")),
        _DEVICE,
        "one accepted Execute, one installation",
    ),
    Wrong(
        "the attempt is not saved before it begins",
        "rows",
        _without(_DOWNLOADED, "update executed", "PERSIST"),
        _DEVICE,
        "what is shown was saved first",
    ),
    Wrong(
        "Cancel leaves the package Downloaded",
        "rows",
        _rows("ROWS", _DOWNLOADED, "cancel executed", target=_DOWNLOADED),
        _DEVICE,
        "cancel always ends",
    ),
    Wrong(
        "a push that a restart cut off stays Downloading",
        "rows",
        _rows("ROWS", _DOWNLOADING, "restarted, partial image", target=_DOWNLOADING, result=None),
        _DEVICE,
        "every wait has a limit",
    ),
    Wrong(
        "a package that was cancelled stays in the store",
        "rows",
        _without(_DOWNLOADED, "cancel executed", "DISCARD_IMAGE"),
        _DEVICE,
        "what nobody holds is deleted",
    ),
    Wrong(
        "an image that is gone stays Downloaded",
        "rows",
        _rows("ROWS", _DOWNLOADED, "restarted, no image", target=_DOWNLOADED, result=None),
        _DEVICE,
        "what is Downloaded is there",
    ),
    Wrong(
        "a lost connection shows its Result while Downloading",
        "rows",
        _rows("ROWS", _DOWNLOADING, "connection lost", target=_DOWNLOADING),
        _DEVICE,
        "only legal pairs of State and Result are shown",
    ),
    Wrong(
        "a deferral that is over waits on",
        "rows",
        _rows("ROWS", _DOWNLOADED, "deferral expired", since="1.2"),
        _DEVICE,
        "every wait has a limit",
    ),
    Wrong(
        "a deferral without a clock waits for one",
        "readings",
        _unread("ClockRead", "period_has_passed_without_clock"),
        _DEVICE,
        "every wait has a limit",
    ),
    Wrong(
        "who joins a batch stays Downloaded",
        "component_rows",
        _rows("COMPONENT_ROWS", _DOWNLOADED, "batch started on a sibling", target=_DOWNLOADED),
        _COMPONENTS,
        "one accepted Execute, one installation",
    ),
    Wrong(
        "an unsatisfied batch goes on at those that keep their packages",
        "component_rows",
        _rows("COMPONENT_ROWS", _UPDATING, "install failed, dependency missing", target=_UPDATING, result=_R.INITIAL),
        _COMPONENTS,
        "every wait has a limit",
    ),
    Wrong(
        "the server takes Idle without a result for a success",
        "update_table",
        _cell("install", "Idle again without a result", target=_success),
        "pair, 5 1.0",
        "success is reported only where the new image runs",
    ),
    Wrong(
        "the server takes Downloaded for a success",
        "update_table",
        _cell("execute-uncertain", "Downloaded", target=_success),
        "pair, 5 1.0",
        "success is reported only where the new image runs",
    ),
    Wrong(
        "the server does not hear a cancellation during a download",
        "update_table",
        _cell("download", "cancel", target=_stay),
        "pair, 5 1.0",
        "cancel always ends",
    ),
    Wrong(
        "the server calls a cancelled update a success if one of two components was installed",
        "update_table",
        _closed("installed after the end", "another component is to be updated"),
        "pair, 33629, one by one",
        "success is reported only where the new image runs",
    ),
    Wrong(
        "the server goes on to the next component after a cancellation",
        "update_table",
        _closed("the next component", "a cancellation was asked for, and another component is to be updated"),
        "pair, 33629, one by one",
        "nothing is begun after a cancellation",
    ),
    Wrong(
        "the server waits for a late result for ever",
        "update_steps",
        _no_limit("late"),
        "server, push",
        "every wait has a limit",
    ),
)
"""Every one of them must be found, and the right tables must not be."""
