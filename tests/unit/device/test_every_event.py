"""What the machines can be told, a device tells them: every event, and every field of it in every way that counts.

The explorer gives the machines such events by itself. One that no device makes, or a field that it leaves out, would
be proven there and be missing in the field.
"""

import asyncio
import contextlib
import struct
from enum import Enum
from typing import Literal, get_args, get_origin, get_type_hints

import attrs
import pytest

from lwm2m_fota.device.recorder import Recorder
from lwm2m_fota.errors import DependencyError, FotaError, StorageError, UnsupportedPackageError
from lwm2m_fota.machines import coordinator_events as group
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.sim.loop import run
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle

FORMATS = default_formats().with_format(BundleFormat())
HUNGRY = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, 65_000, 100, 0, 1, 1, 0, 0, 0) + bytes(3000)
"""An image whose header tells of more protected records than a verifier holds."""

# The Results that an event may carry (SPEC 3.1 T7-T13, T26, T27; SPEC 4.3).
RESULTS = {"TransferFailed": {2, 3, 4, 5, 6, 7, 9}, "InstallFailed": {5, 8}, "BatchFailed": {5, 8, 13}}


# ---- what is said


def said(value, kind="", field=""):
    """By kind and field: a choice or a bool as it is, and of anything else whether it is empty."""
    if attrs.has(type(value)):
        yield type(value).__name__, "", True
        for each in attrs.fields(type(value)):
            yield from said(getattr(value, each.name), type(value).__name__, each.name)
        return
    yield kind, field, value if isinstance(value, Enum) or field == "via" else bool(value)
    for each in value if isinstance(value, tuple) else ():
        yield from said(each, kind, field)


def leaves(hint):
    """The types that a type is made of, and the choices of a literal."""
    parts = get_args(hint)
    return [leaf for part in parts for leaf in leaves(part)] if parts else [hint]


def sayable(kind):
    """All that an event can say."""
    yield kind.__name__, "", True
    for field, hint in get_type_hints(kind).items():
        for leaf in leaves(hint):
            if leaf is UpdateResult:
                yield from ((kind.__name__, field, UpdateResult(each)) for each in RESULTS[kind.__name__])
            elif attrs.has(leaf):
                yield from sayable(leaf)
            elif isinstance(leaf, type) and issubclass(leaf, Enum):
                yield from ((kind.__name__, field, each) for each in leaf)
            else:
                yield kind.__name__, field, leaf if get_origin(hint) is Literal else True
                yield from [(kind.__name__, field, False)] if leaf is bool else []


@pytest.fixture
def heard(monkeypatch):
    """What the machines of every device are told."""
    seen = set()
    happened = Recorder.happened

    def listen(self, what, wall):
        for event in what.events if what is not None else ():
            seen.update(said(event))
        happened(self, what, wall)

    monkeypatch.setattr(Recorder, "happened", listen)
    return seen


# ---- what a device goes through


@attrs.define
class Story:
    """A board, and the instance that everything happens to."""

    kit: object
    board: object
    at: int

    def write(self, resource, value):
        return self.kit.write(self.board.device, resource, value, self.at)

    async def push(self, data=None, **how):
        with contextlib.suppress(FotaError):  # some packages are refused
            await self.kit.push(self.board.device, data or self.kit.signed(), instance=self.at, **how)

    async def execute(self, resource=2, arguments=b"", wait_s=1.0):
        assert self.kit.execute(self.board.device, resource, self.at, arguments) == 0x44
        await asyncio.sleep(wait_s)

    async def on_trial(self):
        await self.push()
        await self.execute()
        await self.board.again()

    def store(self, number):
        """The stage, or one of the slots."""
        return self.board.memory[2 + 3 * self.at + number]


async def requests(story):
    kit, board = story.kit, story.board
    assert [story.write(11, 2), story.write(13, 100), story.write(1, "")] == [0x44, 0x44, 0x44]
    await story.push(b"\x00")
    assert kit.push_block(board.device, b"", 0, instance=story.at) == 0x80
    await story.push(size_bytes=len(kit.signed()))
    await story.execute(10)


async def transfers(story):
    kit = story.kit
    for data in (HUNGRY, b"\x7fELF" + bytes(3000), kit.signed(key=None), kit.signed(bytes(40_000))):
        await story.push(data)
    for uri in ("no uri", "ftp://host.example/fw"):
        story.write(1, uri)
        await asyncio.sleep(1.0)
    await story.push(until=512)
    await asyncio.sleep(250.0)  # nothing more comes


async def deferrals(story):
    story.board.device.defer_updates(defer=True)
    await story.push()
    await story.execute(arguments=b"0", wait_s=50.0)
    story.board.device.accept_update(*([story.at] if story.at else []))
    await asyncio.sleep(1.0)
    await story.board.again()
    story.board.device.healthy()
    story.board.device.defer_updates(defer=True)
    await story.push()
    await story.execute(wait_s=0.0)
    story.board.clock_set = False
    await story.board.again()
    await asyncio.sleep(300.0)
    await story.board.again()
    story.board.device.healthy()


async def installations(story):
    for error in (StorageError("worn out"), UnsupportedPackageError("not for this slot")):
        await story.push()
        story.board.installer_raises = {"write": [error]}
        await story.execute()
    await story.push()
    story.store(0).discard()
    await story.execute()


async def restarts(story):
    await story.push(until=512)
    await story.board.again()
    await story.push()
    await story.board.off()
    story.store(0).discard()
    await story.board.on()
    await story.on_trial()
    story.board.slots.confirm()
    await story.board.again()
    await story.on_trial()
    await story.board.again()  # nobody has confirmed it
    await story.execute()
    await story.board.crash()
    for slot in (1, 2):
        story.store(slot).discard()
    await story.board.on()


STORIES = (requests, transfers, deferrals, installations, restarts)


def test_a_device_with_object_5_says_all_that_its_machine_can_be_told(kit, heard):
    async def main():
        for each in STORIES:
            board = kit.Board(profile=FirmwareProfile(version="1.2"), formats=FORMATS, capacity_bytes=32_768)
            story = Story(kit, board, 0)
            await board.on()
            story.write(13, 100)
            await each(story)
        board = kit.Board(profile=FirmwareProfile(version="1.2"), formats=FORMATS, settings={"component_names": {"fw"}})
        device = await board.on()
        assert [kit.write(device, 14, value) for value in (False, True)] == [0x44, 0x44]
        device.defer_updates(defer=True)
        await kit.push(device, make_bundle(kit.KEY, {"fw": ("2.0", b"new")}, name="fw", version="2.0"))

    run(main())
    wanted = {each for kind in get_args(ev.Event) for each in sayable(kind)}
    assert wanted - heard == set()


def test_a_device_with_components_says_all_that_its_coordinator_can_be_told(kit, heard):
    async def main():
        for each in STORIES:
            board = kit.Kit(formats=FORMATS, capacity_bytes=32_768)
            story = Story(kit, board, 1)
            await board.on()
            story.write(13, 100)
            await each(story)
        board = kit.Kit(formats=FORMATS)
        device = await board.on()
        parts = {"app": ("2.0", b"app"), "modem": ("2.0", b"modem")}
        await kit.push(device, make_bundle(kit.KEY, parts, {"sensor": "1.0"}, name="both", version="2.0"))
        board.installer_raises = {"write": [DependencyError("no sensor", instances=(2,))]}
        kit.execute(device, arguments=b"0='</33629/1>'")
        await asyncio.sleep(1.0)

    run(main())
    wanted = {each for kind in get_args(group.GroupEvent) for each in sayable(kind)}
    assert wanted - heard == set()
