"""Which tables are mutated, by which mistakes, and which tests must notice."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final, final

import attrs

from proof.mutants.mutate import Choices, Mutant, Names, cells, others, rows, sequences, sets, show

# The tables are reached by the names of their modules, and only when they are needed: whatever imports one of them
# takes over its tables, and would go on with the right ones.


def _machine(name: str) -> ModuleType:
    return import_module(f"lwm2m_fota.machines.{name}")


def _enums() -> ModuleType:
    return import_module("lwm2m_fota.model.enums")


def _codes(*numbers: int) -> tuple[object, ...]:
    return tuple(map(import_module("lwm2m_fota.model.codes").Code, numbers))


def _made(name: str, kind: Callable[[Any], object] = tuple) -> Callable[[Any], Names]:
    return lambda table: {name: kind(table)}


def _proxy(table: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(dict(table))


def _choice(value: Enum | None) -> Iterator[object]:
    """Another choice of the same policy, or all of them; what belongs to all may belong to one only."""
    if value is None:
        yield from _machine("policies").ResetScope
    else:
        yield None
        yield from others(list(type(value)))(value)


# ---- components ----------------------------------------------------------------------------------------------------


def _row_choices(changes: Iterable[object]) -> Choices:
    return {
        "target": others(_enums().State),
        "result": others((None, *_enums().UpdateResult)),
        "change": others(changes),
        "effects": sequences(tuple(_machine("effects").Do)),
        "answer": others((None, *_codes(0x44, 0x5F, 0x80, 0x85, 0x8D, 0xA0))),
        "since": others(("1.0", "1.1", "1.2")),
        "needs": others((None, "push", "pull")),
        "policy": _choice,
        "object_id": others((None, 5, 33629)),
    }


def _told(row: Any) -> str:  # noqa: ANN401 - a row or a refusal
    policy = "" if row.policy is None else f" ({row.policy.value})"
    return f"{row.state.name} {row.kind}{policy}"


def _edges(table: Iterable[Any], kinds: Iterable[object], object_id: int | None) -> Iterator[object]:
    """Rows for cells that have none: one that changes nothing, and one that ends the update."""
    made, change, do, enums = _machine("rows").Row, _machine("rows").Change, _machine("effects").Do, _enums()
    taken = {(row.state, row.kind) for row in table}
    for state, kind in ((state, kind) for state in enums.State for kind in kinds):
        if (state, kind) not in taken:
            yield made(state, kind, state, None, change.KEEP, (), None, "added", object_id=object_id)
            over = (do.PERSIST, do.DISCARD_IMAGE, do.NOTIFY)
            result = enums.UpdateResult.INITIAL
            yield made(state, kind, enums.State.IDLE, result, change.CLEAR, over, None, "added", object_id=object_id)


def _device_rows(module: ModuleType) -> Iterator[Mutant]:
    extra = _edges(module.ROWS, _machine("events").EventKind, None)
    yield from rows(module.ROWS, _row_choices(module.Change), _told, _made("ROWS"), extra)


def _component_rows(module: ModuleType) -> Iterator[Mutant]:
    extra = _edges(module.COMPONENT_ROWS, _machine("component_events").ComponentKind, 33629)
    changes = (*_machine("rows").Change, *_machine("component_events").ComponentChange)
    yield from rows(module.COMPONENT_ROWS, _row_choices(changes), _told, _made("COMPONENT_ROWS"), extra)


def _refusals(module: ModuleType) -> Iterator[Mutant]:
    choices = {"state": others(_enums().State), "code": others(_codes(0x80, 0x85, 0x8D)), "policy": _choice}
    yield from rows(module.REFUSALS, choices, _told, _made("REFUSALS"))


def _results(name: str) -> Callable[[ModuleType], Iterator[Mutant]]:
    """One Update Result more, or one less, that a state may show."""

    def mutants(module: ModuleType) -> Iterator[Mutant]:
        table = getattr(module, name)
        for key, shown in table.items():
            inner = shown if isinstance(shown, Mapping) else {key: shown}
            for state, right in inner.items():
                for results in sets(tuple(_enums().UpdateResult))(right):
                    changed = _proxy({**inner, state: results}) if isinstance(shown, Mapping) else results
                    wrong = {**table, key: changed}
                    words = f"{show(key)} {state.name}: shows {show(results)}"
                    yield Mutant("results", words, lambda wrong=wrong: {name: _proxy(wrong)})  # type: ignore[misc]

    return mutants


# ---- readings ------------------------------------------------------------------------------------------------------


def _not(guard: Callable[..., bool]) -> Callable[..., bool]:
    def refuted(*arguments: object) -> bool:
        return not guard(*arguments)

    refuted.__name__ = f"not {guard.__name__}"
    return refuted


def _always(*_arguments: object) -> bool:
    return True


def _never(*_arguments: object) -> bool:
    return False


def _guards(guard: Callable[..., bool] | None) -> tuple[Callable[..., bool] | None, ...]:
    return (_never,) if guard is None else (None, _not(guard))


def _readings(name: str, choices: Choices, stray: Callable[[], str]) -> Callable[[ModuleType], Iterator[Mutant]]:
    """Mutants of the readings of each event; a wrong kind is that of a sibling, or `stray`."""

    def mutants(module: ModuleType) -> Iterator[Mutant]:
        table = getattr(module, name)
        for event, own in table.items():
            kinds = dict.fromkeys([*(reading.kind for reading in own), stray()])

            def told(reading: Any, event: type = event) -> str:  # noqa: ANN401 - of either machine
                return f"{event.__name__} {show(reading.guard)} {reading.kind}"

            def made(wrong: Any, event: type = event) -> Names:  # noqa: ANN401 - as above
                return {name: _proxy({**table, event: tuple(wrong)})}

            for mutant in rows(own, {"kind": others(kinds), "guard": _guards, **choices}, told, made):
                wrong: Any = mutant.names()[name]
                if not choices or _heard(event, wrong[event]) != _heard(event, own):
                    yield mutant

    return mutants


def _heard(event: type, readings: Iterable[Any]) -> list[object]:
    """What is read in each version under each choice.

    Nothing is heard after a reading that always holds. What no row of a version takes is refused in silence,
    whatever it is read as, unless a server waits for an answer.
    """
    component = _machine("component_rows")
    asked = event in (*_machine("readings").REQUESTS, *component.COMPONENT_REQUESTS)
    heard: list[object] = []
    for version in ("1.0", "1.1", "1.2"):
        taken = {row.kind for row in (*_machine("rows").ROWS, *component.COMPONENT_ROWS) if row.since <= version}
        for chosen in _profiles(_machine("policies").FirmwarePolicies):
            there = []
            for reading in readings:
                if reading.since <= version and (reading.policy is None or reading.policy in chosen):
                    there.append((reading.guard, reading.kind))
                    if reading.guard is None:
                        break
            heard.append(there if asked or any(kind in taken for _, kind in there) else [])
    return heard


# ---- the coordinator -----------------------------------------------------------------------------------------------


def _gates(module: ModuleType) -> Iterator[Mutant]:
    kind = _machine("events").EventKind
    asked = (
        *(kind.PACKAGE_BEGUN, kind.PUSH_RESTARTED, kind.URI_WRITTEN, kind.URI_INVALID, kind.URI_UNSUPPORTED),
        *(kind.RESET_WRITTEN, kind.CANCEL_EXECUTED, kind.SEVERITY_WRITTEN, kind.MAX_DEFER_WRITTEN),
        _machine("component_events").ComponentKind.BATCH_STARTED,
    )
    choices: Choices = {
        "kinds": sets(asked),
        "guard": lambda guard: (_always, _not(guard)),
        "code": others(_codes(0x80, 0x85, 0xA3)),
        "policy": lambda policy: () if policy is None else _choice(policy),
    }
    right = _refusing(module.GATES)
    for mutant in rows(module.GATES, choices, lambda gate: f"{show(gate.guard)} {gate.code.name}", _made("GATES")):
        if _refusing(mutant.names()["GATES"]) != right:
            yield mutant


def _refusing(gates: Any) -> list[object]:  # noqa: ANN401 - a tuple of gates
    """What refuses under each choice; of two gates with one guard for the same kinds the second is never heard."""
    heard: list[object] = []
    for chosen in _profiles(_machine("component_policies").AdvancedPolicies):
        there = [gate for gate in gates if gate.policy is None or gate.policy in chosen]
        heard.append({(gate.kinds, gate.guard): gate.code for gate in reversed(there)})
    return heard


def _profiles(policies: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401 - a class of policies
    """The choices of a device that differs from the default in one."""
    for field in attrs.fields(policies):
        for choice in type(field.default):
            yield attrs.astuple(policies(**{field.name: choice}), recurse=False)


_NEVER_TOGETHER: Final = ((3, 11), (11, 13))
"""Resources that no step changes both, so their order says nothing: a setting changes alone. Property tests and the
explored models hold that."""


def _orders(module: ModuleType) -> Iterator[Mutant]:
    """Two neighbours exchanged in the order of effects or of notifications."""
    for name in ("_ORDER", "_NOTIFY_ORDER"):
        right = getattr(module, name)
        for index in range(len(right) - 1):
            one, other = right[index : index + 2]
            if (one, other) not in _NEVER_TOGETHER:
                wrong = (*right[:index], other, one, *right[index + 2 :])
                yield Mutant("order", f"{name}: {show(wrong)}", lambda name=name, wrong=wrong: {name: wrong})  # type: ignore[misc]


# ---- the pull ------------------------------------------------------------------------------------------------------


def _pull_rows(module: ModuleType) -> Iterator[Mutant]:
    words = _machine("download_words")
    choices: Choices = {
        "target": others(words.Phase),
        "change": others(module.PullChange),
        "effects": sequences(tuple(module.PullDo)),
        "result": others((None, *_enums().UpdateResult)),
        "diagnosis": others((None, *words.Diagnosis)),
    }
    keep, stop = module.PullChange.KEEP, module.PullDo.STOP_FETCH
    absent = [
        (phase, kind) for phase in words.Phase for kind in module.PullKind if (phase, kind) not in module.PULL_TABLE
    ]
    extra = [module.PullRow(*cell, cell[0], keep, ()) for cell in absent]
    extra += [module.PullRow(*cell, words.Phase.STOPPED, keep, (stop,)) for cell in absent]

    def made(wrong: Iterable[Any]) -> Names:
        table = tuple(wrong)
        return {"PULL_ROWS": table, "PULL_TABLE": _proxy({(row.phase, row.kind): row for row in table})}

    yield from rows(module.PULL_ROWS, choices, lambda row: f"{row.phase} {row.kind}", made, extra)


# ---- the server's update -------------------------------------------------------------------------------------------

_REDIRECTIONS: Final = 4


def _targets(module: ModuleType) -> tuple[object, ...]:
    """Every way that some row of the update table goes."""
    ways = [*module.TABLE.values(), *(way for branches in module.JUNCTIONS.values() for way in branches)]
    return tuple(dict.fromkeys(way.target for way in ways))


def _redirected(targets: tuple[object, ...]) -> Callable[[object], Iterable[object]]:
    """A few of the wrong targets, always the same for the same right one: there are hundreds of cells and ways."""

    def choices(right: object) -> Iterable[object]:
        return random.Random(str(right)).sample([each for each in targets if each != right], _REDIRECTIONS)  # noqa: S311

    return choices


def _way_choices(module: ModuleType) -> dict[str, Callable[[Any], Iterable[object]]]:
    ways = [*module.TABLE.values(), *(way for branches in module.JUNCTIONS.values() for way in branches)]
    return {
        "target": _redirected(_targets(module)),
        "marks": sequences(tuple(_machine("update_words").Mark)),
        "warn": others(dict.fromkeys([None, *(way.warn for way in ways)])),
    }


def _update_cells(module: ModuleType) -> Iterator[Mutant]:
    words, steps = _machine("update_words"), _machine("update_steps").UpdateStep
    absent = [(step, cue) for step in steps for cue in words.Cue if (step, cue) not in module.TABLE]
    stays = {cell: words.Row(words.Here.STAY) for cell in absent}
    ends = {cell: words.Row(steps.FINISHED) for cell in absent}
    yield from cells(module.TABLE, _way_choices(module), _made("TABLE", _proxy), stays)
    yield from cells({}, {}, lambda wrong: {"TABLE": _proxy({**module.TABLE, **wrong})}, ends)


def _junctions(module: ModuleType) -> Iterator[Mutant]:
    choices: Choices = {"guard": others((None, *_machine("update_words").Guard)), **_way_choices(module)}
    for junction, branches in module.JUNCTIONS.items():

        def told(branch: Any, junction: Any = junction) -> str:  # noqa: ANN401
            return f"{junction.name} {show(branch.guard)}"

        def made(wrong: Any, junction: object = junction) -> Names:  # noqa: ANN401
            return {"JUNCTIONS": _proxy({**module.JUNCTIONS, junction: tuple(wrong)})}

        yield from rows(branches, choices, told, made)


def _steps(module: ModuleType) -> Iterator[Mutant]:
    choices: Choices = {
        "stage": others(module.UpdateStage),
        "ask": others(module.Ask),
        "limit": others((None, *module.Limit)),
    }
    yield from cells(module.STEPS, choices, _made("STEPS", _proxy))


# ---- all of them ---------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class Target:
    """Tables of one module.

    Attributes:
        name: for people.
        module: what defines them, in `lwm2m_fota.machines`.
        mutants: makes the wrong ones of the module.
        tests: files of tests/unit/machines that must notice, the quickest first.
    """

    name: str
    module: str
    mutants: Callable[[ModuleType], Iterator[Mutant]]
    tests: tuple[str, ...]


_BY_MEMBERSHIP: Final[Choices] = {"since": others(("1.0", "1.1", "1.2")), "policy": _choice}
_OF_COMPONENTS: Final[Choices] = {"since": others(("1.0", "1.2")), "policy": _choice}
"""A component has the rows of 1.1: what begins with 1.0 and what begins with 1.1 is the same for it."""

_DEVICE: Final = ("test_firmware_table.py", "test_table.py", "test_firmware.py")
_COMPONENT: Final = ("test_coordinator_table.py", "test_coordinator.py")
_PULL: Final = ("test_download_table.py", "test_download.py")
_UPDATE: Final = ("test_update_table.py", "test_update_scenarios.py")

TARGETS: Final = (
    Target("device rows", "rows", _device_rows, (*_DEVICE, *_COMPONENT)),
    Target("device refusals", "rows", _refusals, _DEVICE),
    Target(
        "device readings",
        "readings",
        _readings("READINGS", _BY_MEMBERSHIP, lambda: _machine("events").EventKind.RESET_WRITTEN),
        _DEVICE,
    ),
    Target("visible results", "table", _results("VISIBLE_RESULTS"), _DEVICE),
    Target("component rows", "component_rows", _component_rows, _COMPONENT),
    Target(
        "component readings",
        "component_rows",
        _readings(
            "COMPONENT_READINGS", _OF_COMPONENTS, lambda: _machine("component_events").ComponentKind.PACKAGE_SHARED
        ),
        _COMPONENT,
    ),
    Target("component results", "component_rows", _results("COMPONENT_RESULTS"), _COMPONENT),
    Target("coordinator gates", "coordinator_gates", _gates, ("test_coordinator_gates.py", "test_coordinator.py")),
    Target("coordinator orders", "coordinator_work", _orders, _COMPONENT),
    Target("pull rows", "download_table", _pull_rows, _PULL),
    Target(
        "pull readings",
        "download_table",
        _readings("PULL_READINGS", {}, lambda: _machine("download_table").PullKind.STOPPED),
        _PULL,
    ),
    Target("update cells", "update_table", _update_cells, _UPDATE),
    Target("update junctions", "update_table", _junctions, _UPDATE),
    Target("update steps", "update_steps", _steps, _UPDATE),
)
"""Every table of the machines."""
