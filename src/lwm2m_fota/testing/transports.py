"""What every `DatagramTransport` must do."""

# ruff: noqa: S101, D102 - a conformance suite speaks in asserts, and the names of its tests say what they check

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs
import pytest

from lwm2m_fota.errors import InvalidUriError, TransportError, UsageError
from lwm2m_fota.transport.base import DatagramTransport, Peer

WAIT_S: Final = 5.0
BURST_DATAGRAMS: Final = 50
COAP_DATAGRAM_BYTES: Final = 1152  # RFC 7252 section 4.6

Received: TypeAlias = tuple[bytes, Peer]


class Recorder:
    """A handler that remembers what it was told, and can be waited for. Make it inside the event loop.

    Attributes:
        received: datagrams with their peers.
        gone: the peers that were reported unreachable.
        over: the peers whose sessions were reported to have ended.
        batches: how many datagrams each `drained` ended.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.gone: list[Peer] = []
        self.over: list[Peer] = []
        self.batches: list[int] = []
        self._open_batch = 0
        self._turned = asyncio.Event()

    def datagram_received(self, data: bytes, peer: Peer) -> bool:
        """Remember a datagram."""
        self.received.append((data, peer))
        self._open_batch += 1
        return True

    def unreachable(self, peer: Peer) -> None:
        """Remember a peer that is unreachable."""
        self.gone.append(peer)

    def ended(self, peer: Peer) -> None:
        """Remember a peer whose session has ended."""
        self.over.append(peer)

    def drained(self) -> None:
        """Remember the end of a batch."""
        self.batches.append(self._open_batch)
        self._open_batch = 0
        self._turned.set()

    async def datagrams(self, count: int) -> list[Received]:
        """The first `count` datagrams, once their batches have ended.

        Raises:
            TimeoutError: they did not come.
        """
        await self._until(lambda: sum(self.batches) >= count)
        return self.received[:count]

    async def reports(self, count: int) -> list[Peer]:
        """The first `count` unreachable peers, once the turn that told of them has ended.

        Raises:
            TimeoutError: they did not come.
        """
        await self._until(lambda: len(self.gone) >= count)
        return self.gone[:count]

    async def endings(self, count: int) -> list[Peer]:
        """The first `count` peers whose sessions have ended, once the turn that told of them has ended.

        Raises:
            TimeoutError: they did not come.
        """
        await self._until(lambda: len(self.over) >= count)
        return self.over[:count]

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not done():
                self._turned.clear()
                await self._turned.wait()


class Echo(Recorder):
    """A recorder that sends everything back when the batch has ended."""

    def __init__(self, transport: DatagramTransport) -> None:
        super().__init__()
        self._transport = transport
        self._answered = 0

    def drained(self) -> None:
        """Send the batch back."""
        for data, peer in self.received[self._answered :]:
            self._transport.send(data, peer)
        self._answered = len(self.received)
        super().drained()


@attrs.frozen
class Ends:
    """Two open transports that can reach each other, their recorders, and each as the other sees it."""

    a: DatagramTransport
    b: DatagramTransport
    at_a: Recorder
    at_b: Recorder
    peer_a: Peer
    peer_b: Peer


class TransportConformance:
    """Subclass it, and implement `pair` and `twin`."""

    def pair(self) -> tuple[DatagramTransport, DatagramTransport]:
        """Two transports, not yet open, that can reach each other and lose nothing."""
        raise NotImplementedError

    def twin(self, transport: DatagramTransport) -> DatagramTransport:
        """Another transport, not yet open, for the very address of an open one."""
        raise NotImplementedError

    def message(self, data: bytes) -> bytes:
        """What is sent to say this; a transport that takes CoAP messages only makes one of it."""
        return data

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a test in an event loop; a transport for a special loop has its own way."""
        asyncio.run(main)

    @asynccontextmanager
    async def ends(self) -> AsyncIterator[Ends]:
        """Both transports of a pair, open."""
        a, b = self.pair()
        at_a, at_b = Recorder(), Recorder()
        await a.open(at_a)
        try:
            await b.open(at_b)
            try:
                peer_a, peer_b = await b.resolve(*a.local_address), await a.resolve(*b.local_address)
                yield Ends(a, b, at_a, at_b, peer_a, peer_b)
            finally:
                await b.close()
        finally:
            await a.close()

    @pytest.mark.parametrize("data", [b"", b"\x00", b"\x40\x01\x00\x01", bytes(range(256)) * 4 + bytes(128)])
    def test_a_datagram_arrives_whole_with_its_sender(self, data: bytes) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(data), ends.peer_b)
                assert await ends.at_b.datagrams(1) == [(self.message(data), ends.peer_a)]

        assert len(data) <= COAP_DATAGRAM_BYTES
        self.run(main())

    def test_one_peer_is_one_key_however_it_is_learnt(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"one"), ends.peer_b)
                ends.a.send(self.message(b"two"), ends.peer_b)
                (_, first), (_, second) = await ends.at_b.datagrams(2)
                assert len({first, second, ends.peer_a, await ends.b.resolve(*ends.a.local_address)}) == 1
                assert ends.peer_a != ends.peer_b

        self.run(main())

    def test_an_answer_reaches_the_sender(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"question"), ends.peer_b)
                ((_, asker),) = await ends.at_b.datagrams(1)
                ends.b.send(self.message(b"answer"), asker)
                assert await ends.at_a.datagrams(1) == [(self.message(b"answer"), ends.peer_b)]

        self.run(main())

    def test_datagrams_are_never_joined_or_split(self) -> None:
        async def main() -> None:
            sent = [self.message(bytes([number]) * (number + 1)) for number in range(BURST_DATAGRAMS)]
            async with self.ends() as ends:
                for data in sent:
                    ends.a.send(data, ends.peer_b)
                received = await ends.at_b.datagrams(len(sent))
                assert sorted(data for data, _ in received) == sent

        self.run(main())

    def test_a_batch_ends_with_drained(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                for number in range(BURST_DATAGRAMS):
                    ends.a.send(self.message(bytes([number])), ends.peer_b)
                await ends.at_b.datagrams(BURST_DATAGRAMS)
                assert sum(ends.at_b.batches) == len(ends.at_b.received) == BURST_DATAGRAMS

        self.run(main())

    def test_send_does_not_call_the_handler_before_it_returns(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                myself = await ends.a.resolve(*ends.a.local_address)
                ends.a.send(self.message(b"to myself"), myself)
                assert ends.at_a.received == []
                assert await ends.at_a.datagrams(1) == [(self.message(b"to myself"), myself)]

        self.run(main())

    def test_the_handler_may_send(self) -> None:
        async def main() -> None:
            a, b = self.pair()
            at_a = Recorder()
            await a.open(at_a)
            await b.open(Echo(b))
            peer_b = await a.resolve(*b.local_address)
            sent = [self.message(data) for data in (b"1", b"2", b"3")]
            for data in sent:
                a.send(data, peer_b)
            assert sorted(data for data, _ in await at_a.datagrams(3)) == sent
            assert {peer for _, peer in at_a.received} == {peer_b}
            await a.close()
            await b.close()

        self.run(main())

    def test_a_datagram_to_nobody_is_no_error(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                await ends.b.close()
                ends.a.send(self.message(b"is anybody there"), ends.peer_b)
                myself = await ends.a.resolve(*ends.a.local_address)
                ends.a.send(self.message(b"still here"), myself)
                assert await ends.at_a.datagrams(1) == [(self.message(b"still here"), myself)]

        self.run(main())

    def test_a_closed_transport_hears_nothing(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"too late"), ends.peer_b)
                await ends.b.close()
                myself = await ends.a.resolve(*ends.a.local_address)
                ends.a.send(self.message(b"marker"), myself)
                await ends.at_a.datagrams(1)
                assert ends.at_b.received == []
                assert ends.at_b.batches == []

        self.run(main())

    def test_closing_twice_or_unopened_is_harmless(self) -> None:
        async def main() -> None:
            a, _ = self.pair()
            await a.close()
            await a.open(Recorder())
            await a.close()
            await a.close()

        self.run(main())

    def test_a_transport_that_is_not_open_is_refused(self) -> None:
        async def refuses(transport: DatagramTransport, peer: Peer) -> None:
            with pytest.raises(UsageError):
                transport.send(self.message(b""), peer)
            with pytest.raises(UsageError):
                _ = transport.local_address
            with pytest.raises(UsageError):
                await transport.resolve("127.0.0.1", 5683)

        async def main() -> None:
            unopened, _ = self.pair()
            async with self.ends() as ends:
                await refuses(unopened, ends.peer_b)
                await ends.a.close()
                await refuses(ends.a, ends.peer_b)

        self.run(main())

    def test_opening_twice_is_refused_and_changes_nothing(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                with pytest.raises(UsageError):
                    await ends.b.open(Recorder())
                ends.a.send(self.message(b"still yours"), ends.peer_b)
                assert await ends.at_b.datagrams(1) == [(self.message(b"still yours"), ends.peer_a)]

        self.run(main())

    def test_a_closed_transport_may_be_opened_again(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                await ends.b.close()
                again = Recorder()
                await ends.b.open(again)
                ends.a.send(self.message(b"again"), await ends.a.resolve(*ends.b.local_address))
                assert await again.datagrams(1) == [(self.message(b"again"), ends.peer_a)]
                assert ends.at_b.received == []

        self.run(main())

    def test_an_address_in_use_is_a_transport_error(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                other = self.twin(ends.a)
                with pytest.raises(TransportError):
                    await other.open(Recorder())
                await ends.a.close()
                await other.open(Recorder())
                await other.close()

        self.run(main())

    def test_the_local_address_has_a_real_port(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                assert ends.a.local_address[1] > 0
                assert ends.a.local_address != ends.b.local_address

        self.run(main())

    @pytest.mark.parametrize(
        ("host", "port"),
        [("127.0.0.1", 0), ("127.0.0.1", 65536), ("127.0.0.1", -1), ("", 5683), ("a" * 64 + ".invalid", 5683)],
    )
    def test_what_leads_nowhere_is_an_invalid_uri(self, host: str, port: int) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                with pytest.raises(InvalidUriError):
                    await ends.a.resolve(host, port)

        self.run(main())
