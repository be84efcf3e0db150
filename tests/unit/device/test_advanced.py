"""Object 33629 carried out: components alone and together, packages for several, restarts, trials, and faults."""

import asyncio
import contextlib
import json

import pytest

from lwm2m_fota.device.firmware import InterruptedInstall
from lwm2m_fota.errors import (
    BlockwiseError,
    DependencyError,
    FotaError,
    RefusedError,
    SnapshotError,
    StorageError,
    UnsupportedPackageError,
    UsageError,
)
from lwm2m_fota.lwm2m.operations import Read, Write
from lwm2m_fota.machines.component_policies import AdvancedPolicies, ConcurrentDownloads, DependencyFailureTarget
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.policies import FailureTarget, FirmwarePolicies
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectLink
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.sim.flash import SimulatedFlash
from lwm2m_fota.sim.loop import run
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = State
FORMATS = default_formats().with_format(BundleFormat())


async def reached(device, instance, state, limit_s=60.0):
    end = asyncio.get_running_loop().time() + limit_s
    while device.component(instance).machine.state is not state:
        assert asyncio.get_running_loop().time() < end, (device.component(instance), device.diagnosis(instance))
        await asyncio.sleep(0.05)


async def tried(board, *, healthy=True):
    """From Updating to the end of the trial."""
    before = board.reboots
    await asyncio.sleep(1.0)
    assert board.reboots == before + 1
    device = await board.again()
    assert board.slots.boot_report().status.value == "pending"
    if healthy:
        device.healthy()
        assert board.slots.boot_report().status.value == "normal"


# ---- what a client sees


def test_a_new_device_shows_its_components(kit):
    async def main():
        device = await kit.Kit().on()
        assert (device.definition.id, list(device.instances())) == (33629, [0, 1, 2])
        assert [kit.read(device, 14, each) for each in range(3)] == ["app", "modem", "sensor"]
        assert [kit.read(device, 15, each) for each in range(3)] == ["1.0.0", "1.0.0", "5.0.0"]
        assert [kit.read(device, 3, each) for each in range(3)] == [0, 0, 0]
        assert [kit.read(device, 16, each) for each in range(3)] == [[], [], []]
        assert device.version == "1.0.0"
        assert (device.staged_bytes, device.diagnosis(2), device.links(1)) == (0, "", ((), ()))
        assert device.resources(0) == (0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
        assert device.streams(Path.of(33629, 2, 0))
        assert not device.streams(Path.of(33629, 2, 1))
        assert len(device.handle(Read(Path.of(33629)), 0.0).entries) > 30
        device.healthy()  # harmless

    run(main())


def test_a_device_has_a_staging_area_for_each_component_and_no_other(kit):
    board = kit.Kit()
    board.profile = AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(5, "boot")))
    with pytest.raises(UsageError):
        board.make()


def test_instances_are_never_asked_for_that_are_not_there(kit):
    async def main():
        device = await kit.Kit().on()
        assert kit.code_of(kit.push_block, device, kit.signed(), 0, instance=7) == 0x84
        assert kit.code_of(kit.execute, device, 2, 7) == 0x84
        for action in (device.component, device.links, device.accept_update):
            with pytest.raises(UsageError):
                action(7)

    run(main())


# ---- one component


@pytest.mark.parametrize("pulls", [False, True])
def test_one_component_is_updated_and_the_others_stay(kit, tmp_path, pulls):
    async def main():
        data = kit.signed()
        board = kit.Kit(tmp_path, fetchers=(kit.Origin(data),))
        device = await board.on()
        if pulls:
            assert kit.write(device, 1, kit.URI, 1) == 0x44
            await reached(device, 1, DOWNLOADED)
        else:
            await kit.push(device, data, instance=1)
        assert (kit.read(device, 6, 1), kit.read(device, 7, 1)) == ("", "1.1.0")
        assert kit.execute(device, 2, 1) == 0x44
        assert board.shows == [(0, 0), (3, 0), (0, 0)]
        await tried(board)
        assert board.shows == [(0, 0), (0, 1), (0, 0)]
        assert board.shown == [(1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 0, 1)]
        assert board.versions == ["1.0.0", "1.1.0", "5.0.0"]
        assert board.installed() == [None, data, None]
        assert board.device.staged_bytes == 0
        assert board.device.version == "1.0.0"
        await board.again()
        assert board.versions == ["1.0.0", "1.1.0", "5.0.0"]

    run(main())


