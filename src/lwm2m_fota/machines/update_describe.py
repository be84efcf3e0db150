"""The reference page of the server's update machine, made of its tables.

`docs/reference/update-machine.md` holds what `page()` returns; a test fails when it is stale.
"""

import inspect
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import partial
from typing import Final

import attrs

from lwm2m_fota.machines.describe_words import START, attribute_words, graph, picture
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_limits import UpdateLimits
from lwm2m_fota.machines.update_policy import Method, UpdatePolicy
from lwm2m_fota.machines.update_steps import STEPS, Limit, UpdateStage, UpdateStep
from lwm2m_fota.machines.update_table import JUNCTION_SOURCES, JUNCTIONS, TABLE
from lwm2m_fota.machines.update_words import Branch, Cue, End, Junction, Row, Target

_INTRO: Final = """\
# The server's update machine

Made from the tables in `lwm2m_fota.machines.update_steps` and `update_table`; do not edit.
A cue that is not listed for a step is ignored there and changes nothing.
What a source means stands on the page of [sources](sources.md).
"""


def page() -> str:
    """The whole page, Markdown."""
    parts = (_INTRO, *_steps(), *_limits(), *_policies(), *_pictures(), *_rows(), *_junctions(), *_diagnoses())
    return "\n".join(parts) + "\n"


def flow(*, push: bool) -> tuple[UpdateStep, ...]:
    """The steps of an update that meets no obstacle, for a preview (SERVICE R23)."""
    transfer = (UpdateStep.PUSH, UpdateStep.VERIFY) if push else (UpdateStep.WRITE_URI, UpdateStep.DOWNLOAD)
    before = (UpdateStep.REGISTRATION, UpdateStep.OBSERVE, UpdateStep.LEARN)
    return (*before, *transfer, UpdateStep.EXECUTE, UpdateStep.INSTALL, UpdateStep.FINISHED)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def _steps() -> Iterator[str]:
    yield "## Stages and steps\n"
    yield from _table(
        ("stage", "step", "asks", "awaits", "limit without progress", "then"),
        (
            (info.stage.value, f"`{step.value}`", info.ask.value, info.awaits, _limit(info.limit), info.then)
            for step, info in STEPS.items()
        ),
    )


def _limit(limit: Limit | None) -> str:
    return "none of its own" if limit is None else f"`{limit.value}`"


def _limits() -> Iterator[str]:
    yield "## Limits, with their defaults\n"
    yield "Fields of `UpdateLimits`. `transferring_s` and `total_s` grow with the package:"
    yield "`limits_for(package_bytes, link_bytes_per_s)`.\n"
    words = attribute_words(UpdateLimits)
    rows = ((f"`{name}`", f"{value:g} s", words[name]) for name, value in attrs.asdict(UpdateLimits()).items())
    yield from _table(("limit", "default", "meaning"), rows)


def _policies() -> Iterator[str]:
    yield "## Policies\n"
    yield "Fields of `UpdatePolicy`; of several choices the default is bold.\n"
    policy, words = UpdatePolicy(), attribute_words(UpdatePolicy)
    rows = (
        (f"`{name}`", _choices(getattr(policy, name)), _meaning(words[name], getattr(policy, name)))
        for name in attrs.fields_dict(UpdatePolicy)
    )
    yield from _table(("policy", "choices", "meaning"), rows)


def _choices(default: object) -> str:
    if isinstance(default, Enum):
        choices = (each for each in type(default) if each is not Method.AUTO)  # a policy names a method
        return "; ".join(f"**{each.value}**" if each is default else str(each.value) for each in choices)
    return ", ".join(str(item) for item in default) if isinstance(default, tuple) else str(default)


def _meaning(words: str, default: object) -> str:
    """What the field says of itself, or where it refers to the type of its choices, what that says."""
    return " ".join((inspect.getdoc(type(default)) or "").split()) if words.startswith("see ") else words


def _pictures() -> Iterator[str]:
    yield "## The way through\n"
    yield "A picture for each stage: its steps in boxes, the junctions on the way without, other stages as one box."
    yield "Every step may also end in Cleanup: by its limits, by a cancellation, by a failure. Ends are not drawn.\n"
    for stage in UpdateStage:
        yield f"### {stage.value}\n"
        yield picture(_file(stage), f"The steps of {stage.value}") + "\n"


