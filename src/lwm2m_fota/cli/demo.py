"""`lwm2m-fota demo`: a whole update between two processes on this machine, from a fresh key to equal bytes."""

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path as FilePath
from typing import IO, Any, Final, final

import attrs

from lwm2m_fota.cli.demo_road import HERE, Road, managed_at, road
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.facts import replace_file, size_of
from lwm2m_fota.cli.groups import Listening
from lwm2m_fota.cli.keys import new_key
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import dependency, make
from lwm2m_fota.cli.package_suit_make import DEFAULT_COMPONENT, Source, make_suit
from lwm2m_fota.cli.state_dir import running_image, running_images
from lwm2m_fota.errors import FotaError, StorageError
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.crypto import PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions
from lwm2m_fota.package.formats.suit.make import SuitOptions
from lwm2m_fota.storage.base import SealedImage

VERSION_BEFORE: Final = "1.0.0"
VERSION_AFTER: Final = "1.1.0"
ENDPOINT: Final = "demo-device"
NAMES: Final = ("app", "modem", "sensor")
"""Of the first components; the others have numbers."""

_END_S: Final = 5.0
_CHUNK_BYTES: Final = 1 << 20
_HIDDEN: Final = frozenset({("server", "shown"), ("device", "stopped"), ("server", "gone")})
"""What the other side has told already, for people."""

Event = dict[str, Any]


@final
class Scene(StrEnum):
    """What a demo shows.

    UPDATE installs what is sent. DEPENDENCY sends the first component alone, which needs the second. ROLLBACK takes the
    power from the device while it runs the new firmware on trial.
    """

    UPDATE = "update"
    DEPENDENCY = "dependency"
    ROLLBACK = "rollback"


_RESULTS: Final = {
    Scene.DEPENDENCY: UpdateResult.DEPENDENCY_ERROR,
    Scene.ROLLBACK: UpdateResult.UPDATE_FAILED,
}
"""The Update Result that belongs to a scene in which nothing is installed."""


@final
@attrs.frozen(kw_only=True)
class DemoOptions:
    """What the command was given.

    Attributes:
        file: the firmware; None makes `size_bytes` random bytes.
        size_bytes: of the random firmware.
        method: push or pull.
        components: how many, of Object 33629; 0 for Object 5.
        kind: mcuboot, suit or plain: the format of the packages. A plain one is known by its digest.
        listening: where the server listens; the device goes to the first of CoAP, a secure one if there is any.
        q_block: where the waits come from if packages go by sets of blocks; None if they go one by one.
        scene: what is shown; a dependency needs two components.
        trace: the file to record the server's update in; what the device does is recorded beside it.
    """

    file: FilePath | None
    size_bytes: int
    method: str
    components: int = 0
    kind: str = "mcuboot"
    listening: Listening = HERE
    q_block: str | None = None
    scene: Scene = Scene.UPDATE
    trace: FilePath | None = None


@final
@attrs.frozen
class _Package:
    """What is sent: the name of its component, empty with Object 5; its file, its size; what is installed of it."""

    name: str
    path: FilePath
    size_bytes: int
    image: FilePath | None = None


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


def _firmware(options: DemoOptions, folder: FilePath, name: str) -> FilePath:
    if options.file is not None:
        return options.file
    path = folder / f"firmware{name}.bin"
    left = options.size_bytes
    with path.open("wb") as stream:
        while left:
            left -= stream.write(os.urandom(min(left, _CHUNK_BYTES)))
    return path


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
            names = _names(options.components)
            sent = names[:1] if options.scene is Scene.DEPENDENCY else names
            packages = [_package(options, folder, key, each) for each in sent]
            for each in packages:
                say("package", bytes=each.size_bytes, version=VERSION_AFTER, component=each.name or None)
            way = road(options.listening, ENDPOINT, folder)
            sets = () if options.q_block is None else ("--q-block", options.q_block)
            way = Road((*way.server, *sets), (*way.device, *sets))
            if options.trace is not None:
                of_device = trace_of_device(options.trace)
                of_device.unlink(missing_ok=True)  # a device goes on in what is there
                traces = ("--trace", str(options.trace)), ("--trace", str(of_device))
                way = Road((*way.server, *traces[0]), (*way.device, *traces[1]))
            return _Demo(options, way, folder / "device", names, packages, public, say, started).run()
    except OSError as error:
        raise StorageError(f"cannot prepare the demo: {error}") from error
    finally:
        say.close()


