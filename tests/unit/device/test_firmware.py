"""Object 5 carried out: pushes, pulls, restarts, deferrals, trials, and what goes wrong in each."""

import asyncio
import json

import pytest

from lwm2m_fota.device.firmware import InterruptedInstall
from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.errors import BlockwiseError, FotaError, SnapshotError, StorageError, UnsupportedPackageError
from lwm2m_fota.lwm2m.operations import Execute, Read, Write, WriteBlock
from lwm2m_fota.machines.coordinator_events import On
from lwm2m_fota.machines.events import TransferFailed
from lwm2m_fota.machines.policies import ClockLost, FirmwarePolicies, SynchronousUriFailure
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage import files

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = State


async def installed(kit, board, data, *, healthy=True):
    """From Downloaded to the end of the trial."""
    assert kit.execute(board.device) == 0x44
    assert board.shows == (3, 0)
    await asyncio.sleep(1.0)
    assert board.reboots == 1
    device = await board.again()
    assert board.shows == (3, 0)
    assert board.slots.boot_report().status.value == "pending"
    if healthy:
        device.healthy()
        assert board.shows == (0, 1)
        assert board.installed() == data
        assert device.version == "1.1.0"
        assert board.slots.boot_report().status.value == "normal"


# ---- what a client sees


def test_a_new_device_is_idle_and_tells_what_it_can(kit):
    async def main():
        device = await kit.Board().on()
        assert (device.state, device.result, device.diagnosis, device.staged_bytes) == (IDLE, 0, "", 0)
        assert (device.definition.id, device.version) == (5, "1.0.0")
        assert list(device.instances()) == [0]
        assert 10 in device.resources(0)
        assert device.streams(Path.of(5, 0, 0))
        assert not device.streams(Path.of(5, 0, 1))
        assert device.handle(Read(Path.of(5, 0, 3)), 0.0).code == 0x45
        assert kit.read(device, 9) == 2
        device.healthy()  # harmless

    run(main())


@pytest.mark.parametrize("length", [100, 256, 1 << 16])
def test_a_push_is_installed_after_trial_and_health_check(kit, length):
    async def main():
        board = kit.Board()
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data, length=length, size_bytes=len(data))
        assert board.shown == [(1, 0), (2, 0)]
        assert (kit.read(board.device, 6), kit.read(board.device, 7)) == ("", "1.1.0")
        await installed(kit, board, data)
        assert board.shown == [(1, 0), (2, 0), (3, 0), (0, 1)]
        assert board.installer_calls == ["write", "apply", "confirm", "acknowledge"]
        assert board.device.staged_bytes == 0

    run(main())


def test_a_pull_is_installed_after_trial_and_health_check(kit, tmp_path):
    async def main():
        data = kit.signed()
        board = kit.Board(tmp_path, fetchers=(kit.Origin(data),))
        await board.on()
        assert kit.write(board.device, 1, kit.URI) == 0x44
        await kit.reached(board.device, DOWNLOADED)
        assert kit.read(board.device, 1) == kit.URI
        await installed(kit, board, data)
        assert board.shown == [(1, 0), (2, 0), (3, 0), (0, 1)]

    run(main())


def test_automatic_upgrade_installs_without_execute(kit):
    async def main():
        board = kit.Board(profile=FirmwareProfile(version="1.2"))
        device = await board.on()
        assert kit.write(device, 14, value=True) == 0x44
        await kit.push(device, kit.signed())
        assert board.shows == (3, 0)
        await asyncio.sleep(1.0)
        assert board.reboots == 1

    run(main())


@pytest.mark.parametrize("pulls", [False, True])
def test_automatic_upgrade_is_deferred_as_an_execute_is(kit, tmp_path, pulls):
    async def main():
        data = kit.signed()
        profile = FirmwareProfile(version="1.2")
        board = kit.Board(tmp_path, profile=profile, fetchers=(kit.Origin(data),))
        device = await board.on()
        assert [kit.write(device, 13, 100), kit.write(device, 14, value=True)] == [0x44, 0x44]
        device.defer_updates(defer=True)
        if pulls:
            kit.write(device, 1, kit.URI)
            await kit.reached(device, DOWNLOADED)
        else:
            await kit.push(device, data)
        assert board.shown == [(1, 0), (2, 11)]
        await board.again()
        await asyncio.sleep(90.0)
        assert (board.shows, board.reboots) == ((2, 11), 0)
        await asyncio.sleep(11.0)
        assert (board.shows, board.reboots) == ((3, 0), 1)

    run(main())


# ---- packages that are refused

