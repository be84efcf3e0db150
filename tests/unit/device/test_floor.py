"""The rollback floor of a device: kept for each component, saved before the installer runs, never lowered."""

import asyncio
import hashlib
import json

import pytest

from lwm2m_fota.device import record
from lwm2m_fota.device.floor import DeviceFloor
from lwm2m_fota.device.record import Kept
from lwm2m_fota.errors import IntegrityError, SnapshotError, UsageError
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_state import new_group
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.rollback import Counted, Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Component, Verdict
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.sim.loop import run

PROFILE = FirmwareProfile()
COMPONENTS = AdvancedProfile(components=(ComponentSpec(0, "main"), ComponentSpec(1, "radio")))


def counted(kit, counter, version="1.1.0"):
    """An image with a security counter, or without one."""
    options = ImageOptions(security_counter=counter)
    return create_mcuboot(kit.BODY, version=ImageVersion.parse(version), key=kit.KEY, options=options)


async def installed(board, kit, data, *, healthy=True):
    await kit.push(board.device, data)
    kit.execute(board.device)
    await asyncio.sleep(1.0)
    await board.again()
    if healthy:
        board.device.healthy()


def floor_of(*named, own=(), every=None):
    return DeviceFloor(RollbackFloor([Counter(*each) for each in named], every=every), own)


def marks(floor):
    return [(mark.of.value, mark.name, mark.value) for mark in floor.marks]


def test_the_floor_of_each_component_is_its_own():
    floor = floor_of(("app", 3), own=[(0, 5), (1, 7)])
    assert marks(floor.of(0)) == [("component", None, 5), ("component", "app", 3)]
    assert marks(floor.of(1)) == [("component", None, 7), ("component", "app", 3)]
    assert marks(floor.of(2)) == [("component", "app", 3)]


@pytest.mark.parametrize("name", ["image", "image/0", "image/1", "image/app", "", "0"])
def test_names_of_components_are_not_those_of_instances(name):
    """A component may be called as anything: its mark is its own, and nobody else's."""
    floor = floor_of(own=[(1, 7)]).after([Counter(name, 5)], 0)
    for instance in (0, 1, 2):
        assert floor.of(instance).problem([Counter(name, 4)]) is not None
        assert floor.of(instance).problem([Counter(name, 5)]) is None
        assert floor.of(instance).problem([Counter("other", 0)]) is None
        assert (floor.of(instance).problem([Counter(None, 6)]) is None) is (instance != 1)


def test_what_is_kept_is_bounded_and_what_is_kept_can_be_met():
    full = floor_of(*((str(number), 0) for number in range(128)), own=[(0, 1)])
    with pytest.raises(UsageError, match="at most 128 marks"):
        full.after([Counter("one more", 1)], 0)
    raised = full.after([Counter("5", 1), Counter(None, 2)], 0)
    more = TrustPolicy(rollback_floor=RollbackFloor((Counter("of the policy", 3),))).with_floor(raised.of(0))
    for counter, lowest in ((Counter("5", 0), 1), (Counter(None, 0), 2), (Counter("of the policy", 0), 3)):
        assert more.rollback_floor.lowest(counter) == lowest


@pytest.mark.parametrize("kind", [Counted.COMPONENT, Counted.ROOT])
def test_names_of_one_component_have_one_mark(kind):
    floor = floor_of().after([Counter("app", 5, kind), Counter("0", 3, kind), Counter("1", 4, kind)], 0)
    floor = floor.after([Counter("app", 9, Counted.MANIFEST)], 0)
    met = floor.of(0, [("app", "0", "main"), ("modem", "1")])
    for name, lowest in {"app": 5, "0": 5, "main": 5, "modem": 4, "1": 4, "other": 0}.items():
        assert met.lowest(Counter(name, 0, kind)) == lowest
    assert met.lowest(Counter("0", 0, Counted.MANIFEST)) == 0
    assert floor.of(0).lowest(Counter("0", 0, kind)) == 3


class WithCounters:
    """Any bytes, with these counters."""

    name, prefix_bytes = "counted", 0

    def __init__(self, *counters):
        part = Component(name=None, version="2.0", offset_bytes=0, length_bytes=1)
        self.verdict = Verdict(components=(part,), counters=tuple(Counter(*each) for each in counters))

    def sniff(self, prefix):
        return True

    def open(self, context):
        return self

    def feed(self, data):
        return 0

    def finish(self):
        return self.verdict


def test_what_is_installed_raises_the_floor_of_its_component():
    verifier = PackageVerifier(UnsafeTrustPolicy(), formats=FormatRegistry((WithCounters((None, 6), ("app", 2)),)))
    verifier.feed(b"x")
    package = verifier.finish()
    floor = floor_of(("app", 3), own=[(0, 5)])
    assert floor.after(package.counters, 0) == floor_of(("app", 3), own=[(0, 6)])
    assert floor.after(package.counters, 1) == floor_of(("app", 3), own=[(0, 5), (1, 6)])
    assert floor_of(own=[(0, 9)]).after(package.counters, 0).own == ((0, 9),)


