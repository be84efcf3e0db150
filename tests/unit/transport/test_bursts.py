"""Bursts over real sockets: in one call where the system can, one by one where it cannot."""

import asyncio
import errno
import socket
import sys

import pytest

from lwm2m_fota.transport.bursts import (
    LONELY_RECEIPTS,
    MAX_BURST_BYTES,
    MAX_SEGMENTS,
    QUIET_DATAGRAMS,
    SENT,
    Segmentation,
    bundled,
    parts_of,
)
from lwm2m_fota.transport.udp import UdpTransport

linux = pytest.mark.skipif(sys.platform != "linux", reason="UDP segmentation offload is an option of Linux sockets")


class Handler:
    """Keeps what comes; `count` says how often it was called."""

    def __init__(self):
        self.got = []
        self.calls = 0
        self.came = asyncio.Event()

    def datagram_received(self, data, peer):
        self.calls += 1
        self.got.append(data)

    def burst_received(self, data, size, peer):
        self.calls += 1
        self.got += [data[at : at + size] for at in range(0, len(data), size)]

    def unreachable(self, peer):
        raise AssertionError

    def ended(self, peer):
        raise AssertionError

    def drained(self):
        self.came.set()

    async def wait(self, count):
        async with asyncio.timeout(5):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()


class Plain(Handler):
    """One that takes datagrams one by one."""

    burst_received = None


def burst(count, size=100, last=None, first=0):
    datagrams = [bytes([number & 0xFF]) * size for number in range(first, first + count)]
    return (*datagrams[:-1], datagrams[-1][:last])


def between(test, handler=Handler, host="127.0.0.1"):
    async def main():
        sender, receiver = UdpTransport(host), UdpTransport(host)
        at_sender, at_receiver = Handler(), handler()
        await sender.open(at_sender)
        await receiver.open(at_receiver)
        try:
            peer = await sender.resolve(host, receiver.local_address[1])
            await test(sender, receiver, peer, at_receiver)
        finally:
            await sender.close()
            await receiver.close()

    asyncio.run(main())


