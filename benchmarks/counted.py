"""Transfers with both ends in one process, and what counts while they run."""

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self, TypeAlias, final

from benchmarks.transfer_ours import PUT_PACKAGE, URI_PATH, Downloaded, device_of
from benchmarks.ways import BLOCK_BYTES
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.lwm2m.update_operations import RESET_PACKAGE
from lwm2m_fota.model.codes import Code
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.base import DatagramTransport

Transfer: TypeAlias = Callable[
    [DatagramTransport, DatagramTransport, Path, Path, AbstractContextManager[object]], Coroutine[Any, Any, None]
]
"""`transfer(near, far, package, folder, counting)` carries a package once, and counts from the first request on."""

# Not sched_yield: how often a waiting end lends its core depends on the clock.
SYSTEM_CALLS: Final = frozenset(
    {"sendto", "sendmsg", "recvfrom_into", "recvmsg_into", "recv_into", "recvfrom", "poll"}
    | {"pread", "pwrite", "preadv", "pwritev", "read", "readinto", "write", "fsync", "fdatasync", "replace", "open"}
)


@final
class Instructions:
    """Counts instructions of Python, calls of functions, and instructions that allocate.

    Attributes:
        counts: "instructions"; "calls" of functions written in Python; "allocations", those that ask the allocator for
            more than `_TINY_BYTES` (smaller objects come from lists of free ones as a rule, or are hidden by what the
            measurement itself needs); "copies", those that ask for as much as a block has or more.
    """

    _TINY_BYTES: Final = 64

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._held = 0

    def __enter__(self) -> Self:
        tracemalloc.start()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        tracemalloc.stop()

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        grown = tracemalloc.get_traced_memory()[1] - self._held
        counts = self.counts
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            counts["calls"] += 1
        elif event == "opcode":
            counts["instructions"] += 1
            counts["allocations"] += grown > self._TINY_BYTES
            counts["copies"] += grown >= BLOCK_BYTES
        self._held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        return self._trace


@final
class SystemCalls:
    """Counts calls of those functions of the interpreter that are system calls.

    Attributes:
        counts: by name.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, _frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in SYSTEM_CALLS:
            self.counts[called.__name__] += 1


async def pull(
    near: DatagramTransport, far: DatagramTransport, package: Path, folder: Path,
    counting: AbstractContextManager[object],
) -> None:  # fmt: skip
    """A device over files fetches a package from our server."""
    async with Lwm2mServer(far) as server:
        published = server.packages.publish(FilePackageSource(package), "coap", lambda _furthest: None)
        pump = Pump(near)
        await pump.open()
        firmware = device_of(CoapFetcher(pump), package, folder)
        await firmware.start()
        with counting:
            downloaded = Downloaded(firmware)
            answer = firmware.handle(Write(URI_PATH, [(URI_PATH, published.uri)]), pump.now())
            if answer.code != Code.CHANGED:
                raise RuntimeError(answer.diagnostic)
            await downloaded.future
        await firmware.stop()
        await pump.close()


async def push(
    near: DatagramTransport, far: DatagramTransport, package: Path, folder: Path,
    counting: AbstractContextManager[object],
) -> None:  # fmt: skip
    """A package goes to a device over files."""
    device = Pump(far)
    firmware = device_of(CoapFetcher(device), package, folder)
    dispatcher = Dispatcher((firmware,))
    device.on_request = lambda received, now: dispatcher.handle(received.message, received.peer, now)
    await device.open()
    await firmware.start()
    pump = Pump(near)
    await pump.open()
    peer = await pump.resolve(*device.local_address)
    await pump.call(peer, Request(Code.PUT, PUT_PACKAGE, RESET_PACKAGE))
    source = FilePackageSource(package)
    with counting:
        answer = await pump.upload(peer, Request(Code.PUT, PUT_PACKAGE, source_bytes=source.size_bytes), source)
    if answer.code != Code.CHANGED:
        raise RuntimeError(str(answer))
    await pump.close()
    await firmware.stop()
    await device.close()
