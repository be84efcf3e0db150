"""The server's registrations (LwM2M Core 6.2)."""

import pytest

from lwm2m_fota.lwm2m.registry import (
    Moved,
    OtherVersion,
    Registered,
    Registry,
    RegistryLimits,
    Removed,
    SameName,
    Updated,
)
from lwm2m_fota.model.paths import Path

LINKS = b'</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>,</5>;ver=1.1,</5/0>'
QUERIES = ("ep=dev", "lt=60", "lwm2m=1.1", "b=U")


def registered(registry=None, now=100.0, new_id="a", **changes):
    registry = Registry() if registry is None else registry
    answer = registry.register("peer", QUERIES, LINKS, new_id=new_id, now=now)
    assert answer.code == 0x41
    return registry


def test_a_registration_tells_all_of_itself():
    registry = Registry()
    answer = registry.register("peer", QUERIES, LINKS, new_id="a", now=100.0)
    (event,) = answer.events
    assert isinstance(event, Registered)
    assert (answer.code, answer.location_id, event.replaced) == (0x41, "a", None)
    found = registry.get("dev")
    assert found is event.registration
    assert (found.id, found.endpoint, found.peer, found.lifetime_s) == ("a", "dev", "peer", 60)
    assert (found.lwm2m_version, found.binding, found.expires_at, found.epoch) == ("1.1", "U", 160.0, 1)
    assert found.objects == {1: None, 3: None, 5: "1.1"}
    assert found.instances == (Path.of(1, 0), Path.of(3, 0), Path.of(5, 0))
    assert list(registry) == [found]


def test_absent_arguments_have_the_defaults_of_the_standard():
    registry = Registry()
    registry.register("peer", ("ep=dev",), b"</3/0>", new_id="a", now=0.0)
    found = registry.get("dev")
    assert (found.lifetime_s, found.lwm2m_version, found.binding) == (86400, "1.0", "U")


@pytest.mark.parametrize(
    ("queries", "links"),
    [
        ((), LINKS),
        (("ep=",), LINKS),
        (("ep=" + "x" * 256,), LINKS),
        (("ep=a", "ep=b"), LINKS),
        (("ep=a", "lt=-5"), LINKS),
        (("ep=a", "lt=4294967296"), LINKS),
        (("ep=a", "lt=99999999999999999999"), LINKS),
        (("ep=a", "lt=\N{ARABIC-INDIC DIGIT ONE}"), LINKS),
        (("ep=a",), b"</3/0"),
    ],
)
def test_bad_registrations_are_refused_and_change_nothing(queries, links):
    registry = Registry()
    answer = registry.register("peer", queries, links, new_id="a", now=0.0)
    assert (answer.code, answer.events, len(registry)) == (0x80, (), 0)
    assert answer.diagnostic


def test_registering_again_replaces_and_counts_the_epoch():
    registry = registered()
    former = registry.get("dev")
    answer = registry.register("elsewhere", QUERIES, LINKS, new_id="b", now=110.0)
    (event,) = answer.events
    assert event.replaced is former
    assert registry.get("dev").epoch == 2
    assert len(registry) == 1
    assert registry.deregister("a").code == 0x84


def test_the_registry_is_bounded_but_lets_the_known_in():
    registry = registered(Registry(RegistryLimits(max_registrations=1)))
    assert registry.register("p", ("ep=other",), LINKS, new_id="b", now=0.0).code == 0xA3
    assert registry.register("p", ("ep=dev",), LINKS, new_id="c", now=0.0).code == 0x41


def test_an_update_keeps_what_it_does_not_tell():
    registry = registered()
    answer = registry.update("a", "peer", (), b"", 120.0)
    (event,) = answer.events
    assert isinstance(event, Updated)
    assert (answer.code, event.moved) == (0x44, False)
    found = registry.get("dev")
    assert (found.expires_at, found.objects[5], found.epoch) == (180.0, "1.1", 1)


def test_an_update_can_move_and_change():
    registry = registered()
    answer = registry.update("a", "elsewhere", ("lt=30", "b=UQ"), b"</3/0>", 120.0)
    assert answer.events[0].moved
    found = registry.get("dev")
    assert (found.peer, found.lifetime_s, found.binding, found.expires_at) == ("elsewhere", 30, "U", 150.0)
    assert found.queue_mode
    assert found.epoch == 2  # what was observed from the former address is gone
    assert registry.register("p", ("ep=other",), b"", new_id="b", now=0.0).events[0].registration.epoch == 3
    assert found.objects == {3: None}


def test_an_alternate_path_is_kept_until_another_list_comes():
    registry = Registry()
    links = b'</a/b>;rt="oma.lwm2m",</a/b/5/0>'
    registry.register("p", ("ep=dev",), links, new_id="a", now=0.0)
    assert registry.get("dev").root == ("a", "b")
    assert set(registry.get("dev").objects) == {5}
    registry.update("a", "p", (), b"", 1.0)
    assert registry.get("dev").root == ("a", "b")
    registry.update("a", "p", (), b"</5/0>", 2.0)
    assert registry.get("dev").root == ()