def test_a_burst_is_cut_into_what_one_call_takes():
    assert [len(part) for part in parts_of(burst(5))] == [5]
    assert [len(part) for part in parts_of(burst(130, 10))] == [MAX_SEGMENTS, MAX_SEGMENTS, 2]
    parts = parts_of(burst(100, 2000))
    assert max(sum(map(len, part)) for part in parts) <= MAX_BURST_BYTES
    assert sum(map(len, parts)) == 100
    assert [len(part) for part in parts_of((b"", b""))] == [2]
    assert [len(part) for part in parts_of((bytes(70_000),))] == [1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("handler", [Handler, Plain])
def test_every_datagram_of_a_burst_arrives_whole_and_in_order(handler, host):
    async def test(sender, receiver, peer, at_receiver):
        for number in range(20):
            sender.send_burst(burst(10, 1040, last=17, first=number), peer)
            await at_receiver.wait(10 * (number + 1))
        assert at_receiver.got == [data for number in range(20) for data in burst(10, 1040, last=17, first=number)]

    between(test, handler, host)


@linux
def test_bursts_leave_and_come_in_one_call_each():
    async def test(sender, receiver, peer, at_receiver):
        for number in range(5):
            sender.send_burst(burst(10, 1040), peer)
            await at_receiver.wait(10 * (number + 1))
        assert sender._link.segmentation.sends
        assert receiver._link.segmentation.receives
        before = at_receiver.calls
        sender.send_burst(burst(10, 1040, last=5), peer)
        await at_receiver.wait(60)
        assert at_receiver.calls == before + 1

    between(test)


@linux
def test_single_datagrams_end_the_expectation_of_bursts():
    async def test(sender, receiver, peer, at_receiver):
        sender.send_burst(burst(QUIET_DATAGRAMS), peer)
        await at_receiver.wait(QUIET_DATAGRAMS)
        assert receiver._link.segmentation.receives
        for number in range(LONELY_RECEIPTS):
            sender.send(b"alone", peer)
            await at_receiver.wait(QUIET_DATAGRAMS + number + 1)
        assert not receiver._link.segmentation.receives
        receiver._link.segmentation.quiet = SENT
        sender.send(b"again", peer)
        await at_receiver.wait(QUIET_DATAGRAMS + LONELY_RECEIPTS + 1)
        assert not receiver._link.segmentation.receives

    between(test)


def test_answers_keep_a_conversation_from_being_taken_for_a_burst():
    async def test(sender, receiver, peer, at_receiver):
        for number in range(3 * QUIET_DATAGRAMS):
            sender.send(b"ask", peer)
            await at_receiver.wait(number + 1)
            receiver.send(b"answer", sender.local_address)
        assert not receiver._link.segmentation.receives

    between(test)


def test_a_datagram_over_the_limit_is_dropped_from_a_burst_too():
    async def test(sender, receiver, peer, at_receiver):
        sender.send_burst(burst(QUIET_DATAGRAMS), peer)
        await at_receiver.wait(QUIET_DATAGRAMS)
        sender.send(bytes(3000), peer)
        sender.send(b"fits", peer)
        await at_receiver.wait(QUIET_DATAGRAMS + 1)
        assert at_receiver.got[-1] == b"fits"
        assert receiver.oversized == 1

    between(test)


def test_a_burst_behind_datagrams_that_wait_waits_too():
    async def test(sender, receiver, peer, at_receiver):
        sender._link.waiting.append((b"first", peer))
        sender._link._loop.add_writer(sender._link.sock, sender._link._writable)
        sender.send_burst((b"1", b"2"), peer)
        assert at_receiver.got == []
        await at_receiver.wait(3)
        assert at_receiver.got == [b"first", b"1", b"2"]

    between(test)


class FakeSocket:
    """A socket whose options and calls fail as they are told to."""

    def __init__(self, error=None, option_error=None):
        self.error, self.option_error = error, option_error
        self.calls = 0

    def sendmsg(self, *_):
        self.calls += 1
        if self.error is not None:
            raise self.error

    def setsockopt(self, *_):
        if self.option_error is not None:
            raise self.option_error


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE])
def test_a_system_that_cannot_is_not_asked_again(code):
    sock = FakeSocket(OSError(code, "no"))
    segmentation = Segmentation(sock)
    segmentation.sends = True
    assert not segmentation.send(burst(3), ("127.0.0.1", 1))
    assert not segmentation.send(burst(3), ("127.0.0.1", 1))
    assert sock.calls == 1


def test_a_system_that_is_busy_is_asked_again():
    sock = FakeSocket(BlockingIOError())
    segmentation = Segmentation(sock)
    segmentation.sends = True
    with pytest.raises(BlockingIOError):
        segmentation.send(burst(3), ("127.0.0.1", 1))
    assert segmentation.sends


def test_one_datagram_is_no_burst():
    sock = FakeSocket()
    assert not Segmentation(sock).send(burst(1), ("127.0.0.1", 1))
    assert sock.calls == 0


def test_a_system_without_the_option_receives_one_by_one():
    segmentation = Segmentation(FakeSocket(option_error=OSError(errno.ENOPROTOOPT, "no")))
    for _ in range(2 * QUIET_DATAGRAMS):
        segmentation.heard()
    assert not segmentation.receives


def test_a_busy_socket_takes_a_burst_later():
    async def test(sender, receiver, peer, at_receiver):
        class Busy:
            sends = True

            def send(self, datagrams, to):
                raise BlockingIOError

            def answered(self):
                pass

            receives = False

        sender._link.segmentation = Busy()
        sender.send_burst(burst(4), peer)
        await at_receiver.wait(4)
        assert at_receiver.got == list(burst(4))

    between(test)


@linux
def test_the_options_are_those_of_this_system():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(17, 104, 1)
        assert sock.getsockopt(17, 104) == 1


def test_datagrams_of_one_length_to_one_peer_are_bundled_in_order():
    outbox = [(b"a1", 1), (b"a2", 1), (b"b1", 2), (b"a34", 1), (b"a45", 1), ((b"x", b"y"), 1), (b"a5", 1), (b"c", 3)]
    assert list(bundled(outbox)) == [
        ((b"a1", b"a2"), 1),
        (b"b1", 2),
        ((b"a34", b"a45"), 1),
        ((b"x", b"y"), 1),
        (b"a5", 1),
        (b"c", 3),
    ]
    assert list(bundled([])) == []
