"""`lwm2m-fota demo`: a whole update between two processes on this machine, from a fresh key to equal bytes."""

import asyncio
import hashlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import IO, Any, Final, final

from lwm2m_fota.cli.demo_options import DemoOptions, Scene
from lwm2m_fota.cli.demo_packages import VERSION_AFTER, Package, Packages, make_packages, names_of
from lwm2m_fota.cli.demo_road import Road, managed_at, road
from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.facts import size_of
from lwm2m_fota.cli.keys import new_key
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.state_dir import running_image, running_images, staged_images
from lwm2m_fota.errors import FotaError, StorageError
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.udp import UdpTransport

VERSION_BEFORE: Final = "1.0.0"
ENDPOINT: Final = "demo-device"

_END_S: Final = 5.0
_GIVING_S: Final = 60.0
"""In which a component is made busy: the device comes up, registers, and takes a small package."""
_CHUNK_BYTES: Final = 1 << 20
_HIDDEN: Final = frozenset({("server", "shown"), ("device", "stopped"), ("server", "gone")})
"""What the other side has told already, for people."""

Event = dict[str, Any]

_RESULTS: Final = {
    Scene.DEPENDENCY: UpdateResult.DEPENDENCY_ERROR,
    Scene.CONFLICT: UpdateResult.CONFLICTING_STATE,
    Scene.ROLLBACK: UpdateResult.UPDATE_FAILED,
}
"""The Update Result that belongs to a scene in which nothing is installed."""

_Verdict = tuple[bool, str, int | None, int | None, bool]
"""Whether the demo went as it should, why; State and Result; and whether the device runs the bytes that it should."""


@final
class _Process:
    """A command of ours in a process of its own; its JSON lines go to a queue, and at last None."""

    def __init__(self, source: str, arguments: Sequence[str], events: "queue.Queue[tuple[str, Event | None]]") -> None:
        self._source = source
        self._events = events
        command = [sys.executable, "-m", "lwm2m_fota.cli", *arguments, "--json"]
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self._reader = threading.Thread(target=self._read, args=(self.popen.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._events.put((self._source, json.loads(line)))
        finally:
            self._events.put((self._source, None))

    def stop(self, patience_s: float) -> None:
        """End it: a first signal asks, a second one does not wait for the other side, the third is not asked."""
        for end, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGINT, _END_S), (signal.SIGKILL, None)):
            self.popen.send_signal(end)
            try:
                self.popen.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                continue
        self._reader.join(_END_S)
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def run_demo(options: DemoOptions, say: Output) -> Exit:
    """Make a key and a package, run server and device, compare; the exit status.

    Raises:
        UsageError: the firmware is empty.
        StorageError: a file cannot be read or written.
    """
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or two processes would stay behind
    try:
        with tempfile.TemporaryDirectory(prefix="lwm2m-fota-demo-") as name:
            folder = FilePath(name)
            key = new_key()
            public = folder / "public.pem"
            public.write_bytes(key.public_key.to_pem())
            names, packages = names_of(options.components), make_packages(options, folder, key)
            for each in packages.all:
                say("package", bytes=each.size_bytes, version=each.version, component=each.name or None)
            if options.trace is not None:
                trace_of_device(options.trace).unlink(missing_ok=True)  # a device goes on in what is there
            way = road(options.listening, ENDPOINT, folder)
            return _Demo(options, way, folder / "device", names, packages, public, say, started).run()
    except OSError as error:
        raise StorageError(f"cannot prepare the demo: {error}") from error
    finally:
        say.close()


def _beside(options: DemoOptions) -> Road:
    """What both are told beside the way to each other."""
    sets = () if options.q_block is None else ("--q-block", options.q_block)
    if options.trace is None:
        return Road(sets, sets)
    return Road((*sets, "--trace", str(options.trace)), (*sets, "--trace", str(trace_of_device(options.trace))))


def trace_of_device(path: FilePath) -> FilePath:
    """Where the device of a demo records, beside the server's file."""
    return path.with_name(f"{path.stem}-device{path.suffix}")


