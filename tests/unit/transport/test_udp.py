import asyncio
import errno
import selectors
import socket

import pytest

from lwm2m_fota.errors import InvalidUriError, TransportError
from lwm2m_fota.testing.transports import Recorder, TransportConformance
from lwm2m_fota.transport.udp import DRAIN_DATAGRAMS, UdpTransport, address_towards, normalised


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")


class TestIPv4(TransportConformance):
    def pair(self):
        return UdpTransport(), UdpTransport("127.0.0.1")

    def twin(self, transport):
        return UdpTransport(*transport.local_address)


class TestIPv4OnSelect(TestIPv4):
    def run(self, main):
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            runner.run(main)


@needs_ipv6
class TestIPv6(TransportConformance):
    def pair(self):
        return UdpTransport("::1"), UdpTransport("::1")

    def twin(self, transport):
        return UdpTransport(*transport.local_address)


class FaultySocket:
    """The real socket, but calls that have an entry in `faults` raise it instead, once each."""

    def __init__(self, real):
        self._real = real
        self.faults = []
        self.sent = []

    def __getattr__(self, name):
        return getattr(self._real, name)

    def sendto(self, data, peer):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.sent.append(data)
        return self._real.sendto(data, peer)

    def recvfrom(self, limit):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return self._real.recvfrom(limit)


async def opened(transport):
    recorder = Recorder()
    await transport.open(recorder)
    return recorder


async def faulty(transport):
    recorder = await opened(transport)
    link = transport._link
    link.sock = FaultySocket(link.sock)
    return recorder, link.sock


def test_a_peer_has_one_form():
    assert normalised(("192.0.2.1", 5683)) == ("192.0.2.1", 5683)
    assert normalised(("fe80::1", 5683, 99, 3)) == ("fe80::1", 5683, 0, 3)


@needs_ipv6
def test_an_ipv6_socket_talks_to_ipv4_peers():
    async def main():
        server, client = UdpTransport("::"), UdpTransport("127.0.0.1")
        at_server, at_client = await opened(server), await opened(client)
        client.send(b"hello", ("127.0.0.1", server.local_address[1]))
        ((_, peer),) = await at_server.datagrams(1)
        assert peer == ("::ffff:127.0.0.1", client.local_address[1], 0, 0)
        assert await server.resolve("127.0.0.1", client.local_address[1]) == peer
        server.send(b"welcome", peer)
        assert await at_client.datagrams(1) == [(b"welcome", ("127.0.0.1", server.local_address[1]))]
        await server.close()
        await client.close()

    asyncio.run(main())


def test_a_datagram_over_the_limit_is_dropped_whole():
    async def main():
        a, b = UdpTransport(), UdpTransport(max_datagram_bytes=100)
        await opened(a)
        at_b = await opened(b)
        for length in (101, 5000, 100):
            a.send(bytes(length), b.local_address)
        assert await at_b.datagrams(1) == [(bytes(100), a.local_address)]
        assert at_b.batches[-1] == 1
        assert b.oversized == 2
        await a.close()
        await b.close()

    asyncio.run(main())


def test_a_flood_is_read_in_bounded_batches():
    async def main():
        a, b = UdpTransport(), UdpTransport()
        await opened(a)
        at_b = await opened(b)
        for number in range(DRAIN_DATAGRAMS + 10):
            a.send(bytes([number]), b.local_address)
        await at_b.datagrams(DRAIN_DATAGRAMS + 10)
        assert max(at_b.batches) == DRAIN_DATAGRAMS
        await a.close()
        await b.close()

    asyncio.run(main())


def test_a_full_socket_delays_datagrams_in_order():
    async def main():
        a, b = UdpTransport(), UdpTransport()
        _, sock = await faulty(a)
        at_b = await opened(b)
        sock.faults = [BlockingIOError(), BlockingIOError(), None, BlockingIOError()]
        for data in (b"1", b"2", b"3"):
            a.send(data, b.local_address)
        assert sock.sent == []
        await at_b.datagrams(3)
        assert sock.sent == [b"1", b"2", b"3"]
        a.send(b"4", b.local_address)
        assert sock.sent == [b"1", b"2", b"3", b"4"]
        assert a.unsent == 0
        await a.close()
        await b.close()

    asyncio.run(main())


def test_a_full_queue_loses_what_is_too_much():
    async def main():
        a, b = UdpTransport(send_queue_datagrams=2), UdpTransport()
        _, sock = await faulty(a)
        at_b = await opened(b)
        sock.faults = [BlockingIOError()]
        for data in (b"1", b"2", b"3", b"4"):
            a.send(data, b.local_address)
        await at_b.datagrams(2)
        assert sock.sent == [b"1", b"2"]
        assert a.unsent == 2
        await a.close()
        await b.close()

    asyncio.run(main())


def test_closing_loses_what_waits():
    async def main():
        a, b = UdpTransport(), UdpTransport()
        _, sock = await faulty(a)
        await opened(b)
        sock.faults = [BlockingIOError()]
        a.send(b"1", b.local_address)
        await a.close()
        await b.close()
        assert sock.sent == []

    asyncio.run(main())


