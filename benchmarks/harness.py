"""What every benchmark shares: one core, contestants that take turns, medians, a header, a table, JSON."""

import contextlib
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar, final

import attrs

MIN_ROUNDS: Final = 5
"""Fewer give no median that a goal may be judged by."""

CORES: Final = frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
"""The cores that this process was given at its start; empty where the system does not tell."""

K = TypeVar("K")
T = TypeVar("T")


@final
@attrs.frozen
class Cost:
    """What a run took.

    Attributes:
        wall_s: seconds on the clock.
        cpu_s: seconds of the processor; other work on the machine stretches them far less.
    """

    wall_s: float
    cpu_s: float


@final
class Watch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._wall_s = time.perf_counter()
        self._cpu_s = time.process_time()

    def read(self) -> Cost:
        """What this process took so far."""
        return Cost(time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s)


@final
@attrs.frozen(kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured; dots part it.
        value: the median.
        unit: of the value.
        against: what `ratio` compares with.
        ratio: how many times better, or dearer, than that; `name` and `goal` say which.
        goal: what the ratio must be.
        met: whether it is; None without a goal.
    """

    name: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def at_least(figure: Figure, against: str, ratio: float, bound: float) -> Figure:
    """The figure with a ratio that must not be lower."""
    return attrs.evolve(figure, against=against, ratio=ratio, goal=f">= {bound:g}", met=ratio >= bound)


def at_most(figure: Figure, against: str, ratio: float, bound: float) -> Figure:
    """The figure with a ratio that must not be higher."""
    return attrs.evolve(figure, against=against, ratio=ratio, goal=f"<= {bound:g}", met=ratio <= bound)


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Those that have a goal and do not reach it."""
    return [figure for figure in figures if figure.met is False]


def pin() -> int | None:
    """Keep this process and its children on one core; None where the system cannot.

    A transfer that waits for each answer is twofold on several cores: fast while both ends share one, slow while each
    sleeps and is woken on its own.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def other_core() -> int | None:
    """A core beside the one that `pin` chose; None if there is none."""
    return max(CORES - os.sched_getaffinity(0), default=None) if CORES else None


@contextlib.contextmanager
def started_on(core: int) -> Iterator[None]:
    """Processes that are started in here run on this core."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def alternate(contestants: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Let each contestant run once to warm up, then once in each round; every round begins with another one.

    Args:
        contestants: by name; a call runs once and returns what was measured.
        rounds: how often.

    Returns:
        What each contestant returned, one for each round.
    """
    names = list(contestants)
    measured: dict[K, list[T]] = {name: [] for name in names}
    for name in names:
        contestants[name]()
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()  # nobody pays for the garbage of the one before
            measured[name].append(contestants[name]())
    return measured


def median(costs: Sequence[Cost]) -> Cost:
    """The middle of each."""
    return Cost(statistics.median(cost.wall_s for cost in costs), statistics.median(cost.cpu_s for cost in costs))


def header(core: int | None, rounds: int, packages: Iterable[str]) -> list[str]:
    """Date, machine and versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = f", load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    return [
        time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        f"{_processor()}, {os.cpu_count()} cores{load}; "
        + ("not pinned" if core is None else f"on core {core} unless the name says otherwise"),
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.release()}",
        versions,
        f"medians of {rounds} rounds, contestants take turns",
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def table(figures: Sequence[Figure]) -> str:
    """The figures for people."""
    rows: list[tuple[str, ...]] = [("what", "median", "unit", "ratio", "against", "goal", "")]
    rows += [_row(figure) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    return figure.name, f"{figure.value:.2f}", figure.unit, ratio, figure.against or "", figure.goal or "", met


def to_json(figures: Iterable[Figure]) -> str:
    """A list of objects with the attributes of `Figure`."""
    return json.dumps([attrs.asdict(figure) for figure in figures], indent=2) + "\n"
