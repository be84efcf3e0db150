"""Push (PUT, Block1) and pull (GET, Block2) of a package over loopback UDP in blocks of 1024 bytes.

Each transfer runs between two processes on one core, from file to file, for every contestant in the same way. What is
timed begins with the first request and ends when the receiver has the file and the sender the last answer; starting
processes and opening sockets is not in it. After each transfer the received bytes are compared. The goals are judged
by the clock; the processor time of both ends together is shown beside it, for a machine that has other work.

The first size is compared with aiocoap, whose cost grows with the square of the size; at the others only the growth of
our own cost is measured. The files lie in memory where the system offers that, since a disk that is made to sync
(we do that at each checkpoint of a pull) says nothing about a protocol; with `--disk` one more contestant pulls to
the disk of the temporary folder.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import attrs

from benchmarks import transfer_aiocoap, transfer_ours
from benchmarks.far_end import FarEnd, Serve, running
from benchmarks.harness import Cost, Figure, alternate, at_least, at_most, median

PACKAGES: Final = ("lwm2m-fota", "aiocoap", "attrs")
DEFAULT_SIZES: Final = (1 << 20, 8 << 20)
MIN_SPEEDUP: Final = 10.0
"""How many times faster than aiocoap at the first size."""

MAX_GROWTH: Final = 1.2
"""How much dearer a block may be at a larger size."""

_BLOCK_BYTES: Final = 1024
_US: Final = 1e6
_OURS: Final = "lwm2m-fota"
_THEIRS: Final = "aiocoap"
_AGAINST: Final = f"{_THEIRS} {version(_THEIRS)}"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

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
        far: the file arrives at the far end.
    """

    serve: Serve
    move: Move
    received: str
    far: bool


WAYS: Final = {
    ("pull", _OURS): Way(transfer_ours.serve_package, transfer_ours.pull, transfer_ours.RECEIVED, far=False),
    ("pull", _THEIRS): Way(transfer_aiocoap.serve, transfer_aiocoap.pull, transfer_aiocoap.RECEIVED, far=False),
    ("push", _OURS): Way(transfer_ours.serve_device, transfer_ours.push, transfer_ours.RECEIVED, far=True),
    ("push", _THEIRS): Way(transfer_aiocoap.serve, transfer_aiocoap.push, transfer_aiocoap.RECEIVED, far=True),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--size", type=parse_size, nargs="+", default=DEFAULT_SIZES, metavar="SIZE", help=_SIZE_HELP)
    parser.add_argument("--disk", action="store_true", help="measure a pull to the disk of the temporary folder too")


_SIZE_HELP: Final = "sizes of the package, such as 64KiB or 1MiB; aiocoap runs at the first (default: 1MiB 8MiB)"


def parse_size(text: str) -> int:
    """Bytes: a number, or one with KiB or MiB.

    Raises:
        ValueError: no such number, or none above 0.
    """
    for suffix, factor in (("KiB", 1 << 10), ("MiB", 1 << 20)):
        if text.endswith(suffix):
            size = int(text.removesuffix(suffix)) * factor
            break
    else:
        size = int(text)
    if size <= 1:  # one byte is a reset, not a package
        raise ValueError(text)
    return size


def size_text(size: int) -> str:
    """The short form of a size."""
    for suffix, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{suffix}"
    return f"{size}B"


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure; see the module."""
    sizes: tuple[int, ...] = tuple(options.size)
    figures: list[Figure] = []
    with contextlib.ExitStack() as stack:
        memory = stack.enter_context(_folder(_MEMORY if _MEMORY.is_dir() else None))
        disk = stack.enter_context(_folder(None)) if options.disk else None
        packages = {size: _package(memory, size) for size in sizes}
        for direction in ("pull", "push"):
            with contextlib.ExitStack() as ends:
                field = _Field(direction, packages, memory, disk, ends)
                figures += field.figures(alternate(field.contestants, options.rounds))
    return figures


@contextlib.contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lwm2m-fota-bench-", dir=parent) as name:
        yield Path(name)


def _package(folder: Path, size: int) -> Path:
    path = folder / f"package-{size}.bin"
    path.write_bytes(b"\x01" + os.urandom(size - 1))
    return path


@final
class _Field:
    """The contestants of one direction, with their far ends running."""

    def __init__(
        self,
        direction: str,
        packages: dict[int, Path],
        memory: Path,
        disk: Path | None,
        ends: contextlib.ExitStack,
    ) -> None:
        self._direction = direction
        self._sizes = list(packages)
        self._ends = ends
        first = self._sizes[0]
        self.contestants: dict[str, Callable[[], Cost]] = {
            self._name(size): self._contestant(_OURS, packages[size], memory / f"{direction}-{size}")
            for size in self._sizes
        }
        self._theirs = f"{self._name(first)}.{_THEIRS}"
        self.contestants[self._theirs] = self._contestant(_THEIRS, packages[first], memory / f"{direction}-theirs")
        self._disk = f"{self._name(first)}.disk"
        if disk is not None and direction == "pull":
            self.contestants[self._disk] = self._contestant(_OURS, packages[first], disk / "pull")

    def _name(self, size: int) -> str:
        return f"transfer.{self._direction}.{size_text(size)}"

    def _contestant(self, library: str, package: Path, folder: Path) -> Callable[[], Cost]:
        way = WAYS[self._direction, library]
        far: FarEnd = self._ends.enter_context(running(way.serve, package, folder))
        expected = package.read_bytes()

        def carry() -> Cost:
            before = far.cpu_s()
            near = way.move(far.uri, package, folder)
            cost = Cost(near.wall_s, near.cpu_s + far.cpu_s() - before)
            received = folder / way.received
            if received.read_bytes() != expected:
                raise RuntimeError(f"{library}: the {self._direction} has damaged the package")
            if not way.far:
                shutil.rmtree(folder)  # each pull begins with an empty folder
            return cost

        return carry

    def figures(self, costs: dict[str, list[Cost]]) -> list[Figure]:
        """The medians, a block; ours with their goals."""
        medians = {name: median(values) for name, values in costs.items()}
        first = self._name(self._sizes[0])
        figures: list[Figure] = []
        for size in self._sizes:
            name = self._name(size)
            clock, cpu = _a_block(name, medians[name], size)
            if name == first:
                ratio = medians[self._theirs].wall_s / medians[name].wall_s
                clock = at_least(clock, _AGAINST, ratio, MIN_SPEEDUP)
                ratio = medians[self._theirs].cpu_s / medians[name].cpu_s
                cpu = attrs.evolve(cpu, against=_AGAINST, ratio=ratio)
            else:
                clock = at_most(clock, first, clock.value / figures[0].value, MAX_GROWTH)
            rate = Figure(name=f"{name}.rate", value=size / medians[name].wall_s / 1e6, unit="MB/s")
            figures += [clock, cpu, rate]
        for name in [name for name in (self._theirs, self._disk) if name in medians]:
            figures += _a_block(name, medians[name], self._sizes[0])
        return figures


def _a_block(name: str, cost: Cost, size: int) -> tuple[Figure, Figure]:
    us = _US / -(-size // _BLOCK_BYTES)
    return (
        Figure(name=f"{name}.cost", value=cost.wall_s * us, unit="us/block"),
        Figure(name=f"{name}.cpu", value=cost.cpu_s * us, unit="us/block"),
    )