REFUSED = {
    "unsigned": (lambda kit: kit.signed(key=None), 5),
    "signed by a stranger": (lambda kit: kit.signed(key=kit.STRANGER), 5),
    "truncated": (lambda kit: kit.signed()[:-100], 5),
    "changed": (lambda kit: kit.signed()[:1000] + b"?" + kit.signed()[1001:], 5),
    "with more behind it": (lambda kit: kit.signed() + b"more", 5),
    "garbage": (lambda _: b"\x7fELF" + bytes(3000), 6),
    "too large for the store": (lambda kit: kit.signed(bytes(40_000)), 2),
}


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_a_pushed_package_that_is_refused_leaves_idle_and_the_next_one_works(kit, case, told):
    make, result = REFUSED[case]

    async def main():
        board = kit.Board(capacity_bytes=32_768)
        device = await board.on()
        bad, good = make(kit), kit.signed()
        with pytest.raises(FotaError) as caught:
            await kit.push(device, bad, size_bytes=len(bad) if told else None)
        assert caught.value.code == (0x8D if result == 2 else 0x80)
        assert board.shows == (0, result)
        refused_at_once = told and result == 2
        assert board.shown == ([] if refused_at_once else [(1, 0)]) + [(0, result)]
        assert device.diagnosis
        assert (device.staged_bytes, board.installer_calls) == (0, [])
        await kit.push(device, good)
        assert board.device.diagnosis == ""
        await installed(kit, board, good)

    run(main())


@pytest.mark.parametrize("case", REFUSED)
def test_a_pulled_package_that_is_refused_leaves_idle_and_the_next_one_works(kit, case):
    make, result = REFUSED[case]

    async def main():
        origin = kit.Origin(make(kit))
        board = kit.Board(capacity_bytes=32_768, fetchers=(origin,))
        device = await board.on()
        assert kit.write(device, 1, kit.URI) == 0x44
        await kit.reached(device, IDLE)
        assert board.shows == (0, result)
        assert board.shown == [(1, 0), (0, result)]
        assert device.diagnosis
        assert (device.staged_bytes, board.installer_calls) == (0, [])
        origin.data = good = kit.signed()
        kit.write(device, 1, kit.URI)
        await kit.reached(device, DOWNLOADED)
        await installed(kit, board, good)

    run(main())


def test_a_413_tells_how_much_would_be_taken(kit):
    async def main():
        device = await kit.Board(capacity_bytes=2048).on()
        data = kit.signed()
        with pytest.raises(BlockwiseError) as caught:
            kit.push_block(device, data, 0, size_bytes=len(data))
        assert (caught.value.code, caught.value.size1, caught.value.result) == (0x8D, 2048, 2)
        with pytest.raises(BlockwiseError) as caught:
            await kit.push(device, data)
        assert (caught.value.code, caught.value.size1, caught.value.result) == (0x8D, 2048, 2)

    run(main())


@pytest.mark.parametrize(("uri", "result"), [("ftp://h/x", 9), ("coaps://h/x", 9), ("no uri", 7), ("coap://", 7)])
def test_a_useless_uri_passes_through_downloading(kit, uri, result):
    async def main():
        board = kit.Board(fetchers=(kit.Origin(b""),))
        device = await board.on()
        assert kit.write(device, 1, uri) == 0x44
        assert board.shown == [(1, 0), (0, result)]
        assert board.shows == (0, result)
        assert device.diagnosis

    run(main())


def test_a_scheme_of_the_profile_that_no_fetcher_speaks_is_result_9(kit):
    async def main():
        board = kit.Board()
        device = await board.on()
        kit.write(device, 1, kit.URI)
        assert board.shows == (0, 9)

    run(main())


# ---- pushes


def test_a_push_that_stalls_has_lost_its_connection(kit):
    async def main():
        board = kit.Board()
        device = await board.on()
        await kit.push(device, kit.signed(), until=1024, pace_s=100.0)  # each block in time
        await asyncio.sleep(146.0)
        assert board.shows == (1, 0)
        await asyncio.sleep(2.0)
        assert board.shows == (0, 4)
        assert device.diagnosis.startswith("push.no-progress")
        assert kit.code_of(kit.push_block, device, kit.signed(), 1024) == 0x88
        await kit.push(device, kit.signed())
        await asyncio.sleep(1000.0)
        assert board.shows == (2, 0)

    run(main())


def test_a_refused_block_does_not_keep_a_stalled_push_alive(kit):
    async def main():
        board = kit.Board()
        device = await board.on()
        await kit.push(device, kit.signed(), until=1024)
        await asyncio.sleep(200.0)
        assert kit.code_of(kit.push_block, device, kit.signed(), 2048) == 0x88
        await asyncio.sleep(50.0)
        assert board.shows == (0, 4)

    run(main())


def test_a_new_first_block_begins_the_push_again_and_the_old_one_cannot_harm_it(kit):
    async def main():
        board = kit.Board()
        device = await board.on()
        data, other = kit.signed(), kit.signed(b"other" * 999)
        await kit.push(device, other, until=2048)
        await kit.push(device, data, until=512)
        assert kit.code_of(kit.push_block, device, other, 2048) == 0x88
        assert board.shows == (1, 0)
        for offset in range(512, len(data), 256):
            kit.push_block(device, data, offset)
        assert board.shows == (2, 0)
        await installed(kit, board, data)

    run(main())


def test_a_push_is_not_resumed_after_a_restart(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, kit.signed(), until=1024)
        await board.again()
        assert board.shows == (0, 4)
        assert board.device.staged_bytes == 0

    run(main())


