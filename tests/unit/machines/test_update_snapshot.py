"""A server's update as JSON and back."""

import json

import attrs
import pytest

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.update import start, step
from lwm2m_fota.machines.update_events import Registered
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import Kind, Part, Verdict, outcome_of
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.model.enums import State, UpdateResult


def machine():
    plan = UpdatePlan(package_bytes=5, expected_version="2", schemes=("coap", "https"))
    made = step(start(plan, 100.0), Registered(object_versions={5: "1.1"}, epoch=3), 107.0).machine
    verdict = Verdict(Kind.FAILED, UpdateStage.EXECUTING, "device.update-failed", UpdateResult(99))
    part = Part(state=State(2), result=UpdateResult(99))
    control = attrs.evolve(made.control, parts=(part,), verdict=verdict)
    return attrs.evolve(made, control=control, memory=attrs.evolve(made.memory, warnings=("observe.failed",)))


def stored():
    return json.loads(json.dumps(snapshot(machine(), 110.0)))


def test_a_snapshot_is_json_and_comes_back_whole():
    assert restore(stored(), 110.0) == machine()


def test_times_are_laid_on_the_new_clock():
    made = restore(stored(), 5.0)
    assert (made.times.started, made.times.step, made.times.shown) == (-5.0, 2.0, None)


def test_the_layout_is_the_documented_one():
    data = stored()
    assert data["schema"] == 2
    assert set(data) == {"schema", "plan", "control", "ages", "memory"}
    assert data["ages"] == {"started": 10.0, "stage": 10.0, "step": 3.0, "heard": 3.0, "shown": None, "poll": None}
    assert data["control"]["step"] == "observe"
    assert data["control"]["parts"][0]["result"] == 99
    assert data["plan"]["schemes"] == ["coap", "https"]


def change(path, value):
    data = stored()
    place = data
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"schema": 2},
        change(["schema"], 1),
        change(["more"], 1),
        change(["plan"], 5),
        change(["plan", "package_bytes"], 0),
        change(["plan", "package_bytes"], "5"),
        change(["plan", "package_bytes"], True),
        change(["plan", "package_bytes"], None),
        change(["plan", "schemes"], "coap"),
        change(["plan", "schemes"], [1]),
        change(["plan", "method"], "fly"),
        change(["plan", "limits", "total_s"], -1.0),
        change(["plan", "limits", "total_s"], float("nan")),
        change(["plan", "limits", "total_s"], float("inf")),
        change(["plan", "limits", "total_s"], 10**400),
        change(["plan", "limits", "total_s"], True),
        change(["control", "more"], 1),
        change(["control", "step"], "nowhere"),
        change(["control", "step"], True),
        change(["control", "parts", 0, "state"], 4),
        change(["control", "parts", 0, "state"], [1]),
        change(["control", "parts", 0, "baseline"], None),
        change(["control", "parts"], []),
        change(["control", "at"], 1),
        change(["control", "at"], -1),
        change(["control", "delivered"], 1),
        change(["control", "order"], [1]),
        change(["control", "targets"], [0, 1]),
        change(["memory", "parts"], []),
        change(["plan", "policy", "version_match"], {"own": "ours"}),
        change(["plan", "policy", "version_match"], {}),
        change(["plan", "policy", "version_match"], "alike"),
        change(["control", "registered"], 1),
        change(["control", "verdict"], {}),
        change(["ages", "step"], "1"),
        change(["ages", "step"], None),
        change(["memory", "warnings"], [None]),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(SnapshotError):
        restore(data, 0.0)


def test_whole_numbers_do_for_seconds():
    assert restore(change(["ages", "step"], 3), 110.0) == machine()


def test_an_update_that_runs_has_no_outcome():
    made = start(UpdatePlan(package_bytes=1), 0.0)
    assert made.outcome is None
    with pytest.raises(UsageError):
        outcome_of(made)
