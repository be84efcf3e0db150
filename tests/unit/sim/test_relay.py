"""The relay over real sockets, with faults that are certain; those that are drawn are Weather's."""

import asyncio
import socket

import pytest

from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.sim.relay import UdpRelay
from lwm2m_fota.sim.weather import Fate, Weather
from lwm2m_fota.transport.udp import UdpTransport


class Heard:
    def __init__(self):
        self.got = []
        self.came = asyncio.Event()

    def datagram_received(self, data, peer):
        self.got.append((data, peer))

    def unreachable(self, peer):
        pass

    def ended(self, peer):
        raise AssertionError

    def drained(self):
        self.came.set()

    async def wait(self, count):
        async with asyncio.timeout(5):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()
        return self.got


def over(test, host="127.0.0.1", **weather):
    """Run `test(relay, peer, target)`; peer and target are (transport, what it heard)."""

    async def main():
        ends = []
        for _ in range(2):
            transport, heard = UdpTransport(host), Heard()
            await transport.open(heard)
            ends.append((transport, heard))
        peer, target = ends
        try:
            async with UdpRelay(target[0].local_address, Weather(1, **weather), host=host) as relay:
                await test(relay, peer, target)
        finally:
            for transport, _ in ends:
                await transport.close()

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_carries_there_and_back(host):
    async def test(relay, peer, target):
        way = await peer[0].resolve(*relay.local_address)
        for number in range(3):
            peer[0].send(b"ask%d" % number, way)
            data, source = (await target[1].wait(number + 1))[-1]
            assert data == b"ask%d" % number
            target[0].send(b"answer%d" % number, source)
            assert (await peer[1].wait(number + 1))[-1] == (b"answer%d" % number, way)
        assert relay.weather.counts == {Fate.DELIVERED: 6}

    over(test, host)


def test_each_peer_has_a_port_of_its_own_and_keeps_it_until_the_relay_moves():
    async def test(relay, peer, target):
        other = UdpTransport()
        await other.open(Heard())
        for transport in (peer[0], other, peer[0]):
            transport.send(b"x", relay.local_address)
            await target[1].wait(len(target[1].got) + 1)
        first, second, third = (source for _, source in target[1].got)
        assert first == third != second
        relay.move()
        target[0].send(b"lost", first)
        peer[0].send(b"y", relay.local_address)
        (*_, (_, moved)) = await target[1].wait(4)
        assert moved not in {first, second}
        target[0].send(b"found", moved)
        assert [data for data, _ in await peer[1].wait(1)] == [b"found"]
        await other.close()

    over(test)


def test_datagrams_are_delayed_and_doubled():
    async def test(relay, peer, target):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        peer[0].send(b"x", relay.local_address)
        got = await target[1].wait(2)
        assert [data for data, _ in got] == [b"x", b"x"]
        assert loop.time() - begun >= 0.02

    over(test, duplicate=1.0, latency_s=0.02)


def test_a_cut_path_carries_nothing_until_it_is_mended():
    async def test(relay, peer, target):
        relay.is_cut = True
        peer[0].send(b"lost", relay.local_address)
        while not relay.weather.counts:  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)
        assert relay.weather.counts == {Fate.CUT: 1}
        relay.is_cut = False
        peer[0].send(b"found", relay.local_address)
        assert [data for data, _ in await target[1].wait(1)] == [b"found"]

    over(test)


def test_more_peers_than_are_let_in_are_not_heard():
    async def main():
        target, heard = UdpTransport(), Heard()
        await target.open(heard)
        peers = [UdpTransport(), UdpTransport()]
        async with UdpRelay(target.local_address, Weather(1), max_peers=1) as relay:
            for number, peer in enumerate(peers):
                await peer.open(Heard())
                peer.send(b"%d" % number, relay.local_address)
                if not number:
                    await heard.wait(1)
            peers[0].send(b"end", relay.local_address)
            await heard.wait(2)
        for each in (target, *peers):
            await each.close()
        return [data for data, _ in heard.got]

    assert asyncio.run(main()) == [b"0", b"end"]


def test_what_cannot_be_sent_counts_as_lost():
    async def test(relay, peer, target):
        peer[0].send(b"x", relay.local_address)
        await target[1].wait(1)
        relay._send(b"x", relay._front, ("127.0.0.1", 0))
        assert relay.weather.counts[Fate.LOST] == 1

    over(test)


def test_its_address_must_be_free():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            relay = UdpRelay(("127.0.0.1", 1), Weather(1), port=taken.getsockname()[1])
            with pytest.raises(TransportError, match="cannot bind"):
                await relay.open()
        with pytest.raises(UsageError):
            _ = relay.local_address
        await relay.close()

    asyncio.run(main())
