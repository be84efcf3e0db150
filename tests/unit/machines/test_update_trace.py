"""Traces of a server's update: what is recorded, what is cut out of it, and the replay to the same end."""

import json

import pytest

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines.update import start, step
from lwm2m_fota.machines.update_events import (
    CancelRequested,
    Notified,
    ReadAnswered,
    Registered,
    RequestFailed,
    TimePassed,
)
from lwm2m_fota.machines.update_policy import UpdatePlan, UpdatePolicy, Watch
from lwm2m_fota.machines.update_trace import first_line, line, read_trace, redacted, replay
from lwm2m_fota.model.paths import Path

PLAN = UpdatePlan(method="push", package_bytes=9, policy=UpdatePolicy(watch=Watch.READ_ONLY))
SHOWN = {
    Path.of(5, 0, 3): 0,
    Path.of(5, 0, 5): 0,
    Path.of(3, 0, 3): "1",
    Path.of(5, 0, 9): 2,
    Path.of(5, 0, 8): (0, 1),
    Path.of(5, 0, 14): True,
    Path.of(5, 0, 7): b"\x00",
    Path.of(5, 0, 1): 1.5,
}
EVENTS = (
    (10.0, Registered(object_versions={5: "1.2"}, instances=(), epoch=7)),
    (11.5, ReadAnswered(1, SHOWN)),
    (12.0, RequestFailed(2, "no answer from coap://user:word@host.example:5683/secret/path?x=1")),
    (13.0, Notified(Path.of(5, 0, 3), 1)),
    (14.0, CancelRequested()),
    (15.0, TimePassed()),
)


def recorded():
    machine = start(PLAN, 9.0)
    lines = [first_line(machine, 9.0)]
    for at, event in EVENTS:
        made = step(machine, event, at)
        lines.append(line(event, made.effects, made.machine, at))
        machine = made.machine
    return machine, json.loads(json.dumps(lines))


def test_a_replay_comes_to_the_same_end():
    machine, lines = recorded()
    trace = read_trace(lines)
    seen = []
    again = replay(trace, seen.append)
    assert (again.control, again.memory) == (machine.control, machine.memory)
    assert [each.control.step.value for each in seen] == [each["step"] for each in lines[1:]]
    assert (trace.began, [each.at for each in trace.entries]) == (9.0, [at for at, _ in EVENTS])


def test_what_is_wanted_is_recorded_without_reports():
    _, lines = recorded()
    assert [each["kind"] for each in lines[1]["effects"]] == ["Read"]
    assert [each["kind"] for each in lines[2]["effects"]] == ["Push"]
    assert lines[1]["effects"][0]["paths"][0] == {"path": "/5/0/3"}
    assert lines[2]["event"]["values"]["map"][4:] == [
        [{"path": "/5/0/8"}, [0, 1]],
        [{"path": "/5/0/14"}, True],
        [{"path": "/5/0/7"}, None],
        [{"path": "/5/0/1"}, None],
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("coap://host/secret", "coap://host/..."),
        ("at coaps+tcp://me:word@[::1]:5684/a/b?c#d now", "at coaps+tcp://[::1]:5684/... now"),
        ("https://host", "https://host/..."),
        ("no URI at all: a/b", "no URI at all: a/b"),
    ],
)
def test_a_uri_ends_with_its_host(text, left):
    assert redacted(text) == left


def test_no_secret_is_recorded():
    text = json.dumps(recorded()[1])
    assert "host.example:5683/..." in text
    assert not any(each in text for each in ("secret", "word", "user"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[0].update(trace=2), "of schema 2, not 1"),
        (lambda lines: lines[0].pop("machine"), "begins with no machine"),
        (lambda lines: lines[0].update(machine={}), "not a snapshot"),
        (lambda lines: lines.__setitem__(2, 5), "line 3 of the trace is damaged"),
        (lambda lines: lines[2].update(effects=[{}]), "line 3 of the trace is damaged"),
        (lambda lines: lines[3]["event"].update(kind="Burnt"), "line 4 of the trace has no event"),
        (lambda lines: lines[3]["event"].pop("reason"), "line 4 of the trace has not the fields of RequestFailed"),
        (lambda lines: lines[1]["event"].update(instances=5), "line 2 of the trace"),
        (lambda lines: lines[2]["event"].update(values={"map": [[{"path": "nowhere"}, 1]]}), "line 3 of the trace"),
        (lambda lines: lines[2]["event"].update(values={"map": [5]}), "line 3 of the trace"),
        (lambda lines: lines[2]["event"].update(values={"map": [[{"map": []}, 1]]}), "line 3 of the trace"),
    ],
)
def test_what_is_no_trace_is_refused(change, words):
    lines = recorded()[1]
    change(lines)
    with pytest.raises(SnapshotError, match=words):
        read_trace(lines)


def test_another_step_than_the_recorded_one_is_told():
    lines = recorded()[1]
    lines[2]["step"] = "verify"
    with pytest.raises(SnapshotError, match="line 3: push, and verify was recorded"):
        replay(read_trace(lines))


def test_an_empty_trace_is_none():
    with pytest.raises(SnapshotError, match="begins with no machine"):
        read_trace([])
