"""A board on a bench: what survives a restart of the device, a server's hand on Object 5, and faults on demand."""

import asyncio
import hashlib
import json
from types import SimpleNamespace

import pytest

from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.firmware import FirmwareDevice, FirmwareSettings
from lwm2m_fota.device.slots import BatchSlotInstaller, SlotInstaller
from lwm2m_fota.errors import FotaError, StorageError, StorageFullError
from lwm2m_fota.lwm2m.operations import Execute, Read, Write, WriteBlock
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.device_trace import read_trace, replay
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.files import FileImageStore, FileStateStore
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryStateStore

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
STRANGER = PrivateKey.from_seed(KeyType.ED25519, bytes(32))
TRUST = TrustPolicy(keys=(KEY.public_key,), max_package_bytes=1 << 20)
BODY = bytes(range(256)) * 20
URI = "coap://origin/fw"
ETAG = bytes.fromhex("0a0b0c0d")
WALL_S = 1_700_000_000.0


def signed(body=BODY, version="1.1.0", key=KEY, needs=()):
    """A package as bytes; without a key it is not signed; `needs` has image numbers and versions."""
    needed = tuple(ImageDependency(image, ImageVersion.parse(least)) for image, least in needs)
    return create_mcuboot(body, version=ImageVersion.parse(version), key=key, options=ImageOptions(dependencies=needed))


def verified(data):
    """The same as the type that an installer takes."""
    verifier = PackageVerifier(TRUST)
    verifier.feed(data)
    return verifier.finish()


class Faults:
    """Counts the calls to stores; `times` from the n-th on fail, before they do anything (`full`) or after (`broken`)."""

    def __init__(self):
        self.calls = 0
        self.names = []
        self.fail_at = None
        self.times = 1
        self.mode = "full"
        self.fired = None

    def run(self, name, action, *, may_stand=False):
        self.calls += 1
        if self.fail_at is None or not self.fail_at <= self.calls < self.fail_at + self.times:
            return action()
        self.fired = name
        if self.mode == "broken" and may_stand:
            action()
            raise StorageError(f"injected after {name}")
        raise (StorageFullError if self.mode == "full" else StorageError)(f"injected at {name}")


class FaultyState:
    def __init__(self, store, faults):
        self._store, self._faults = store, faults

    def load(self):
        return self._faults.run("load", self._store.load)

    def save(self, data):
        self._faults.run("save", lambda: self._store.save(data), may_stand=True)

    def clear(self):
        self._faults.run("clear", self._store.clear, may_stand=True)


class FaultyImages:
    def __init__(self, store, faults):
        self._store, self._faults = store, faults

    @property
    def capacity_bytes(self):
        return self._store.capacity_bytes

    @property
    def size_bytes(self):
        return self._store.size_bytes

    @property
    def boot_id(self):
        return self._store.boot_id

    @property
    def sealed(self):
        image = self._store.sealed
        if image is None:
            return None
        return SealedImage(image.size_bytes, lambda *at: self._faults.run("read_at", lambda: image.read_at(*at)))

    def open(self, size_bytes):
        self._faults.run("open", lambda: self._store.open(size_bytes), may_stand=True)

    def write_at(self, offset, data):
        self._faults.run("write_at", lambda: self._store.write_at(offset, data))

    def read_at(self, offset, length):
        return self._faults.run("read_at", lambda: self._store.read_at(offset, length))

    def truncate(self, size_bytes):
        self._faults.run("truncate", lambda: self._store.truncate(size_bytes), may_stand=True)

    def sync(self):
        self._faults.run("sync", self._store.sync, may_stand=True)

    def seal(self):
        return self._faults.run("seal", self._store.seal)

    def discard(self):
        self._faults.run("discard", self._store.discard, may_stand=True)


class Cut:
    """A store whose n-th changing call fails."""

    def __init__(self, store, left):
        self._store, self._left = store, left

    def __getattr__(self, name):
        value = getattr(self._store, name)
        if name not in {"save", "open", "write_at", "seal"}:
            return value

        def call(*arguments):
            if self._left[0] == 0:
                raise StorageError("power")
            self._left[0] -= 1
            return value(*arguments)

        return call


