"""TCP connections that break, between real programs: a relay whose pieces come from a seed.

Whoever connects to the relay is connected to its target. The first connections carry so many bytes and break, in both
directions at once and without a goodbye; those that come later hold. What goes through arrives in pieces of any size.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Iterable
from typing import Final, final

from lwm2m_fota.errors import TransportError, UsageError

DEFAULT_PIECE_BYTES: Final = 1 << 16
_RESET: Final = struct.pack("ii", 1, 0)
"""Closed with this, a connection is reset, and what was still to be sent is lost."""


@final
class TcpRelay:
    """Carries connections to one target. Use it as an asynchronous context manager.

    Args:
        target: host and port that it leads to.
        cuts: after how many bytes, both ways together, the first, the second, ... connection breaks.
        seed: of the sizes of the pieces.
        piece_bytes: the largest piece; 1 hands on byte by byte.
        host: where it listens.
        port: where it listens; 0 takes a free one.

    Attributes:
        connections: how many there were.
        cuts: how many have broken.
        carried_bytes: how much has come through.
        is_cut: nobody gets through while it is True; see `cut`.
    """

    def __init__(
        self,
        target: tuple[str, int],
        cuts: Iterable[int] = (),
        *,
        seed: int = 0,
        piece_bytes: int = DEFAULT_PIECE_BYTES,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._target = target
        self._left = list(cuts)
        self._random = random.Random(seed)  # noqa: S311 - pieces are to be repeatable
        self._piece_bytes = piece_bytes
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.cuts = 0
        self.carried_bytes = 0
        self.is_cut = False

    async def __aenter__(self) -> "TcpRelay":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Where it listens.

        Raises:
            UsageError: it is not open.
        """
        if self._server is None:
            raise UsageError("the relay is not open")
        host, port, *_ = self._server.sockets[0].getsockname()
        return host, port

    async def open(self) -> None:
        """Begin to carry.

        Raises:
            TransportError: the address cannot be had.
        """
        try:
            self._server = await asyncio.start_server(self._connected, self._host, self._port)
        except OSError as error:
            raise TransportError(f"cannot bind to {self._host} port {self._port}: {error.strerror}") from error

    async def close(self) -> None:
        """Stop, and break what is there. Twice is harmless."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._break()

    async def cut(self) -> None:
        """Break all connections, and let nobody through until `is_cut` is False again."""
        self.is_cut = True
        self.cuts += len(self._running)
        await self._break()

    async def _break(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    # -- connections

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        budget = _Budget(self._left.pop(0) if self._left and not self.is_cut else None)
        writers = [writer]
        try:
            if not self.is_cut:
                onward, back = await asyncio.open_connection(*self._target)
                writers.append(back)
                await self._carry_both((reader, back), (onward, writer), budget)
        except (OSError, asyncio.CancelledError):  # one end has gone, or all is to break
            budget.spent.set()
        finally:
            for each in writers:
                with contextlib.suppress(OSError):  # its end has gone already
                    if budget.spent.is_set():
                        each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.transport.abort()

    async def _carry_both(
        self,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        budget: "_Budget",
    ) -> None:
        async def carry() -> None:
            await asyncio.gather(*(self._carry(*way, budget) for way in (there, back)))

        carrying, spent = asyncio.ensure_future(carry()), asyncio.ensure_future(budget.spent.wait())
        try:
            await asyncio.wait({carrying, spent}, return_when=asyncio.FIRST_COMPLETED)
            self.cuts += budget.spent.is_set()
        finally:
            for each in (carrying, spent):
                each.cancel()
            await asyncio.gather(carrying, spent, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: "_Budget") -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(self._random.randint(1, self._piece_bytes)):
                allowed = budget.take(piece)
                self.carried_bytes += len(allowed)
                writer.write(allowed)
                await writer.drain()
            writer.write_eof()


@final
class _Budget:
    """How much a connection still carries."""

    __slots__ = ("_left", "spent")

    def __init__(self, left: int | None) -> None:
        self._left = left
        self.spent = asyncio.Event()

    def take(self, piece: bytes) -> bytes:
        """As much of a piece as goes through."""
        if self._left is None:
            return piece
        allowed = piece[: self._left]
        self._left -= len(allowed)
        if not self._left:
            self.spent.set()
        return allowed
