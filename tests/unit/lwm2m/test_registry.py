"""The server's registrations (LwM2M Core 6.2)."""

import pytest

from lwm2m_fota.lwm2m.registry import Registered, Registry, RegistryLimits, Removed, Updated, read_object_list
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
        (("ep=a", "lt=0"), LINKS),
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
    assert (found.peer, found.lifetime_s, found.binding, found.expires_at) == ("elsewhere", 30, "UQ", 150.0)
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


def test_an_alternate_path_is_taken_off():
    objects, instances = read_object_list(b'</lwm2m>;rt="oma.lwm2m",</lwm2m/5>;ver=1.0,</lwm2m/5/0>,</other/3/0>')
    assert objects == {5: "1.0"}
    assert instances == (Path.of(5, 0),)


def test_links_that_are_no_paths_are_ignored():
    objects, instances = read_object_list(b"</x>,</5/0/3>,</07>,</9/70000>,</3>")
    assert objects == {3: None}
    assert instances == ()


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