def test_every_refused_package_leaves_its_instance_idle_and_the_others_alone(kit):
    async def main():
        board = kit.Kit(capacity_bytes=32_768)
        device = await board.on()
        await kit.push(device, kit.signed(version="5.1.0"), instance=2)
        for data, result, code in (
            (kit.signed(key=None), 5, 0x80),
            (b"\x7fELF" + bytes(3000), 6, 0x80),
            (kit.signed(bytes(40_000)), 2, 0x8D),
        ):
            with pytest.raises(FotaError) as caught:
                await kit.push(device, data, instance=0, size_bytes=len(data))
            assert caught.value.code == code
            assert board.shows == [(0, result), (0, 0), (2, 0)]
            assert device.diagnosis(0)
            assert device.diagnosis(2) == ""
        await kit.push(device, kit.signed(), instance=0)
        assert device.diagnosis(0) == ""
        assert board.shows == [(2, 0), (0, 0), (2, 0)]

    run(main())


def test_a_413_tells_how_much_would_be_taken(kit):
    async def main():
        device = await kit.Kit(capacity_bytes=2048).on()
        with pytest.raises(BlockwiseError) as caught:
            kit.push_block(device, kit.signed(), 0, size_bytes=5000, instance=1)
        assert (caught.value.code, caught.value.size1) == (0x8D, 2048)

    run(main())


def test_components_receive_side_by_side_and_each_stalls_by_itself(kit):
    async def main():
        data = {0: kit.signed(b"app" * 999), 1: kit.signed(b"modem" * 999, "1.2.0")}
        board = kit.Kit(fetchers=(kit.Origin(kit.signed(b"sensor" * 99, "6.0.0"), pace_s=0.5),))
        device = await board.on()
        kit.write(device, 1, kit.URI, 2)
        for offset in range(0, 2048, 256):
            for each, image in data.items():
                kit.push_block(device, image, offset, instance=each)
            await asyncio.sleep(0.05)
        assert board.shows == [(1, 0), (1, 0), (1, 0)]
        for offset in range(2048, len(data[0]), 256):
            kit.push_block(device, data[0], offset, instance=0)
        await asyncio.sleep(240.0)
        assert board.shows == [(2, 0), (1, 0), (2, 0)]
        await asyncio.sleep(10.0)
        assert board.shows == [(2, 0), (0, 4), (2, 0)]
        assert kit.code_of(kit.push_block, device, data[1], 2048, instance=1) == 0x88
        assert device.diagnosis(1).startswith("push.no-progress")

    run(main())


def test_one_download_at_a_time_goes_on_by_itself(kit):
    async def main():
        policy = AdvancedPolicies(concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME)
        origin = kit.Origin(kit.signed())
        board = kit.Kit(advanced=policy, fetchers=(origin,))
        device = await board.on()
        for each in (1, 0, 2):
            kit.write(device, 1, kit.URI, each)
        assert board.shows == [(1, 0), (1, 0), (1, 0)]
        assert kit.push_block(device, kit.signed(), 0, instance=0) == 0x85
        await asyncio.sleep(0.05)
        assert origin.offsets == [0]
        for each in range(3):
            await reached(device, each, DOWNLOADED)
        assert origin.offsets == [0, 0, 0]
        assert [each for each, state, _ in board.shown if state == 2] == [1, 0, 2]

    run(main())


# ---- dependencies and batches


async def dependent(kit, board):
    """The app needs a modem of 1.1.0; both are there."""
    device = await board.on()
    app, modem = kit.signed(b"app" * 500, "2.0.0", needs=[(1, "1.1.0")]), kit.signed(b"modem" * 500, "1.1.0")
    await kit.push(device, app, instance=0)
    assert kit.read(device, 17, 0) == [ObjectLink(33629, 1)]
    assert kit.read(device, 16, 0) == []
    return app, modem


