"""Many devices pull at once from one server over real sockets: none of them is kept waiting for the others."""

import asyncio

from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.udp import UdpTransport

DEVICES = 16
PACKAGE = bytes(128 * 1024)


class Meter:
    """Takes a package, and tells how much of it is there."""

    def __init__(self):
        self.bytes = 0

    def block(self, offset, payload, *, etag, size_bytes, last):
        self.bytes += len(payload)

    def restarted(self, reason):
        raise AssertionError(reason)


async def progress(own):
    """What each device has once the first one has all of it; the first of the list has the fetcher of `own`."""
    async with Lwm2mServer(UdpTransport()) as server:
        uri = server.packages.publish(MemoryPackageSource(PACKAGE), "coap", lambda _: None).uri
        pumps = [Pump(UdpTransport()) for _ in range(DEVICES)]
        for pump in pumps:
            await pump.open()
        meters = [Meter() for _ in pumps]
        makers = [own, *[CoapFetcher] * (DEVICES - 1)]
        fetches = [
            asyncio.ensure_future(make(pump).fetch(uri, meter, offset=0, etag=None))
            for make, pump, meter in zip(makers, pumps, meters, strict=True)
        ]
        await asyncio.wait(fetches, return_when=asyncio.FIRST_COMPLETED)
        seen = [meter.bytes for meter in meters]
        await asyncio.gather(*fetches)
        assert {meter.bytes for meter in meters} == {len(PACKAGE)}
        for pump in pumps:
            await pump.close()
        return seen


def test_devices_that_are_alike_come_forward_alike_without_a_task_for_each_block():
    tasks = []

    def counted(loop, activity, **options):
        tasks.append(activity)
        return asyncio.Task(activity, loop=loop, **options)

    async def main():
        asyncio.get_running_loop().set_task_factory(counted)
        return await progress(CoapFetcher)

    assert min(asyncio.run(main())) >= len(PACKAGE) // 2
    assert len(tasks) <= 4 * DEVICES  # they take 2048 blocks


def test_one_that_takes_sets_leaves_the_others_their_share():
    first, *others = asyncio.run(progress(lambda pump: CoapFetcher(pump, q_block=QBlock())))
    assert first == len(PACKAGE)
    assert min(others) >= len(PACKAGE) // DEVICES
