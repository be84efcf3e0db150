"""The other end of a transfer, in a process of its own on the same core."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias, final

_WAIT_S = 30.0
_END_S = 10.0

Serve: TypeAlias = Callable[[Connection, Path, Path], None]
"""`serve(link, package, folder)` tells its URI over the link, and serves until the link closes."""


@final
class FarEnd:
    """A far end that runs.

    Attributes:
        uri: where it serves.
    """

    def __init__(self, link: Connection) -> None:
        self._link = link
        self.uri = str(self._receive())

    def cpu_s(self) -> float:
        """The processor time it has taken so far, seconds."""
        self._link.send(None)
        return float(self._receive())

    def _receive(self) -> str:
        if not self._link.poll(_WAIT_S):
            raise RuntimeError("the far end does not answer")
        return str(self._link.recv())


@contextlib.contextmanager
def running(serve: Serve, package: Path, folder: Path) -> Iterator[FarEnd]:
    """Run a far end.

    Raises:
        RuntimeError: it did not start.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, package, folder), daemon=True)
    process.start()
    theirs.close()
    try:
        yield FarEnd(ours)
    finally:
        ours.close()
        process.join(_END_S)
        if process.is_alive():
            process.kill()


async def until_closed(link: Connection, uri: str) -> None:
    """Tell the URI, answer what is asked of it, and wait until the near end has what it wants."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        try:
            link.recv()
            link.send(str(time.process_time()))
        except (EOFError, OSError):
            closed.set()

    loop.add_reader(link.fileno(), asked)
    link.send(uri)
    await closed.wait()
    loop.remove_reader(link.fileno())
