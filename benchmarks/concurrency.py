"""Many devices that fetch at the same time from one server process: ours against the server of aiocoap.

The devices are ours in both cases, each with an endpoint and a socket of its own, all in one process on the core of the
server; what counts is the processor time that the server takes for a block, and the memory that a transfer costs it.
Each device compares the digest of what it got.
"""

import argparse
import asyncio
import hashlib
import resource
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import attrs

from benchmarks import transfer_aiocoap, transfer_ours
from benchmarks.far_end import FarEnd, Serve, running
from benchmarks.harness import Figure, Watch, alternate, at_least, at_most
from benchmarks.ways import package_of
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import FotaError
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.udp import UdpTransport

PACKAGES: Final = ("lwm2m-fota", "aiocoap")
DEVICES: Final = 1_000
MANY_DEVICES: Final = 10_000
SIZE_BYTES: Final = 64 << 10
CPU_GOAL: Final = 5.0
MEMORY_GOAL_KIB: Final = 8.0

_BLOCK_BYTES: Final = 1024
_KIB: Final = 1024
_US: Final = 1e6
_SPARE_FILES: Final = 200
_SEND_QUEUE_DATAGRAMS: Final = 4  # a device has one request under way
_SERVERS: Final[dict[str, Serve]] = {"ours": transfer_ours.serve_package, "aiocoap": transfer_aiocoap.serve}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many devices."""
    parser.add_argument("--devices", type=int, default=DEVICES, metavar="N", help="of each contestant")
    parser.add_argument("--many", type=int, default=MANY_DEVICES, metavar="N", help="of ours alone, once; 0 for none")


@final
class _Digest:
    """Takes a package and keeps its digest only."""

    def __init__(self) -> None:
        self._context = hashlib.sha256()

    def block(self, offset: int, payload: bytes, *, etag: bytes | None, size_bytes: int | None, last: bool) -> None:
        del offset, etag, size_bytes, last
        self._context.update(payload)

    def restarted(self, reason: str) -> None:
        raise RuntimeError(reason)

    def leads_on(self, uri: str) -> None:
        raise RuntimeError(uri)

    def digest(self) -> bytes:
        return self._context.digest()


@final
@attrs.frozen(kw_only=True)
class Crowd:
    """What a crowd of devices cost.

    Attributes:
        wall_s: from the first request to the last block, seconds.
        server_cpu_s: processor time of the server, seconds.
        server_bytes: growth of the server's resident memory to its peak.
        failures: devices that did not get the package.
    """

    wall_s: float
    server_cpu_s: float
    server_bytes: int
    failures: int


async def _device(pump: Pump, uri: str, digest: bytes) -> bool:
    sink = _Digest()
    try:
        await CoapFetcher(pump).fetch(uri, sink, offset=0, etag=None)
    except FotaError:
        return False
    return sink.digest() == digest


def _crowd(far: FarEnd, devices: int, package: Path) -> Crowd:
    digest = hashlib.sha256(package.read_bytes()).digest()

    async def run() -> Crowd:
        pumps = [Pump(UdpTransport(send_queue_datagrams=_SEND_QUEUE_DATAGRAMS)) for _ in range(devices)]
        for pump in pumps:
            await pump.open()
        far.mark_memory()
        before_s, clock = far.cpu_s(), Watch()
        got = await asyncio.gather(*(_device(pump, far.uri, digest) for pump in pumps))
        wall_s = clock.read().wall_s
        cpu_s, grown = far.cpu_s() - before_s, far.growth_bytes()
        for pump in pumps:
            await pump.close()
        return Crowd(wall_s=wall_s, server_cpu_s=cpu_s, server_bytes=grown, failures=got.count(False))

    return asyncio.run(run())


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise RuntimeError(f"{count} devices need {wanted} open files, and this system allows {hard}")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    _allow_files(max(options.devices, options.many))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = package_of(folder, SIZE_BYTES)

        def crowd_of(contestant: str, devices: int) -> Callable[[], Crowd]:
            def carry() -> Crowd:  # a server of its own each time, since what one has learned stays in its memory
                with running(_SERVERS[contestant], package, folder / contestant) as far:
                    return _crowd(far, devices, package)

            return carry

        measured = alternate({name: crowd_of(name, options.devices) for name in _SERVERS}, options.rounds)
        crowds = {name: _middle(each) for name, each in measured.items()}
        figures = [each for name in _SERVERS for each in _figures(name, options.devices, crowds[name])]
        figures += _goals(options.devices, crowds)
        if options.many:
            figures += _figures("ours", options.many, crowd_of("ours", options.many)())
    return figures


def _middle(crowds: list[Crowd]) -> Crowd:
    def of(value: Callable[[Crowd], float]) -> float:
        return sorted(map(value, crowds))[len(crowds) // 2]

    return Crowd(
        wall_s=of(lambda each: each.wall_s),
        server_cpu_s=of(lambda each: each.server_cpu_s),
        server_bytes=int(of(lambda each: each.server_bytes)),
        failures=sum(each.failures for each in crowds),
    )


def _figures(contestant: str, devices: int, crowd: Crowd) -> list[Figure]:
    name = f"concurrency.{devices}.{contestant}"
    failures = Figure(name=f"{name}.failures", value=crowd.failures, unit="")
    return [
        at_most(failures, "none", crowd.failures, 0) if contestant == "ours" else failures,
        Figure(name=f"{name}.server_cpu", value=_block_us(devices, crowd), unit="us a block"),
        Figure(name=f"{name}.memory", value=crowd.server_bytes / devices / _KIB, unit="KiB a transfer"),
        Figure(name=f"{name}.wall", value=crowd.wall_s, unit="s"),
    ]


def _block_us(devices: int, crowd: Crowd) -> float:
    return crowd.server_cpu_s * _US / (devices * SIZE_BYTES // _BLOCK_BYTES)


def _goals(devices: int, crowds: dict[str, Crowd]) -> list[Figure]:
    ours, theirs = crowds["ours"], crowds["aiocoap"]
    ratio = theirs.server_cpu_s / ours.server_cpu_s
    memory_kib = ours.server_bytes / devices / _KIB
    name = f"concurrency.{devices}"
    return [
        at_least(
            Figure(name=f"{name}.over_aiocoap", value=ratio, unit="times"),
            f"aiocoap {version('aiocoap')}",
            ratio,
            CPU_GOAL,
        ),
        at_most(
            Figure(name=f"{name}.memory_bound", value=memory_kib, unit="KiB a transfer"),
            "the bound",
            memory_kib,
            MEMORY_GOAL_KIB,
        ),
    ]
