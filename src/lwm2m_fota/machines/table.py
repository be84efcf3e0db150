"""The table of one device: the rows, readings and refusals of its version, delivery and policies.

Built once for each profile; a step only looks up.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.building import BUILDERS, Maker, maker, notify_without_time
from lwm2m_fota.machines.changes import CHANGES, Changer
from lwm2m_fota.machines.component_changes import COMPONENT_CHANGES
from lwm2m_fota.machines.component_events import ComponentEvent, ComponentKind
from lwm2m_fota.machines.component_policies import AdvancedPolicies, AdvancedPolicy
from lwm2m_fota.machines.component_rows import COMPONENT_READINGS, COMPONENT_REQUESTS, COMPONENT_ROWS
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import Event, EventKind
from lwm2m_fota.machines.policies import FirmwarePolicies, Policy
from lwm2m_fota.machines.readings import READINGS, REQUESTS, Guard, Reading, Version
from lwm2m_fota.machines.rows import REFUSALS, ROWS, Change, Row
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import DeliveryMethod, State, UpdateResult
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID

VERSIONS: Final[tuple[Version, ...]] = ("1.0", "1.1", "1.2")
Cell: TypeAlias = tuple[State, EventKind | ComponentKind]

_DELIVERIES: Final = MappingProxyType(
    {
        DeliveryMethod.PULL: frozenset({"pull"}),
        DeliveryMethod.PUSH: frozenset({"push"}),
        DeliveryMethod.BOTH: frozenset({"pull", "push"}),
    }
)
_RESULTS_1_0: Final = MappingProxyType(
    {
        State.IDLE: frozenset(map(UpdateResult, range(10))),
        State.DOWNLOADING: frozenset({UpdateResult.INITIAL}),
        State.DOWNLOADED: frozenset({UpdateResult.INITIAL, UpdateResult.UPDATE_FAILED}),
        State.UPDATING: frozenset({UpdateResult.INITIAL}),
    }
)
_RESULTS_1_1: Final = MappingProxyType(
    {
        State.IDLE: frozenset(map(UpdateResult, range(12))),
        State.DOWNLOADING: frozenset({UpdateResult.INITIAL}),
        State.DOWNLOADED: frozenset({UpdateResult.INITIAL, UpdateResult.UPDATE_FAILED, UpdateResult.DEFERRED}),
        State.UPDATING: frozenset({UpdateResult.INITIAL}),
    }
)
VISIBLE_RESULTS: Final[Mapping[Version, Mapping[State, frozenset[UpdateResult]]]] = MappingProxyType(
    {"1.0": _RESULTS_1_0, "1.1": _RESULTS_1_1, "1.2": _RESULTS_1_1}
)
"""The Update Results that each state may show (SPEC 3, state invariants)."""


@final
@attrs.frozen
class Answer:
    """What the peer is told.

    Attributes:
        code: a CoAP response code.
        diagnostic: words for a refusal.
    """

    code: int
    diagnostic: str = ""


@final
@attrs.frozen
class Plan:
    """A row made ready to be carried out.

    Attributes:
        row: the row.
        change: what it does to the machine.
        make: makes its effects.
        answer: what the peer is told, if one waits for it.
    """

    row: Row
    change: Changer
    make: Maker
    answer: Answer | None


@final
@attrs.frozen
class Case:
    """A reading of an event in one state, and what it leads to there.

    Attributes:
        kind: what the event is then.
        guard: when it holds; None holds always.
        plan: the row, made ready; None where there is none.
        refusal: without a row: what the peer is told, if one waits for it.
    """

    kind: EventKind | ComponentKind
    guard: Guard | None
    plan: Plan | None
    refusal: Answer | None


@final
@attrs.frozen(eq=False)
class Table:
    """The law of one device.

    Attributes:
        rows: every transition; what is not here is refused.
        readings: which kind an event is.
        cases: the same made ready for a step: by the type of the event and, in a tuple, by the State.
    """

    rows: Mapping[Cell, Row]
    readings: Mapping[type[Event | ComponentEvent], tuple[Reading, ...]]
    cases: Mapping[type[Event | ComponentEvent], tuple[tuple[Case, ...], ...]]


@final
class _Law(NamedTuple):
    """What there is to pick from."""

    object_id: int
    rows: tuple[Row, ...]
    readings: Mapping[type[Event | ComponentEvent], tuple[Reading, ...]]
    requests: tuple[type[Event | ComponentEvent], ...]
    choices: frozenset[Policy | AdvancedPolicy]


@cache
def table_for(
    version: Version, delivery: DeliveryMethod, policies: FirmwarePolicies, component: AdvancedPolicies | None = None
) -> Table:
    """Pick the rows of one device; the same arguments give the same table.

    Args:
        version: of Object 5; a component of Object 33629 takes the rows of 1.1.
        delivery: resource 9.
        policies: choices.
        component: the choices of Object 33629, for one of its components; None for Object 5.

    Raises:
        UsageError: two rows claim the same cell.
    """
    law = _law(policies, component)
    rows = _one_a_cell(row for row in law.rows if _row_belongs(row, law, version, delivery))
    plans = {cell: _plan(row, version) for cell, row in rows.items()}
    refusals = _refusals(rows.keys(), law)
    readings = {
        event: tuple(reading for reading in every if _reading_belongs(reading, law, version))
        for event, every in law.readings.items()
    }
    cases = {
        event: tuple(
            tuple(
                Case(each.kind, each.guard, plans.get((state, each.kind)), refusals.get((state, each.kind)))
                for each in own
            )
            for state in State
        )
        for event, own in readings.items()
    }
    return Table(rows=MappingProxyType(rows), readings=MappingProxyType(readings), cases=MappingProxyType(cases))


def _law(policies: FirmwarePolicies, component: AdvancedPolicies | None) -> _Law:
    choices: frozenset[Policy | AdvancedPolicy] = frozenset(attrs.astuple(policies, recurse=False))
    if component is None:
        return _Law(FIRMWARE_OBJECT_ID, ROWS, {**READINGS}, REQUESTS, choices)
    return _Law(
        ADVANCED_OBJECT_ID,
        (*ROWS, *COMPONENT_ROWS),
        {**READINGS, **COMPONENT_READINGS},
        (*REQUESTS, *COMPONENT_REQUESTS),
        choices.union(attrs.astuple(component, recurse=False)),
    )


def _one_a_cell(rows: Iterable[Row]) -> dict[Cell, Row]:
    table: dict[Cell, Row] = {}
    for row in rows:
        if table.setdefault((row.state, row.kind), row) is not row:
            raise UsageError(f"two rows for {row.state.name} and {row.kind}")
    return table


def _plan(row: Row, version: Version) -> Plan:
    builders = {**BUILDERS, Do.NOTIFY: notify_without_time} if version == "1.0" else BUILDERS
    return Plan(
        row=row,
        change=CHANGES[row.change] if isinstance(row.change, Change) else COMPONENT_CHANGES[row.change],
        make=maker(row.effects, builders),
        answer=None if row.answer is None else Answer(row.answer),
    )


def _row_belongs(row: Row, law: _Law, version: Version, delivery: DeliveryMethod) -> bool:
    delivered = row.needs is None or row.needs in _DELIVERIES[delivery]
    chosen = row.policy is None or row.policy in law.choices
    return row.object_id in {None, law.object_id} and row.since <= version and delivered and chosen


def _reading_belongs(reading: Reading, law: _Law, version: Version) -> bool:
    return reading.since <= version and (reading.policy is None or reading.policy in law.choices)


def _refusals(taken: Iterable[Cell], law: _Law) -> dict[Cell, Answer]:
    codes: dict[Cell, Code] = {
        (refusal.state, refusal.kind): refusal.code
        for refusal in REFUSALS
        if refusal.policy is None or refusal.policy in law.choices
    }
    cells = {(state, reading.kind) for state in State for event in law.requests for reading in law.readings[event]}
    return {
        (state, kind): Answer(
            codes.get((state, kind), Code.METHOD_NOT_ALLOWED), f"{kind}: not in State {state.value} {state.name}"
        )
        for state, kind in cells - set(taken)
    }
