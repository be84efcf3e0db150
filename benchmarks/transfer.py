"""Push (PUT, Block1) and pull (GET, Block2) of a package over loopback: UDP in blocks of 1024 bytes, and other ways.

Groups of figures, all by default:

- `speed`: ours, libcoap's own client and server, and aiocoap, at several sizes;
- `memory`: how much either end grows while 256 MiB go from file to file;
- `window`: a pull of ours with several requests under way from libcoap's server, against libcoap's client, on loopback
  and over a relay with a round trip of 50 ms;
- `schemes`: pulls over coap+tcp against aiocoap, over coaps with a pre-shared key against coap, and over http against
  curl;
- `apart`: pulls over coap+tcp against aiocoap where each end has a core of its own, as a device and its server have;
  left out on a machine with one core;
- `schemes-memory`: how much either end grows with 256 MiB over these;
- `sets`: transfers by sets of blocks (Q-Block), against Block of libcoap and of ours;
- `path`: the same against Block of ours over a path with a round trip of 50 ms, with and without loss, in virtual time.

Each transfer runs between two processes, on one core but for `apart`, from file to file, for every contestant in the
same way. What is timed begins with the first request and ends when the receiver has the file and the sender the last
answer; starting processes and opening sockets is not in it. After each transfer the received bytes are compared. The
goals are judged by the clock; the processor time of both ends together is shown beside it, for a machine that has other
work. The files lie in memory where the system offers that: a disk that is made to sync says nothing about a protocol.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import (
    plot,
    transfer_libcoap,
    transfer_memory,
    transfer_schemes,
    transfer_sets,
    transfer_sets_path,
    transfer_speed,
    transfer_window,
)
from benchmarks.harness import Figure

PACKAGES: Final = ("lwm2m-fota", "aiocoap", "attrs")
DEFAULT_SIZES: Final = (64 << 10, 1 << 20, 8 << 20, 32 << 20)
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

Group = Callable[[argparse.Namespace, Path], list[Figure]]

GROUPS: Final[dict[str, Group]] = {
    "speed": transfer_speed.run,
    "memory": transfer_memory.run,
    "window": transfer_window.run,
    "schemes": transfer_schemes.run,
    "apart": transfer_schemes.run_apart,
    "schemes-memory": transfer_schemes.run_memory,
    "sets": transfer_sets.run,
    "path": transfer_sets_path.run,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS), help="groups of figures")
    parser.add_argument(
        "--size",
        type=parse_size,
        nargs="+",
        default=DEFAULT_SIZES,
        metavar="SIZE",
        help="of `speed`, `schemes` and `apart`, such as 64KiB or 1MiB (default: 64KiB 1MiB 8MiB 32MiB)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw speed over size, as SVG")


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


def notes() -> list[str]:
    """What the header says besides."""
    libcoap = f"libcoap {transfer_libcoap.version()}" if transfer_libcoap.present() else "libcoap3-bin is absent"
    return [libcoap]


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure; see the module."""
    figures: list[Figure] = []
    for group in options.only:
        with _folder() as folder:
            figures += GROUPS[group](options, folder)
    if options.plot is not None:
        options.plot.write_text(plot.speeds(figures), encoding="utf-8")
    return figures


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    parent = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="lwm2m-fota-bench-", dir=parent) as name:
        yield Path(name)
