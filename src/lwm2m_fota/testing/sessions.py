"""What every session transport must do: subclass `SessionConformance` in your tests, and implement `pair` and `twin`.

A pair of session transports proves something to each other; nobody else need be let in.
"""

# ruff: noqa: S101, D102 - a conformance suite speaks in asserts, and the names of its tests say what they check
import pytest

from lwm2m_fota.errors import TransportError
from lwm2m_fota.testing.transports import Recorder, TransportConformance
from lwm2m_fota.transport.base import DatagramTransport
from lwm2m_fota.transport.sessions import SessionPeer, SessionTransport


def sessions(transport: DatagramTransport) -> SessionTransport:
    """The same transport, which must have sessions."""
    assert transport.sessions is not None
    return transport.sessions


class SessionConformance(TransportConformance):
    """The tests of `TransportConformance`, as far as they make sense with sessions, and those of sessions."""

    @pytest.mark.parametrize("data", [b"\x00", b"\x40\x01\x00\x01", bytes(range(256)) * 4 + bytes(128)])
    def test_a_datagram_arrives_whole_with_its_sender(self, data: bytes) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(data), ends.peer_b)
                assert await ends.at_b.datagrams(1) == [(self.message(data), ends.peer_a)]

        self.run(main())

    def test_send_does_not_call_the_handler_before_it_returns(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"question"), ends.peer_b)
                assert ends.at_b.received == []
                await ends.at_b.datagrams(1)
                sessions(ends.b).end(ends.peer_a)
                await ends.at_a.endings(1)
                ends.a.send(self.message(b"to nobody"), ends.peer_b)
                assert len(ends.at_a.over) == 1
                assert await ends.at_a.endings(2) == [ends.peer_b] * 2

        self.run(main())

    def test_a_datagram_to_nobody_is_no_error(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                await ends.b.close()
                ends.a.send(self.message(b"is anybody there"), ends.peer_b)
                assert (await ends.at_a.endings(1))[0] is ends.peer_b

        self.run(main())

    def test_a_closed_transport_hears_nothing(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"too late"), ends.peer_b)
                await ends.b.close()
                await ends.at_a.endings(1)
                assert (ends.at_b.received, ends.at_b.over) == ([], [])

        self.run(main())

    def test_a_closed_transport_may_be_opened_again(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                address = ends.b.local_address
                await ends.b.close()
                await ends.at_a.endings(1)
                again, twin = Recorder(), self.twin_at(ends.b, address)
                await twin.open(again)
                ends.a.send(self.message(b"again"), await ends.a.resolve(*address))
                ((data, peer),) = await again.datagrams(1)
                assert data == self.message(b"again")
                assert peer != ends.peer_a
                assert ends.at_b.received == []
                await twin.close()

        self.run(main())

    def twin_at(self, transport: DatagramTransport, address: tuple[str, int]) -> DatagramTransport:
        """A transport like this one, not open, for an address; by default the same, which must keep its address."""
        del address
        return transport

    # -- sessions

    def test_both_ends_know_each_other(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                for peer in (ends.peer_a, ends.peer_b):
                    assert isinstance(peer, SessionPeer)

        self.run(main())

    def test_an_ended_session_is_over_at_the_other_end_too(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                ends.a.send(self.message(b"last words"), ends.peer_b)
                await ends.at_b.datagrams(1)
                sessions(ends.a).end(ends.peer_b)
                assert await ends.at_b.endings(1) == [ends.peer_a]
                assert ends.at_a.over == []
                sessions(ends.a).end(ends.peer_b)

        self.run(main())

    def test_after_an_end_there_is_another_session(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                sessions(ends.a).end(ends.peer_b)
                await ends.at_b.endings(1)
                peer = await ends.b.resolve(*ends.a.local_address)
                assert peer != ends.peer_a
                ends.b.send(self.message(b"anew"), peer)
                await ends.at_a.datagrams(1)

        self.run(main())

    def test_holding_a_session_that_is_over_is_harmless(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                for peer in (ends.peer_b, SessionPeer(("127.0.0.1", 1), None)):
                    sessions(ends.a).hold(peer)
                    sessions(ends.a).release(peer)
                    sessions(ends.a).end(peer)
                    sessions(ends.a).release(peer)

        self.run(main())

    def test_where_nobody_answers_there_is_no_session(self) -> None:
        async def main() -> None:
            async with self.ends() as ends:
                address = ends.b.local_address
                await ends.b.close()
                await ends.at_a.endings(1)
                with pytest.raises(TransportError):
                    await ends.a.resolve(*address)

        self.run(main())
