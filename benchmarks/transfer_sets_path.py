"""Sets of blocks (Q-Block, RFC 9177) against Block over a long path, in virtual time: what the waits of each come to.

No processor time is in these figures, and no second has passed: the path is a network in memory with a round trip of
50 ms and losses from seeds, and each figure is the median over the seeds.
"""

import argparse
import statistics
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmarks.harness import Figure, at_least
from benchmarks.transfer_ours import PUT_PACKAGE, device_of
from benchmarks.ways import package_of, size_text
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.update_operations import RESET_PACKAGE
from lwm2m_fota.model.codes import Code
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.sim import loop
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.memory import MemoryTransport

ROUND_TRIP_S: Final = 0.05
SIZE: Final = 1 << 20
SEEDS: Final = 15
LOSSES: Final = (0.0, 0.02)

WAYS: Final[dict[str, QBlock | None]] = {
    "block": None,
    "fixed": QBlock(max_payloads=10),
    "measured": QBlock(max_payloads=10, timers=QTimers.MEASURED),
}
GOALS: Final = {("fixed", 0.0): 8.0, ("fixed", 0.02): 1.5, ("measured", 0.02): 4.0}

Transfer: TypeAlias = Callable[[LossyNetwork, Path, Path, QBlock | None], Coroutine[Any, Any, float]]


class _Discard:
    """Takes a package, and keeps nothing of it."""

    def block(self, offset: int, payload: bytes, *, etag: bytes | None, size_bytes: int | None, last: bool) -> None:
        """It comes in order: the endpoint sees to that."""

    def restarted(self, reason: str) -> None:
        raise AssertionError(reason)

    def leads_on(self, uri: str) -> None:
        raise AssertionError(uri)


async def pull(network: LossyNetwork, package: Path, _folder: Path, q_block: QBlock | None) -> float:
    """Fetch a package; how many virtual seconds that takes."""
    pump = Pump(MemoryTransport(network, "10.0.0.2", 5683))
    await pump.open()
    async with Lwm2mServer(MemoryTransport(network, "10.0.0.1", 5683)) as server:
        publication = server.packages.publish(FilePackageSource(package), "coap", lambda _furthest: None)
        began = pump.now()
        await CoapFetcher(pump, q_block=q_block).fetch(publication.uri, _Discard(), offset=0, etag=None)
        took = pump.now() - began
    await pump.close()
    return took


async def push(network: LossyNetwork, package: Path, folder: Path, q_block: QBlock | None) -> float:
    """Send a package to a device; how many virtual seconds that takes."""
    near, far = Pump(MemoryTransport(network, "10.0.0.2", 5683)), Pump(MemoryTransport(network, "10.0.0.1", 5683))
    await near.open()
    await far.open()
    device = device_of(CoapFetcher(far), package, folder)
    dispatcher = Dispatcher((device,))
    far.on_request = lambda received, now: dispatcher.handle(received.message, received.peer, now)
    await device.start()
    peer = await near.resolve("10.0.0.1", 5683)
    await near.call(peer, Request(Code.PUT, PUT_PACKAGE, RESET_PACKAGE))
    source = FilePackageSource(package)
    began = near.now()
    request = Request(Code.PUT, PUT_PACKAGE, source_bytes=source.size_bytes, q_block=q_block)
    answer = await near.upload(peer, request, source)
    took = near.now() - began
    if answer.code != Code.CHANGED:
        raise RuntimeError(str(answer))
    await device.stop()
    await near.close()
    await far.close()
    return took


TRANSFERS: Final[dict[str, Transfer]] = {"pull": pull, "push": push}


def run(_options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure each direction, with and without loss."""
    package = package_of(folder, SIZE)
    figures: list[Figure] = []
    for direction in TRANSFERS:
        for loss in LOSSES:
            took = {way: _median(direction, way, loss, package, folder) for way in WAYS}
            figures += _figures(direction, loss, took)
    return figures


def _median(direction: str, way: str, loss: float, package: Path, folder: Path) -> float:
    seeds = range(SEEDS) if loss else range(1)
    return statistics.median(_once(direction, way, loss, seed, package, folder) for seed in seeds)


def _once(direction: str, way: str, loss: float, seed: int, package: Path, folder: Path) -> float:
    async def transfer() -> float:
        network = LossyNetwork(seed, loss=loss, latency_s=ROUND_TRIP_S / 2)
        place = folder / f"path-{direction}-{way}-{loss}-{seed}"
        return await TRANSFERS[direction](network, package, place, WAYS[way])

    return loop.run(transfer())


def _figures(direction: str, loss: float, took: dict[str, float]) -> list[Figure]:
    name = f"transfer.sets.{direction}.50ms.{loss:.0%}.{size_text(SIZE)}"
    figures = [Figure(name=f"{name}.{way}", value=took_s, unit="virtual s") for way, took_s in took.items()]
    for way in ("fixed", "measured"):
        ratio = took["block"] / took[way]
        figure, goal = Figure(name=f"{name}.{way}.over_block", value=ratio, unit="times"), GOALS.get((way, loss))
        figures.append(figure if goal is None else at_least(figure, "Block1 and Block2 of ours", ratio, goal))
    return figures