def test_an_update_of_nobody_is_not_found():
    assert registered().update("z", "peer", (), b"", 0.0).code == 0x84


@pytest.mark.parametrize(("queries", "links"), [(("lt=x",), b""), ((), b"<")])
def test_a_bad_update_changes_nothing(queries, links):
    registry = registered()
    before = registry.get("dev")
    assert registry.update("a", "peer", queries, links, 120.0).code == 0x80
    assert registry.get("dev") is before


def test_deregistration():
    registry = registered()
    (event,) = registry.deregister("a").events
    assert isinstance(event, Removed)
    assert not event.expired
    assert registry.get("dev") is None
    assert registry.next_deadline() is None


def test_lapsed_registrations_are_removed_in_time():
    registry = registered(Registry(RegistryLimits(grace_s=5.0)))
    assert registry.next_deadline() == 165.0
    assert registry.expire(164.9) == ()
    (event,) = registry.expire(165.0)
    assert event.expired
    assert event.registration.endpoint == "dev"
    assert len(registry) == 0


def test_an_update_moves_the_deadline():
    registry = registered()
    registry.update("a", "peer", (), b"", 150.0)
    assert registry.next_deadline() == 210.0
    assert registry.expire(165.0) == ()


def test_many_updates_keep_the_memory_bounded():
    registry = registered()
    for step in range(1000):
        registry.update("a", "peer", (), b"", 100.0 + step)
    assert len(registry._deadlines) < 100
    assert registry.next_deadline() == 100.0 + 999 + 60


# -- what LwM2M 1.0 to 1.2 tell of themselves


@pytest.mark.parametrize(
    ("queries", "version", "binding", "queue_mode", "sms"),
    [
        (("lwm2m=1.0", "b=U"), "1.0", "U", False, ""),
        (("lwm2m=1.0", "b=UQ", "sms=48123456789"), "1.0", "U", True, "48123456789"),
        (("lwm2m=1.1", "b=UT", "Q"), "1.1", "UT", True, ""),
        (("lwm2m=1.2", "b=U", "pid=oma:abc"), "1.2", "U", False, ""),
        (("lwm2m=1.2.1",), "1.2", "U", False, ""),
    ],
)
def test_versions_bindings_and_queue_mode(queries, version, binding, queue_mode, sms):
    registry = Registry()
    assert registry.register("p", ("ep=dev", *queries), LINKS, new_id="a", now=0.0).code == 0x41
    found = registry.get("dev")
    assert (found.lwm2m_version, found.binding, found.queue_mode, found.sms) == (version, binding, queue_mode, sms)
    assert found.formats == {112}


@pytest.mark.parametrize(
    ("queries", "queue_mode", "sms"),
    [
        ((), True, "1"),
        (("lt=90",), True, "1"),
        (("b=U", "Q"), True, "1"),
        (("b=U",), False, "1"),  # who tells its binding tells whether it sleeps
        (("sms=2",), True, "2"),
    ],
)
def test_an_update_tells_what_has_changed(queries, queue_mode, sms):
    registry = Registry()
    registry.register("p", ("ep=dev", "lwm2m=1.1", "b=U", "Q", "sms=1"), LINKS, new_id="a", now=0.0)
    assert registry.update("a", "p", queries, b"", 1.0).code == 0x44
    assert (registry.get("dev").queue_mode, registry.get("dev").sms) == (queue_mode, sms)


@pytest.mark.parametrize(
    ("queries", "sleep_s"), [(("lt=90",), 0), (("lt=90", "Q"), 90), (("lt=0", "Q"), 86400), (("Q",), 86400)]
)
def test_how_long_a_client_may_be_silent_in_queue_mode(queries, sleep_s):
    registry = Registry()
    registry.register("p", ("ep=dev", "lwm2m=1.1", *queries), LINKS, new_id="a", now=0.0)
    assert registry.get("dev").longest_sleep_s == sleep_s


def test_a_version_that_is_not_known():
    registry = Registry()
    answer = registry.register("p", ("ep=dev", "lwm2m=2.0"), LINKS, new_id="a", now=0.0)
    assert (answer.code, len(registry)) == (0x8C, 0)
    assert "2.0" in answer.diagnostic
    registry = Registry(RegistryLimits(other_version=OtherVersion.TAKEN))
    assert registry.register("p", ("ep=dev", "lwm2m=2.0"), LINKS, new_id="a", now=0.0).code == 0x41
    assert registry.get("dev").lwm2m_version == "2.0"