def test_a_missing_dependency_is_named_and_then_both_go_together(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path)
        app, modem = await dependent(kit, board)
        device = board.device
        assert kit.execute(device) == 0x44
        assert board.shows == [(2, 13), (0, 0), (0, 0)]
        assert kit.read(device, 17, 0) == [ObjectLink(33629, 1)]
        device = await board.again()  # nothing of it is forgotten
        assert board.shows == [(2, 13), (0, 0), (0, 0)]
        assert kit.read(device, 17, 0) == [ObjectLink(33629, 1)]
        await kit.push(device, modem, instance=1)
        assert (kit.read(device, 16, 0), kit.read(device, 16, 1)) == ([ObjectLink(33629, 1)], [ObjectLink(33629, 0)])
        assert kit.read(device, 17, 0) == []
        assert kit.execute(device, 2, 1) == 0x44
        assert board.shows == [(3, 0), (3, 0), (0, 0)]
        await tried(board)
        assert board.shows == [(0, 1), (0, 1), (0, 0)]
        assert board.versions == ["2.0.0", "1.1.0", "5.0.0"]
        assert board.installed() == [app, modem, None]
        assert board.installer_calls == ["write", "write", "apply", "confirm", "acknowledge"]

    run(main())


def test_a_failed_dependency_lands_in_idle_by_policy(kit):
    async def main():
        board = kit.Kit(advanced=AdvancedPolicies(dependency_failure_target=DependencyFailureTarget.IDLE))
        await dependent(kit, board)
        kit.execute(board.device)
        assert board.shows[0] == (0, 13)
        assert board.device.staged_bytes == 0

    run(main())


@pytest.mark.parametrize(
    ("arguments", "shows", "updated"),
    [
        (b"0", [(3, 0), (2, 0), (2, 0)], [0]),
        (b"", [(3, 0), (2, 0), (2, 0)], [0]),
        (b"0='</33629/2>'", [(3, 0), (2, 0), (3, 0)], [0, 2]),
        (b"0='</33629/2>,</33629/1>'", [(3, 0), (3, 0), (3, 0)], [0, 1, 2]),
    ],
)
def test_the_argument_of_update_says_who_is_updated(kit, arguments, shows, updated):
    async def main():
        board = kit.Kit()
        device = await board.on()
        for each in range(3):
            await kit.push(device, kit.signed(bytes([each]) * 99, f"9.{each}.0"), instance=each)
        assert kit.execute(device, arguments=arguments) == 0x44
        assert board.shows == shows
        await tried(board)
        assert board.shows == [(0, 1) if each in updated else (2, 0) for each in range(3)]
        assert [each is not None for each in board.installed()] == [each in updated for each in range(3)]

    run(main())


def test_a_listed_instance_that_is_not_downloaded_is_a_conflict(kit):
    async def main():
        board = kit.Kit()
        device = await board.on()
        await kit.push(device, kit.signed(), instance=0)
        assert kit.execute(device, arguments=b"0='</33629/2>'") == 0x44
        assert board.shows == [(2, 13), (0, 0), (0, 0)]
        assert kit.read(device, 17, 0) == [ObjectLink(33629, 2)]
        for bad in (b"1", b"0='</5/0>'", b"0=</33629/2>"):
            assert kit.code_of(kit.execute, device, arguments=bad) == 0x80, bad
        for bad in (b"0='</33629/9>'", b"0='</33629/0>'"):
            assert kit.execute(device, arguments=bad) == 0x80, bad
        assert board.shows == [(2, 13), (0, 0), (0, 0)]

    run(main())


def test_a_batch_that_nobody_confirms_goes_back_as_a_whole_and_may_be_tried_again(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path)
        app, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        kit.execute(board.device)
        await tried(board, healthy=False)
        assert board.shows == [(3, 0), (3, 0), (0, 0)]
        await asyncio.sleep(601.0)
        await board.again()
        assert board.shows == [(2, 8), (2, 8), (0, 0)]
        assert board.versions == ["1.0.0", "1.0.0", "5.0.0"]
        assert board.installed() == [None, None, None]
        kit.execute(board.device)
        await tried(board)
        assert board.shows == [(0, 1), (0, 1), (0, 0)]
        assert board.installed() == [app, modem, None]

    run(main())


FAILING = {
    "package of the second": ([UnsupportedPackageError("no")], [(2, 8), (0, 5), (0, 0)]),
    "storage": ([StorageError("worn out")], [(2, 8), (2, 8), (0, 0)]),
    "dependency": ([DependencyError("no sensor", instances=(2,))], [(2, 13), (2, 13), (0, 0)]),
}