def test_an_older_package_is_refused_from_then_on(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await installed(board, kit, counted(kit, 5))
        assert board.shows == (0, 1)
        for counter in (4, None):
            with pytest.raises(IntegrityError, match="rollback"):
                await kit.push(board.device, counted(kit, counter))
            assert board.shows == (0, 5)
            await board.again()
        await installed(board, kit, counted(kit, 5, "1.2.0"))
        assert board.shows == (0, 1)

    run(main())


def test_a_package_without_a_counter_raises_nothing(kit):
    async def main():
        board = kit.Board()
        await board.on()
        for counter in (None, 0, 1):
            await installed(board, kit, counted(kit, counter))
            assert board.shows == (0, 1)

    run(main())


def test_the_policy_may_begin_higher(kit):
    async def main():
        trust = TrustPolicy(keys=kit.TRUST.keys, rollback_floor=RollbackFloor.at_least(3))
        board = kit.Board(trust=trust)
        await board.on()
        with pytest.raises(IntegrityError, match="rollback"):
            await kit.push(board.device, counted(kit, 2))
        await installed(board, kit, counted(kit, 3))
        assert board.shows == (0, 1)

    run(main())


def test_the_floor_is_saved_before_the_installer_runs(kit):
    async def main():
        board = kit.Board()
        await board.on()
        await kit.push(board.device, counted(kit, 5))
        seen = []
        write = board.slots.write

        def witnessed(*arguments):
            seen.append(record.decode(board.memory[0].load(), PROFILE)[2])
            write(*arguments)

        board.slots.write = witnessed
        kit.execute(board.device)
        assert record.decode(board.memory[0].load(), PROFILE)[2] == DeviceFloor()
        await asyncio.sleep(1.0)
        assert seen == [floor_of(own=[(0, 5)])]

    run(main())


def test_a_floor_that_cannot_be_saved_stops_the_installation(kit):
    async def main():
        faults = kit.Faults()
        board = kit.Board(faults=faults)
        await board.on()
        await kit.push(board.device, counted(kit, 5))
        kit.execute(board.device)
        faults.fail_at = faults.calls + 1
        await asyncio.sleep(1.0)
        assert faults.fired == "save"
        assert board.installer_calls == []
        assert board.shows[1] == 8
        assert record.decode(board.memory[0].load(), PROFILE)[2] == DeviceFloor()
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert board.installer_calls == ["write", "apply"]
        assert record.decode(board.memory[0].load(), PROFILE)[2] == floor_of(own=[(0, 5)])

    run(main())


def test_a_reverted_update_leaves_the_floor_where_it_is(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await installed(board, kit, counted(kit, 5), healthy=False)
        await board.again()
        assert (board.device.version, board.shows) == ("1.0.0", (2, 8))
        kit.write(board.device, 1, "")
        with pytest.raises(IntegrityError, match="rollback"):
            await kit.push(board.device, counted(kit, 4))
        await installed(board, kit, counted(kit, 5))
        assert board.shows == (0, 1)

    run(main())


def test_what_was_verified_before_another_was_installed_may_be_too_old(kit):
    """Two components get packages that count by one name; the newer one is installed first."""

    async def main():
        newer, older = kit.signed(version="2.0.0"), kit.signed(version="3.0.0")

        class ByDigest(WithCounters):
            prefix_bytes = 64

            def open(self, context):
                self.digest = context.digest
                return self

            def finish(self):
                value = 9 if self.digest.digest() == hashlib.sha256(newer).digest() else 8
                return Verdict(components=self.verdict.components, counters=(Counter("shared", value),))

        board = kit.Kit(trust=UnsafeTrustPolicy(), formats=FormatRegistry((ByDigest(),)))
        await board.on()
        await kit.push(board.device, newer, instance=0)
        await kit.push(board.device, older, instance=1)
        kit.execute(board.device, instance=0)
        await asyncio.sleep(1.0)
        await board.again()
        board.device.healthy()
        kit.execute(board.device, instance=1)
        await asyncio.sleep(1.0)
        assert board.device.component(0).machine.result == 1
        assert board.device.component(1).machine.result == 8
        assert board.installer_calls.count("write") == 1
        assert "rollback" in board.device.diagnosis(1)

    run(main())


def test_a_component_keeps_its_floor_whatever_it_is_called(kit, tmp_path):
    async def main():
        known = WithCounters(("image/app", 6))
        board = kit.Board(tmp_path, trust=UnsafeTrustPolicy(), formats=FormatRegistry((known,)))
        await board.on()
        await installed(board, kit, b"x")
        assert board.shows == (0, 1)
        await board.again()
        known.verdict = WithCounters(("image/app", 5)).verdict
        with pytest.raises(IntegrityError, match="rollback: counter 5 of component image/app, at least 6"):
            await kit.push(board.device, b"y")

    run(main())


def test_an_older_package_does_not_pass_under_another_name_of_its_component(kit):
    """Each release is for the modem: 3 under the number of its instance, 5 under its name."""

    async def main():
        known = WithCounters()
        board = kit.Kit(trust=UnsafeTrustPolicy(), formats=FormatRegistry((known,)))
        await board.on()
        for name, value in (("1", 3), ("modem", 5)):
            known.verdict = WithCounters((name, value)).verdict
            await kit.push(board.device, b"x", instance=1)
            kit.execute(board.device, instance=1)
            await asyncio.sleep(1.0)
            await board.again()
            board.device.healthy()
            assert board.device.component(1).machine.result == 1
        for name in ("1", "modem"):
            known.verdict = WithCounters((name, 4)).verdict
            with pytest.raises(IntegrityError, match=f"rollback: counter 4 of component {name}, at least 5"):
                await kit.push(board.device, b"y", instance=1)
            kit.write(board.device, 1, "", instance=1)

    run(main())


def test_nor_does_it_with_the_names_of_one_firmware(kit):
    async def main():
        known = WithCounters(("a", 5))
        board = kit.Board(trust=UnsafeTrustPolicy(), formats=FormatRegistry((known,)))
        board.settings["component_names"] = {"a", "b"}
        await board.on()
        await installed(board, kit, b"x")
        known.verdict = WithCounters(("b", 4)).verdict
        with pytest.raises(IntegrityError, match="rollback: counter 4 of component b, at least 5"):
            await kit.push(board.device, b"y")

    run(main())


def stored(floor):
    """A record of Object 5 with this as its floor."""
    return json.dumps({**json.loads(record.encode(FirmwareMachine(), None, DeviceFloor())), "floor": floor}).encode()


@pytest.mark.parametrize(
    ("floor", "plain"),
    [
        (floor_of(), []),
        (floor_of(own=[(0, 5), (65534, 0)]), [["instance", 0, 5], ["instance", 65534, 0]]),
        (
            floor_of(("image/1", 2**40), ("app", 1, Counted.MANIFEST), every=3),
            [["component", "image/1", 2**40], ["manifest", "app", 1], ["every", None, 3]],
        ),
    ],
)
def test_it_is_stored_and_read_again(floor, plain):
    assert json.loads(record.encode(FirmwareMachine(), None, floor))["floor"] == plain
    assert record.decode(stored(plain), PROFILE)[2] == floor


def test_records_from_before_there_was_a_floor_have_none():
    data = record.encode(FirmwareMachine(), None, DeviceFloor())
    assert record.decode(data.replace(b', "floor": []', b""), PROFILE)[2] == DeviceFloor()


@pytest.mark.parametrize(
    ("old", "floor"),
    [
        ({}, floor_of()),
        ({"app": 3, "image/app": 4}, floor_of(("app", 3), ("image/app", 4))),
        ({"": 3}, floor_of(every=3)),
        ({"image": 3}, floor_of(("image", 3))),
        (
            {"image/0": 5, "image/12": 4},
            floor_of(("image", 5), ("image/0", 5), ("image/12", 4), own=[(0, 5), (12, 4)]),
        ),
        ({"image/01": 5, "image/": 1}, floor_of(("image/01", 5), ("image/", 1))),
    ],
)
def test_a_mark_that_was_kept_by_name_alone_counts_for_all_that_it_may_have_meant(old, floor):
    assert record.decode(stored(old), PROFILE)[2] == floor


def test_as_many_marks_as_ever_were_kept_can_be_read():
    old = {f"image/{number}": number for number in range(64)}
    floor = record.decode(stored(old), PROFILE)[2]
    assert (len(floor.own), len(floor.named.marks)) == (64, 65)


def test_a_mark_of_one_instance_that_was_kept_by_name_asks_nothing_of_the_others():
    """No component of Object 33629 could be called "image": what counted for instance 0 leaves instance 1 alone."""
    kept = {**json.loads(record.encode_group(Kept(new_group(COMPONENTS, ("", ""))))), "floor": {"image/0": 5, "": 0}}
    assert record.decode_group(json.dumps(kept).encode(), COMPONENTS).floor == floor_of(own=[(0, 5)], every=0)
    kept["floor"] = {"image/0": 5}
    floor = record.decode_group(json.dumps(kept).encode(), COMPONENTS).floor
    assert floor.of(0).problem([Counter(None, 4)]) == "counter 4 of the package, at least 5"
    assert floor.of(0).problem([]) is not None
    assert floor.of(1).problem([]) is None


@pytest.mark.parametrize(
    "floor",
    [
        None,
        5,
        "a",
        {"a": "5"},
        {"a": True},
        {"a": 1.0},
        {"a": -1},
        {"image/0": None},
        {"": "x"},
        ["app"],
        [["app", 5]],
        [["component", 5, 5]],
        [["component", None, 5]],
        [["component", "a", True]],
        [["component", "a", -1]],
        [["other", "a", 5]],
        [["instance", "0", 5]],
        [["instance", -1, 5]],
        [["instance", 0, -5]],
        [["instance", False, 5]],
        [["every", None, -1]],
        [["every", "", 1]],
        [["every", None, True]],
        [["component", str(number), 0] for number in range(129)],
    ],
)
def test_a_floor_that_is_damaged_is_refused(floor):
    with pytest.raises(SnapshotError, match="a rollback floor is damaged"):
        record.decode(stored(floor), PROFILE)