@pytest.mark.parametrize(("resource", "result"), [(10, 10), (1, 0), (0, 0)])
@pytest.mark.parametrize("pulls", [False, True])
def test_cancel_and_reset_end_a_transfer(kit, resource, result, pulls):
    async def main():
        board = kit.Board(fetchers=(kit.Origin(kit.signed()),))
        device = await board.on()
        if pulls:
            kit.write(device, 1, kit.URI)
            await asyncio.sleep(0.1)
        else:
            await kit.push(device, kit.signed(), until=1024)
        assert device.staged_bytes > 0
        if resource == 10:
            assert kit.execute(device, 10) == 0x44
        elif resource == 1:
            assert kit.write(device, 1, "") == 0x44
        else:
            assert kit.push_block(device, b"\x00", 0) == 0x44
        assert board.shows == (0, result)
        assert device.staged_bytes == 0
        await asyncio.sleep(1000.0)
        assert board.shows == (0, result)

    run(main())


# ---- restarts of pulls


ENDS = {  # where a pull goes on that had 1536 bytes, 1280 of them at a checkpoint
    "in good order": (lambda board: board.device.stop(), {}, 1536),
    "killed": (lambda board: board.crash(), {}, 1535),
    "power cut": (lambda board: board.crash(), {"boot_id": "another"}, 1280),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_restart_resumes_a_pull(kit, tmp_path, monkeypatch, case):
    end, other, resumed = ENDS[case]
    monkeypatch.setattr(files, "system_boot_id", lambda: "b-1")

    async def main():
        data = kit.signed()
        origin = kit.Origin(data)
        board = kit.Board(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await asyncio.sleep(0.065)
        assert board.device.staged_bytes == 1536
        await end(board)
        edit(tmp_path, lambda plain: plain["checkpoint"].update(other))
        await board.on()
        assert board.shows == (1, 0)
        await kit.reached(board.device, DOWNLOADED)
        assert origin.offsets == [0, resumed]
        await installed(kit, board, data)

    run(main())


def test_a_restart_with_a_list_of_hosts_does_not_resume_a_pull_from_elsewhere(kit, tmp_path):
    async def main():
        origin = kit.Origin(kit.signed())
        board = kit.Board(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await asyncio.sleep(0.065)
        await board.device.stop()
        settings = {"download": kit.QUICK, "allowed_hosts": AllowedHosts(["updates.example"])}
        board = kit.Board(tmp_path, fetchers=(origin,), settings=settings)
        await board.on()
        assert board.shows == (0, 7)
        assert board.device.diagnosis == "pull.host-not-allowed: origin is not among the allowed hosts"
        await asyncio.sleep(1000.0)
        assert (board.device.staged_bytes, origin.offsets) == (0, [0])

    run(main())


@pytest.mark.parametrize("failure", SynchronousUriFailure)
def test_a_package_uri_of_another_host_is_refused_with_result_7(kit, tmp_path, failure):
    async def main():
        origin = kit.Origin(kit.signed())
        origin.resolutions = [AssertionError("it was resolved")]
        board = kit.Board(
            tmp_path,
            fetchers=(origin,),
            settings={"download": kit.QUICK, "allowed_hosts": AllowedHosts(["updates.example"])},
            profile=FirmwareProfile(policies=FirmwarePolicies(synchronous_uri_failure=failure)),
        )
        await board.on()
        assert kit.write(board.device, 1, kit.URI) == 0x44
        assert board.shows == (0, 7)
        assert board.device.diagnosis == "pull.host-not-allowed: origin is not among the allowed hosts"
        await asyncio.sleep(1000.0)
        assert (origin.offsets, len(origin.resolutions)) == ([], 1)

    run(main())


def edit(folder, change):
    """Change what is stored, as JSON."""
    plain = json.loads((folder / "firmware").read_bytes())
    change(plain)
    (folder / "firmware").write_bytes(json.dumps(plain).encode())


CHECKPOINTS = {
    "another URI": lambda plain: plain["checkpoint"].update(uri="coap://origin/other"),
    "another ETag": lambda plain: plain["checkpoint"].update(etag="ff"),
    "another digest": lambda plain: plain["checkpoint"].update(sha256="00" * 32),
    "more than is staged": lambda plain: plain["checkpoint"].update(offset=100_000),
    "none": lambda plain: plain.update(checkpoint=None),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_that_does_not_belong_is_dropped(kit, tmp_path, case):
    async def main():
        data = kit.signed()
        origin = kit.Origin(data)
        board = kit.Board(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await asyncio.sleep(0.1)
        await board.crash()
        edit(tmp_path, CHECKPOINTS[case])
        await board.on()
        await kit.reached(board.device, DOWNLOADED)
        assert origin.offsets == [0, 0]
        await installed(kit, board, data)

    run(main())


def test_staged_bytes_that_changed_are_fetched_again(kit, tmp_path):
    async def main():
        origin = kit.Origin(kit.signed())
        board = kit.Board(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await asyncio.sleep(0.1)
        await board.crash()
        staged = tmp_path / "staged"
        staged.write_bytes(b"\x00" + staged.read_bytes()[1:])
        await board.on()
        await kit.reached(board.device, DOWNLOADED)
        assert origin.offsets == [0, 0]

    run(main())


def test_a_lost_stage_is_fetched_again(kit, tmp_path):
    async def main():
        origin = kit.Origin(kit.signed())
        board = kit.Board(tmp_path, fetchers=(origin,), settings={"download": kit.QUICK})
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await asyncio.sleep(0.1)
        await board.crash()
        (tmp_path / "staged").unlink()
        await board.on()
        await kit.reached(board.device, DOWNLOADED)
        assert origin.offsets == [0, 0]

    run(main())


def test_a_sealed_image_that_was_not_yet_checked_is_checked_after_a_restart(kit, tmp_path):
    async def main():
        data = kit.signed()
        board = kit.Board(tmp_path, fetchers=(kit.Origin(data),))
        await board.on()
        kit.write(board.device, 1, kit.URI)
        await kit.reached(board.device, DOWNLOADED)
        await board.crash()
        edit(
            tmp_path,
            lambda plain: plain["machine"].update(state=1, package_name="", package_version=""),
        )
        await board.on()
        assert board.shows == (2, 0)
        await board.crash()
        edit(tmp_path, lambda plain: plain["machine"].update(state=1, package_name="", package_version=""))
        image = tmp_path / "staged"
        image.write_bytes(data[:2000] + b"\xff\xff" + data[2002:])
        await board.on()
        assert board.shows == (0, 5)

    run(main())


def test_downloaded_survives_a_restart(kit, tmp_path):
    async def main():
        data = kit.signed()
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, data)
        await board.again()
        assert board.shows == (2, 0)
        assert kit.read(board.device, 7) == "1.1.0"
        await installed(kit, board, data)

    run(main())


# ---- installation


def test_an_interrupted_installation_is_finished(kit, tmp_path):
    async def main():
        data = kit.signed()
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, data)
        kit.execute(board.device)
        await board.again()  # before anything was written
        assert board.shows == (3, 0)
        await asyncio.sleep(0.15)
        assert board.installer_calls == ["write"]
        await board.again()  # between write and apply
        await asyncio.sleep(1.0)
        assert board.installer_calls == ["write", "write", "apply"]
        assert board.reboots == 1
        await board.again()
        board.device.healthy()
        assert board.shows == (0, 1)
        assert board.installed() == data

    run(main())


def test_an_interrupted_installation_fails_where_the_policy_says_so(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path, settings={"interrupted_install": InterruptedInstall.FAIL})
        await board.on()
        await kit.push(board.device, kit.signed())
        kit.execute(board.device)
        await asyncio.sleep(0.15)
        await board.again()
        assert board.shows == (2, 8)
        assert board.slots.boot_report().status.value == "normal"
        await asyncio.sleep(10.0)
        assert (board.installer_calls, board.reboots) == (["write", "acknowledge"], 0)

    run(main())


def test_an_image_that_the_boot_loader_refuses_is_not_installed_again(kit, tmp_path):
    """Found by the explorer: a device that went on with it restarted round and round."""

    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, kit.signed())
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert (board.installer_calls, board.reboots) == (["write", "apply"], 1)
        await board.crash()
        (tmp_path / "slot-b").unlink()
        await board.on()
        assert board.shows == (0, 5)
        await asyncio.sleep(10.0)
        assert (board.installer_calls, board.reboots) == (["write", "apply", "acknowledge"], 1)

    run(main())


def test_an_interrupted_installation_whose_image_is_gone_has_failed(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, kit.signed())
        kit.execute(board.device)
        await board.crash()
        (tmp_path / "staged").unlink()
        await board.on()
        assert board.shows == (0, 8)

    run(main())


def test_an_interrupted_installation_whose_image_rotted_is_rejected(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data)
        kit.execute(board.device)
        await board.crash()
        (tmp_path / "staged").write_bytes(data[:-1] + b"\x00")
        await board.on()
        await asyncio.sleep(1.0)
        assert board.shows == (0, 5)
        assert board.installer_calls == []

    run(main())


def test_a_trial_that_nobody_confirms_goes_back(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, kit.signed())
        await installed(kit, board, kit.signed(), healthy=False)
        await asyncio.sleep(599.0)
        assert board.reboots == 1
        await asyncio.sleep(2.0)
        assert board.reboots == 2
        await board.again()
        assert board.shows == (2, 8)
        assert (board.device.version, board.installed()) == ("1.0.0", None)
        assert board.slots.boot_report().status.value == "normal"
        assert board.installer_calls[-1] == "acknowledge"

    run(main())


def test_a_confirmed_trial_is_not_ended_by_its_limit(kit):
    async def main():
        board = kit.Board()
        await board.on()
        await kit.push(board.device, kit.signed())
        await installed(kit, board, kit.signed())
        await asyncio.sleep(2000.0)
        assert board.reboots == 1

    run(main())


def test_a_confirmation_that_was_not_reported_is_found_after_a_restart(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data)
        await installed(kit, board, data, healthy=False)
        board.slots.confirm()
        await board.again()
        assert board.shows == (0, 1)
        assert board.slots.boot_report().status.value == "normal"
        await board.again()
        assert board.shows == (0, 1)

    run(main())


FAILING = {
    "package at write": ("write", UnsupportedPackageError("not for this slot"), (0, 5)),
    "storage at write": ("write", StorageError("worn out"), (2, 8)),
    "storage at apply": ("apply", StorageError("worn out"), (2, 8)),
}


@pytest.mark.parametrize("case", FAILING)
def test_an_installer_that_refuses_or_fails_is_reported(kit, case):
    call, error, shows = FAILING[case]

    async def main():
        board = kit.Board()
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data)
        board.installer_raises = {call: [error]}
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert (board.shows, board.reboots) == (shows, 0)
        assert board.device.diagnosis == str(error)
        if shows[0] == 0:
            await kit.push(board.device, data)
        await installed(kit, board, data)

    run(main())


def test_an_image_that_is_gone_at_the_installation_is_not_promised_any_more(kit):
    async def main():
        board = kit.Board()
        await board.on()
        await kit.push(board.device, kit.signed())
        board.memory[2].discard()
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert (board.shows, board.device.diagnosis) == ((0, 8), "the sealed image is gone")
        await kit.push(board.device, kit.signed())
        await installed(kit, board, kit.signed())

    run(main())


@pytest.mark.parametrize("call", ["write", "apply"])
def test_a_fault_of_the_installer_is_shown_and_ends_in_a_failure(kit, quiet, call):
    async def main():
        seen = quiet()
        board = kit.Board()
        await board.on()
        await kit.push(board.device, kit.signed())
        board.installer_raises = {call: [OSError()]}
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert board.shows == (2, 8)
        assert board.device.diagnosis == "OSError()"
        assert [type(error) for error in seen] == [OSError]
        await installed(kit, board, kit.signed())

    run(main())


def test_blocking_calls_go_where_the_owner_wants_them(kit):
    async def main():
        offloaded = []

        async def offload(action):
            offloaded.append(action)
            await asyncio.to_thread(action)

        board = kit.Board(offload=offload)
        await board.on()
        await kit.push(board.device, kit.signed())
        await installed(kit, board, kit.signed())
        assert len(offloaded) == 2

    run(main())


# ---- deferral


async def deferred(kit, board, period_s=100):
    device = await board.on()
    assert kit.write(device, 13, period_s) == 0x44
    device.defer_updates(defer=True)
    await kit.push(device, kit.signed())
    assert kit.execute(device) == 0x44
    assert board.shows == (2, 11)
    return device


def test_a_deferred_update_is_installed_when_its_time_is_over(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await deferred(kit, board, 10_000)
        await asyncio.sleep(6000.0)
        await board.again()  # the deadline is absolute
        await asyncio.sleep(3990.0)
        assert board.shows == (2, 11)
        await asyncio.sleep(11.0)
        assert board.reboots == 1

    run(main())


def test_a_deferred_update_is_installed_when_the_user_agrees(kit):
    async def main():
        board = kit.Board()
        device = await deferred(kit, board)
        device.accept_update()
        await asyncio.sleep(1.0)
        assert board.reboots == 1
        await asyncio.sleep(200.0)
        assert board.installer_calls == ["write", "apply"]

    run(main())


def test_a_device_that_may_not_defer_or_does_not_want_to_installs_at_once(kit):
    async def main():
        for period_s, wants in ((0, True), (100, False)):
            board = kit.Board()
            device = await board.on()
            kit.write(device, 13, period_s)
            device.defer_updates(defer=wants)
            await kit.push(device, kit.signed())
            kit.execute(device)
            assert board.shows == (3, 0)

    run(main())


def test_who_wants_to_defer_an_automatic_upgrade_and_may_not_installs_at_once(kit):
    async def main():
        board = kit.Board(profile=FirmwareProfile(version="1.2"))
        device = await board.on()
        kit.write(device, 14, value=True)
        device.defer_updates(defer=True)
        await kit.push(device, kit.signed())
        assert board.shows == (3, 0)

    run(main())


def test_a_cancelled_deferral_is_over(kit):
    async def main():
        board = kit.Board()
        device = await deferred(kit, board)
        kit.execute(device, 10)
        await asyncio.sleep(1000.0)
        assert (board.shows, board.reboots) == ((0, 10), 0)

    run(main())


def test_a_clock_that_jumps_ahead_ends_the_deferral_within_the_hour(kit):
    async def main():
        board = kit.Board()
        await deferred(kit, board, 1_000_000)
        board.clock_shift_s = 2_000_000.0
        await asyncio.sleep(3601.0)
        assert board.reboots == 1

    run(main())


@pytest.mark.parametrize("restarts", [0, 1, 5])
def test_without_its_clock_a_device_counts_on_over_all_its_restarts(kit, tmp_path, restarts):
    async def main():
        board = kit.Board(tmp_path)
        await deferred(kit, board, 900)
        board.clock_set = False
        for _ in range(restarts):
            await asyncio.sleep(130.0)  # the last look was after 120 s
            assert board.shows == (2, 11)
            await board.again()
        begin = asyncio.get_running_loop().time()
        await kit.reached(board.device, UPDATING, 4000.0)
        left = 900.0 - 120.0 * restarts
        assert left <= asyncio.get_running_loop().time() - begin <= max(2 * left, left + 61.0)
        await asyncio.sleep(1.0)
        assert board.reboots == 1

    run(main())


def test_a_clock_that_is_set_again_decides(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await deferred(kit, board, 10_000)
        board.clock_set = False
        await board.again()
        await asyncio.sleep(5000.0)
        board.clock_set = True
        await asyncio.sleep(4900.0)
        assert board.shows == (2, 11)
        await asyncio.sleep(101.0)
        assert board.reboots == 1

    run(main())


def test_a_clock_that_is_waited_for_is_looked_at_every_hour(kit, tmp_path):
    async def main():
        policies = FirmwarePolicies(clock_lost=ClockLost.WAIT_FOR_CLOCK)
        board = kit.Board(tmp_path, profile=FirmwareProfile(policies=policies))
        await deferred(kit, board)
        board.clock_set = False
        await board.again()
        await asyncio.sleep(50_000.0)
        assert board.shows == (2, 11)
        board.clock_set = True
        await asyncio.sleep(3602.0)
        assert board.reboots == 1

    run(main())


def test_a_clock_that_goes_back_counts_the_period_again(kit):
    async def main():
        board = kit.Board()
        await deferred(kit, board, 5000)
        board.clock_shift_s = -1_000_000.0
        await asyncio.sleep(5100.0)
        assert board.shows == (2, 11)
        await asyncio.sleep(3600.0)
        assert board.reboots == 1

    run(main())


# ---- another object version

VERSIONS = {each: FirmwareProfile(version=each) for each in ("1.0", "1.1", "1.2")}


async def restarted_in(board, version):
    await board.off()
    board.options["profile"] = VERSIONS[version]
    return await board.on()


@pytest.mark.parametrize("before", ["1.1", "1.2"])
def test_a_deferred_update_waits_for_an_execute_where_nothing_can_be_deferred(kit, tmp_path, before):
    async def main():
        board = kit.Board(tmp_path, profile=VERSIONS[before])
        await deferred(kit, board)
        await restarted_in(board, "1.0")
        assert board.shows == (2, 0)
        await restarted_in(board, "1.1")  # what 1.0 has shown counts
        await asyncio.sleep(10_000.0)
        assert (board.shows, board.reboots) == ((2, 0), 0)
        await restarted_in(board, "1.0")
        await installed(kit, board, kit.signed())

    run(main())


def test_a_state_that_cannot_be_saved_in_another_version_is_taken_over_all_the_same(kit):
    async def main():
        faults = kit.Faults()
        board = kit.Board(faults=faults)
        await deferred(kit, board)
        faults.fail_at = faults.calls + 5  # the boot record is read three times, and the state
        await restarted_in(board, "1.0")
        assert (faults.fired, board.shows) == ("save", (2, 0))

    run(main())


@pytest.mark.parametrize("after", ["1.1", "1.2"])
def test_a_newer_version_keeps_all(kit, tmp_path, after):
    async def main():
        board = kit.Board(tmp_path, profile=VERSIONS["1.0"])
        await board.on()
        await kit.push(board.device, kit.signed())
        board.installer_raises = {"write": [StorageError("worn out")]}
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        stored = board.stores()[0].load()
        await restarted_in(board, after)
        assert (board.shows, board.stores()[0].load()) == ((2, 8), stored)
        await installed(kit, board, kit.signed())

    run(main())


def test_the_state_of_another_object_is_refused_and_kept(kit):
    async def main():
        one, several = kit.Board(), kit.Kit()
        await (await one.on()).start()
        await several.on()
        for board in (one, several):
            kit.write(board.device, 11, 2)
            await board.off()
        stored = [board.memory[0].load() for board in (one, several)]
        one.memory[0], several.memory[0] = several.memory[0], one.memory[0]
        for board, words in ((one, "of Object 33629, not"), (several, "of Object 5, not")):
            with pytest.raises(SnapshotError, match=words):
                await board.on()
        assert [board.memory[0].load() for board in (several, one)] == stored

    run(main())


# ---- stores that fail


def test_a_request_that_cannot_be_saved_is_refused_and_changes_nothing(kit):
    async def main():
        for mode in ("full", "broken"):
            faults = kit.Faults()
            faults.mode = mode
            code = 0x8D if mode == "full" else 0xA0
            board = kit.Board(faults=faults, fetchers=(kit.Origin(kit.signed()),))
            device = await board.on()

            def fails(action, *arguments, board=board, faults=faults, code=code):
                shows, shown, stored = board.shows, list(board.shown), board.memory[0].load()
                faults.fail_at = faults.calls + 1
                assert kit.code_of(action, *arguments) == code
                assert faults.fired == "save"
                assert (board.shows, board.shown) == (shows, shown)
                if stored is not None:
                    assert board.memory[0].load() == stored

            fails(kit.push_block, device, kit.signed(), 0)
            fails(kit.write, device, 1, kit.URI)
            fails(kit.write, device, 11, 2)
            await kit.push(device, kit.signed(), until=512)
            fails(kit.execute, device, 10)
            fails(kit.write, device, 1, "")
            fails(kit.write, device, 11, 2)
            for offset in range(512, len(kit.signed()), 256):
                kit.push_block(device, kit.signed(), offset)
            assert board.shows == (2, 0)
            fails(kit.execute, device, 2)
            fails(kit.execute, device, 10)
            fails(kit.write, device, 1, "")
            await asyncio.sleep(300.0)
            assert (board.shows, board.installer_calls) == ((2, 0), [])
            assert kit.read(device, 11) == 1
            await board.again()
            assert board.shows == (2, 0)
            await installed(kit, board, kit.signed())

    run(main())


@pytest.mark.parametrize("again", ["healthy", "restart"])
def test_a_success_that_cannot_be_saved_is_found_again_and_not_installed_twice(kit, tmp_path, again):
    async def main():
        faults = kit.Faults()
        board = kit.Board(tmp_path, faults=faults)
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data)
        await installed(kit, board, data, healthy=False)
        faults.fail_at = faults.calls + 4  # read the record; confirm: read, write; then the state
        faults.times = 3  # the state, the stage, the state once more
        with pytest.raises(StorageError):
            board.device.healthy()
        assert faults.fired == "save"
        assert board.shows == (0, 1)
        assert board.slots.boot_report().status.value == "confirmed"
        if again == "healthy":
            board.device.healthy()
        else:
            await board.again()
        assert board.shows == (0, 1)
        assert board.slots.boot_report().status.value == "normal"
        await board.again()
        assert board.shows == (0, 1)
        await asyncio.sleep(1000.0)
        assert board.installer_calls.count("write") == 1
        assert board.reboots == 1
        assert (tmp_path / "staged").stat().st_size == 0

    run(main())


def test_a_confirmation_that_fails_can_be_repeated_or_ends_in_a_revert(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        data = kit.signed()
        await board.on()
        await kit.push(board.device, data)
        await installed(kit, board, data, healthy=False)
        board.installer_raises = {"confirm": [StorageError("worn out"), StorageError("worn out")]}
        for _ in range(2):
            with pytest.raises(StorageError):
                board.device.healthy()
        assert board.shows == (3, 0)
        await asyncio.sleep(601.0)
        assert board.reboots == 2

    run(main())


def test_a_deferral_that_is_due_and_cannot_be_saved_is_tried_again_in_a_minute(kit):
    async def main():
        faults = kit.Faults()
        board = kit.Board(faults=faults)
        await deferred(kit, board, 100)
        calls = faults.calls
        faults.fail_at = calls + 1
        await asyncio.sleep(101.0)
        assert board.shows == (2, 11)
        assert faults.calls == calls + 2  # tried, and taken back
        await asyncio.sleep(60.0)
        assert board.reboots == 1

    run(main())


def test_a_failure_that_cannot_be_saved_counts_all_the_same(kit):
    async def main():
        faults = kit.Faults()
        board = kit.Board(faults=faults)
        device = await board.on()
        await kit.push(device, kit.signed(), until=1024)
        faults.fail_at = faults.calls + 1
        assert isinstance(device._report(On(0, TransferFailed(UpdateResult.OUT_OF_MEMORY))), StorageError)
        assert (board.shows, board.shown[-1], device.staged_bytes) == ((0, 3), (0, 3), 0)

    run(main())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"schema":2,"machine":{},"checkpoint":null}',
        b'{"schema":"1","machine":{},"checkpoint":null}',
        b'{"schema":1,"machine":[],"checkpoint":null}',
        b'{"schema":1,"machine":{},"checkpoint":null}',
        b'{"schema":1,"checkpoint":null}',
    ],
)
def test_a_damaged_state_is_a_snapshot_error(kit, data):
    async def main():
        board = kit.Board()
        board.memory[0].save(data)
        with pytest.raises(SnapshotError):
            await board.on()

    run(main())


def test_a_damaged_checkpoint_is_a_snapshot_error(kit, tmp_path):
    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        kit.write(board.device, 11, 2)
        edit(tmp_path, lambda plain: plain.update(checkpoint={"uri": 1}))
        with pytest.raises(SnapshotError):
            await board.again()

    run(main())


def test_a_listener_that_fails_stops_neither_the_others_nor_the_update(kit, quiet):
    async def main():
        seen = quiet()
        board = kit.Board()
        device = board.make()
        device._listeners.insert(0, lambda _: 1 / 0)
        await device.start()
        await kit.push(device, kit.signed())
        kit.execute(device)
        await asyncio.sleep(1.0)
        assert board.reboots == 1
        assert board.shown == [(1, 0), (2, 0), (3, 0)]
        assert {type(error) for error in seen} == {ZeroDivisionError}

    run(main())


def test_stop_leaves_no_timer_and_no_task(kit):
    async def main():
        loop = asyncio.get_running_loop()
        for begin in ("push", "pull", "install", "defer", "trial"):
            board = kit.Board(fetchers=(kit.Origin(kit.signed(), pace_s=1.0),))
            device = await board.on()
            if begin == "push":
                await kit.push(device, kit.signed(), until=512)
            elif begin == "pull":
                kit.write(device, 1, kit.URI)
                await asyncio.sleep(2.5)
            else:
                if begin == "defer":
                    kit.write(device, 13, 100)
                    device.defer_updates(defer=True)
                await kit.push(device, kit.signed())
                kit.execute(device)
                if begin == "trial":
                    await asyncio.sleep(1.0)
                    await board.again()
            await board.off()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}, begin
            left = [handle for handle in loop._scheduled if not handle.cancelled()]
            assert left == [], begin
            await board.off()  # twice is harmless

    run(main())


