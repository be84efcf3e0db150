"""Push (PUT, Block1) and pull (GET, Block2) of a package over loopback UDP in blocks of 1024 bytes.

Each transfer runs between two processes on one core, from file to file, for every contestant in the same way. What is
timed begins with the first request and ends when the receiver has the file and the sender the last answer; starting
processes and opening sockets is not in it. After each transfer the received bytes are compared.

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
from benchmarks.far_end import Serve, running
from benchmarks.harness import Figure, alternate, at_least, at_most, median

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
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

Move = Callable[[str, Path, Path], float]
"""`move(uri, package, folder)` carries a package once, and returns seconds."""


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
        self.contestants: dict[str, Callable[[], float]] = {
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

    def _contestant(self, library: str, package: Path, folder: Path) -> Callable[[], float]:
        way = WAYS[self._direction, library]
        uri = self._ends.enter_context(running(way.serve, package, folder))
        expected = package.read_bytes()

        def carry() -> float:
            seconds = way.move(uri, package, folder)
            received = folder / way.received
            if received.read_bytes() != expected:
                raise RuntimeError(f"{library}: the {self._direction} has damaged the package")
            if not way.far:
                shutil.rmtree(folder)  # each pull begins with an empty folder
            return seconds

        return carry

    def figures(self, seconds: dict[str, list[float]]) -> list[Figure]:
        medians = {name: median(values) for name, values in seconds.items()}
        first = self._name(self._sizes[0])
        cost = {self._name(size): medians[self._name(size)] / _blocks(size) * _US for size in self._sizes}
        theirs = medians[self._theirs] / _blocks(self._sizes[0]) * _US
        figures: list[Figure] = []
        for size in self._sizes:
            name = self._name(size)
            figure = Figure(name=f"{name}.cost", value=cost[name], unit="us/block")
            if name == first:
                figure = at_least(figure, f"{_THEIRS} {version(_THEIRS)}", theirs / cost[name], MIN_SPEEDUP)
            else:
                figure = at_most(figure, first, cost[name] / cost[first], MAX_GROWTH)
            figures += [figure, Figure(name=f"{name}.rate", value=size / medians[name] / 1e6, unit="MB/s")]
        figures.append(Figure(name=f"{self._theirs}.cost", value=theirs, unit="us/block"))
        if self._disk in medians:
            disk = medians[self._disk] / _blocks(self._sizes[0]) * _US
            figures.append(Figure(name=f"{self._disk}.cost", value=disk, unit="us/block"))
        return figures


def _blocks(size: int) -> int:
    return -(-size // _BLOCK_BYTES)
