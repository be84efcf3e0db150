"""What one block costs in things that can be counted, the same in every run: for CI, which judges no times.

A transfer of a few blocks and one of many, each with both ends in this process; the difference, over the difference in
blocks, is what one block costs once a transfer runs. Instructions, calls, copies and allocations are counted in virtual
time; system calls over real UDP. `--check` compares with the committed `counts.json`, which `--update` writes; the
counts of instructions belong to one version of Python, and those of another are shown only.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.counted import Instructions, SystemCalls, Transfer, pull, push
from benchmarks.harness import Figure, at_most
from benchmarks.ways import BLOCK_BYTES, package_of
from lwm2m_fota.sim import loop
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.udp import UdpTransport

PACKAGES: Final = ("lwm2m-fota",)
BASELINE: Final = Path(__file__).with_name("counts.json")
SLACK: Final = 1.05
"""A count may grow by so much until somebody has to say so; batches end at other blocks on another machine."""

JUDGED: Final = ("instructions", "calls", "allocations", "copies", "system_calls")
"""The system calls by name are shown only: how many writes one makes of several depends on the clock."""

TRANSFERS: Final[dict[str, Transfer]] = {"pull": pull, "push": push}
_FEW: Final = 64
_MANY: Final = 192
_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What becomes of the baseline."""
    parser.add_argument("--update", action="store_true", help="write the counts to the baseline")


def run(options: argparse.Namespace) -> list[Figure]:
    """Count."""
    with tempfile.TemporaryDirectory() as name:
        counts = {f"{way}.{what}": count for way in TRANSFERS for what, count in _a_block(way, Path(name)).items()}
    baseline: dict[str, dict[str, float]] = (
        json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    )
    if options.update:
        baseline[_PYTHON] = counts
        BASELINE.write_text(json.dumps(dict(sorted(baseline.items())), indent=2) + "\n", encoding="utf-8")
    known = baseline.get(_PYTHON, {})
    return [_figure(name, count, known.get(name)) for name, count in counts.items()]


def _figure(name: str, count: float, known: float | None) -> Figure:
    figure = Figure(name=f"counts.{name}", value=count, unit="a block")
    if not known or name.partition(".")[2] not in JUDGED:
        return figure
    return at_most(figure, f"baseline {known:g}", count / known, SLACK)


def _a_block(way: str, folder: Path) -> dict[str, float]:
    few, many = (_counts(way, blocks, folder) for blocks in (_FEW, _MANY))
    return {name: round((many[name] - few.get(name, 0)) / (_MANY - _FEW), 3) for name in sorted(many)}


def _counts(way: str, blocks: int, folder: Path) -> dict[str, int]:
    package = package_of(folder, blocks * BLOCK_BYTES)
    network = MemoryNetwork()
    instructions, system_calls = Instructions(), SystemCalls()
    near, far = network.transport("192.0.2.2"), network.transport("192.0.2.1", 5683)
    loop.run(TRANSFERS[way](near, far, package, folder / f"{way}-{blocks}-virtual", instructions))
    asyncio.run(TRANSFERS[way](UdpTransport(), UdpTransport(), package, folder / f"{way}-{blocks}", system_calls))
    calls = {f"system_calls.{name}": count for name, count in system_calls.counts.items()}
    return {**instructions.counts, **calls, "system_calls": system_calls.counts.total()}