# ---- every call of every store fails once


async def deliver(kit, board, data, pulls):
    """What a server does, however it goes: deliver, execute, wait, see it start again."""
    device = board.device
    try:
        if pulls:
            kit.write(device, 1, kit.URI)
        else:
            await kit.push(device, data, size_bytes=len(data))
    except FotaError:
        pass
    await asyncio.sleep(30.0)
    try:
        if device.state is DOWNLOADED:
            kit.execute(device)
    except FotaError:
        pass
    await asyncio.sleep(30.0)
    if board.reboots:
        board.reboots = 0
        await board.off()
        for _ in range(2):  # a device that cannot start is started again
            try:
                device = await board.on()
                break
            except StorageError:
                continue
        for _ in range(2):
            try:
                device.healthy()
                break
            except StorageError:
                continue


SETTLED = {
    (0, 0),  # refused before anything began, or a server's reset
    (0, 1),  # done all the same
    (0, 2),  # not enough storage
    (2, 0),  # the Execute was refused
    (2, 8),  # the installation failed
}


@pytest.mark.parametrize("mode", ["full", "broken"])
@pytest.mark.parametrize("pulls", [False, True])
def test_a_store_that_fails_at_any_one_call_leaves_no_device_stuck(kit, pulls, mode):
    data = kit.signed(bytes(range(256)) * 8)
    trust = TrustPolicy(keys=kit.TRUST.keys)

    async def main(n):
        faults = kit.Faults()
        faults.mode = mode
        origin = kit.Origin(data, block_bytes=512)
        board = kit.Board(faults=faults, fetchers=(origin,), settings={"download": kit.QUICK}, trust=trust)
        await board.on()
        faults.fail_at = faults.calls + n
        await deliver(kit, board, data, pulls)
        assert board.shows in SETTLED, (n, faults.fired, board.shows)
        assert board.installed() in {None, data}
        if board.shows != (0, 1):
            await deliver(kit, board, data, pulls)
        assert board.shows == (0, 1), (n, faults.fired)
        assert board.installed() == data
        return faults.fired

    fired = []
    for n in range(1, 200):
        name = run(main(n))
        if name is None:
            break
        fired.append(name)
    assert {"save", "load", "write_at", "open", "seal", "read_at", "discard"} <= set(fired)
    assert ("sync" in fired) == pulls
    assert len(fired) > 30