@pytest.mark.parametrize("case", FAILING)
def test_an_installer_that_refuses_the_second_part_installs_none(kit, case):
    errors, shows = FAILING[case]

    async def main():
        board = kit.Kit()
        _, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        write = board.slots.write

        def second(part, attempt):
            if part.instance == 1 and errors:
                raise errors[0]
            write(part, attempt)

        board.slots.write = second
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert (board.shows, board.reboots) == (shows, 0)
        assert board.device.diagnosis(0) == board.device.diagnosis(1) == str(errors[0])
        if case == "dependency":
            assert kit.read(board.device, 17, 1) == [ObjectLink(33629, 2)]
        await board.again()
        assert board.installed() == [None, None, None]
        assert board.shows == shows

    run(main())


def test_a_deferred_update_takes_its_linked_ones_when_it_is_accepted(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path)
        _, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        for each in (0, 1):
            kit.write(board.device, 13, 1000, each)
        board.device.defer_updates(defer=True)
        kit.execute(board.device)
        assert board.shows == [(2, 11), (2, 0), (0, 0)]
        device = await board.again()
        device.accept_update(1)  # harmless: it waits for nothing
        assert board.shows == [(2, 11), (2, 0), (0, 0)]
        device.accept_update(0)
        assert board.shows == [(3, 0), (3, 0), (0, 0)]

    run(main())


def test_a_deferred_update_goes_on_by_itself(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path)
        device = await board.on()
        kit.write(device, 13, 5000, 2)
        device.defer_updates(defer=True)
        await kit.push(device, kit.signed(version="6.0.0"), instance=2)
        kit.execute(device, 2, 2)
        await asyncio.sleep(3000.0)
        await board.again()
        await asyncio.sleep(1990.0)
        assert board.shows[2] == (2, 11)
        await asyncio.sleep(11.0)
        assert board.shows[2] == (3, 0)
        assert board.reboots == 1

    run(main())


# ---- packages for several components


def bundle(kit, *names, needs=None, version="7.0.0"):
    parts = {name: (f"{version[0]}.{index}.0", name.encode() * 300) for index, name in enumerate(names)}
    return make_bundle(kit.KEY, parts, needs, version=version)


def test_a_package_of_several_moves_all_of_them(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path, formats=FORMATS)
        device = await board.on()
        await kit.push(device, bundle(kit, "sensor", "app"), instance=0)
        assert board.shows == [(2, 0), (0, 0), (2, 0)]
        assert (2, 2, 0) in board.shown
        assert (2, 1, 0) not in board.shown
        assert [kit.read(device, 7, each) for each in (0, 2)] == ["7.1.0", "7.0.0"]
        assert kit.read(device, 6, 2) == "bundle"
        assert kit.read(device, 16, 2) == [ObjectLink(33629, 0)]
        device = await board.again()
        assert board.shows == [(2, 0), (0, 0), (2, 0)]
        assert kit.execute(device, 2, 2) == 0x44
        await tried(board)
        assert board.shows == [(0, 1), (0, 0), (0, 1)]
        assert board.versions == ["7.1.0", "1.0.0", "7.0.0"]
        assert board.installed() == [b"app" * 300, None, b"sensor" * 300]
        assert board.device.staged_bytes == 0

    run(main())


@pytest.mark.parametrize("pulls", [False, True])
def test_a_package_for_a_busy_component_is_refused_and_the_busy_one_named(kit, pulls):
    async def main():
        data = bundle(kit, "app", "modem")
        board = kit.Kit(formats=FORMATS, fetchers=(kit.Origin(data),))
        device = await board.on()
        await kit.push(device, kit.signed(), instance=1)
        if pulls:
            kit.write(device, 1, kit.URI, 0)
            await asyncio.sleep(1.0)
        else:
            with pytest.raises(RefusedError) as caught:
                await kit.push(device, data, instance=0)
            assert caught.value.code == 0x80
        assert board.shows == [(0, 12), (2, 0), (0, 0)]
        assert kit.read(device, 17, 0) == [ObjectLink(33629, 1)]
        assert device.staged_bytes == len(kit.signed())
        kit.execute(device, 10, 1)
        await kit.push(device, data, instance=0)
        assert board.shows == [(2, 0), (2, 0), (0, 0)]

    run(main())