class Origin:
    """A fetcher of a package that is at hand.

    `errors` are raised one by one, each before the block that would begin at its offset or later; `resolutions` one by
    one by `resolve`. `pace_s` is the time of one block; without `etag` the origin names no version.
    """

    schemes = frozenset({"coap"})

    def __init__(self, data, *, etag=ETAG, block_bytes=256, pace_s=0.01, tells_size=True):
        self.data = data
        self.etag = etag
        self.block_bytes = block_bytes
        self.pace_s = pace_s
        self.tells_size = tells_size
        self.errors = []
        self.resolutions = []
        self.offsets = []
        self.stalls_at = None

    async def resolve(self, uri):
        await asyncio.sleep(0)
        if self.resolutions:
            raise self.resolutions.pop(0)

    async def fetch(self, uri, sink, *, offset, etag):
        if etag is not None and etag != self.etag:
            sink.restarted("another version")
        self.offsets.append(offset)
        while True:
            await asyncio.sleep(self.pace_s)
            if self.errors and offset >= self.errors[0][0]:
                raise self.errors.pop(0)[1]
            if self.stalls_at is not None and offset >= self.stalls_at:
                await asyncio.sleep(1e6)
            payload = self.data[offset : offset + self.block_bytes]
            last = offset + len(payload) >= len(self.data)
            size = len(self.data) if self.tells_size else None
            sink.block(offset, payload, etag=self.etag, size_bytes=size, last=last)
            offset += len(payload)
            if last:
                return


class Witness:
    """An installer that checks what it is given; `raises` come one by one, by the name of the call."""

    def __init__(self, inner, board):
        self._inner, self._board = inner, board

    def _call(self, name, *arguments):
        self._board.installer_calls.append(name)
        if self._board.installer_raises.get(name):
            raise self._board.installer_raises[name].pop(0)
        return getattr(self._inner, name)(*arguments)

    def boot_report(self):
        return self._inner.boot_report()

    def write(self, *arguments):
        package, image = (arguments[0].package, arguments[0].image) if len(arguments) == 2 else arguments[:2]
        assert isinstance(package, VerifiedPackage)
        assert hashlib.sha256(image.read_at(0, image.size_bytes)).digest() == package.sha256
        return self._call("write", *arguments)

    def apply(self, *arguments):
        return self._call("apply", *arguments)

    def confirm(self):
        return self._call("confirm")

    def acknowledge(self):
        return self._call("acknowledge")


BOARDS = []
"""Of the test that runs."""


