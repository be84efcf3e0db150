"""Several requests under way, from libcoap's server, against libcoap's client: on loopback, and over a long path."""

import argparse
import asyncio
import contextlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks import transfer_libcoap, transfer_ours
from benchmarks.far_end import running, until_closed
from benchmarks.harness import Cost, Figure, alternate, at_least, median
from benchmarks.ways import a_block, package_of, size_text
from lwm2m_fota.coap.uri import parse_uri
from lwm2m_fota.sim.relay import UdpRelay
from lwm2m_fota.sim.weather import Weather

WINDOW: Final = 8
ROUND_TRIP_S: Final = 0.05
SIZES: Final = {"loopback": 8 << 20, "50ms": 256 << 10}
GOALS: Final = {"loopback": 1.0, "50ms": 6.0}


def serve_relay(link: Connection, target: Path, _folder: Path) -> None:
    """A long path to the port that the file names."""
    address = ("127.0.0.1", int(target.read_text(encoding="ascii")))

    async def serve() -> None:
        async with UdpRelay(address, Weather(1, latency_s=ROUND_TRIP_S / 2)) as relay:
            await until_closed(link, f"coap://127.0.0.1:{relay.local_address[1]}/fw")

    asyncio.run(serve())


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure on both paths."""
    if not transfer_libcoap.present():
        return []
    return [figure for path in SIZES for figure in _path(path, options.rounds, folder)]


def _path(path: str, rounds: int, folder: Path) -> list[Figure]:
    size = SIZES[path]
    package = package_of(folder, size)
    with contextlib.ExitStack() as ends:
        far = ends.enter_context(running(transfer_libcoap.serve, package, folder / f"window-{path}"))
        uri = far.uri
        if path != "loopback":
            target = folder / "target"
            target.write_text(str(parse_uri(uri).port), encoding="ascii")
            uri = ends.enter_context(running(serve_relay, target, folder)).uri
        ours, theirs = folder / f"ours-{path}", folder / f"libcoap-{path}"
        field: dict[str, Callable[[], Cost]] = {
            "ours": _checked(package, ours, transfer_ours.RECEIVED, lambda: _ours(uri, package, ours)),
            "libcoap": _checked(
                package, theirs, transfer_libcoap.RECEIVED, lambda: transfer_libcoap.pull(uri, package, theirs)
            ),
        }
        costs = {name: median(each) for name, each in alternate(field, rounds).items()}
    name = f"transfer.window.{path}.{size_text(size)}"
    ratio = costs["libcoap"].wall_s / costs["ours"].wall_s
    against = f"libcoap {transfer_libcoap.version()}"
    figure = Figure(name=f"{name}.over_libcoap", value=ratio, unit="times")
    return [
        at_least(figure, against, ratio, GOALS[path]),
        *a_block(name, costs["ours"], size),
        *a_block(f"{name}.libcoap", costs["libcoap"], size),
    ]


def _ours(uri: str, package: Path, place: Path) -> Cost:
    return transfer_ours.pull(uri, package, place, window=WINDOW)


def _checked(package: Path, place: Path, received: str, move: Callable[[], Cost]) -> Callable[[], Cost]:
    def carry() -> Cost:
        cost = move()
        found = place / received
        if found.read_bytes() != package.read_bytes():
            raise RuntimeError("the package was damaged")
        for each in place.iterdir():
            each.unlink()
        return cost

    return carry
