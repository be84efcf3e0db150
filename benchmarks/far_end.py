"""The other end of a transfer, in a process of its own on the same core."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

_START_S = 30.0
_END_S = 10.0

Serve: TypeAlias = Callable[[Connection, Path, Path], None]
"""`serve(link, package, folder)` tells its URI over the link, and serves until the link closes."""


@contextlib.contextmanager
def running(serve: Serve, package: Path, folder: Path) -> Iterator[str]:
    """Run a far end; its URI.

    Raises:
        RuntimeError: it did not start.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, package, folder), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise RuntimeError("the far end did not start")
        yield str(ours.recv())
    finally:
        ours.close()
        process.join(_END_S)
        if process.is_alive():
            process.kill()


async def until_closed(link: Connection, uri: str) -> None:
    """Tell the URI, and wait until the near end has what it wants."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(link.fileno(), closed.set)
    link.send(uri)
    await closed.wait()
    loop.remove_reader(link.fileno())
