"""The rollback floor of a device: kept for each component, saved before the installer runs, never lowered."""

import asyncio
import hashlib

import pytest

from lwm2m_fota.device import record
from lwm2m_fota.device.floor import floor_after, floor_for
from lwm2m_fota.errors import IntegrityError, SnapshotError
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Component, Verdict
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.sim.loop import run

PROFILE = FirmwareProfile()


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


def test_the_floor_of_each_component_is_its_own():
    floor = RollbackFloor([("image/0", 5), ("image/1", 7), ("app", 3)])
    assert floor_for(floor, 0).marks == (("app", 3), ("image", 5))
    assert floor_for(floor, 1).marks == (("app", 3), ("image", 7))
    assert floor_for(floor, 2).marks == (("app", 3),)


class Counted:
    """Any bytes, with these counters."""

    name, prefix_bytes = "counted", 0

    def __init__(self, *counters):
        part = Component(name="image", version="2.0", offset_bytes=0, length_bytes=1)
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
    verifier = PackageVerifier(UnsafeTrustPolicy(), formats=FormatRegistry((Counted(("image", 6), ("app", 2)),)))
    verifier.feed(b"x")
    package = verifier.finish()
    floor = RollbackFloor([("image/0", 5), ("app", 3)])
    assert floor_after(floor, package, 0).marks == (("app", 3), ("image/0", 6))
    assert floor_after(floor, package, 1).marks == (("app", 3), ("image/0", 5), ("image/1", 6))


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
            seen.append(record.decode(board.memory[0].load(), PROFILE)[2].marks)
            write(*arguments)

        board.slots.write = witnessed
        kit.execute(board.device)
        assert record.decode(board.memory[0].load(), PROFILE)[2].marks == ()
        await asyncio.sleep(1.0)
        assert seen == [(("image/0", 5),)]

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
        assert record.decode(board.memory[0].load(), PROFILE)[2].marks == ()
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert board.installer_calls == ["write", "apply"]
        assert record.decode(board.memory[0].load(), PROFILE)[2].marks == (("image/0", 5),)

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

        class ByDigest(Counted):
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


def test_records_from_before_there_was_a_floor_have_none():
    data = record.encode(FirmwareMachine(), None, RollbackFloor())
    assert record.decode(data.replace(b', "floor": {}', b""), PROFILE)[2] == RollbackFloor()
    with pytest.raises(SnapshotError, match="floor"):
        record.decode(data.replace(b'"floor": {}', b'"floor": {"a": "5"}'), PROFILE)
