"""Explores every space, compares with the baseline, and sees that wrong tables are found. Each in a child process."""

import importlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from proof.model.report import Finding, Found
from proof.model.unreachable import UNREACHABLE
from proof.model.wrong import WRONG, Wrong
from proof.mutants.run import apart

BASELINE: Final = Path(__file__).with_name("baseline.json")
_TABLES: Final = "lwm2m_fota.machines."


def explore(*, full: bool, only: Sequence[str]) -> dict[str, Found]:
    """Explore the spaces, or those whose names hold one of these words; print what each is like."""
    names = [name for name in apart(partial(_names, full=full)) if not only or any(each in name for each in only)]
    found = {}
    with _workers() as pool:
        spaces = pool.map(lambda name: apart(partial(_explored, name, full=full)), names)
        for name, space in zip(names, spaces, strict=True):
            found[name] = space
            print(line(name, space), flush=True)
    return found


def _workers() -> ThreadPoolExecutor:
    """A thread for each core, to wait for the processes that do the work."""
    return ThreadPoolExecutor(max_workers=os.cpu_count())


def line(name: str, found: Found) -> str:
    """A space in one line."""
    ends = f"  ends: {', '.join(found.ends)}" if found.ends else ""
    rate = f"{found.states:>8} states {found.transitions:>9} transitions {len(found.rows):>4} rows"
    return f"{name:<30} {rate} {found.seconds:>6.1f} s{ends}"


def _names(*, full: bool) -> list[str]:
    spaces = importlib.import_module("proof.model.spaces")
    return list(spaces.FULL if full else spaces.SPACES)


def _explored(name: str, *, full: bool = False, stop: bool = False) -> Found:
    found: Found = importlib.import_module("proof.model.spaces").explored(name, full=full, stop=stop)
    return found


def _every_row() -> set[str]:
    rows: set[str] = importlib.import_module("proof.model.spaces").every_row()
    return rows


def wrong_tables() -> list[tuple[Wrong, Finding | None]]:
    """Let each wrong table be looked for; print by how long a trace it was found."""
    verdicts = []
    with _workers() as pool:
        findings = pool.map(lambda each: apart(partial(_wrong, each)), WRONG)
        for wrong, found in zip(WRONG, findings, strict=True):
            verdicts.append((wrong, found))
            print(f"wrong: {wrong.name}: {found or 'NOT FOUND'}", flush=True)
    return verdicts


def _wrong(wrong: Wrong) -> Finding | None:
    module = importlib.import_module(_TABLES + wrong.module)
    for name, value in wrong.names(module).items():
        setattr(module, name, value)
    findings = _explored(wrong.space, stop=True).findings
    return next((each for each in findings if each.rule == wrong.rule), None)


# ---- verdicts ------------------------------------------------------------------------------------------------------


def check(found: dict[str, Found], baseline: dict[str, list[int]]) -> list[str]:
    """What is wrong with an exploration of all spaces, in sentences."""
    wrong = [f"{name}: {each}" for name, space in found.items() for each in space.findings]
    wrong += check_counts(found, baseline)
    fired = {row for space in found.values() for row in space.rows}
    rows = apart(_every_row)
    wrong += [f"never taken, and not listed as unreachable: {each}" for each in sorted(rows - fired - set(UNREACHABLE))]
    wrong += [f"listed as unreachable, and taken: {each}" for each in sorted(fired & set(UNREACHABLE))]
    wrong += [f"listed as unreachable, and not a row: {each}" for each in sorted(set(UNREACHABLE) - rows)]
    return wrong


def check_counts(found: dict[str, Found], baseline: dict[str, list[int]]) -> list[str]:
    """Where counts are others than those that were committed."""
    changed = []
    for name in dict.fromkeys((*baseline, *found)):
        before, now = baseline.get(name), counts(found[name]) if name in found else None
        if before != now:
            changed.append(f"{name}: {now} states and transitions, {before} in the baseline: explain and commit it")
    return changed


def counts(found: Found) -> list[int]:
    """What the baseline keeps of a space."""
    return [found.states, found.transitions]


def read_baseline() -> dict[str, list[int]]:
    """What was committed."""
    kept: dict[str, list[int]] = json.loads(BASELINE.read_text("utf-8"))
    return kept


def write_baseline(found: dict[str, Found]) -> None:
    """Keep these counts."""
    lines = [f"  {json.dumps(name)}: {json.dumps(counts(each))}" for name, each in found.items()]
    BASELINE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
