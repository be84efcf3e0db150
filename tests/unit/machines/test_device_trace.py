"""Traces of a device: what is recorded of one run, what is cut out, and which traces are refused."""

import json

import pytest

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import device_trace as dt
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_events import GroupFound, GroupRestarted, On, PackageChecked
from lwm2m_fota.machines.coordinator_state import Requirement, new_group
from lwm2m_fota.machines.device_trace import DeviceTrace, Happening, happened, read_trace, replay, started
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.trace_values import made, plain
from lwm2m_fota.model.enums import UpdateResult

PROFILE = FirmwareProfile()
EVENTS = (
    (10.0, ev.UriWritten("coap://user:word@host.example:5683/secret/path?x=1")),
    (11.0, ev.PackageReceived(1)),
    (12.5, ev.TransferFailed(UpdateResult(5), "bytes of coap://user:word@host.example/secret")),
)


def recorded():
    machine = FirmwareMachine()
    lines = [started(machine, PROFILE, 9.0)]
    for wall, event in EVENTS:
        taken = step(machine, event, PROFILE, wall)
        machine = taken.machine
        code = None if taken.answer is None else taken.answer.code
        lines.append(happened(Happening((event,), taken.effects, code), machine, PROFILE, wall))
    return machine, json.loads(json.dumps(lines))


def test_a_replay_comes_to_the_same_end():
    machine, lines = recorded()
    seen = []
    assert replay(read_trace(lines), seen.append) == machine
    assert [int(each.state) for each in seen] == [0, 1, 1, 0]
    assert (int(machine.result), machine.last_change) == (5, 12.5)


def test_what_is_recorded():
    _, lines = recorded()
    assert lines[0]["profile"]["version"] == "1.1"
    assert lines[1]["events"] == [{"kind": "UriWritten", "uri": "coap://host.example:5683/..."}]
    assert lines[1]["answer"] == 0x44
    assert lines[1]["effects"] == [
        {"kind": "Persist"},
        {"kind": "OpenStage", "size_bytes": None, "transfer": 1},
        {"kind": "Notify", "resource_ids": [12, 1, 3]},
        {"kind": "StartPull", "uri": "coap://host.example:5683/...", "transfer": 1, "resume": False},
    ]
    assert lines[1]["after"]["uri"] == "coap://host.example:5683/..."
    assert lines[3]["events"][0]["diagnosis"] == "bytes of coap://host.example/..."
    assert not any(each in json.dumps(lines) for each in ("secret", "word", "user"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[2].update(effects=[]), "line 3: other effects than were recorded"),
        (lambda lines: lines[2]["after"].update(state=2), "line 3: another machine than was recorded"),
        (lambda lines: lines[3].update(wall=13.0), "line 4: another machine than was recorded"),
        (lambda lines: lines[1].update(events=[{"kind": "ClockRead", "waited_s": 0.0}]), "line 2: other effects"),
        (lambda lines: lines.pop(1), "line 2: other effects"),
    ],
)
def test_another_end_than_the_recorded_one_is_told(change, words):
    lines = recorded()[1]
    change(lines)
    with pytest.raises(SnapshotError, match=words):
        replay(read_trace(lines))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines.clear(), "it is empty"),
        (lambda lines: lines.pop(0), "line 1 of the trace: no start of a device"),
        (lambda lines: lines[0].update(device=2), "line 1 of the trace: of schema 2, not 1"),
        (lambda lines: lines[0].update(machine={}), "line 1 of the trace: schema"),
        (lambda lines: lines[0].update(wall="noon"), "line 1 of the trace: not a float: a str"),
        (lambda lines: lines[0].update(wall=10**400), "line 1 of the trace: not a float"),
        (lambda lines: lines[0].update(wall=float("nan")), "line 1 of the trace: not a float"),
        (lambda lines: lines[0]["profile"].update(version="2.0"), "line 1 of the trace: not a"),
        (lambda lines: lines[0]["profile"].update(delivery=7), "line 1 of the trace: not listed by Object 5"),
        (lambda lines: lines[0]["profile"].update(protocols=5), "line 1 of the trace: not a list: a int"),
        (lambda lines: lines[0]["profile"]["policies"].update(reset_scope="never"), "line 1 of the trace: 'never'"),
        (lambda lines: lines[0]["profile"].pop("component"), "line 1 of the trace: not the fields of FirmwareProfile"),
        (lambda lines: lines.__setitem__(2, 5), "line 3 of the trace: neither a start nor what happened"),
        (lambda lines: lines[1].pop("wall"), "line 2 of the trace: neither"),
        (lambda lines: lines[1].update(answer=True), "line 2 of the trace: not a int: a bool"),
        (lambda lines: lines[1]["events"][0].update(kind="Burnt"), "line 2 of the trace: no kind that fits: 'Burnt'"),
        (lambda lines: lines[1]["events"][0].update(kind=5), "line 2 of the trace: a kind is no int"),
        (lambda lines: lines[3]["events"][0].update(result=8), "line 4 of the trace: not a failure of a transfer"),
    ],
)
def test_what_is_no_trace_is_refused(change, words):
    lines = recorded()[1]
    change(lines)
    with pytest.raises(SnapshotError, match=words):
        read_trace(lines)


def test_an_event_of_the_other_object_is_refused():
    lines = recorded()[1]
    lines[1]["events"] = [plain(On(0, ev.ClockRead()), {})]
    with pytest.raises(SnapshotError, match="no kind that fits: 'ClockRead'"):
        read_trace(lines)
    lines[1]["events"] = [plain(On(0, ev.CancelExecuted()), {})]
    with pytest.raises(SnapshotError, match="line 2: On is no event of this object"):
        replay(read_trace(lines))


def test_a_trace_made_by_hand_begins_with_a_start_too():
    with pytest.raises(SnapshotError, match="begins with no start"):
        replay(DeviceTrace(()))


def test_components_are_read_with_the_rule_of_the_device():
    profile = AdvancedProfile(components=(ComponentSpec(0, "app", ("0",)), ComponentSpec(3, "modem")))
    machine = new_group(profile, ("1", "2"))
    lines = json.loads(json.dumps([started(machine, profile, None)]))
    (entry,) = read_trace(lines).entries
    assert (entry.profile, entry.machine, entry.wall) == (profile, machine, None)
    exact = read_trace(lines, lambda version, minimum: version == minimum).entries[0].profile
    assert not exact.satisfies("2", "1")
    assert entry.profile.satisfies("2", "1")


def test_versions_of_a_restart_must_be_those_of_the_components():
    profile = AdvancedProfile(components=(ComponentSpec(0, "app"),))
    machine = new_group(profile, ("1",))
    found = GroupRestarted(GroupFound(versions=("1", "2")))
    lines = [started(machine, profile, None), happened(Happening((found,), ()), machine, profile, None)]
    with pytest.raises(SnapshotError, match="line 2: "):
        replay(read_trace(json.loads(json.dumps(lines))))


def test_values_within_values_are_read_by_their_types():
    event = On(1, PackageChecked("n", "1", requirements=(Requirement("app", "2"),)))
    data = json.loads(json.dumps(plain(event, {})))
    assert data["event"]["requirements"] == [["app", "2"]]
    assert made(dt.DeviceEvent, data) == event
    data["event"]["requirements"] = [["app"]]
    with pytest.raises(SnapshotError, match="not 2 values, but 1"):
        made(dt.DeviceEvent, data)
