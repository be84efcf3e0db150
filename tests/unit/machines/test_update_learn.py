"""What is learnt before an update: components, settings, the way of the package, versions."""

import pytest

from lwm2m_fota.machines import update_learn as learn
from lwm2m_fota.machines.update_policy import (
    ComponentPlan,
    DeviceSettings,
    Method,
    UpdatePlan,
    UpdatePolicy,
    VersionGuard,
)
from lwm2m_fota.machines.update_state import Control, Part
from lwm2m_fota.machines.update_versions import VersionMatch
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.enums import Severity
from lwm2m_fota.model.paths import Path

FIVE = Control(object_id=5, targets=(0,), offers=True, minor=1)


def components(*names, **fields):
    """A plan of components; a name may come with those that it needs: `("app", "modem")`."""
    parts = [(each,) if isinstance(each, str) else each for each in names]
    made = (
        ComponentPlan(name=name, package_bytes=10 + at, package=at, needs=tuple(needs))
        for at, (name, *needs) in enumerate(parts)
    )
    return UpdatePlan(components=tuple(made), **fields)


# ---- objects and instances


@pytest.mark.parametrize(
    ("offered", "objects", "chosen"),
    [
        ({5: "1.1", 33629: "1.0"}, (33629, 5), 33629),
        ({5: "1.1"}, (33629, 5), 5),
        ({33629: "1.0"}, (33629, 5), 33629),
        ({5: "1.1", 33629: "1.0"}, (5, 33629), 5),
        ({5: "1.1", 33629: "1.0"}, (5,), 5),
        ({33629: "1.0"}, (5,), 5),
        ({}, (33629, 5), 33629),
    ],
)
def test_the_object_of_a_basic_update(offered, objects, chosen):
    plan = UpdatePlan(package_bytes=1, policy=UpdatePolicy(objects=objects))
    assert learn.choose_object(plan, offered) == chosen


@pytest.mark.parametrize("offered", [{5: "1.2"}, {5: "1.2", 33629: "1.0"}, {}])
def test_components_are_of_object_33629_whatever_the_policy_says(offered):
    plan = components("app", policy=UpdatePolicy(objects=(5,)))
    assert learn.choose_object(plan, offered) == 33629


def test_the_instance_of_a_basic_update_is_known_at_once():
    basic = UpdatePlan(package_bytes=1)
    assert learn.first_targets(basic, 5, ()) == (0,)
    assert learn.first_targets(basic, 33629, ()) == (0,)
    assert learn.first_targets(basic, 33629, (4, 2)) == (2,)
    assert learn.first_targets(components("app"), 33629, (0,)) == ()


def names(**known):
    """`i0="app"`: resource 14 of instance 0."""
    return {Path.of(33629, int(key[1:]), 14): value for key, value in known.items()}


@pytest.mark.parametrize(
    ("wanted", "values", "found"),
    [
        (("app", "modem"), names(i0="app", i1="modem"), (0, 1)),
        (("modem", "app"), names(i0="app", i1="modem"), (1, 0)),
        (("1", "0"), names(), (1, 0)),
        (("app", "2"), names(i0="app", i1="modem"), (0, 2)),
        (("1",), names(i0="1", i1="0"), (0,)),
        (("app",), names(i5="app"), (5,)),
        (("7",), {Path.of(33629, 7, 3): 0}, (7,)),
        (("app",), names(i0="apps", i1="my app", i2="App"), None),
        (("app",), names(i0=7), None),
        (("app", "0"), names(i0="app"), None),
        (("9",), names(i0="app"), None),
        (("01",), names(), None),
        (("app",), {Path.of(5, 0, 14): "app"}, None),
    ],
)
def test_components_are_found_by_name_or_number(wanted, values, found):
    assert learn.find_components(components(*wanted), (0, 1, 2), values) == found


@pytest.mark.parametrize(
    ("parts", "targets", "order"),
    [
        (("app", "modem"), (0, 1), (0, 1)),
        ((("app", "modem"), "modem"), (0, 1), (1, 0)),
        ((("app", "1"), "modem"), (0, 1), (1, 0)),
        ((("app", "1"), "modem"), (1, 0), (0, 1)),
        ((("a", "b"), ("b", "c"), "c"), (0, 1, 2), (2, 1, 0)),
        ((("a", "b"), ("b", "a"), "c"), (0, 1, 2), (2, 0, 1)),
        ((("a", "a"), "b"), (0, 1), (0, 1)),
        ((("a", "radio"), "b"), (0, 1), (0, 1)),
    ],
)
def test_what_is_needed_goes_first(parts, targets, order):
    assert learn.order_parts(components(*parts), targets) == order


# ---- settings

ALL = DeviceSettings(severity=Severity.CRITICAL, max_defer_s=60, auto_upgrade=True)


@pytest.mark.parametrize(
    ("object_id", "minor", "found"),
    [
        (5, 0, ()),
        (5, 1, ((11, 0), (13, 60))),
        (5, 2, ((11, 0), (13, 60), (14, True))),
        (33629, 0, ((11, 0), (13, 60))),
    ],
)
def test_settings_go_where_the_object_has_them(object_id, minor, found):
    control = Control(object_id=object_id, targets=(0,), minor=minor)
    assert learn.settings_of(UpdatePlan(package_bytes=1, settings=ALL), control) == found
    assert learn.settings_of(UpdatePlan(package_bytes=1), control) == ()