@pytest.mark.parametrize("names", [("modem",), ("app", "radio")])
def test_a_package_that_is_not_for_the_instance_or_the_device_is_unsupported(kit, names):
    async def main():
        board = kit.Kit(formats=FORMATS)
        device = await board.on()
        with pytest.raises(FotaError):
            await kit.push(device, bundle(kit, *names), instance=0)
        assert board.shows == [(0, 6), (0, 0), (0, 0)]
        assert device.staged_bytes == 0

    run(main())


@pytest.mark.parametrize("restart", [False, True])
def test_a_package_stays_while_a_sibling_holds_it_and_its_first_holder_takes_another(kit, tmp_path, restart):
    async def main():
        board = kit.Kit(tmp_path, formats=FORMATS)
        device = await board.on()
        await kit.push(device, bundle(kit, "app", "modem"), instance=0)
        assert kit.write(device, 1, "", 0) == 0x44
        assert board.shows == [(0, 0), (2, 0), (0, 0)]
        other = kit.signed(b"other" * 500, "8.0.0")
        await kit.push(device, other, until=1024, instance=0)
        if restart:
            device = await board.again()
            assert board.shows == [(0, 4), (2, 0), (0, 0)]
        await kit.push(device, other, instance=0)
        sensor = kit.signed(b"sensor" * 50, "6.0.0")
        await kit.push(device, sensor, instance=2)
        assert board.shows == [(2, 0), (2, 0), (2, 0)]
        if restart:
            device = await board.again()
        assert kit.execute(device, arguments=b"0='</33629/1>,</33629/2>'") == 0x44
        await tried(board)
        assert board.shows == [(0, 1), (0, 1), (0, 1)]
        assert board.installed() == [other, b"modem" * 300, sensor]
        assert board.device.staged_bytes == 0

    run(main())


def test_the_last_holder_of_a_package_lets_it_go(kit):
    async def main():
        board = kit.Kit(formats=FORMATS)
        device = await board.on()
        await kit.push(device, bundle(kit, "app", "modem", "sensor"), instance=1)
        for each in (1, 0):
            kit.execute(device, 10, each)
            assert device.staged_bytes > 0
        kit.execute(device, 10, 2)
        assert (board.shows, device.staged_bytes) == ([(0, 10), (0, 10), (0, 10)], 0)

    run(main())


# ---- restarts


