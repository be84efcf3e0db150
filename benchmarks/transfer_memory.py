"""How much either end grows while a large package goes from file to file."""

import argparse
import contextlib
import multiprocessing
import shutil
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks import transfer_ours
from benchmarks.far_end import running
from benchmarks.harness import Figure, at_most
from benchmarks.memory import Memory
from benchmarks.ways import Way, package_of, size_text

SIZE: Final = 256 << 20
WARM_UP: Final = 1 << 20
GOAL_MIB: Final = 2.0
_MIB: Final = 1 << 20

WAYS: Final = {
    "pull": Way(transfer_ours.serve_package, transfer_ours.pull, transfer_ours.RECEIVED, fresh=True),
    "push": Way(transfer_ours.serve_device, transfer_ours.push, transfer_ours.RECEIVED),
}


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure once; a peak is a peak."""
    del options
    return growth_of(WAYS, folder)


def growth_of(ways: Mapping[str, Way], folder: Path) -> list[Figure]:
    """How much both ends grow, each way.

    Raises:
        RuntimeError: the system cannot tell.
    """
    if sys.platform != "linux":
        raise RuntimeError("the resident memory is read from /proc")
    return [figure for direction, way in ways.items() for figure in _direction(direction, way, folder)]


def _direction(direction: str, way: Way, folder: Path) -> list[Figure]:
    package, small = package_of(folder, SIZE), package_of(folder, WARM_UP)
    place = folder / f"memory-{direction}"
    with running(way.serve, package, place) as far, running(way.serve, small, folder / "small") as small_far:
        large, warm_up = (far.uri, package, place), (small_far.uri, small, folder / "small")
        _near(way, [large])  # the far end warms up
        far.mark_memory()
        grown = {"near": _near(way, [warm_up, large]), "far": far.growth_bytes()}
    shutil.rmtree(place, ignore_errors=True)
    figures = []
    for end, size in grown.items():
        value = size / _MIB
        figure = Figure(name=f"transfer.{direction}.{size_text(SIZE)}.{end}.growth", value=value, unit="MiB")
        figures.append(at_most(figure, "a transfer before it", value, GOAL_MIB))
    return figures


Transfer = tuple[str, Path, Path]


def _near(way: Way, transfers: list[Transfer]) -> int:
    """Move packages in a process of its own; how much it grew, in bytes, with the last of them."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_move, args=(way, transfers, theirs))
    process.start()
    theirs.close()
    with contextlib.closing(ours):
        growth = int(ours.recv())
    process.join()
    return growth


def _move(way: Way, transfers: list[Transfer], link: Connection) -> None:
    memory = Memory()
    for uri, package, place in transfers:
        if way.fresh:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        memory.mark()
        way.move(uri, package, place)
    link.send(str(memory.growth_bytes()))