def trace_of_device(path: FilePath) -> FilePath:
    """Where the device of a demo records, beside the server's file."""
    return path.with_name(f"{path.stem}-device{path.suffix}")


def _names(components: int) -> Sequence[str]:
    return [*NAMES, *map(str, range(len(NAMES), components))][:components] or [""]


def _package(options: DemoOptions, folder: FilePath, key: PrivateKey, name: str) -> _Package:
    """The package of a component; of MCUboot images, the first one needs the second, so that both go together."""
    if options.kind == "plain":
        firmware = _firmware(options, folder, name)
        return _Package(name, firmware, size_of(firmware))
    path = folder / f"firmware{name}.signed.bin"
    if options.kind == "suit":
        firmware = _firmware(options, folder, name)
        source = Source(name or DEFAULT_COMPONENT, VERSION_AFTER, firmware)
        envelope = make_suit([source], SuitOptions(sequence_number=1), CoseKey(key=key))
        return _Package(name, path, replace_file(path, [envelope]), firmware)
    needs_next = name == NAMES[0] and options.components > 1
    image = ImageOptions(dependencies=(dependency(f"1={VERSION_AFTER}"),) if needs_next else ())
    return _Package(name, path, make(_firmware(options, folder, name), path, VERSION_AFTER, key, image))


@final
class _Demo:
    def __init__(
        self,
        options: DemoOptions,
        way: Road,
        state_dir: FilePath,
        names: Sequence[str],
        packages: Sequence[_Package],
        public: FilePath,
        say: Output,
        started: float,
    ) -> None:
        self._options = options
        self._way = way
        self._state_dir = state_dir
        self._names = names
        self._packages = packages
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
        server = self._serve()
        device: _Process | None = None
        try:
            for source, event in self._stream():
                self._tell(source, event)
                if event["event"] == "listening":
                    device = self._device(managed_at(event["uris"]))
                elif device is not None and source == "device" and self._options.scene is Scene.ROLLBACK:
                    device = self._roll_back(server, device, event)
        finally:
            server.stop(_END_S)
            if device is not None:
                device.stop(0.0)  # its server is gone: nobody answers a deregistration
        return self._judge()

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
        return self._device(managed_at(self._last["listening"]["uris"]))

    def _serve(self) -> _Process:
        arguments = ["update", "--endpoint", ENDPOINT, "--method", self._options.method, *self._way.server]
        for each in self._packages:
            named = ["--component", f"{each.name}={each.path}"]
            version = [] if self._options.kind == "plain" else ["--expect-version", VERSION_AFTER]
            arguments += named if each.name else [str(each.path), *version]
        return _Process("server", arguments, self._events)

    def _device(self, server: str) -> _Process:
        arguments = ["device", "--server", server, "--endpoint", ENDPOINT, *self._way.device]
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
        equal = self._runs([None] * len(self._names))
        good = outcome["status"] == Exit.FAILED and expected in self._results and equal
        state, result = self._shown.get(self._packages[0].name, (None, None))
        return good, outcome["line"], state, int(expected) if good else result, equal

    def _runs(self, packages: Sequence[_Package | None]) -> bool:
        """Whether the device, or each component, runs the bytes of its package, or still what it ran at first."""
        try:
            images = self._images()
            return all(self._same(each, image) for each, image in zip(packages, images, strict=True))
        except FotaError:
            return False

    def _images(self) -> Sequence[SealedImage | None]:
        if not self._names[0]:
            return [running_image(self._state_dir)]
        return list(running_images(self._state_dir, range(len(self._names))).values())

    @staticmethod
    def _same(package: _Package | None, image: SealedImage | None) -> bool:
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
