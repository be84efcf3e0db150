"""Steps of the device machine, against the package `transitions`; and the memory of a million machines.

Both take the same walk through the table of Object 5: every row of every version and policy, effects built. What ours
costs is a value for each step; the other changes one object. That both come to the same states and effects is checked
before anything is timed.

Rates are judged by processor time: one core's, whatever else the machine has to do. The memory is what a process of
its own grows by while it takes machines through histories of their own and keeps them: every one with a time of its
last change, and with a package, a deadline, counters and settings where its history has left some.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

from benchmarks.harness import Cost, Figure, Watch, alternate, at_least, at_most, median
from benchmarks.machines_cycle import NEW, Walk, every_row
from benchmarks.machines_transitions import Theirs
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.rows import Row

PACKAGES: Final = ("lwm2m-fota", "transitions", "attrs")
MIN_RATE: Final = 400_000.0
"""Steps of ours in a second of one core."""

MIN_SPEEDUP: Final = 3.0
"""How many times as many as `transitions`."""

MAX_MEGABYTES: Final = 250.0
"""For a million machines, 10^6 bytes each."""

DEFAULT_STEPS: Final = 400_000
DEFAULT_MACHINES: Final = 1_000_000
_THEIR_SHARE: Final = 10
"""The other contestant takes one step of so many: it need not run as long to be timed as well."""

_OURS: Final = "machines.step"
_THEIRS: Final = "machines.step.transitions"
_AGAINST: Final = f"transitions {version('transitions')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="of ours in a round (default: %(default)s)")
    parser.add_argument("--machines", type=int, default=DEFAULT_MACHINES, help="to be kept (default: %(default)s)")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure; see the module."""
    walks = every_row()
    theirs = [(Theirs(walk.profile), walk) for walk in walks]
    for other, walk in theirs:
        check_same(other, walk)
    length = sum(len(walk.inputs) for walk in walks)
    turns = max(1, options.steps // length)
    fewer = max(1, turns // _THEIR_SHARE)
    contestants: dict[str, Callable[[], Cost]] = {
        _OURS: lambda: _timed(lambda: take(walks, turns)),
        _THEIRS: lambda: _timed(lambda: take_theirs(theirs, fewer)),
    }
    costs = {name: median(each) for name, each in alternate(contestants, options.rounds).items()}
    rates = {_OURS: turns * length / costs[_OURS].cpu_s, _THEIRS: fewer * length / costs[_THEIRS].cpu_s}
    figure = Figure(name=f"{_OURS}.rate", value=rates[_OURS], unit="steps/s")
    return [
        attrs.evolve(figure, goal=f">= {MIN_RATE:,.0f}", met=rates[_OURS] >= MIN_RATE),
        at_least(attrs.evolve(figure, name=f"{_OURS}.speedup"), _AGAINST, rates[_OURS] / rates[_THEIRS], MIN_SPEEDUP),
        Figure(name=f"{_THEIRS}.rate", value=rates[_THEIRS], unit="steps/s"),
        Figure(name=f"{_OURS}.clock", value=turns * length / costs[_OURS].wall_s, unit="steps/s"),
        Figure(name="machines.rows", value=len({row for walk in walks for row in rows_of(walk)}), unit="rows"),
        _memory(options.machines),
    ]


def _timed(action: Callable[[], None]) -> Cost:
    watch = Watch()
    action()
    return watch.read()


def take(walks: Sequence[Walk], turns: int) -> None:
    """Take all walks so often, by the public step."""
    for _ in range(turns):
        for walk in walks:
            machine, profile = NEW, walk.profile
            for event, wall in walk.inputs:
                machine, _effects, _answer, _row = step(machine, event, profile, wall)


def take_theirs(theirs: Sequence[tuple[Theirs, Walk]], turns: int) -> None:
    """The same with the other package."""
    for _ in range(turns):
        for other, walk in theirs:
            other.walk(walk)


def rows_of(walk: Walk) -> Iterator[Row | None]:
    """The rows that a walk takes."""
    machine = NEW
    for event, wall in walk.inputs:
        machine, _, _, row = step(machine, event, walk.profile, wall)
        yield row


def check_same(other: Theirs, walk: Walk) -> None:
    """Both must come to the same machine and the same effects at every step.

    Raises:
        RuntimeError: they do not.
    """
    machine = NEW
    for count, (event, wall) in enumerate(walk.inputs, 1):
        machine, effects, _, _ = step(machine, event, walk.profile, wall)
        other.walk(Walk(walk.profile, walk.inputs[:count]))
        if (other.device.as_ours(), other.device.effects) != (machine, effects):
            raise RuntimeError(f"not the same work: {event}: {other.device.as_ours()} is not {machine}")


# ---- memory --------------------------------------------------------------------------------------------------------


def _memory(machines: int) -> Figure:
    command = [sys.executable, "-m", "benchmarks.machines_memory", str(machines)]
    folder = Path(__file__).parent.parent
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout)
    megabytes = grown / machines
    figure = Figure(name="machines.memory", value=megabytes, unit="MB a million")
    return attrs.evolve(at_most(figure, "the goal", megabytes / MAX_MEGABYTES, 1.0), goal=f"<= {MAX_MEGABYTES:.0f}")
