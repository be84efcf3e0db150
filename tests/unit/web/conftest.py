"""An origin that answers what it is told to, byte for byte; and a sink that keeps what comes."""

import asyncio
from types import SimpleNamespace

import pytest

LIMIT_S = 20


class Origin:
    """`answers` are given one after the other, each to one request on a connection of its own; `asked` keeps those."""

    def __init__(self, *answers, tls=None):
        self.answers = list(answers)
        self.asked = []
        self._tls = tls

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    def uri(self, path="/fw", scheme=None):
        return f"{scheme or ('https' if self._tls else 'http')}://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            self.asked.append(SimpleNamespace(line=head[0], fields=fields))
            answer = self.answers.pop(0)
            if callable(answer):
                await answer(reader, writer)
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status, body=b"", *, length=None, **fields):
    """An answer in HTTP/1.1; `length=False` leaves it to the end of the connection."""
    lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


class Sink:
    """Keeps what comes; fails once it has `fails_at` bytes."""

    def __init__(self, data=b"", fails_at=None, error=None):
        self.data = bytearray(data)
        self.pieces, self.restarts, self.led_on, self.lasts = [], [], [], 0
        self.fails_at, self.error = fails_at, error

    def block(self, offset, payload, *, etag, size_bytes, last):
        assert offset == len(self.data)
        assert not self.lasts
        self.data += payload
        self.pieces.append((len(payload), etag, size_bytes))
        self.lasts += last
        if self.fails_at is not None and len(self.data) >= self.fails_at:
            raise self.error

    def restarted(self, reason):
        self.restarts.append(reason)
        self.data.clear()

    def leads_on(self, uri):
        self.led_on.append(uri)


def run(coroutine):
    async def limited():
        async with asyncio.timeout(LIMIT_S):
            return await coroutine

    return asyncio.run(limited())


@pytest.fixture(scope="session")
def web():
    """The parts."""
    return SimpleNamespace(Origin=Origin, answer=answer, Sink=Sink, run=run)
