"""Ours against libcoap and aiocoap, at several sizes."""

import argparse
import contextlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import transfer_aiocoap, transfer_libcoap, transfer_ours
from benchmarks.harness import Cost, Figure, alternate, at_least, at_most, median
from benchmarks.ways import Way, a_block, contestant, package_of, size_text

OURS: Final = "ours"
AIOCOAP: Final = "aiocoap"
LIBCOAP: Final = "libcoap"

AIOCOAP_GOALS: Final = {1 << 20: 30.0, 8 << 20: 100.0}
"""How many times faster than aiocoap, by size."""

FIRST_GOAL: Final = 10.0
"""The same at 1 MiB, of the first version of this benchmark."""

LIBCOAP_GOALS: Final = {"pull": 0.75, "push": 0.7}
"""The share of libcoap's speed at 8 MiB."""

GROWTH_GOALS: Final = {8 << 20: 1.2, 32 << 20: 1.10}
"""How much dearer a block may be than at 1 MiB, by size."""

_BASE: Final = 1 << 20
_LIBCOAP_SIZE: Final = 8 << 20
_AIOCOAP_LIMIT: Final = 8 << 20  # its cost grows with the square of the size
_LIBCOAP_FLOOR: Final = 64 << 10  # below it, the start of its client is all that is measured

WAYS: Final = {
    ("pull", OURS): Way(transfer_ours.serve_package, transfer_ours.pull, transfer_ours.RECEIVED, fresh=True),
    ("pull", AIOCOAP): Way(transfer_aiocoap.serve, transfer_aiocoap.pull, transfer_aiocoap.RECEIVED, fresh=True),
    ("pull", LIBCOAP): Way(transfer_libcoap.serve, transfer_libcoap.pull, transfer_libcoap.RECEIVED),
    ("push", OURS): Way(transfer_ours.serve_device, transfer_ours.push, transfer_ours.RECEIVED),
    ("push", AIOCOAP): Way(transfer_aiocoap.serve, transfer_aiocoap.push, transfer_aiocoap.RECEIVED),
    ("push", LIBCOAP): Way(transfer_libcoap.serve, transfer_libcoap.push, transfer_libcoap.RECEIVED),
}


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure each direction, all contestants and sizes in turn."""
    figures: list[Figure] = []
    for direction in ("pull", "push"):
        with contextlib.ExitStack() as ends:
            field = _field(direction, options.size, folder, ends)
            costs = {key: median(each) for key, each in alternate(field, options.rounds).items()}
        figures += _figures(direction, costs)
    return figures


def _libraries(size: int) -> list[str]:
    libraries = [OURS]
    if size <= _AIOCOAP_LIMIT:
        libraries.append(AIOCOAP)
    if size >= _LIBCOAP_FLOOR and transfer_libcoap.present():
        libraries.append(LIBCOAP)
    return libraries


def _field(
    direction: str, sizes: list[int], folder: Path, ends: contextlib.ExitStack
) -> dict[tuple[str, int], Callable[[], Cost]]:
    field = {}
    for size in sizes:
        package = package_of(folder, size)
        for library in _libraries(size):
            place = folder / f"{direction}-{library}-{size}"
            field[library, size] = contestant(WAYS[direction, library], package, place, ends)
    return field


def _figures(direction: str, costs: dict[tuple[str, int], Cost]) -> list[Figure]:
    figures: list[Figure] = []
    for (library, size), cost in costs.items():
        name = f"transfer.{direction}.{size_text(size)}"
        figures += a_block(name if library == OURS else f"{name}.{library}", cost, size)
        if library == OURS:
            figures += _against(direction, size, costs)
    return figures


def _against(direction: str, size: int, costs: dict[tuple[str, int], Cost]) -> list[Figure]:
    """The figures of ours with goals."""
    name = f"transfer.{direction}.{size_text(size)}"
    ours = costs[OURS, size].wall_s
    figures: list[Figure] = []
    theirs = costs.get((AIOCOAP, size))
    if theirs is not None:
        ratio, against = theirs.wall_s / ours, f"{AIOCOAP} {version(AIOCOAP)}"
        figure = Figure(name=f"{name}.over_aiocoap", value=ratio, unit="times")
        if size == _BASE:
            first = Figure(name=f"{name}.tenfold_aiocoap", value=ratio, unit="times")
            figures.append(at_least(first, against, ratio, FIRST_GOAL))
        figures.append(at_least(figure, against, ratio, AIOCOAP_GOALS[size]) if size in AIOCOAP_GOALS else figure)
    theirs = costs.get((LIBCOAP, size))
    if theirs is not None:
        ratio, against = theirs.wall_s / ours, f"{LIBCOAP} {transfer_libcoap.version()}"
        figure = Figure(name=f"{name}.over_libcoap", value=ratio, unit="times")
        figures.append(at_least(figure, against, ratio, LIBCOAP_GOALS[direction]) if size == _LIBCOAP_SIZE else figure)
    base = costs.get((OURS, _BASE))
    if base is not None and size in GROWTH_GOALS:
        ratio = (ours / size) / (base.wall_s / _BASE)
        figure = Figure(name=f"{name}.growth", value=ratio, unit="times")
        figures.append(at_most(figure, f"transfer.{direction}.{size_text(_BASE)}", ratio, GROWTH_GOALS[size]))
    return figures