@final
class _Demo:
    def __init__(
        self,
        options: DemoOptions,
        way: Road,
        state_dir: FilePath,
        names: Sequence[str],
        packages: Packages,
        public: FilePath,
        say: Output,
        started: float,
    ) -> None:
        self._options = options
        self._way = way
        self._beside = _beside(options)
        self._state_dir = state_dir
        self._names = names
        self._packages, self._held = packages.sent, packages.held
        self._public = public
        self._say = say
        self._started = started
        self._events: queue.Queue[tuple[str, Event | None]] = queue.Queue()
        self._last: dict[str, Event] = {}
        self._shown: dict[str, tuple[int, int]] = {}
        self._results: set[int] = set()
        self._cuts = 0  # of the power
        self._ignored_ends = 0
        self._transfers_s: dict[str, float] = {}
        self._times: dict[str, float] = {}

    def run(self) -> Exit:
        if self._held is not None:
            asyncio.run(self._make_busy(self._held))
        server = self._serve()
        device: _Process | None = None
        try:
            for source, event in self._stream():
                self._tell(source, event)
                if event["event"] == "listening":
                    device = self._managed()
                elif device is not None and source == "device" and self._options.scene is Scene.ROLLBACK:
                    device = self._roll_back(server, device, event)
        finally:
            server.stop(_END_S)
            if device is not None:
                device.stop(0.0)  # its server is gone: nobody answers a deregistration
        return self._judge()

    async def _make_busy(self, held: Package) -> None:
        """Let another server give a component its package and go; the device is stopped for the update's server."""
        async with Lwm2mServer(UdpTransport("127.0.0.1", 0)) as server:
            device = self._device(f"coap://{authority(*server.local_address)}")
            told = asyncio.ensure_future(asyncio.to_thread(self._tell_to_the_end))
            given = asyncio.ensure_future(self._give(server, held))
            try:
                await asyncio.wait({told, given}, timeout=_GIVING_S, return_when=asyncio.FIRST_COMPLETED)
                if not given.done():
                    raise FotaError(f"the device has not taken the package of {held.name}")
                await given
            finally:
                given.cancel()
                device.stop(0.0)  # nobody answers a deregistration while it is waited for here
                await told
        self._say("busy", component=held.name)

    def _tell_to_the_end(self) -> None:
        for source, event in self._stream():
            self._tell(source, event)

    async def _give(self, server: Lwm2mServer, held: Package) -> None:
        await server.registered(ENDPOINT)
        path = Path.of(ADVANCED_OBJECT_ID, self._names.index(held.name), UpdateResource.PACKAGE)
        await server.push(ENDPOINT, path, FilePackageSource(held.path), lambda _: None)

    def _roll_back(self, server: _Process, device: _Process, event: Event) -> _Process:
        """Let nobody confirm the trial, and cut the power in it; the device that runs then."""
        if self._cuts:
            return device
        if event["event"] == "rebooting":
            server.popen.send_signal(signal.SIGSTOP)
        if event["event"] != "booted" or event["boot"] != "pending":
            return device
        self._cuts = self._ignored_ends = 1
        self._say("power-cut")
        device.popen.kill()
        device.popen.wait()
        server.popen.send_signal(signal.SIGCONT)
        return self._managed()

    def _serve(self) -> _Process:
        arguments = ["update", "--endpoint", ENDPOINT, "--method", self._options.method]
        arguments += [*self._way.server, *self._beside.server]
        for each in self._packages:
            named = ["--component", f"{each.name}={each.path}"]
            version = [] if self._options.kind == "plain" else ["--expect-version", VERSION_AFTER]
            arguments += named if each.name else [str(each.path), *version]
        return _Process("server", arguments, self._events)

    def _managed(self) -> _Process:
        return self._device(managed_at(self._last["listening"]["uris"]), *self._way.device)

    def _device(self, server: str, *way: str) -> _Process:
        arguments = ["device", "--server", server, "--endpoint", ENDPOINT, *way, *self._beside.device]
        arguments += ["--state-dir", str(self._state_dir), *self._trust(), "--version", VERSION_BEFORE]
        for name in filter(None, self._names):
            arguments += ["--object", "33629", "--component", f"{name}={VERSION_BEFORE}"]
        return _Process("device", arguments, self._events)

    def _trust(self) -> list[str]:
        if self._options.kind != "plain":
            return ["--trust", str(self._public)]
        with self._packages[0].path.open("rb") as file:
            return ["--sha256", hashlib.file_digest(file, "sha256").hexdigest()]

    def _stream(self) -> Iterator[tuple[str, Event]]:
        """Events until one of the two has ended; all goes well if that is the server."""
        while True:
            source, event = self._events.get()
            if event is None and source == "device" and self._ignored_ends:
                self._ignored_ends -= 1
                continue
            if event is None:
                return
            yield source, event

    def _tell(self, source: str, event: Event) -> None:
        kind = event["event"]
        if source == "server":
            self._last[kind] = event
            name = event.get("component") or ""
            if kind == "shown":
                self._shown[name] = event["state"], event["result"]
                self._results.add(event["result"])
            elif kind == "transferred":
                self._transfers_s[name] = event["seconds"]
            self._times.setdefault(kind, time.monotonic())
        values = {key: value for key, value in event.items() if key not in {"event", "at"}}
        command = "update" if source == "server" else "device"
        self._say.relay(command, source, kind, values, hidden=(source, kind) in _HIDDEN)

    def _judge(self) -> Exit:
        ended = time.monotonic()
        outcome = self._last.get("outcome", {"status": int(Exit.FAILED), "line": "a process ended too soon"})
        verdict = self._updated if self._options.scene is Scene.UPDATE else self._untouched
        good, line, state, result, equal = verdict(outcome)
        size, seconds = sum(each.size_bytes for each in self._packages), sum(self._transfers_s.values())
        is_sent = len(self._transfers_s) == len(self._packages)
        self._say(
            "demo",
            ok=good,
            scene=self._options.scene.value,
            line=line,
            state=state,
            result=result,
            equal=equal,
            bytes=size,
            transfer_s=round(seconds, 3) if is_sent else None,
            bytes_per_s=round(size / max(seconds, 1e-6)) if is_sent else None,
            update_s=round(self._times.get("outcome", ended) - self._times.get("registered", ended), 3),
            total_s=round(time.monotonic() - self._started, 3),
        )
        return Exit.OK if good else Exit.FAILED

    def _updated(self, outcome: Event) -> _Verdict:
        shown = [self._shown.get(each.name, (None, None)) for each in self._packages]
        good = outcome["status"] == Exit.OK
        state, result = next((each for each in shown if each != (0, 1)), (0, 1)) if good else shown[0]
        equal = self._runs(list(self._packages))
        if good and not (equal and (state, result) == (0, 1)):
            line = "State and Result are not 0 and 1" if equal else "the installed bytes are not those that were sent"
            return False, line, state, result, equal
        return good, outcome["line"], state, result, equal

    def _untouched(self, outcome: Event) -> _Verdict:
        expected = _RESULTS[self._options.scene]
        equal = self._runs([None] * len(self._names)) and self._holds(self._held)
        good = outcome["status"] == Exit.FAILED and expected in self._results and equal
        state, result = self._shown.get(self._packages[0].name, (None, None))
        return good, outcome["line"], state, int(expected) if good else result, equal

    def _runs(self, packages: Sequence[Package | None]) -> bool:
        """Whether the device, or each component, runs the bytes of its package, or still what it ran at first."""
        try:
            images = self._images()
            return all(self._same(each, image) for each, image in zip(packages, images, strict=True))
        except FotaError:
            return False

    def _holds(self, held: Package | None) -> bool:
        """Whether the package of the other server is still staged, if there is one."""
        if held is None:
            return True
        try:
            staged = staged_images(self._state_dir, range(len(self._names)))
            return any(self._same(held, image) for image in staged)
        except FotaError:
            return False

    def _images(self) -> Sequence[SealedImage | None]:
        if not self._names[0]:
            return [running_image(self._state_dir)]
        return list(running_images(self._state_dir, range(len(self._names))).values())

    @staticmethod
    def _same(package: Package | None, image: SealedImage | None) -> bool:
        if package is None or image is None:
            return package is None and image is None
        sent = package.image or package.path
        if image.size_bytes != size_of(sent):
            return False
        offset = 0
        with sent.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if image.read_at(offset, len(chunk)) != chunk:
                    return False
                offset += len(chunk)
        return True