class Board:
    """What survives a restart, and the device that runs on it.

    Args:
        folder: for stores in files; by default they are in memory.
        options: of FirmwareDevice, and `settings` of FirmwareSettings.
    """

    def __init__(self, folder=None, *, capacity_bytes=1 << 20, faults=None, settings=None, **options):
        self.folder, self.capacity_bytes, self.faults = folder, capacity_bytes, faults
        self.memory = [MemoryStateStore(), MemoryStateStore(), *(MemoryImageStore(capacity_bytes) for _ in range(3))]
        self.settings = {"settle_s": 0.1, **(settings or {})}
        self.options = options
        self.reboots = 0
        self.shown = []
        self.installer_calls = []
        self.installer_raises = {}
        self.device = None
        self.clock_set = True
        self.clock_shift_s = 0.0
        self.trace = []
        self.started_at = 0
        BOARDS.append(self)

    def stores(self):
        """State, boot record, stage, two slots; anew from files, as after a restart."""
        if self.folder is None:
            found = self.memory
        else:
            names = ("staged", "slot-a", "slot-b")
            states = [FileStateStore(self.folder / name) for name in ("firmware", "boot")]
            found = states + [FileImageStore(self.folder / name, self.capacity_bytes) for name in names]
        if self.faults is None:
            return found
        return [FaultyState(each, self.faults) for each in found[:2]] + [
            FaultyImages(each, self.faults) for each in found[2:]
        ]

    def wall(self):
        if not self.clock_set:
            return None
        return WALL_S + self.clock_shift_s + asyncio.get_running_loop().time()

    def make(self):
        """A device that has not started, with the boot loader run."""
        state, boot, stage, *slots = self.stores()
        self.slots = SlotInstaller(boot, tuple(slots), "1.0.0")
        self.slots.boot()
        return self.made(FirmwareDevice, FirmwareProfile(), state, stage)

    def made(self, kind, profile, state, images):
        """A device of this kind."""
        options = {
            "profile": profile,
            "trust": TRUST,
            "chance": lambda: 0.0,
            "trace": self.trace.append,
            **self.options,
        }
        device = kind(
            images=images,
            state=state,
            installer=Witness(self.slots, self),
            reboot=self._reboot,
            settings=FirmwareSettings(**self.settings),
            wall_clock=self.wall,
            **options,
        )
        device.listen(lambda paths: self._changed(device, paths))
        self.device = device
        self.started_at = len(self.trace)
        return device

    def _reboot(self):
        self.reboots += 1

    def _changed(self, device, paths):
        if any(path.resource_id in {3, 5} for path in paths):
            self.shown.append((int(device.state), int(device.result)))

    async def on(self):
        """Power on."""
        device = self.make()
        await device.start()
        return device

    async def off(self):
        """Stop in good order."""
        await self.device.stop()

    async def again(self):
        """Off and on."""
        await self.off()
        return await self.on()

    async def crash(self):
        """Stop as a process that is killed: nothing more is stored."""
        device = self.device
        device._save = lambda: None
        await device.stop()

    def installed(self):
        """The bytes of the running image."""
        faults, self.faults = self.faults, None
        _, boot, _, *slots = self.stores()
        image = SlotInstaller(boot, tuple(slots), "").running_image
        self.faults = faults
        return None if image is None else image.read_at(0, image.size_bytes)

    @property
    def shows(self):
        """State and Result."""
        return int(self.device.state), int(self.device.result)

    def check_trace(self):
        """Replayed over all its lives, the trace ends where the device is, and tells nothing of its package's path."""
        text = "".join(json.dumps(line) + "\n" for line in self.trace)
        if len(self.trace) > self.started_at:  # the last device found its state, and started
            assert without_uris(replay(read_trace(map(json.loads, text.splitlines())))) == self.end
            assert URI not in text

    @property
    def end(self):
        """The machines of the device, but for the text of URIs."""
        return without_uris(self.device._law.machine)


def without_uris(machine):
    if isinstance(machine, FirmwareMachine):
        return machine._replace(uri=bool(machine.uri))
    parts = (each._replace(machine=without_uris(each.machine)) for each in machine.components)
    return machine._replace(components=tuple(parts))


@pytest.fixture(autouse=True)
def traces():
    """Every test on a board is recorded, and replayed to the same end."""
    BOARDS.clear()
    yield
    for board in BOARDS:
        board.check_trace()


COMPONENTS = {0: ("app", "1.0.0"), 1: ("modem", "1.0.0"), 2: ("sensor", "5.0.0")}
"""Name and factory version by instance; packages also call a component by the number of its instance."""