def _file(stage: UpdateStage) -> str:
    return f"update-{stage.name.lower()}.svg"


def _diagram(stage: UpdateStage) -> str:
    """The ways into a stage, between its steps and out of it, in the language of Graphviz."""
    edges: dict[tuple[str, str], tuple[str, ...]] = {}
    minor: dict[str, str] = {}
    due: list[tuple[str, Target]] = [*_begins(stage)]
    due += [(step.value, row.target) for (step, _), row in TABLE.items() if STEPS[step].stage is stage]
    while due:
        start, target = due.pop(0)
        name = _box(target, stage)
        if name is None or name == start or (start, name) in edges:
            continue
        edges[start, name] = ()
        if isinstance(target, Junction):
            minor[name] = target.value
            due += [(name, branch.target) for branch in JUNCTIONS[target]]
    return graph(edges, minor)


def _begins(stage: UpdateStage) -> Iterator[tuple[str, Target]]:
    """What leads into a stage: the start, an end, or steps of another stage."""
    if stage is UpdateStage.PREPARING:
        yield START, UpdateStep.REGISTRATION
    if stage is UpdateStage.CLEANUP:
        yield START, Junction.AFTER
    for (step, _), row in TABLE.items():
        origin = STEPS[step].stage
        yield from ((origin.value, to) for to in _reached(row.target) if STEPS[to].stage is stage is not origin)


def _reached(target: Target) -> Iterator[UpdateStep]:
    if isinstance(target, UpdateStep):
        yield target
    elif isinstance(target, Junction):
        for branch in JUNCTIONS[target]:
            yield from _reached(branch.target)


def _box(target: Target, stage: UpdateStage) -> str | None:
    """What stands in the picture of a stage for this target; None for what is not drawn."""
    if isinstance(target, Junction):
        return f"*{target.value}*"  # some are called as steps are
    if isinstance(target, UpdateStep):
        to = STEPS[target].stage
        return target.value if to is stage else to.value
    return None


DIAGRAMS: Final = tuple((_file(stage), partial(_diagram, stage)) for stage in UpdateStage)
"""File names under docs/reference, and what makes their sources for Graphviz."""


def _rows() -> Iterator[str]:
    yield "## Rows\n"
    order = list(Cue)
    for step in STEPS:
        cells = sorted((cue for at, cue in TABLE if at is step), key=order.index)
        if cells:
            yield f"### `{step.value}`\n"
            yield from _table(("cue", "leads to", "source"), (_row(cue, TABLE[step, cue]) for cue in cells))


def _row(cue: Cue, row: Row) -> tuple[str, str, str]:
    return cue.value, _leads(row), row.source


def _leads(way: Row | Branch) -> str:
    notes = [mark.value for mark in way.marks]
    if way.warn is not None:
        notes.append(f"warning `{way.warn}`")
    text = _target(way.target)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _target(target: Target) -> str:
    if isinstance(target, End):
        return _ending(target)
    if isinstance(target, UpdateStep):
        return f"`{target.value}`"
    return f"*{target.value}*" if isinstance(target, Junction) else target.value


def _ending(end: End) -> str:
    if end.code is None:
        return f"**{end.kind.value}** (by the device's result)" if end.by_result else f"**{end.kind.value}**"
    return f"**{end.kind.value}** `{end.code}`" + (" (the device's result goes first)" if end.by_result else "")


def _junctions() -> Iterator[str]:
    yield "## Junctions\n"
    yield "The first branch whose guard holds is taken.\n"
    rows = (
        (
            f"*{junction.value}*",
            "else" if one.guard is None else one.guard.value,
            _leads(one),
            JUNCTION_SOURCES[junction],
        )
        for junction, branches in JUNCTIONS.items()
        for one in branches
    )
    yield from _table(("junction", "if", "leads to", "source"), rows)


def _diagnoses() -> Iterator[str]:
    yield "## Diagnoses\n"
    rows = ((f"`{one.code}`", one.text, one.hint) for one in DIAGNOSES.values())
    yield from _table(("code", "text", "hint"), rows)
