"""The reference pages of the machines, generated from their tables; a test fails when a page is stale."""

from collections.abc import Iterable
from typing import Final

import attrs

from lwm2m_fota.machines.describe_words import (
    NONE,
    POLICY_HEADS,
    READING_HEADS,
    ROW_HEADS,
    START,
    attribute_words,
    code_words,
    graph,
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
from lwm2m_fota.machines.download_table import PULL_READINGS, PULL_ROWS, PULL_SOURCES, PULL_TABLE, PullRow
from lwm2m_fota.machines.download_words import DownloadPolicy, Phase
from lwm2m_fota.machines.policies import DEFAULT_POLICIES
from lwm2m_fota.machines.readings import READINGS, REQUESTS
from lwm2m_fota.machines.rows import REFUSALS, ROWS, Refusal
from lwm2m_fota.machines.table import VISIBLE_RESULTS, table_for
from lwm2m_fota.model.codes import dotted
from lwm2m_fota.model.enums import DeliveryMethod, State


def device_machine_page() -> str:
    """The page of the device machine of Object 5, in Markdown."""
    sections = (
        (
            "Diagram",
            "Object version 1.2, default policies; restarts and settings left out. Results are in brackets.",
            picture("device-machine.svg", "The states of Object 5"),
        ),
        (
            "Transitions",
            "Every row of every version and policy; the rest is refused and changes nothing. A Result of - is kept.",
            grid(ROW_HEADS, map(row_cells, ROWS)),
        ),
        (
            "Events",
            "The first reading whose guard holds gives the kind. Those marked * come from a server.",
            grid(READING_HEADS, reading_cells(READINGS, REQUESTS)),
        ),
        (
            "Refusals",
            "A refused request is answered 4.05, but for these.",
            grid(("state", "event", "answer", "policy", "source"), map(_refusal_cells, REFUSALS)),
        ),
        (
            "Visible results",
            "The Update Results that each state may show.",
            grid(("state", *VISIBLE_RESULTS), _results()),
        ),
        (
            "Policies",
            "Where the documents leave room; the default in bold.",
            grid(POLICY_HEADS, policy_cells(DEFAULT_POLICIES)),
        ),
    )
    return page("The device machine of Object 5", sections)


def pull_machine_page() -> str:
    """The page of the pull, in Markdown."""
    sections = (
        ("Diagram", "One pull, from its start to its end.", picture("pull-machine.svg", "The phases of a pull")),
        (
            "Transitions",
            "Every row. What is not here is refused and changes nothing.",
            grid(
                ("phase", "event", "→ phase", "changes", "effects", "Result", "diagnosis", "source"),
                (_pull_cells(row) for row in PULL_ROWS),
            ),
        ),
        (
            "Events",
            "The first reading whose guard holds gives the kind.",
            grid(
                ("event", "guard", "kind"),
                (
                    (event.__name__, guard_words(reading.guard), reading.kind)
                    for event, readings in PULL_READINGS.items()
                    for reading in readings
                ),
            ),
        ),
        (
            "Limits",
            "Fields of `DownloadPolicy`. Seconds are counted on the monotonic clock; every wait ends.",
            grid(("limit", "default", "meaning"), _pull_limits()),
        ),
    )
    return page("The pull of a package", sections)


def _pull_limits() -> Iterable[tuple[str, str, str]]:
    default, words = DownloadPolicy(), attribute_words(DownloadPolicy)
    for name in attrs.fields_dict(DownloadPolicy):
        value = getattr(default, name)
        codes = isinstance(value, frozenset) and ", ".join(map(dotted, sorted(value)))
        yield f"`{name}`", codes or ("none" if value is None else f"{value:,}"), words[name]


PAGES: Final = (
    ("device-machine.md", device_machine_page),
    ("pull-machine.md", pull_machine_page),
)
"""File names under docs/reference, and what makes them."""


def _pull_cells(row: PullRow) -> tuple[str, ...]:
    return (
        row.phase,
        row.kind,
        row.target,
        row.change,
        ", ".join(row.effects) or NONE,
        number(row.result),
        row.diagnosis or NONE,
        PULL_SOURCES[row.kind],
    )


def _refusal_cells(refusal: Refusal) -> tuple[str, ...]:
    return (
        state_name(refusal.state),
        refusal.kind,
        code_words(refusal.code),
        policy_words(refusal.policy),
        refusal.source,
    )


def _results() -> Iterable[tuple[str, ...]]:
    for state in State:
        yield state_name(state), *(", ".join(map(number, sorted(each[state]))) for each in VISIBLE_RESULTS.values())


def _pull_diagram() -> str:
    edges: dict[tuple[str, str], list[str]] = {(START, Phase.IDLE.value): []}
    for row in PULL_TABLE.values():
        if row.phase is not row.target:
            edges.setdefault((row.phase, row.target), []).append(row.kind)
    return graph(edges)


def _device_diagram() -> str:
    return state_diagram(table_for("1.2", DeliveryMethod.BOTH, DEFAULT_POLICIES))


DIAGRAMS: Final = (
    ("device-machine.svg", _device_diagram),
    ("pull-machine.svg", _pull_diagram),
)
"""File names under docs/reference, and what makes their sources for Graphviz."""