def test_a_peer_that_no_route_leads_to_is_reported_once_a_turn():
    async def main():
        a = UdpTransport()
        at_a, sock = await faulty(a)
        far, other = ("192.0.2.1", 5683), ("192.0.2.2", 5683)
        sock.faults = [
            OSError(errno.ENETUNREACH, "no net"),
            OSError(errno.EHOSTUNREACH, "no host"),
            OSError(errno.ENETUNREACH, "no net"),
        ]
        for peer in (far, other, far):
            a.send(b"x", peer)
        assert at_a.gone == []
        assert await at_a.reports(2) == [far, other]
        assert at_a.batches == [0]
        assert a.unsent == 3
        sock.faults = [OSError(errno.ENETUNREACH, "no net")]
        a.send(b"x", far)
        assert await at_a.reports(3) == [far, other, far]
        await a.close()

    asyncio.run(main())


def test_a_closed_transport_reports_nobody():
    async def main():
        a = UdpTransport()
        at_a, sock = await faulty(a)
        sock.faults = [OSError(errno.ENETUNREACH, "no net")]
        a.send(b"x", ("192.0.2.1", 5683))
        await a.close()
        ticks = await opened(b := UdpTransport())
        b.send(b"tick", b.local_address)
        await ticks.datagrams(1)
        assert at_a.gone == []
        assert at_a.batches == []
        await b.close()

    asyncio.run(main())


def test_no_error_of_the_system_leaves_send():
    async def main():
        a = UdpTransport()
        at_a, sock = await faulty(a)
        for number in errno.errorcode:
            if number not in {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EALREADY}:
                sock.faults = [OSError(number, "fault")]
                a.send(b"x", (f"192.0.2.{number}", 5683))
        assert sock.sent == []
        reported = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
        reported |= {errno.EADDRNOTAVAIL, errno.ECONNREFUSED}
        await at_a.reports(len(reported))
        assert set(at_a.gone) == {(f"192.0.2.{number}", 5683) for number in reported}
        await a.close()

    asyncio.run(main())


def test_an_error_while_reading_does_not_stop_reading():
    async def main():
        a, b = UdpTransport(), UdpTransport()
        await opened(a)
        at_b, sock = await faulty(b)
        sock.faults = [OSError(errno.ECONNRESET, "an earlier datagram was refused")]
        a.send(b"x", b.local_address)
        assert await at_b.datagrams(1) == [(b"x", a.local_address)]
        assert sock.faults == []
        await a.close()
        await b.close()

    asyncio.run(main())


def test_a_handler_that_fails_does_not_stop_reading():
    class Failing(Recorder):
        def datagram_received(self, data, peer):
            super().datagram_received(data, peer)
            raise ValueError(data)

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        a, at_a = UdpTransport(), Failing()
        await a.open(at_a)
        for data in (b"1", b"2"):
            a.send(data, a.local_address)
        await at_a.datagrams(2)
        await a.close()
        assert at_a.batches == [1, 1]
        assert [error.args for error in errors] == [(b"1",), (b"2",)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (socket.EAI_NONAME, InvalidUriError),
        (socket.EAI_NODATA, InvalidUriError),
        (socket.EAI_AGAIN, TransportError),
        (socket.EAI_FAIL, TransportError),
    ],
)
def test_a_name_service_that_fails_now_differs_from_a_name_that_is_not(monkeypatch, number, expected):
    async def main():
        a = UdpTransport()
        await opened(a)

        async def fails(*args, **kwargs):
            raise socket.gaierror(number, "why")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fails)
        with pytest.raises(expected, match="why"):
            await a.resolve("host.example", 5683)
        await a.close()

    asyncio.run(main())


@pytest.mark.parametrize("host", ["nul\0.example", ".", "a..b"])
def test_what_is_no_name_is_an_invalid_uri(host):
    async def main():
        a = UdpTransport()
        await opened(a)
        with pytest.raises(InvalidUriError):
            await a.resolve(host, 5683)
        await a.close()

    asyncio.run(main())


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 65_536), ("127.0.0.1", -1), ("a..b", 0)])
def test_an_address_that_cannot_be_had_is_a_transport_error(host, port):
    async def main():
        transport = UdpTransport(host, port)
        with pytest.raises(TransportError):
            await transport.open(Recorder())
        await transport.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("peer", "own"),
    [(("127.0.0.1", 9), "127.0.0.1"), (("::1", 9, 0, 0), "::1"), (("::ffff:127.0.0.1", 9, 0, 0), "127.0.0.1")],
)
def test_this_host_has_an_address_towards_a_peer(peer, own):
    assert address_towards(peer) == own


def test_no_way_to_a_peer_is_a_transport_error():
    with pytest.raises(TransportError, match=r"no way leads to 255\.255\.255\.255: "):
        address_towards(("255.255.255.255", 9))  # connecting to it is not permitted


def test_an_address_in_use_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(TransportError, match=rf"cannot bind to 127\.0\.0\.1 port {port}: Address already in use$"):
            asyncio.run(UdpTransport("127.0.0.1", port).open(Recorder()))
