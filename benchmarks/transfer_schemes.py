"""Pulls over other ways than UDP: coap+tcp against aiocoap, coaps against coap, http against curl."""

import argparse
import contextlib
import resource
import shutil
import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import transfer_aiocoap, transfer_memory, transfer_ours
from benchmarks.harness import Cost, Figure, alternate, at_least, at_most, median, other_core, started_on
from benchmarks.transfer_ours import pull_over
from benchmarks.ways import Way, a_block, contestant, package_of, size_text

if TYPE_CHECKING:
    from collections.abc import Callable

_BASE: Final = 1 << 20
_LARGE: Final = 32 << 20
_SECURE_SIZE: Final = 8 << 20
_OTHERS: Final = ("coaps", "coap+tcp", "http")

AIOCOAP_GOALS: Final = {8 << 20: 2.0, 32 << 20: 4.0}
"""How many times faster than aiocoap over TCP, by size; on one core, and with one for each end."""

SECURE_GOAL: Final = 0.5
"""The share of the speed of coap that coaps has at 8 MiB."""

GROWTH_GOAL: Final = 1.10
"""How much dearer a byte may be at 32 MiB than at 1 MiB."""

TCP: Final = "coap+tcp"
AIOCOAP: Final = "coap+tcp.aiocoap"
CURL: Final = "http.curl"
CURL_FILE: Final = "received.bin"


def curl(uri: str, _package: Path, folder: Path) -> Cost:
    """Fetch a package once with curl; by its own clock, without the start of its process."""
    folder.mkdir(exist_ok=True)
    before = _children_s()
    command = ("curl", "-sf", "-o", str(folder / CURL_FILE), "-w", "%{time_total}", uri)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(float(done.stdout), _children_s() - before)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


WAYS: Final = {
    **{scheme: pull_over(scheme) for scheme in ("coap", *_OTHERS)},
    AIOCOAP: Way(
        partial(transfer_aiocoap.serve, scheme="coap+tcp"),
        transfer_aiocoap.pull,
        transfer_aiocoap.RECEIVED,
        fresh=True,
    ),
    CURL: Way(partial(transfer_ours.serve_package, scheme="http"), curl, CURL_FILE, fresh=True),
}


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure all ways and sizes in turn."""
    with contextlib.ExitStack() as ends:
        field: dict[tuple[str, int], Callable[[], Cost]] = {}
        for size in options.size:
            package = package_of(folder, size)
            for name, way in WAYS.items():
                if name != CURL or shutil.which("curl"):
                    field[name, size] = contestant(way, package, folder / f"{name}-{size}", ends)
        costs = {key: median(each) for key, each in alternate(field, options.rounds).items()}
    return figures_of(costs)


def run_apart(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure coap+tcp with a core for each end, as a device and its server have; nothing where there is one core."""
    core = other_core()
    if core is None:
        return []
    with contextlib.ExitStack() as ends:
        field: dict[tuple[str, int], Callable[[], Cost]] = {}
        for size in options.size:
            package = package_of(folder, size)
            for name in (TCP, AIOCOAP):
                with started_on(core):
                    field[name, size] = contestant(WAYS[name], package, folder / f"{name}-{size}", ends)
        costs = {key: median(each) for key, each in alternate(field, options.rounds).items()}
    return apart_figures_of(costs)


def apart_figures_of(costs: dict[tuple[str, int], Cost]) -> list[Figure]:
    """What was measured with a core for each end, with the goals."""
    figures: list[Figure] = []
    for (way, size), cost in costs.items():
        name = f"transfer.pull.{size_text(size)}.apart.{way}"
        figures += a_block(name, cost, size)
        if way == TCP:
            figures.append(_over_aiocoap(name, costs[AIOCOAP, size].wall_s / cost.wall_s, size))
    return figures


def _over_aiocoap(name: str, ratio: float, size: int) -> Figure:
    figure = Figure(name=f"{name}.over_aiocoap", value=ratio, unit="times")
    goal, against = AIOCOAP_GOALS.get(size), f"aiocoap {version('aiocoap')} over TCP"
    return figure if goal is None else at_least(figure, against, ratio, goal)


def run_memory(_options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure once how much both ends grow."""
    return transfer_memory.growth_of({f"pull.{scheme}": pull_over(scheme) for scheme in _OTHERS}, folder)


def figures_of(costs: dict[tuple[str, int], Cost]) -> list[Figure]:
    """What was measured, with the goals."""
    figures: list[Figure] = []
    for (way, size), cost in costs.items():
        name = f"transfer.pull.{size_text(size)}.{way}"
        figures += a_block(name, cost, size)
        if way == TCP and (AIOCOAP, size) in costs:
            figures.append(_over_aiocoap(name, costs[AIOCOAP, size].wall_s / cost.wall_s, size))
        if way == "coaps" and ("coap", size) in costs:
            ratio = costs["coap", size].wall_s / cost.wall_s
            figure = Figure(name=f"{name}.over_coap", value=ratio, unit="times")
            figures.append(at_least(figure, "coap", ratio, SECURE_GOAL) if size == _SECURE_SIZE else figure)
        if way == "http" and (CURL, size) in costs:
            ratio = costs[CURL, size].wall_s / cost.wall_s
            figures.append(Figure(name=f"{name}.over_curl", value=ratio, unit="times", against="curl", ratio=ratio))
        if way in _OTHERS and size == _LARGE and (way, _BASE) in costs:
            ratio = (cost.wall_s / size) / (costs[way, _BASE].wall_s / _BASE)
            figure = Figure(name=f"{name}.growth", value=ratio, unit="times")
            figures.append(at_most(figure, f"{way} at {size_text(_BASE)}", ratio, GROWTH_GOAL))
    return figures
