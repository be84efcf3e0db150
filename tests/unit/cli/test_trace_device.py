"""Traces of devices on the command line: drawn in order, and files that go on after a restart."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.app import cli
from lwm2m_fota.cli.diagram import Arrow, Remark
from lwm2m_fota.cli.trace_device import items
from lwm2m_fota.cli.trace_file import TraceFile, read_file
from lwm2m_fota.machines import coordinator_events as group
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator import step as group_step
from lwm2m_fota.machines.coordinator_state import new_group
from lwm2m_fota.machines.device_trace import Happening, forgotten, happened, read_trace, started
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import UpdateResult

PROFILE = FirmwareProfile(version="1.2")
ADVANCED = AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(3, "modem")))
FOUND = ev.Found(image=ev.StagedImage.MISSING)


def lines(machine, profile, take, events):
    told = [started(machine, profile, 1.0)]
    for wall, event in enumerate(events, 2):
        taken = take(machine, event, profile, float(wall))
        machine = taken[0]
        code = None if taken.answer is None else taken.answer.code
        told.append(happened(Happening((event,), taken.effects, code), machine, profile, float(wall)))
    return json.loads(json.dumps(told))


def basic(*events):
    return lines(FirmwareMachine(), PROFILE, step, events)


def drawn(told):
    return items(read_trace(told))


def asked(words):
    return Arrow("Server", "Device", words)


def answered(words):
    return Arrow("Device", "Server", words, answer=True)


def test_a_pull_is_drawn_in_order():
    told = basic(
        ev.UriWritten("coap://host.example/fw"),
        ev.PackageReceived(1),
        ev.PackageVerified("app", "2"),
        ev.UpdateExecuted(),
    )
    assert drawn(told) == [
        Remark("Device", "starts"),
        asked("write Package URI coap://host.example/.."),
        answered("2.04 changed"),
        Remark("Device", "persist"),
        Remark("Device", "open stage"),
        Arrow("Device", "Server", "notify 12, 1, 3"),
        Arrow("Device", "Server", "fetch coap://host.example/.."),
        Remark("Device", "State 1, Result 0 (downloading, initial)"),
        Remark("Device", "package received"),
        Remark("Device", "persist"),
        Remark("Device", "verify image"),
        Remark("Device", "package verified: app 2"),
        Remark("Device", "persist"),
        Arrow("Device", "Server", "notify 12, 6, 7, 3"),
        Remark("Device", "State 2, Result 0 (downloaded, initial)"),
        asked("execute Update"),
        answered("2.04 changed"),
        Remark("Device", "persist"),
        Arrow("Device", "Server", "notify 12, 3"),
        Arrow("Device", "Installer", "install, attempt 1"),
        Remark("Device", "State 3, Result 0 (updating, initial)"),
    ]


@pytest.mark.parametrize(
    ("event", "item"),
    [
        (ev.PackageBegun(), asked("write Package")),
        (ev.PackageBegun(9), asked("write Package, 9 bytes")),
        (ev.EmptyPackageWritten(), asked("write an empty Package")),
        (ev.ResetWritten("uri"), asked("reset by an empty URI")),
        (ev.ResetWritten("package"), asked("reset by a NUL byte")),
        (ev.UriWritten("?"), asked("write Package URI not a URI")),
        (ev.CancelExecuted(), asked("execute Cancel")),
        (ev.SeverityWritten(2), asked("write Severity 2")),
        (ev.MaxDeferWritten(60), asked("write Maximum Defer Period 60")),
        (ev.AutoUpgradeWritten(enabled=True), asked("write Automatic Upgrade True")),
        (ev.TransferFailed(UpdateResult.CONNECTION_LOST), Remark("Device", "transfer failed: connection lost")),
        (ev.TransferFailed(UpdateResult.CONNECTION_LOST, "gone"), Remark("Device", "transfer failed: gone")),
        (ev.InstallSucceeded(), Arrow("Installer", "Device", "confirmed", answer=True)),
        (ev.InstallFailed(), Arrow("Installer", "Device", "failed: update failed", answer=True)),
        (ev.DeferralEnded(), Remark("Device", "the user agrees")),
        (ev.ClockRead(), Remark("Device", "the clock is read")),
        (ev.Restarted(FOUND), Arrow("Installer", "Device", "boot: none", answer=True)),
    ],
)
def test_every_event_is_drawn(event, item):
    assert drawn(basic(event))[1] == item


def test_what_cannot_be_saved_and_what_is_refused_are_drawn():
    told = basic(ev.CancelExecuted())
    told.append(json.loads(json.dumps(forgotten(FirmwareMachine(), PROFILE))))
    assert drawn(told)[1:] == [
        asked("execute Cancel"),
        answered("4.05 method not allowed"),
        Remark("Device", "State 0, Result 0 (idle, initial)"),
        Remark("Device", "cannot save it: all is as before"),
    ]


def test_components_are_told_apart():
    told = lines(
        new_group(ADVANCED, ("1", "1")),
        ADVANCED,
        group_step,
        [
            group.On(3, ev.PackageBegun(9)),
            group.On(3, ev.PackageReceived(1)),
            group.On(3, group.PackageChecked("", "2")),
            group.On(3, group.UpdateRequested(())),
            group.BatchFailed(),
            group.On(3, group.UpdateRequested((0,))),
            group.On(3, group.UpdateRequested()),
            group.BatchSucceeded(),
            group.GroupRestarted(group.GroupFound(versions=("1", "2"))),
        ],
    )
    found = drawn(told)
    assert found[1] == asked("instance 3: write Package, 9 bytes")
    assert Remark("Device", "instance 3: open stage") in found
    assert Remark("Device", "instance 3: State 1, Result 0 (downloading, initial)") in found
    assert Remark("Device", "instance 3: package received") in found
    assert Remark("Device", "instance 3: package verified: 2") in found
    assert asked("instance 3: execute Update, with no other") in found
    assert Arrow("Device", "Installer", "install 3, attempt 1") in found
    assert Arrow("Installer", "Device", "failed: update failed", answer=True) in found
    assert asked("instance 3: execute Update, with 0") in found
    assert Remark("Device", "instance 3: State 2, Result 13 (downloaded, dependency error)") in found
    assert asked("instance 3: execute Update") in found
    assert Arrow("Installer", "Device", "confirmed", answer=True) in found
    assert Remark("Device", "drop stage") in found


@pytest.mark.parametrize("form", ["mermaid", "svg"])
def test_the_command_knows_whose_trace_it_is(tmp_path, form):
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in basic(ev.PackageBegun(9))), "utf-8")
    told = CliRunner().invoke(cli, ["trace", str(path), "--format", form])
    assert told.exit_code == 0
    assert "Installer" in told.output
    assert "write Package, 9 bytes" in told.output


def test_a_trace_that_ends_elsewhere_is_an_error(tmp_path):
    path, told = tmp_path / "trace.jsonl", basic(ev.PackageBegun(9))
    told[1]["after"]["state"] = 2
    path.write_text("".join(json.dumps(each) + "\n" for each in told), "utf-8")
    done = CliRunner().invoke(cli, ["trace", str(path)])
    assert (done.exit_code, done.output) == (1, "Error: line 2: another machine than was recorded\n")


async def _record(path, told):
    async with TraceFile(path, goes_on=True) as file:
        for each in told:
            file(each)


@pytest.mark.parametrize("cut", ["", '{"wall": 1.0, "ev'])
def test_a_file_goes_on_after_a_restart_behind_its_last_whole_line(tmp_path, cut):
    path = tmp_path / "trace.jsonl"
    first, second = basic(ev.PackageBegun(9)), basic(ev.Restarted(FOUND))
    asyncio.run(_record(path, first))
    with path.open("a", encoding="utf-8") as file:
        file.write(cut)
    asyncio.run(_record(path, second))
    assert read_file(path) == read_trace(first + second)
    assert [each for each in items(read_file(path)) if each == Remark("Device", "starts")] == [
        Remark("Device", "starts")
    ] * 2


def test_a_file_of_one_cut_line_begins_anew(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"device": 1')
    asyncio.run(_record(path, basic()))
    assert len(read_file(path).entries) == 1
