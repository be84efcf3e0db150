"""Packages between two real processes over a bad path: equal bytes, whatever is lost, doubled, late or moved."""

import asyncio
import contextlib
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.packages import PackageServer
from lwm2m_fota.sim.relay import UdpRelay
from lwm2m_fota.sim.weather import Fate, Weather
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.udp import UdpTransport

PROGRAM = Path(__file__).parent / "programs" / "device.py"
ACK_TIMEOUT_S = 0.2
LIMIT_S = 240
GET, PUT = 1, 3
CHANGED = 0x44
PACKAGE = (*path_options("500"), (12, b"\x2a"))
URI = (*path_options("501"), (12, b""))
STATE = (*path_options("503"),)
BAD = {"loss": 0.1, "duplicate": 0.05, "latency_s": 0.05, "reorder_s": 0.02}


class Site:
    """A server in this process, a device in another, and a bad path in between."""

    def __init__(self, folder, package, seed):
        self.folder, self.package = folder, package
        self.weather = Weather(seed, **BAD)
        self.marks = []  # offsets of blocks, and what is to be told when one as far is served

    async def __aenter__(self):
        self.pump = Pump(UdpTransport(), parameters=TransmissionParameters(ack_timeout_s=ACK_TIMEOUT_S))
        self.packages = PackageServer(self._base_uri, self.pump.entropy, self.pump.now, on_block=self._on_block)
        self.pump.on_request = lambda received, now: self.packages.handle(received.message, received.peer)
        await self.pump.open()
        self.folder.mkdir()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), str(self.folder), hashlib.sha256(self.package).hexdigest(),
            str(ACK_TIMEOUT_S), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        port = int(await self.process.stdout.readline())
        self.direct = ("127.0.0.1", port)
        self.to_device = UdpRelay(self.direct, self.weather)
        self.to_server = UdpRelay(self.pump.local_address, self.weather)
        await self.to_device.open()
        await self.to_server.open()
        return self

    async def __aexit__(self, *_):
        for relay in (self.to_device, self.to_server):
            await relay.close()
        self.process.stdin.close()
        assert await self.process.wait() == 0
        await self.pump.close()

    def _base_uri(self):
        return f"coap://127.0.0.1:{self.to_server.local_address[1]}"

    def _on_block(self, block):
        self._passed(block.offset)

    def _passed(self, offset):
        for mark, told in self.marks:
            if offset >= mark:
                told.set()

    async def passes(self, share):
        """Until the transfer has come to a share of the package."""
        told = asyncio.Event()
        self.marks.append((len(self.package) * share, told))
        await told.wait()

    async def push(self):
        request = Request(PUT, PACKAGE, source_bytes=len(self.package))
        source = MemoryPackageSource(self.package)
        answer = await self.pump.upload(self.to_device.local_address, request, source, self._passed)
        assert answer.code == CHANGED

    async def pull(self):
        uri = self.packages.publish(MemoryPackageSource(self.package), "coap", lambda _: None).uri
        answer = await self.pump.call(self.direct, Request(PUT, URI, uri.encode()))
        assert answer.code == CHANGED
        while await self.state() == b"1":  # noqa: ASYNC110 - another process, asked over the network
            await asyncio.sleep(0.05)

    async def state(self):
        return (await self.pump.call(self.direct, Request(GET, STATE))).payload

    async def is_equal(self):
        assert await self.state() == b"2"
        return (self.folder / "staged.bin").read_bytes() == self.package


def run_all(*sites):
    async def one(site, transfer):
        async with site:
            await transfer(site)

    async def main():
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(one(*each) for each in sites))

    asyncio.run(main())


def package_of(seed, size=65_536):
    return b"\x01" + random.Random(seed).randbytes(size - 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_transfers_over_a_bad_path_end_with_equal_bytes(tmp_path, counts, record_property):
    async def push(site):
        await site.push()
        assert await site.is_equal()

    async def pull(site):
        await site.pull()
        assert await site.is_equal()

    async def pull_and_move(site):
        pulling = asyncio.ensure_future(site.pull())
        for share in (0.25, 0.5):
            await site.passes(share)
            site.to_server.move()
        await pulling
        assert await site.is_equal()

    async def push_twice(site):
        cut = asyncio.ensure_future(site.push())
        await site.passes(0.25)
        cut.cancel()  # and again from block 0, which takes the place of what was begun
        with contextlib.suppress(asyncio.CancelledError):
            await cut
        await site.push()
        assert await site.is_equal()

    sites = [
        (Site(tmp_path / f"{transfer.__name__}{seed}", package_of(seed), seed), transfer)
        for seed in range(counts(1, 20))
        for transfer in (push, pull, pull_and_move, push_twice)
    ]
    run_all(*sites)
    lost = sum(site.weather.counts[Fate.LOST] for site, _ in sites)
    assert lost > 10 * len(sites)
    record_property("figure", f"{len(sites)} of {len(sites)} transfers over a bad path: {lost} datagrams lost")
