"""The relay of connections over real sockets: what comes through, and where it breaks."""

import asyncio

import pytest

from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.sim.tcp_relay import TcpRelay


def over(test, **options):
    """Run `test(relay, connect)` against a target that sends everything back."""

    async def echo(reader, writer):
        try:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def main():
        target = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with asyncio.timeout(20), target, TcpRelay(target.sockets[0].getsockname(), **options) as relay:
            opened = []

            async def connect():
                reader, writer = await asyncio.open_connection(*relay.local_address)
                opened.append(writer)
                return reader, writer

            await test(relay, connect)
            for writer in opened:
                writer.close()

    asyncio.run(main())


async def all_of(reader):
    data = bytearray()
    try:
        while piece := await reader.read(1000):
            data += piece
    except ConnectionError:
        return bytes(data), "reset"
    return bytes(data), "closed"


@pytest.mark.parametrize("piece_bytes", [1, 7, 65536])
def test_what_goes_in_comes_out(piece_bytes):
    sent = bytes(range(256)) * 8

    async def test(relay, connect):
        reader, writer = await connect()
        writer.write(sent)
        writer.write_eof()
        assert await all_of(reader) == (sent, "closed")
        assert (relay.connections, relay.cuts, relay.carried_bytes) == (1, 0, 2 * len(sent))

    over(test, piece_bytes=piece_bytes)


def test_connections_break_after_so_many_bytes_and_later_ones_hold():
    async def test(relay, connect):
        for cut in (150, 120):
            reader, writer = await connect()
            writer.write(bytes(100))
            data, end = await all_of(reader)
            assert len(data) <= cut - 100
            assert end == "reset"
        reader, writer = await connect()
        writer.write(bytes(1000))
        writer.write_eof()
        assert await all_of(reader) == (bytes(1000), "closed")
        assert (relay.connections, relay.cuts) == (3, 2)

    over(test, cuts=(150, 120))


def test_a_cut_breaks_everything_until_it_is_mended():
    async def test(relay, connect):
        reader, writer = await connect()
        writer.write(b"here")
        assert await reader.readexactly(4) == b"here"
        await relay.cut()
        assert await all_of(reader) == (b"", "reset")
        reader, _ = await connect()
        assert (await all_of(reader))[0] == b""
        relay.is_cut = False
        reader, writer = await connect()
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        assert relay.cuts == 1

    over(test)


def test_where_nobody_listens_connections_end():
    async def main():
        with pytest.raises(UsageError):
            _ = TcpRelay(("127.0.0.1", 1)).local_address
        async with TcpRelay(("127.0.0.1", 1)) as relay:
            reader, writer = await asyncio.open_connection(*relay.local_address)
            assert (await all_of(reader))[0] == b""
            writer.close()
            other = TcpRelay(("127.0.0.1", 1), port=relay.local_address[1])
            with pytest.raises(TransportError):
                await other.open()
            await other.close()

    asyncio.run(main())
