"""The other end of a transfer, in a process of its own on the same core."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeAlias, final

from benchmarks.memory import Memory, proc_cpu_s

_WAIT_S: Final = 60.0
_END_S: Final = 10.0

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
        return float(self._ask("cpu"))

    def mark_memory(self) -> None:
        """Measure the growth of its resident memory from now on."""
        self._ask("mark")

    def growth_bytes(self) -> int:
        """How much its resident memory has grown at the most since the mark."""
        return int(self._ask("growth"))

    def _ask(self, what: str) -> str:
        self._link.send(what)
        return self._receive()

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


@final
class _Answers:
    """Answers what the near end asks: of this process, or of another that does the work."""

    def __init__(self, link: Connection, pid: int | None = None) -> None:
        self._link = link
        self._pid = pid
        self._memory = Memory(pid)

    def answer(self) -> bool:
        """Answer one question; False at the end."""
        try:
            question = self._link.recv()
        except (EOFError, OSError):
            return False
        if question == "cpu":
            self._link.send(str(time.process_time() if self._pid is None else proc_cpu_s(self._pid)))
        elif question == "mark":
            self._memory.mark()
            self._link.send("")
        else:
            self._link.send(str(self._memory.growth_bytes()))
        return True


async def until_closed(link: Connection, uri: str) -> None:
    """Tell the URI, answer what is asked of this process, and wait until the near end has what it wants."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    answers = _Answers(link)

    def asked() -> None:
        if not answers.answer():
            closed.set()

    loop.add_reader(link.fileno(), asked)
    link.send(uri)
    await closed.wait()
    loop.remove_reader(link.fileno())


def until_closed_for(pid: int, link: Connection, uri: str) -> None:
    """The same for another process that does the work."""
    answers = _Answers(link, pid)
    link.send(uri)
    while answers.answer():
        pass