def test_a_restart_resumes_every_pull_at_its_checkpoint(kit, tmp_path):
    async def main():
        data = kit.signed()
        origin = kit.Origin(data)
        board = kit.Kit(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        device = await board.on()
        kit.write(device, 1, kit.URI, 0)
        kit.write(device, 1, kit.URI, 2)
        await asyncio.sleep(0.055)
        await board.crash()
        device = await board.on()
        assert board.shows == [(1, 0), (0, 0), (1, 0)]
        for each in (0, 2):
            await reached(device, each, DOWNLOADED)
        assert origin.offsets == [0, 0, 1280, 1280]
        kit.execute(device, arguments=b"0='</33629/2>'")
        await tried(board)
        assert board.installed() == [data, None, data]

    run(main())


@pytest.mark.parametrize("policy", InterruptedInstall)
def test_an_interrupted_batch_is_finished_or_fails_by_policy_while_a_pull_goes_on(kit, tmp_path, policy):
    async def main():
        origin = kit.Origin(kit.signed(version="6.0.0"), pace_s=1.0)
        board = kit.Kit(tmp_path, fetchers=(origin,), settings={"interrupted_install": policy, "settle_s": 1.0})
        app, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        kit.write(board.device, 1, kit.URI, 2)
        kit.execute(board.device)
        await asyncio.sleep(1.5)
        assert board.installer_calls == ["write", "write"]
        await board.crash()
        device = await board.on()
        if policy is InterruptedInstall.FAIL:
            assert board.shows == [(2, 8), (2, 8), (1, 0)]
            kit.execute(device)
        assert board.shows == [(3, 0), (3, 0), (1, 0)]
        await asyncio.sleep(3.0)
        assert board.reboots == 1
        device = await board.again()
        device.healthy()
        await reached(device, 2, DOWNLOADED)
        assert board.shows == [(0, 1), (0, 1), (2, 0)]
        assert board.installed() == [app, modem, None]

    run(main())


def test_an_interrupted_batch_of_which_one_image_is_gone_has_failed(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path)
        _, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        kit.execute(board.device)
        await board.crash()
        (tmp_path / "staged-1").unlink()
        await board.on()
        assert board.shows == [(2, 8), (0, 8), (0, 0)]
        await asyncio.sleep(5.0)
        assert board.reboots == 0

    run(main())


def test_staged_bytes_that_were_exchanged_for_another_good_package_are_not_installed(kit, tmp_path):
    """Its signature holds, but nobody weighed what it needs."""

    async def main():
        board = kit.Kit(tmp_path)
        device = await board.on()
        await kit.push(device, kit.signed(b"a" * 999))
        await board.off()
        (tmp_path / "staged-0").write_bytes(kit.signed(b"b" * 983, needs=[(1, "9.9.9")]))
        device = await board.on()
        kit.execute(device)
        await asyncio.sleep(1.0)
        assert (board.shows[0], board.reboots) == ((0, 5), 0)

    run(main())


def test_a_component_that_a_firmware_takes_away_is_forgotten(kit, tmp_path):
    async def main():
        board = kit.Kit(tmp_path, formats=FORMATS)
        device = await board.on()
        await kit.push(device, bundle(kit, "modem", "sensor"), instance=1)
        await board.off()
        fewer = kit.Kit(tmp_path, formats=FORMATS, components={0: ("app", "1.0.0"), 2: ("sensor", "5.0.0")})
        device = await fewer.on()
        assert list(device.instances()) == [0, 2]
        assert fewer.shows == [(0, 0), (0, 5)]  # what it held lay in the other's area
        await kit.push(device, kit.signed(version="6.0.0"), instance=2)
        kit.execute(device, 2, 2)
        await tried(fewer)
        assert fewer.shows == [(0, 0), (0, 1)]

    run(main())


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: plain.update(schema=2),
        lambda plain: plain.update(schema="1"),
        lambda plain: plain.pop("places"),
        lambda plain: plain.update(places=[[0, 0]]),
        lambda plain: plain.update(places=[["0", 0, 1, None]]),
        lambda plain: plain.update(places=[[0, 0, 1, {"uri": 1}]]),
        lambda plain: plain["group"].update(schema=9),
    ],
)
def test_a_damaged_record_is_a_snapshot_error(kit, tmp_path, damage):
    async def main():
        board = kit.Kit(tmp_path)
        device = await board.on()
        await kit.push(device, kit.signed())
        await board.off()
        plain = json.loads((tmp_path / "firmware").read_bytes())
        damage(plain)
        (tmp_path / "firmware").write_bytes(json.dumps(plain).encode())
        device = board.make()
        with pytest.raises(SnapshotError):
            await device.start()

    run(main())


# ---- every call of every store fails once, and the power fails before each

DATA = {0: (b"app" * 700, "2.0.0"), 1: (b"modem" * 500, "1.1.0")}


async def deliver(kit, board, packages):
    """What a server does, however it goes: deliver both, execute once, wait, see it start again."""
    for each, data in packages.items():
        try:
            if board.device.component(each).machine.state is IDLE:
                await kit.push(board.device, data, size_bytes=len(data), instance=each, length=1024)
        except FotaError:
            pass
    try:
        if all(board.device.component(each).machine.state is DOWNLOADED for each in packages):
            kit.execute(board.device)
    except FotaError:
        pass
    await asyncio.sleep(30.0)
    if board.reboots:
        board.reboots = 0
        await board.off()
        await restarted(board)
        for _ in range(2):
            try:
                board.device.healthy()
                break
            except StorageError:
                continue


async def restarted(board):
    for _ in range(3):  # a device that cannot start is started again
        try:
            await board.on()
            break
        except StorageError:
            continue


def all_or_none(board, packages):
    installed = board.installed()[:2]
    return installed in ([None, None], [packages[0], packages[1]])