class Kit(Board):
    """A board with three components; `shown` has instance, State and Result of each change.

    Args:
        advanced: the choices of Object 33629.
        policies: those that it shares with Object 5.
    """

    def __init__(self, folder=None, *, advanced=None, policies=None, components=COMPONENTS, **options):
        super().__init__(folder, **options)
        self.components = components
        size = self.capacity_bytes
        self.memory = [MemoryStateStore(), MemoryStateStore(), *(MemoryImageStore(size) for _ in range(9))]
        choices = {} if advanced is None else {"advanced": advanced}
        choices |= {} if policies is None else {"policies": policies}
        specs = tuple(ComponentSpec(each, name, (str(each),)) for each, (name, _) in components.items())
        self.profile = AdvancedProfile(components=specs, **choices)

    def stores(self):
        if self.folder is not None:
            names = [f"{kind}-{each}" for each in range(3) for kind in ("staged", "slot-a", "slot-b")]
            self.memory = [FileStateStore(self.folder / name) for name in ("firmware", "boot")]
            self.memory += [FileImageStore(self.folder / name, self.capacity_bytes) for name in names]
        if self.faults is None:
            return self.memory
        return [FaultyState(each, self.faults) for each in self.memory[:2]] + [
            FaultyImages(each, self.faults) for each in self.memory[2:]
        ]

    def installer(self):
        _, boot, *images = self.stores()
        slots = {each: (images[3 * each + 1], images[3 * each + 2]) for each in self.components}
        return BatchSlotInstaller(boot, slots, {each: version for each, (_, version) in self.components.items()})

    def make(self):
        state, _, *images = self.stores()
        self.slots = self.installer()
        self.slots.boot()
        staged = {each: images[3 * each] for each in self.components}
        return self.made(AdvancedFirmwareDevice, self.profile, state, staged)

    def _changed(self, device, paths):
        for path in paths:
            if path.resource_id == 3:  # the Result is told before
                machine = device.component(path.instance_id).machine
                self.shown.append((path.instance_id, int(machine.state), int(machine.result)))

    @property
    def shows(self):
        """State and Result of each."""
        machines = [self.device.component(each).machine for each in self.components]
        return [(int(each.state), int(each.result)) for each in machines]

    @property
    def versions(self):
        return [self.device.component(each).version for each in self.components]

    def installed(self):
        """By instance: the factory's (None), or the bytes."""
        faults, self.faults = self.faults, None
        images = [self.installer().running_image(each) for each in self.components]
        self.faults = faults
        return [image and image.read_at(0, image.size_bytes) for image in images]


def now():
    return asyncio.get_running_loop().time()


def place(device, resource_id, instance=0):
    return Path.of(device.definition.id, instance, resource_id)


def read(device, resource_id, instance=0):
    entries = device.handle(Read(place(device, resource_id, instance)), now()).entries
    multiple = device.definition.resource(resource_id).multiple
    return [value for _, value in entries] if multiple and device.definition.multiple else entries[0][1]


def write(device, resource_id, value, instance=0):
    path = place(device, resource_id, instance)
    return device.handle(Write(path, ((path, value),)), now()).code


def execute(device, resource_id=2, instance=0, arguments=b""):
    return device.handle(Execute(place(device, resource_id, instance), arguments), now()).code


def push_block(device, data, offset, *, length=256, size_bytes=None, first=None, instance=0):
    part = data[offset : offset + length]
    final = offset + length >= len(data)
    first = (offset == 0) if first is None else first
    block = WriteBlock(place(device, 0, instance), offset, part, first, final, size_bytes)
    return device.handle(block, now()).code


async def push(device, data, *, length=256, size_bytes=None, until=None, pace_s=0.0, instance=0):
    """Push a package, or its beginning."""
    for offset in range(0, len(data) if until is None else until, length):
        push_block(device, data, offset, length=length, size_bytes=size_bytes, instance=instance)
        await asyncio.sleep(pace_s)


async def reached(device, state, limit_s=60.0):
    """Wait until the device shows a state."""
    end = now() + limit_s
    while device.state is not state:
        assert now() < end, f"{device.state!r} {device.result!r} {device.diagnosis}"
        await asyncio.sleep(0.05)


def code_of(action, *arguments, **named):
    """The code with which a request is refused."""
    with pytest.raises(FotaError) as caught:
        action(*arguments, **named)
    return caught.value.code


QUICK = DownloadPolicy(
    max_attempts_without_progress=3,
    retry_initial_s=1.0,
    retry_max_s=4.0,
    no_progress_limit_s=60.0,
    checkpoint_bytes=512,
    checkpoint_gap_s=0.0,
)


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(**{name: value for name, value in globals().items() if not name.startswith("_")})


@pytest.fixture
def quiet():
    """Collect what reaches the loop's exception handler; a test that expects nothing there need not ask."""
    seen = []

    def listen():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
        return seen

    return listen
