"""`lwm2m-fota demo`: a whole update between two processes on this machine, from a fresh key to equal bytes."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import IO, Final, final

import attrs

from lwm2m_fota.cli.device import running_image
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import make, new_key
from lwm2m_fota.errors import UsageError

VERSION_BEFORE: Final = "1.0.0"
VERSION_AFTER: Final = "1.1.0"
ENDPOINT: Final = "demo-device"
_LISTEN_S: Final = 30.0
_END_S: Final = 10.0
_CHUNK_BYTES: Final = 1 << 20


@final
@attrs.frozen(kw_only=True)
class DemoOptions:
    """What the command was given.

    Attributes:
        file: the firmware; None makes `size_bytes` random bytes.
        size_bytes: of the random firmware.
        method: push or pull.
    """

    file: FilePath | None
    size_bytes: int
    method: str


@final
class _Process:
    """A command of ours in a process of its own; its JSON lines go to a queue."""

    def __init__(
        self, name: str, arguments: Sequence[str], events: "queue.Queue[tuple[str, dict[str, object]]]"
    ) -> None:
        self._name = name
        self._events = events
        command = [sys.executable, "-m", "lwm2m_fota.cli", *arguments, "--json"]
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        stream = self.popen.stdout
        if stream is None:
            raise UsageError("the process has no output")
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._events.put((self._name, json.loads(line)))
        self._events.put((self._name, {"event": "exited"}))

    def stop(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._reader.join(_END_S)
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def _firmware(options: DemoOptions, folder: FilePath) -> FilePath:
    if options.file is not None:
        if options.file.stat().st_size == 0:
            raise UsageError("an empty file is no firmware")
        return options.file
    path = folder / "firmware.bin"
    left = options.size_bytes
    with path.open("wb") as stream:
        while left:
            chunk = os.urandom(min(left, _CHUNK_BYTES))
            stream.write(chunk)
            left -= len(chunk)
    return path


def run_demo(options: DemoOptions, say: Output) -> int:
    """Make a key and a package, run server and device, compare; the exit status.

    Raises:
        UsageError: the firmware is empty.
    """
    with tempfile.TemporaryDirectory(prefix="lwm2m-fota-demo-") as name:
        folder = FilePath(name)
        firmware = _firmware(options, folder)
        key = new_key()
        public = folder / "public.pem"
        public.write_bytes(key.public_key.to_pem())
        package = folder / "firmware.signed.bin"
        size = make(firmware, package, VERSION_AFTER, key)
        say("package", f"signed package: {size} bytes, version {VERSION_AFTER}", bytes=size, version=VERSION_AFTER)
        return _Demo(options, folder, package, public, say).run()


@final
class _Demo:
    def __init__(
        self, options: DemoOptions, folder: FilePath, package: FilePath, public: FilePath, say: Output
    ) -> None:
        self._options = options
        self._state_dir = folder / "device"
        self._package = package
        self._public = public
        self._say = say
        self._events: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue()
        self._last: dict[str, object] = {}

    def run(self) -> int:
        started = time.monotonic()
        server = self._serve()
        device: _Process | None = None
        try:
            port = self._port()
            device = self._device(port)
            self._follow()
        finally:
            if device is not None:
                device.stop()
            server.stop()
            self._say.close()
        return self._judge(server.popen.returncode, time.monotonic() - started)

    def _serve(self) -> _Process:
        arguments = ["update", str(self._package), "--endpoint", ENDPOINT, "--listen", "127.0.0.1:0"]
        arguments += ["--method", self._options.method, "--expect-version", VERSION_AFTER]
        return _Process("server", arguments, self._events)

    def _device(self, port: int) -> _Process:
        arguments = ["device", "--server", f"coap://127.0.0.1:{port}", "--endpoint", ENDPOINT]
        arguments += ["--state-dir", str(self._state_dir), "--trust", str(self._public), "--version", VERSION_BEFORE]
        return _Process("device", arguments, self._events)

    def _port(self) -> int:
        while True:
            name, event = self._events.get(timeout=_LISTEN_S)
            self._show(name, event)
            if event["event"] == "exited":
                raise UsageError("the server did not start")
            if event["event"] == "listening" and isinstance(port := event["port"], int):
                return port

    def _follow(self) -> None:
        for name, event in self._stream():
            self._show(name, event)
            if name == "server" and event["event"] == "shown":
                self._last = event

    def _stream(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Events until the server has ended."""
        while True:
            name, event = self._events.get()
            if event["event"] == "exited":
                if name == "server":
                    return
                continue
            yield name, event

    def _show(self, name: str, event: dict[str, object]) -> None:
        values = {key: value for key, value in event.items() if key not in {"event", "at"}}
        kind = str(event["event"])
        if kind == "progress":
            self._say(kind, **values, source=name)
            return
        if kind in {"exited", "step"}:
            return
        words = ", ".join(f"{key} {value}" for key, value in values.items() if value not in {None, ""})
        self._say(kind, f"{name:>6} | {kind}: {words}" if words else f"{name:>6} | {kind}", source=name, **values)

    def _judge(self, server_status: int, seconds: float) -> int:
        image = running_image(self._state_dir)
        size = self._package.stat().st_size
        equal = image is not None and image.size_bytes == size and self._equal(image.read_at)
        state, result = self._last.get("state"), self._last.get("result")
        good = server_status == 0 and equal and state == 0 and result == 1
        rate = size / seconds
        verdict = "equal" if equal else "NOT equal"
        self._say(
            "result",
            f"state {state}, result {result}, installed bytes {verdict}; {size} bytes in {seconds:.1f} s with restart",
            state=state,
            result=result,
            equal=equal,
            bytes=size,
            seconds=round(seconds, 3),
            bytes_per_s=round(rate),
            ok=good,
        )
        self._say("demo", "demo: success" if good else "demo: FAILED", ok=good)
        return 0 if good else 1

    def _equal(self, read_at: Callable[[int, int], bytes]) -> bool:
        offset = 0
        with self._package.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if read_at(offset, len(chunk)) != chunk:
                    return False
                offset += len(chunk)
        return True