@pytest.mark.parametrize("mode", ["full", "broken"])
def test_a_store_that_fails_at_any_one_call_leaves_no_device_stuck_and_no_batch_half_done(kit, mode):
    packages = {0: kit.signed(*DATA[0], needs=[(1, "1.1.0")]), 1: kit.signed(*DATA[1])}

    async def main(n):
        faults = kit.Faults()
        faults.mode = mode
        board = kit.Kit(faults=faults)
        await board.on()
        faults.fail_at = faults.calls + n
        for _ in range(4):
            await deliver(kit, board, packages)
            assert all_or_none(board, packages), (n, faults.fired)
            if board.shows[:2] == [(0, 1), (0, 1)]:
                break
        assert board.shows == [(0, 1), (0, 1), (0, 0)], (n, faults.fired)
        assert board.installed() == [packages[0], packages[1], None]
        return faults.fired

    fired = []
    for n in range(1, 300):
        name = run(main(n))
        if name is None:
            break
        fired.append(name)
    assert {"save", "load", "write_at", "open", "seal", "read_at", "discard"} <= set(fired)


class PowerFailureError(BaseException):
    """Nothing after this happens."""


async def life(kit, board, packages):
    """A server that delivers both and executes, in one life of the device or over a reboot."""
    for each, data in packages.items():
        if board.device.component(each).machine.state is IDLE:
            await kit.push(board.device, data, instance=each, length=1024)
    if board.shows[:2] in ([(2, 0), (2, 0)], [(2, 8), (2, 8)]):
        kit.execute(board.device)
    await asyncio.sleep(5.0)
    if board.reboots:
        board.reboots = 0
        await board.again()
        board.device.healthy()


async def cut_and_recover(kit, packages, n):
    """The power fails before the n-th call; the name of that call, None if there was none."""

    class Power(kit.Faults):
        def run(self, name, action, *, may_stand=False):
            self.calls += 1
            if self.fail_at is not None and self.calls >= self.fail_at:
                self.fired = name
                raise PowerFailureError
            return action()

    power = Power()
    board = kit.Kit(faults=power)
    board.memory[2:] = [SimulatedFlash(board.capacity_bytes) for _ in board.memory[2:]]
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await board.on()
    power.fail_at = power.calls + n
    with contextlib.suppress(PowerFailureError):
        await life(kit, board, packages)
    if power.fired is None:
        return None
    await board.crash()
    power.fail_at = None
    for flash in board.memory[2:]:
        flash.cut_power()
    await board.on()
    for _ in range(3):
        if board.slots.boot_report().status.value == "pending":
            board.device.healthy()
        assert all_or_none(board, packages), (n, power.fired)
        if board.shows[:2] == [(0, 1), (0, 1)]:
            break
        await life(kit, board, packages)
    assert board.shows == [(0, 1), (0, 1), (0, 0)], (n, power.fired)
    assert board.installed() == [packages[0], packages[1], None]
    return power.fired


def test_a_power_failure_before_any_call_of_any_store_is_survived(kit):
    """From the first push to the acknowledged batch: after each the device starts again, and the update can be ended."""
    packages = {0: kit.signed(*DATA[0], needs=[(1, "1.1.0")]), 1: kit.signed(*DATA[1])}
    fired = []
    for n in range(1, 300):
        name = run(cut_and_recover(kit, packages, n))
        if name is None:
            break
        fired.append(name)
    assert len(fired) > 40


def test_a_failed_batch_lands_in_idle_by_policy(kit):
    async def main():
        board = kit.Kit(policies=FirmwarePolicies(failure_target=FailureTarget.IDLE))
        _, modem = await dependent(kit, board)
        await kit.push(board.device, modem, instance=1)
        board.installer_raises = {"apply": [StorageError("worn out")]}
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert board.shows == [(0, 8), (0, 8), (0, 0)]
        assert board.device.staged_bytes == 0

    run(main())


def test_several_resources_of_an_instance_are_written_together(kit):
    async def main():
        board = kit.Kit()
        device = await board.on()
        base = Path.of(33629, 1)
        answer = device.handle(Write(base, ((base / 11, 2), (base / 13, 60))), 0.0)
        assert (answer.code, kit.read(device, 11, 1), kit.read(device, 13, 1)) == (0x44, 2, 60)
        assert kit.read(device, 13, 0) == 0

    run(main())
