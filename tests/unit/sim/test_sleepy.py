"""A transport that sleeps: deaf some seconds after the last datagram, either way."""

import asyncio

from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.sleepy import SleepyTransport
from lwm2m_fota.testing.transports import Recorder
from lwm2m_fota.transport.memory import MemoryNetwork

HERE, THERE = ("192.0.2.2", 5683), ("192.0.2.1", 5683)


def test_it_hears_only_for_a_while_after_each_datagram():
    async def main():
        network = MemoryNetwork(reports_unreachable=True)
        sleepy, awake = SleepyTransport(network.transport(*HERE), 10.0), network.transport(*THERE)
        here, there = Recorder(), Recorder()
        await sleepy.open(here)
        await awake.open(there)
        assert (sleepy.scheme, sleepy.sessions, sleepy.local_address) == ("coap", None, HERE)
        assert await sleepy.resolve(*THERE) == THERE

        async def hears(data):
            awake.send(data, HERE)
            await asyncio.sleep(0.1)
            return (data, THERE) in here.received

        assert not await hears(b"before anything")
        sleepy.send(b"up", THERE)
        await asyncio.sleep(9.8)
        assert await hears(b"just in time")
        await asyncio.sleep(9.8)
        assert await hears(b"awake for longer by that")
        await asyncio.sleep(10.1)
        assert not await hears(b"too late")
        assert sleepy.missed == 2
        assert there.received == [(b"up", HERE)]
        await awake.close()
        sleepy.send(b"gone", THERE)
        await asyncio.sleep(0.1)
        assert here.gone == [THERE]
        await sleepy.close()

    run(main())
