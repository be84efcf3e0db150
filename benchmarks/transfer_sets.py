"""Sets of blocks (Q-Block, RFC 9177) against libcoap's Block, on loopback; see `sets_path` for long paths."""

import argparse
import contextlib
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import transfer_libcoap, transfer_ours
from benchmarks.harness import Cost, Figure, alternate, at_least, median
from benchmarks.ways import Way, a_block, contestant, package_of, size_text
from lwm2m_fota.coap.qblock import QBlock

SIZE: Final = 8 << 20
GOALS: Final = {"pull": 2.0}
_SETS: Final = QBlock(max_payloads=10)

WAYS: Final = {
    ("pull", "ours"): Way(
        transfer_ours.serve_package,
        partial(transfer_ours.pull, q_block=_SETS),
        transfer_ours.RECEIVED,
        fresh=True,
    ),
    ("pull", "block"): Way(transfer_ours.serve_package, transfer_ours.pull, transfer_ours.RECEIVED, fresh=True),
    ("pull", "libcoap"): Way(transfer_libcoap.serve, transfer_libcoap.pull, transfer_libcoap.RECEIVED),
    ("push", "ours"): Way(
        transfer_ours.serve_device, partial(transfer_ours.push, q_block=_SETS), transfer_ours.RECEIVED
    ),
    ("push", "block"): Way(transfer_ours.serve_device, transfer_ours.push, transfer_ours.RECEIVED),
    ("push", "libcoap"): Way(transfer_libcoap.serve, transfer_libcoap.push, transfer_libcoap.RECEIVED),
}


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure both directions."""
    return [figure for direction in ("pull", "push") for figure in _direction(direction, options.rounds, folder)]


def _direction(direction: str, rounds: int, folder: Path) -> list[Figure]:
    package = package_of(folder, SIZE)
    names = [name for each, name in WAYS if each == direction and (name != "libcoap" or transfer_libcoap.present())]
    with contextlib.ExitStack() as ends:
        field = {
            name: contestant(WAYS[direction, name], package, folder / f"sets-{direction}-{name}", ends)
            for name in names
        }
        costs = {name: median(each) for name, each in alternate(field, rounds).items()}
    return _figures(direction, costs)


def _figures(direction: str, costs: dict[str, Cost]) -> list[Figure]:
    name, ours = f"transfer.sets.{direction}.{size_text(SIZE)}", costs.pop("ours")
    figures = [*a_block(name, ours, SIZE)]
    for other, cost in costs.items():
        ratio, against = cost.wall_s / ours.wall_s, "Block1 and Block2 of ours"
        figure = Figure(name=f"{name}.over_{other}", value=ratio, unit="times")
        if other == "libcoap":
            against = f"libcoap {transfer_libcoap.version()}"
            figure = at_least(figure, against, ratio, GOALS[direction]) if direction in GOALS else figure
        figures += [figure, *a_block(f"{name}.{other}", cost, SIZE)]
    return figures
