"""Contestants of a transfer: who moves a package which way, and how one round of it is measured."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import final

import attrs

from benchmarks.far_end import FarEnd, Serve, running
from benchmarks.harness import Cost, Figure

BLOCK_BYTES = 1024
_US = 1e6

Move = Callable[[str, Path, Path], Cost]
"""`move(uri, package, folder)` carries a package once, and returns what that cost the near end."""


@final
@attrs.frozen
class Way:
    """One library, one direction.

    Attributes:
        serve: the far end.
        move: the near end.
        received: the name of the file that arrives.
        fresh: each round begins with an empty folder.
    """

    serve: Serve
    move: Move
    received: str
    fresh: bool = False


def contestant(way: Way, package: Path, folder: Path, ends: contextlib.ExitStack) -> Callable[[], Cost]:
    """Start the far end; a call carries the package once and says what that cost both ends."""
    far: FarEnd = ends.enter_context(running(way.serve, package, folder))
    expected = package.read_bytes()

    def carry() -> Cost:
        before = far.cpu_s()
        near = way.move(far.uri, package, folder)
        cost = Cost(near.wall_s, near.cpu_s + far.cpu_s() - before)
        if (folder / way.received).read_bytes() != expected:
            raise RuntimeError(f"{folder.name}: the package was damaged")
        if way.fresh:
            shutil.rmtree(folder)
        return cost

    return carry


def package_of(folder: Path, size: int) -> Path:
    """A package of random bytes."""
    path = folder / f"package-{size}.bin"
    if not path.exists():
        path.write_bytes(b"\x01" + os.urandom(size - 1))
    return path


def size_text(size: int) -> str:
    """The short form of a size."""
    for suffix, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{suffix}"
    return f"{size}B"


def a_block(name: str, cost: Cost, size: int) -> tuple[Figure, Figure, Figure]:
    """What a block cost by the clock and by the processor, and the speed."""
    us = _US / -(-size // BLOCK_BYTES)
    return (
        Figure(name=f"{name}.cost", value=cost.wall_s * us, unit="us/block"),
        Figure(name=f"{name}.cpu", value=cost.cpu_s * us, unit="us/block"),
        Figure(name=f"{name}.rate", value=size / cost.wall_s / 1e6, unit="MB/s"),
    )