def test_a_profile_in_place_of_the_list_is_a_conflict():
    registry = Registry()
    assert registry.register("p", ("ep=dev", "pid=6:1234abcd"), b"", new_id="a", now=0.0).code == 0x89
    assert registry.register("p", ("ep=dev", "pid=6:1234abcd"), LINKS, new_id="a", now=0.0).code == 0x41


def test_a_lifetime_without_end():
    registry = Registry()
    registry.register("p", ("ep=dev", "lt=0"), LINKS, new_id="a", now=0.0)
    assert registry.get("dev").lifetime_s == 0
    assert (registry.next_deadline(), registry.expire(1e12)) == (None, ())
    registry.update("a", "p", ("lt=60",), b"", 100.0)
    assert registry.next_deadline() == 160.0
    registry.update("a", "p", ("lt=0",), b"", 110.0)
    assert (registry.next_deadline(), registry.expire(1e12)) == (None, ())


# -- one name, several addresses


def test_the_later_of_two_devices_of_one_name_counts():
    registry = registered()
    (event,) = registry.register("thief", QUERIES, LINKS, new_id="b", now=101.0).events
    assert (event.replaced.peer, event.registration.peer) == ("peer", "thief")
    assert registry.update("a", "peer", (), b"", 102.0).code == 0x84  # and the former registers again


def test_the_former_of_two_devices_of_one_name_can_be_protected():
    registry = registered(Registry(RegistryLimits(same_name=SameName.REFUSED)))
    before = registry.get("dev")
    answer = registry.register("thief", QUERIES, LINKS, new_id="b", now=101.0)
    assert (answer.code, answer.events, registry.get("dev")) == (0x83, (), before)
    assert registry.register("peer", QUERIES, LINKS, new_id="c", now=102.0).code == 0x41
    registry.expire(162.0)
    assert registry.register("thief", QUERIES, LINKS, new_id="d", now=163.0).code == 0x41
    registry.deregister("d")
    assert registry.register("peer", QUERIES, LINKS, new_id="e", now=164.0).code == 0x41


def test_what_one_device_is_can_be_told():
    limits = RegistryLimits(same_name=SameName.REFUSED, same_device=lambda one, other: one[0] == other[0])
    registry = Registry(limits)
    assert registry.register(("10.0.0.1", 5), QUERIES, LINKS, new_id="a", now=0.0).code == 0x41
    assert registry.register(("10.0.0.1", 6), QUERIES, LINKS, new_id="b", now=1.0).code == 0x41
    assert registry.register(("10.0.0.2", 6), QUERIES, LINKS, new_id="c", now=2.0).code == 0x83


def test_an_update_from_elsewhere_can_be_refused():
    registry = registered(Registry(RegistryLimits(moved=Moved.REFUSED)))
    assert registry.update("a", "elsewhere", (), b"", 101.0).code == 0x84
    assert registry.get("dev").peer == "peer"
    assert registry.update("a", "peer", (), b"", 102.0).code == 0x44


def test_who_is_at_an_address():
    registry = Registry()
    assert registry.at("p") is None
    registry.register("p", ("ep=one",), LINKS, new_id="a", now=0.0)
    assert registry.at("p").endpoint == "one"
    registry.register("p", ("ep=two",), LINKS, new_id="b", now=1.0)
    assert registry.at("p").endpoint == "two"
    registry.deregister("a")
    assert registry.at("p").endpoint == "two"
    registry.register("p", ("ep=three",), LINKS, new_id="d", now=1.0)
    assert registry.at("p").endpoint == "three"
    registry.update("b", "p", (), b"", 1.5)
    assert registry.at("p").endpoint == "two"
    registry.update("d", "p", (), b"", 1.6)
    registry.deregister("d")
    assert registry.at("p").endpoint == "two"  # both are behind one address, and one of them has left
    registry.update("b", "q", (), b"", 2.0)
    assert (registry.at("p"), registry.at("q").endpoint) == (None, "two")
    registry.register("p", ("ep=two",), LINKS, new_id="c", now=3.0)
    assert (registry.at("p").id, registry.at("q")) == ("c", None)
    registry.expire(1e9)
    assert registry.at("p") is None


@pytest.mark.parametrize(
    ("lwm2m", "links", "versions"),
    [
        ("1.0", b"</5/0>,</3/0>", {5: "1.0", 3: "1.0"}),
        ("1.1", b"</5/0>", {5: "1.0"}),
        ("1.2", b"</5/0>,</3/0>", {5: "1.1", 3: "1.0"}),
        ("1.2", b"</5>;ver=1.0,</5/0>", {5: "1.0"}),
        ("1.1", b"</5>;ver=1.1,</5/0>", {5: "1.1"}),
    ],
)
def test_a_version_that_is_not_shown_follows_from_that_of_lwm2m(lwm2m, links, versions):
    registry = Registry()
    registry.register("p", ("ep=dev", f"lwm2m={lwm2m}"), links, new_id="a", now=0.0)
    assert registry.get("dev").object_versions == versions
