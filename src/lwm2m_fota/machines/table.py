"""The table of one device: the rows, readings and refusals of its version, delivery and policies.

Built once for each profile; a step only looks up.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.building import BUILDERS, CONSTANT, Builder, notify_without_time
from lwm2m_fota.machines.changes import CHANGES, Changer
from lwm2m_fota.machines.effects import Do, Effect
from lwm2m_fota.machines.events import Event, EventKind
from lwm2m_fota.machines.policies import FirmwarePolicies, Policy
from lwm2m_fota.machines.readings import READINGS, REQUESTS, Reading, Version
from lwm2m_fota.machines.rows import REFUSALS, ROWS, Row
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import DeliveryMethod, State, UpdateResult

VERSIONS: Final[tuple[Version, ...]] = ("1.0", "1.1", "1.2")
Cell: TypeAlias = tuple[State, EventKind]

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
class Plan(NamedTuple):
    """A row made ready to be carried out.

    Attributes:
        row: the row.
        change: what it does to the machine.
        effects: its effects, with None where one is made for each step.
        builders: how those are made, by position.
        answer: what the peer is told, if one waits for it.
    """

    row: Row
    change: Changer
    effects: tuple[Effect | None, ...]
    builders: tuple[tuple[int, Builder], ...]
    answer: Answer | None


@final
@attrs.frozen(eq=False)
class Table:
    """The law of one device.

    Attributes:
        rows: every transition; what is not here is refused.
        plans: the same rows, made ready.
        refusals: what a refused request is answered, for every cell that has no row.
        readings: which kind an event is.
    """

    rows: Mapping[Cell, Row]
    plans: Mapping[Cell, Plan]
    refusals: Mapping[Cell, Answer]
    readings: Mapping[type[Event], tuple[Reading, ...]]


@cache
def table_for(version: Version, delivery: DeliveryMethod, policies: FirmwarePolicies) -> Table:
    """Pick the rows of one device; the same arguments give the same table.

    Raises:
        UsageError: two rows claim the same cell.
    """
    choices = frozenset(attrs.astuple(policies, recurse=False))
    rows = _one_a_cell(row for row in ROWS if _row_belongs(row, version, delivery, choices))
    return Table(
        rows=MappingProxyType(rows),
        plans=MappingProxyType({cell: _plan(row, version) for cell, row in rows.items()}),
        refusals=MappingProxyType(_refusals(rows.keys(), choices)),
        readings=MappingProxyType(
            {
                event: tuple(reading for reading in readings if _reading_belongs(reading, version, choices))
                for event, readings in READINGS.items()
            }
        ),
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
        change=CHANGES[row.change],
        effects=tuple(CONSTANT.get(do) for do in row.effects),
        builders=tuple((index, builders[do]) for index, do in enumerate(row.effects) if do in builders),
        answer=None if row.answer is None else Answer(row.answer),
    )


def _row_belongs(row: Row, version: Version, delivery: DeliveryMethod, choices: frozenset[Policy]) -> bool:
    delivered = row.needs is None or row.needs in _DELIVERIES[delivery]
    return row.since <= version and delivered and (row.policy is None or row.policy in choices)


def _reading_belongs(reading: Reading, version: Version, choices: frozenset[Policy]) -> bool:
    return reading.since <= version and (reading.policy is None or reading.policy in choices)


def _refusals(taken: Iterable[Cell], choices: frozenset[Policy]) -> dict[Cell, Answer]:
    codes = {
        (refusal.state, refusal.kind): refusal.code
        for refusal in REFUSALS
        if refusal.policy is None or refusal.policy in choices
    }
    cells = {(state, reading.kind) for state in State for event in REQUESTS for reading in READINGS[event]}
    return {
        (state, kind): Answer(
            codes.get((state, kind), Code.METHOD_NOT_ALLOWED), f"{kind}: not in State {state.value} {state.name}"
        )
        for state, kind in cells - set(taken)
    }
