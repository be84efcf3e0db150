import asyncio

import pytest

from lwm2m_fota.errors import InvalidUriError, UsageError
from lwm2m_fota.sim import loop as sim_loop
from lwm2m_fota.testing.transports import Recorder, TransportConformance
from lwm2m_fota.transport.memory import MemoryNetwork


class TestMemory(TransportConformance):
    def pair(self):
        self.network = MemoryNetwork()
        return self.network.transport(), self.network.transport("10.0.0.2", 5683)

    def twin(self, transport):
        return self.network.transport(*transport.local_address)


class TestMemoryOnVirtualTime(TestMemory):
    def run(self, main):
        sim_loop.run(main)


class Slow(MemoryNetwork):
    def fate(self, data, source, destination):
        return (2.5, 0.5)


def test_a_network_decides_how_often_and_when_a_datagram_arrives():
    async def main():
        network = Slow()
        a, b = network.transport(), network.transport()
        at_b, clock = Recorder(), asyncio.get_running_loop()
        await a.open(Recorder())
        await b.open(at_b)
        a.send(b"x", b.local_address)
        await at_b.datagrams(1)
        assert clock.time() == 0.5
        await at_b.datagrams(2)
        assert clock.time() == 2.5

    sim_loop.run(main())


def test_names_numbers_and_hosts_that_were_open_resolve():
    async def main():
        network = MemoryNetwork()
        transport = network.transport("gateway")
        await transport.open(Recorder())
        network.names["server.example"] = "192.0.2.7"
        assert await transport.resolve("server.example", 5683) == ("192.0.2.7", 5683)
        assert await transport.resolve("192.0.2.9", 1) == ("192.0.2.9", 1)
        assert await transport.resolve("2001:db8::1", 65535) == ("2001:db8::1", 65535)
        assert await transport.resolve("gateway", 5683) == ("gateway", 5683)
        with pytest.raises(InvalidUriError):
            await transport.resolve("nobody.example", 5683)

    sim_loop.run(main())


def test_a_datagram_that_finds_nobody_is_counted():
    async def main():
        network = MemoryNetwork()
        a = network.transport()
        at_a = Recorder()
        await a.open(at_a)
        a.send(b"x", ("192.0.2.1", 5683))
        assert network.undelivered == 1
        a.send(b"marker", a.local_address)
        await at_a.datagrams(1)
        assert at_a.gone == []

    sim_loop.run(main())


def test_a_network_may_report_that_nobody_listens():
    async def main():
        network = MemoryNetwork(reports_unreachable=True)
        a = network.transport()
        at_a = Recorder()
        await a.open(at_a)
        a.send(b"x", ("192.0.2.1", 5683))
        assert at_a.gone == []
        assert await at_a.reports(1) == [("192.0.2.1", 5683)]
        assert at_a.batches == [0]

    sim_loop.run(main())


def test_no_report_reaches_a_sender_that_is_gone():
    class SlowToNobody(MemoryNetwork):
        def fate(self, data, source, destination):
            return (1.0,)

    async def main():
        network = SlowToNobody(reports_unreachable=True)
        a = network.transport()
        at_a = Recorder()
        await a.open(at_a)
        a.send(b"x", ("192.0.2.1", 5683))
        await a.close()
        await asyncio.sleep(2.0)
        assert network.undelivered == 1
        assert at_a.gone == []

    sim_loop.run(main())


def test_free_ports_start_again_after_the_last_one_and_skip_those_in_use():
    async def main():
        network = MemoryNetwork()
        first = network.transport()
        await first.open(Recorder())
        assert first.local_address == ("127.0.0.1", 49152)
        network._free_port = 65535
        ports = []
        for _ in range(2):
            transport = network.transport()
            await transport.open(Recorder())
            ports.append(transport.local_address[1])
        assert ports == [65535, 49153]

    sim_loop.run(main())


def test_a_handler_that_fails_keeps_neither_the_batch_open_nor_the_transport_shut():
    class Failing(Recorder):
        def datagram_received(self, data, peer):
            super().datagram_received(data, peer)
            raise ValueError(data)

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        network = MemoryNetwork()
        a = network.transport()
        at_a = Failing()
        await a.open(at_a)
        for data in (b"1", b"2"):
            a.send(data, a.local_address)
            await at_a.datagrams(len(at_a.received) + 1)
        assert [error.args for error in errors] == [(b"1",), (b"2",)]
        assert at_a.batches == [1, 1]

    sim_loop.run(main())


def test_what_was_sent_is_not_the_callers_buffer():
    async def main():
        network = MemoryNetwork()
        a = network.transport()
        at_a = Recorder()
        await a.open(at_a)
        buffer = bytearray(b"sent")
        a.send(buffer, a.local_address)
        buffer[:] = b"gone"
        assert await at_a.datagrams(1) == [(b"sent", a.local_address)]
        await a.close()
        with pytest.raises(UsageError):
            a.send(b"x", ("127.0.0.1", 1))

    sim_loop.run(main())
