"""The reference page of Object 33629, generated from its tables; a test fails when it is stale."""

from collections.abc import Iterable
from typing import Final

from lwm2m_fota.machines.component_policies import DEFAULT_ADVANCED_POLICIES
from lwm2m_fota.machines.component_rows import (
    COMPONENT_READINGS,
    COMPONENT_REQUESTS,
    COMPONENT_RESULTS,
    COMPONENT_ROWS,
)
from lwm2m_fota.machines.coordinator_gates import GATES
from lwm2m_fota.machines.describe_words import (
    POLICY_HEADS,
    READING_HEADS,
    ROW_HEADS,
    code_words,
    grid,
    guard_words,
    number,
    page,
    picture,
    policy_cells,
    policy_words,
    reading_cells,
    row_cells,
    state_diagram,
    state_name,
)
from lwm2m_fota.machines.policies import DEFAULT_POLICIES
from lwm2m_fota.machines.profile import COMPONENT_VERSION
from lwm2m_fota.machines.rows import ROWS
from lwm2m_fota.machines.table import table_for
from lwm2m_fota.model.enums import DeliveryMethod, State
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID

_BESIDE: Final = """\
What a component has beside the [table of Object 5](device-machine.md), version 1.1. Its coordinator puts these
events; the rest is refused and changes nothing."""


def advanced_machine_page() -> str:
    """The page of the components of Object 33629 and their coordinator, in Markdown."""
    sections = (
        (
            "Diagram",
            "One component, default policies; restarts and settings left out. Results are in brackets.",
            picture("advanced-machine.svg", "The states of a component"),
        ),
        (
            "Transitions of components",
            _BESIDE,
            grid(ROW_HEADS, map(row_cells, COMPONENT_ROWS)),
        ),
        (
            "Rows of Object 5 alone",
            "What a component does not have of that table: its installations are begun for a batch.",
            grid(ROW_HEADS, (row_cells(row) for row in ROWS if row.object_id == FIRMWARE_OBJECT_ID)),
        ),
        (
            "Events",
            "The first reading whose guard holds gives the kind. Those marked * come from a server.",
            grid(READING_HEADS, reading_cells(COMPONENT_READINGS, COMPONENT_REQUESTS)),
        ),
        (
            "Refusals because of other instances",
            "Tried in this order where the table of the component would take the event.",
            grid(("event", "where", "answer", "policy", "source"), _gates()),
        ),
        (
            "Visible results",
            "The Update Results that each state may show.",
            grid(("state", "Results"), _results()),
        ),
        (
            "Policies",
            "Where documents or implementations differ, beside the policies of Object 5; the default in bold.",
            grid(POLICY_HEADS, policy_cells(DEFAULT_ADVANCED_POLICIES)),
        ),
    )
    return page("The machines of Object 33629", sections)


def advanced_diagram() -> str:
    """The diagram of that page, in the language of Graphviz."""
    return state_diagram(table_for(COMPONENT_VERSION, DeliveryMethod.BOTH, DEFAULT_POLICIES, DEFAULT_ADVANCED_POLICIES))


def _gates() -> Iterable[tuple[str, ...]]:
    for gate in GATES:
        kinds = ", ".join(sorted(gate.kinds))
        yield kinds, guard_words(gate.guard), code_words(gate.code), policy_words(gate.policy), gate.source


def _results() -> Iterable[tuple[str, ...]]:
    for state in State:
        yield state_name(state), ", ".join(map(number, sorted(COMPONENT_RESULTS[state])))