@pytest.mark.parametrize(
    ("settings", "configured", "shown", "differ"),
    [
        (DeviceSettings(max_defer_s=60), False, {13: 0}, False),
        (DeviceSettings(max_defer_s=60), True, {13: 60}, False),
        (DeviceSettings(max_defer_s=60), True, {13: 0}, True),
        (DeviceSettings(max_defer_s=60), True, {}, True),
        (DeviceSettings(auto_upgrade=True), False, {}, True),
        (DeviceSettings(), True, {}, False),
    ],
)
def test_what_the_device_shows_is_compared_once_it_was_told(settings, configured, shown, differ):
    control = Control(object_id=5, targets=(0,), minor=1, configured=configured)
    values = {Path.of(5, 0, each): value for each, value in shown.items()}
    assert learn.settings_differ(UpdatePlan(package_bytes=1, settings=settings), control, values) is differ


# ---- the way of the package


def values(delivery, protocols):
    known = {Path.of(5, 0, 9): delivery, Path.of(5, 0, 8): protocols}
    return {path: value for path, value in known.items() if value is not None}


@pytest.mark.parametrize(
    ("method", "delivery", "protocols", "schemes", "choice"),
    [
        ("auto", 2, (0, 1), ("coaps",), (Method.PULL, "coaps", None, ())),
        ("auto", 2, {0: 1, 1: 4}, ("coap+tcp",), (Method.PULL, "coap+tcp", None, ())),
        ("auto", 2, 3, ("https",), (Method.PULL, "https", None, ())),
        ("auto", 2, "3", ("https",), (Method.PUSH, "", None, ("prepare.protocols-empty", "prepare.pushed-instead"))),
        ("auto", 1, None, (), (Method.PUSH, "", None, ())),
        ("auto", 0, (99,), ("coap",), (Method.PULL, "", Cue.NO_PROTOCOL, ())),
        ("pull", 2, (1,), ("coap",), (Method.PULL, "", Cue.NO_PROTOCOL, ())),
        ("pull", 1, (0,), ("coap",), (Method.PULL, "", Cue.NO_PULL, ())),
        ("push", 0, (0,), ("coap",), (Method.PUSH, "", Cue.NO_PUSH, ())),
        ("auto", None, None, ("coap",), (Method.PULL, "coap", None, ("prepare.delivery-unread",))),
    ],
)
def test_choices(method, delivery, protocols, schemes, choice):
    plan = UpdatePlan(method=method, package_bytes=1, schemes=schemes)
    made = learn.choose(plan, FIVE, values(delivery, protocols))
    assert (made.method, made.scheme, made.obstacle, made.odd) == choice


def test_the_policy_chooses_where_the_device_offers_both_and_lists_nothing():
    plan = UpdatePlan(package_bytes=1, schemes=("coap",), policy=UpdatePolicy(both=Method.PUSH))
    assert learn.choose(plan, FIVE, values(2, (0,))).method is Method.PUSH
    plan = UpdatePlan(package_bytes=1, schemes=("coaps",), policy=UpdatePolicy(default_schemes=("coap", "coaps")))
    assert learn.choose(plan, FIVE, values(2, None)).scheme == "coaps"


def test_what_a_device_with_components_can_is_read_at_the_first_one():
    control = Control(object_id=33629, targets=(4, 2), parts=(Part(), Part()))
    plan = components("app", "modem", schemes=("coap", "https"))
    known = {Path.of(33629, 4, 9): 0, Path.of(33629, 4, 8): (3,), Path.of(33629, 2, 9): 1, Path.of(5, 0, 9): 1}
    choice = learn.choose(plan, control, known)
    assert (choice.method, choice.scheme, choice.obstacle) == (Method.PULL, "https", None)


# ---- versions


@pytest.mark.parametrize(
    ("guard", "expected", "running", "guarded"),
    [
        (VersionGuard.NONE, "1.0.0", "2.0.0", False),
        (VersionGuard.NO_DOWNGRADE, "1.0.0", "2.0.0", True),
        (VersionGuard.NO_DOWNGRADE, "1.10.0", "1.9.0", False),
        (VersionGuard.NO_DOWNGRADE, "2.0.0", "2.0.0", False),
        (VersionGuard.NEWER_ONLY, "2.0.0+1", "2.0.0", True),
        (VersionGuard.NEWER_ONLY, "2.0.1", "2.0.0", False),
        (VersionGuard.NEWER_ONLY, None, "2.0.0", False),
        (VersionGuard.NEWER_ONLY, "1.0.0", None, False),
        (VersionGuard.NO_DOWNGRADE, "one", "2.0.0", False),
    ],
)
def test_the_guard_against_downgrades(guard, expected, running, guarded):
    policy = UpdatePolicy(version_guard=guard, version_match=VersionMatch.SEMVER)
    plan = UpdatePlan(package_bytes=1, expected_version=expected, policy=policy)
    assert learn.is_guarded(plan, [running]) is guarded


def test_one_component_that_would_go_back_is_enough():
    policy = UpdatePolicy(version_guard=VersionGuard.NO_DOWNGRADE, version_match=VersionMatch.MCUBOOT)
    parts = tuple(
        ComponentPlan(name=name, package_bytes=1, package=at, expected_version="1.1.0")
        for at, name in enumerate(("app", "modem"))
    )
    plan = UpdatePlan(components=parts, policy=policy)
    assert learn.is_guarded(plan, ["1.0.0", "1.0.0"]) is False
    assert learn.is_guarded(plan, ["1.0.0", "1.1.1"]) is True


def test_what_runs_already_is_known():
    plan = UpdatePlan(package_bytes=1, expected_version="2")
    assert learn.is_there(plan, ["2"]) is True
    assert learn.is_there(plan, ["2.0"]) is False
    assert learn.is_there(plan, [None]) is False
