"""What one instance is refused because of others: every request in every such situation, under every choice.

Answers are CoAP code bytes: 68 is 2.04, 95 is 2.31, 128 is 4.00, 133 is 4.05, 163 is 5.03 (SPEC 3.1, 4.2; FIELD).
"""

import attrs
import pytest

from lwm2m_fota.machines import component_policies as cp
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator import step
from lwm2m_fota.machines.coordinator_events import On, PackageChecked, UpdateRequested
from lwm2m_fota.machines.coordinator_gates import GATES
from lwm2m_fota.machines.coordinator_state import new_group

COMPONENTS = tuple(ComponentSpec(instance, name) for instance, name in enumerate(("app", "modem", "radio")))
DEFAULT = AdvancedProfile(components=COMPONENTS)
URI = "coap://host.example/fw"
PUSH = (ev.PackageBegun(10),)
RECEIVED = (*PUSH, ev.PackageReceived())
READY = (*RECEIVED, PackageChecked("name", "2"))
UPDATING = (*READY, UpdateRequested(()))

REQUESTS = {
    "package": ev.PackageBegun(10),
    "empty package": ev.EmptyPackageWritten(),
    "uri": ev.UriWritten(URI),
    "bad uri": ev.UriWritten("no uri"),
    "ftp uri": ev.UriWritten("ftp://host.example/fw"),
    "reset": ev.ResetWritten(),
    "cancel": ev.CancelExecuted(),
    "severity": ev.SeverityWritten(0),
    "bad severity": ev.SeverityWritten(3),
    "max defer": ev.MaxDeferWritten(9),
    "bad max defer": ev.MaxDeferWritten(-1),
    "update": UpdateRequested(),
    "update 0": UpdateRequested(()),
    "update 1": UpdateRequested((1,)),
    "update stranger": UpdateRequested((9,)),
    "update itself": UpdateRequested((0,)),
    "update twice": UpdateRequested((1, 1)),
}
UPDATES = tuple(name for name in REQUESTS if name.startswith("update"))
ALWAYS = {"severity": 68, "max defer": 68, "bad severity": 128, "bad max defer": 128, "empty package": 128}
NOTHING = dict.fromkeys(REQUESTS, 133) | ALWAYS
IDLE = NOTHING | {"package": 95, "uri": 68, "bad uri": 68, "ftp uri": 68, "reset": 68}
PUSHING = NOTHING | {"package": 95, "reset": 68, "cancel": 68}
LISTS = {"update stranger": 128, "update itself": 128, "update twice": 128}
HOLDING = NOTHING | dict.fromkeys(UPDATES, 68) | LISTS | {"reset": 68, "cancel": 68}
BUSY = dict.fromkeys(UPDATES, 163)
NO_PUSH = {"package": 133}

ONE = cp.ConcurrentDownloads.ONE_AT_A_TIME
NO_MIX = cp.PushDuringPull.REFUSED
LISTS_ONE = {cp.ListedNotDownloaded.METHOD_NOT_ALLOWED: {"update 1": 133}}
LISTS_TWO = {cp.RepeatedLinks.IGNORED: {"update itself": 68, "update twice": 68}}
# What instance 0 went through, then instance 1; the answers at instance 0, and where a choice makes others.
SITUATIONS = {
    "idle, alone": ((), (), IDLE, {}),
    "idle, and one holds a package": ((), READY, IDLE, {}),
    "idle, and one pulls": ((), (ev.UriWritten(URI),), IDLE, {NO_MIX: NO_PUSH, ONE: NO_PUSH}),
    "idle, and one has pulled": ((), (ev.UriWritten(URI), ev.PackageReceived()), IDLE, {}),
    "idle, and one is pushed to": ((), PUSH, IDLE, {ONE: NO_PUSH}),
    "idle, and one was pushed to": ((), RECEIVED, IDLE, {}),
    "idle, and one is installed": ((), UPDATING, IDLE, {}),
    "pushed to, alone": (PUSH, (), PUSHING, {}),
    "pushed to, and one pulls": (PUSH, (ev.UriWritten(URI),), PUSHING, {NO_MIX: NO_PUSH, ONE: NO_PUSH}),
    "pushed to, and another too": (PUSH, PUSH, PUSHING, {ONE: NO_PUSH}),
    "pushed to, and one is installed": (PUSH, UPDATING, PUSHING, {}),
    "holds a package, and one pulls": (READY, (ev.UriWritten(URI),), HOLDING, LISTS_ONE | LISTS_TWO),
    "holds a package, and one is pushed to": (READY, PUSH, HOLDING, LISTS_ONE | LISTS_TWO),
    "holds a package, alone": (READY, (), HOLDING, LISTS_ONE | LISTS_TWO),
    "holds a package, as another does": (READY, READY, HOLDING, LISTS_TWO),
    "holds a package, and one is installed": (
        READY,
        UPDATING,
        HOLDING | BUSY | LISTS,
        {
            cp.UpdateDuringBatch.METHOD_NOT_ALLOWED: dict.fromkeys(("update", "update 0", "update 1"), 133),
            cp.RepeatedLinks.IGNORED: {"update itself": 163, "update twice": 163},
        },
    ),
    "is installed": (UPDATING, (), dict.fromkeys(REQUESTS, 133) | ALWAYS | {"empty package": 133}, {}),
    "is installed, and one is ready": (
        UPDATING,
        READY,
        dict.fromkeys(REQUESTS, 133) | ALWAYS | {"empty package": 133},
        {},
    ),
}
CHOICES = tuple(each for field in attrs.fields(cp.AdvancedPolicies) for each in type(field.default))


def prepared(own, others):
    group = new_group(DEFAULT, ("1",) * 3)
    for instance, events in ((0, own), (1, others)):
        for event in events:
            taken = step(group, On(instance, event), DEFAULT)
            assert taken.accepted, event
            group = taken.group
    return group


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_request(situation, choice):
    own, others, right, differences = SITUATIONS[situation]
    field = next(each.name for each in attrs.fields(cp.AdvancedPolicies) if type(each.default) is type(choice))
    profile = AdvancedProfile(components=COMPONENTS, advanced=cp.AdvancedPolicies(**{field: choice}))
    group, found = prepared(own, others), {}
    for name, event in REQUESTS.items():
        taken = step(group, On(0, event), profile)
        found[name] = int(taken.answer.code)
        assert taken.accepted is (found[name] in {68, 95})
        assert taken.accepted or taken.group is group
    assert found == right | differences.get(choice, {})


def test_every_gate_says_why():
    assert all(gate.guard.__doc__ for gate in GATES)
