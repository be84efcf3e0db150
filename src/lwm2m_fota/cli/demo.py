"""`lwm2m-fota demo`: a whole update between two processes on this machine, from a fresh key to equal bytes."""

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
from pathlib import Path as FilePath
from typing import IO, Any, Final, final

import attrs

from lwm2m_fota.cli.demo_road import HERE, Road, managed_at, road
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.facts import replace_file, size_of
from lwm2m_fota.cli.keys import new_key
from lwm2m_fota.cli.options import Listener
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import dependency, make
from lwm2m_fota.cli.package_suit_make import DEFAULT_COMPONENT, Source, make_suit
from lwm2m_fota.cli.state_dir import running_image, running_images
from lwm2m_fota.errors import FotaError, StorageError
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
@attrs.frozen(kw_only=True)
class DemoOptions:
    """What the command was given.

    Attributes:
        file: the firmware; None makes `size_bytes` random bytes.
        size_bytes: of the random firmware.
        method: push or pull.
        components: how many, of Object 33629; 0 for Object 5.
        kind: mcuboot or suit: the format of the packages.
        listen: where and how the server listens; the device goes to the first of CoAP, a secure one if there is any.
        package_schemes: over which packages are fetched; empty for all that are listened for, in that order.
        q_block: where the waits come from if packages go by sets of blocks; None if they go one by one.
    """

    file: FilePath | None
    size_bytes: int
    method: str
    components: int = 0
    kind: str = "mcuboot"
    listen: tuple[Listener, ...] = HERE
    package_schemes: tuple[str, ...] = ()
    q_block: str | None = None


@final
@attrs.frozen
class _Package:
    """What is sent: the name of its component, empty with Object 5; its file, its size; what is installed of it."""

    name: str
    path: FilePath
    size_bytes: int
    image: FilePath | None = None


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
            packages = [_package(options, folder, key, each) for each in _names(options.components)]
            for each in packages:
                say("package", bytes=each.size_bytes, version=VERSION_AFTER, component=each.name or None)
            way = road(options.listen, options.package_schemes, ENDPOINT, folder)
            sets = () if options.q_block is None else ("--q-block", options.q_block)
            way = Road((*way.server, *sets), (*way.device, *sets))
            return _Demo(options.method, way, folder / "device", packages, public, say, started).run()
    except OSError as error:
        raise StorageError(f"cannot prepare the demo: {error}") from error
    finally:
        say.close()


def _names(components: int) -> Sequence[str]:
    return [*NAMES, *map(str, range(len(NAMES), components))][:components] or [""]


def _package(options: DemoOptions, folder: FilePath, key: PrivateKey, name: str) -> _Package:
    """The package of a component; of MCUboot images, the first one needs the second, so that both go together."""
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
        method: str,
        way: Road,
        state_dir: FilePath,
        packages: Sequence[_Package],
        public: FilePath,
        say: Output,
        started: float,
    ) -> None:
        self._method = method
        self._way = way
        self._state_dir = state_dir
        self._packages = packages
        self._public = public
        self._say = say
        self._started = started
        self._events: queue.Queue[tuple[str, Event | None]] = queue.Queue()
        self._last: dict[str, Event] = {}
        self._shown: dict[str, tuple[int, int]] = {}
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
        finally:
            server.stop(_END_S)
            if device is not None:
                device.stop(0.0)  # its server is gone: nobody answers a deregistration
        return self._judge()

    def _serve(self) -> _Process:
        arguments = ["update", "--endpoint", ENDPOINT, "--method", self._method, *self._way.server]
        for each in self._packages:
            named = ["--component", f"{each.name}={each.path}"]
            arguments += named if each.name else [str(each.path), "--expect-version", VERSION_AFTER]
        return _Process("server", arguments, self._events)

    def _device(self, server: str) -> _Process:
        arguments = ["device", "--server", server, "--endpoint", ENDPOINT, *self._way.device]
        arguments += ["--state-dir", str(self._state_dir), "--trust", str(self._public), "--version", VERSION_BEFORE]
        for each in self._packages:
            arguments += ["--object", "33629", "--component", f"{each.name}={VERSION_BEFORE}"] if each.name else []
        return _Process("device", arguments, self._events)

    def _stream(self) -> Iterator[tuple[str, Event]]:
        """Events until one of the two has ended; all goes well if that is the server."""
        while True:
            source, event = self._events.get()
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
            elif kind == "transferred":
                self._transfers_s[name] = event["seconds"]
            self._times.setdefault(kind, time.monotonic())
        values = {key: value for key, value in event.items() if key not in {"event", "at"}}
        command = "update" if source == "server" else "device"
        self._say.relay(command, source, kind, values, hidden=(source, kind) in _HIDDEN)

    def _judge(self) -> Exit:
        ended = time.monotonic()
        outcome = self._last.get("outcome", {"status": int(Exit.FAILED), "line": "a process ended too soon"})
        shown = [self._shown.get(each.name, (None, None)) for each in self._packages]
        good = outcome["status"] == Exit.OK
        state, result = next((each for each in shown if each != (0, 1)), (0, 1)) if good else shown[0]
        equal = self._equal()
        line = outcome["line"]
        if good and not (equal and (state, result) == (0, 1)):
            good = False
            line = "State and Result are not 0 and 1" if equal else "the installed bytes are not those that were sent"
        size, seconds = sum(each.size_bytes for each in self._packages), sum(self._transfers_s.values())
        is_sent = len(self._transfers_s) == len(self._packages)
        self._say(
            "demo",
            ok=good,
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

    def _equal(self) -> bool:
        """Whether the device, or each component, runs the bytes that were sent."""
        try:
            images = self._images()
            return all(self._same(each, image) for each, image in zip(self._packages, images, strict=True))
        except FotaError:
            return False

    def _images(self) -> Sequence[SealedImage | None]:
        if not self._packages[0].name:
            return [running_image(self._state_dir)]
        return list(running_images(self._state_dir, range(len(self._packages))).values())

    @staticmethod
    def _same(package: _Package, image: SealedImage | None) -> bool:
        sent = package.image or package.path
        if image is None or image.size_bytes != size_of(sent):
            return False
        offset = 0
        with sent.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if image.read_at(offset, len(chunk)) != chunk:
                    return False
                offset += len(chunk)
        return True