def test_whether_an_operation_would_be_taken_can_be_asked(kit):
    async def main():
        board = kit.Board()
        device = await board.on()
        uri = Path.of(5, 0, 1)
        write = Write(uri, [(uri, "coap://h/x")])
        device.check(write, kit.now())
        device.check(WriteBlock(Path.of(5, 0, 0), 0, b"image", first=True, final=True), kit.now())
        assert (board.shows, device.staged_bytes, board.memory[0].load()) == ((0, 0), 0, None)
        await kit.push(device, kit.signed())
        assert board.shows == (2, 0)
        assert kit.code_of(device.check, write, kit.now()) == device.handle(write, kit.now()).code
        execute = Execute(Path.of(5, 0, 2))
        device.check(execute, kit.now())
        assert board.shows == (2, 0)
        await board.off()

    run(main())


def test_a_listener_of_traces_that_fails_stops_no_update(kit):
    async def main():
        shown = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: shown.append(context["message"]))

        def fail(line):
            raise ValueError(next(iter(line)))

        board = kit.Board(trace=fail)
        device = await board.on()
        await kit.push(device, kit.signed())
        assert board.shows == (2, 0)
        assert shown[:2] == [f"the listener of a trace failed: ValueError('{each}')" for each in ("device", "wall")]
        await board.off()

    run(main())


def test_nothing_is_recorded_where_nobody_listens(kit):
    async def main():
        board = kit.Board(trace=None)
        device = await board.on()
        await kit.push(device, kit.signed())
        assert (board.shows, board.trace) == ((2, 0), [])
        await board.off()

    run(main())
