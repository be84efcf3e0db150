"""The file that `--trace` records into: JSON lines, written as things happen."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final, final

from lwm2m_fota.errors import SnapshotError, StorageError
from lwm2m_fota.machines import device_trace, update_trace
from lwm2m_fota.machines.device_trace import DeviceTrace
from lwm2m_fota.machines.update_trace import Trace

MAX_LINE_BYTES: Final = 1 << 20
"""Of a trace; a longer line is none."""


@final
class TraceFile:
    """A file of JSON lines.

    Args:
        path: the file. None records nothing.
        goes_on: what it held stays, but for a last line that was cut off, as by a power cut; else it is replaced.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path | None, *, goes_on: bool = False) -> None:
        self._file: IO[bytes] | None = None
        try:
            if path is not None:
                self._file = path.open("a+b" if goes_on else "wb")
                _drop_cut_line(self._file)
        except OSError as error:
            raise StorageError(f"cannot write the trace: {error}") from error

    def __call__(self, line: Mapping[str, object]) -> None:
        """Write one line, and hand it over."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"cannot write the trace: {error}") from error

    async def __aenter__(self) -> "TraceFile":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _drop_cut_line(file: IO[bytes]) -> None:
    size = file.seek(0, 2)
    if size == 0:
        return
    start = file.seek(max(0, size - MAX_LINE_BYTES))
    end = file.read().rfind(b"\n")
    file.truncate(start + end + 1)


def read_file(path: Path) -> Trace | DeviceTrace:
    """The trace in a file: of a server's update, or of a device.

    Raises:
        StorageError: it cannot be read.
        SnapshotError: it is no trace.
    """
    try:
        with path.open("rb") as file:
            return read_stream(file)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def read_stream(file: IO[bytes]) -> Trace | DeviceTrace:
    """The trace in an open file.

    Raises:
        OSError: it cannot be read.
        SnapshotError: it is no trace.
    """
    lines = list(_lines(file))
    if lines and isinstance(lines[0], dict) and "device" in lines[0]:
        return device_trace.read_trace(lines)
    return update_trace.read_trace(lines)


def _lines(file: IO[bytes]) -> Iterator[object]:
    number = 0
    while data := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(data) > MAX_LINE_BYTES:
            raise SnapshotError(f"line {number} is over {MAX_LINE_BYTES} bytes")
        try:
            yield json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SnapshotError(f"line {number} is no JSON: {error}") from error
