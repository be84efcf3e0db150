"""Registrations over random histories, against a list that is searched from end to end (LwM2M Core 1.2, 6.2)."""

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from lwm2m_fota.lwm2m.registry import Moved, Registered, Registry, RegistryLimits, Removed, SameName, Updated

CREATED, DELETED, CHANGED, BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAVAILABLE = 0x41, 0x42, 0x44, 0x80, 0x83, 0x84, 0xA3
ROOM = 4

names = st.sampled_from(["a", "b", "c", "d", "e"])
peers = st.sampled_from(["p", "q", "r"])
lifetimes = st.sampled_from([0, 1, 5, 60])


@attrs.define
class Client:
    """What the model knows of a registration."""

    id: str
    name: str
    peer: str
    lifetime_s: int
    end: float
    epoch: int


class Registrations(RuleBasedStateMachine):
    """One server of four registrations at most."""

    ids = Bundle("ids")
    same_name, moved = SameName.REPLACES, Moved.FOLLOWED

    def __init__(self):
        super().__init__()
        limits = RegistryLimits(max_registrations=ROOM, same_name=self.same_name, moved=self.moved)
        self.registry = Registry(limits)
        self.clients = []
        self.now = 0.0
        self.made = 0
        self.epochs = 0
        self.latest = {}  # by peer: the id that was registered or updated from there last

    def named(self, name):
        return next((each for each in self.clients if each.name == name), None)

    def known(self, identifier):
        return next((each for each in self.clients if each.id == identifier), None)

    def end_of(self, lifetime_s):
        return self.now + lifetime_s if lifetime_s else float("inf")

    def forget(self, client):
        self.clients.remove(client)

    @rule(target=ids, name=names, peer=peers, lifetime_s=lifetimes)
    def register(self, name, peer, lifetime_s):
        self.made += 1
        identifier = f"id{self.made}"
        queries = (f"ep={name}", f"lt={lifetime_s}", "lwm2m=1.1")
        answer = self.registry.register(peer, queries, b"</5/0>", new_id=identifier, now=self.now)
        former = self.named(name)
        if former is None and len(self.clients) >= ROOM:
            assert (answer.code, answer.events) == (UNAVAILABLE, ())
            return multiple()
        if former is not None and self.same_name is SameName.REFUSED and former.peer != peer:
            assert (answer.code, answer.events) == (FORBIDDEN, ())
            return multiple()
        assert (answer.code, answer.location_id) == (CREATED, identifier)
        (event,) = answer.events
        assert isinstance(event, Registered)
        assert (None if event.replaced is None else event.replaced.id) == (None if former is None else former.id)
        if former is not None:
            self.forget(former)
        self.epochs += 1
        self.clients.append(Client(identifier, name, peer, lifetime_s, self.end_of(lifetime_s), self.epochs))
        self.latest[peer] = identifier
        return identifier

    @rule(identifier=ids, peer=peers, lifetime_s=st.none() | lifetimes)
    def update(self, identifier, peer, lifetime_s):
        queries = () if lifetime_s is None else (f"lt={lifetime_s}",)
        answer = self.registry.update(identifier, peer, queries, b"", self.now)
        client = self.known(identifier)
        if client is None or (peer != client.peer and self.moved is Moved.REFUSED):
            assert (answer.code, answer.events) == (NOT_FOUND, ())
            return
        (event,) = answer.events
        assert isinstance(event, Updated)
        assert (answer.code, event.moved) == (CHANGED, peer != client.peer)
        if peer != client.peer:
            self.epochs += 1
            client.epoch = self.epochs
        client.peer = peer
        client.lifetime_s = client.lifetime_s if lifetime_s is None else lifetime_s
        client.end = self.end_of(client.lifetime_s)
        self.latest[peer] = identifier

    @rule(identifier=ids, queries=st.sampled_from([("lt=x",), ("lt=1", "lt=2"), ("b=?",)]))
    def update_that_cannot_be_read(self, identifier, queries):
        client = self.known(identifier)
        answer = self.registry.update(identifier, client.peer if client else "p", queries, b"", self.now)
        assert (answer.code, answer.events) == (NOT_FOUND if client is None else BAD_REQUEST, ())

    @rule(identifier=ids)
    def deregister(self, identifier):
        answer = self.registry.deregister(identifier)
        client = self.known(identifier)
        if client is None:
            assert answer.code == NOT_FOUND
            return
        (event,) = answer.events
        assert isinstance(event, Removed)
        assert (answer.code, event.registration.id, event.expired) == (DELETED, identifier, False)
        self.forget(client)

    @rule(seconds=st.floats(0.0, 70.0))
    def time_passes(self, seconds):
        self.now += seconds
        lapsed = sorted((each.end, each.id) for each in self.clients if each.end <= self.now)
        removed = self.registry.expire(self.now)
        assert sorted((each.registration.expires_at, each.registration.id) for each in removed) == lapsed
        assert [each.registration.expires_at for each in removed] == [end for end, _ in lapsed]  # in order
        assert all(each.expired for each in removed)
        self.clients = [each for each in self.clients if each.end > self.now]

    @invariant()
    def the_registry_shows_what_the_model_knows(self):
        shown = {each.endpoint: each for each in self.registry}
        assert len(self.registry) == len(shown) == len(self.clients)
        for client in self.clients:
            there = shown[client.name]
            assert there is self.registry.get(client.name) is self.registry.find(client.id)
            assert (there.peer, there.lifetime_s, there.expires_at) == (client.peer, client.lifetime_s, client.end)
            assert there.epoch == client.epoch
        ends = [each.end for each in self.clients if each.lifetime_s]
        assert self.registry.next_deadline() == min(ends, default=None)

    @invariant()
    def a_peer_leads_to_what_came_from_it_last(self):
        for peer in ("p", "q", "r"):
            client = self.known(self.latest.get(peer))
            found = self.registry.at(peer)
            if client is not None and client.peer == peer:
                assert found.id == client.id
            else:
                there = {each.id for each in self.clients if each.peer == peer}
                assert (found is None and not there) or found.id in there


class Careful(Registrations):
    """The same, where names and addresses belong together."""

    same_name, moved = SameName.REFUSED, Moved.REFUSED


TestRegistrations = Registrations.TestCase
TestCareful = Careful.TestCase


def test_bad_lists_are_refused_and_change_nothing():
    registry = Registry()
    registry.register("p", ("ep=a",), b"</5/0>", new_id="1", now=0.0)
    before = registry.get("a")
    for links in (b"<", b"</5/0", b"\xff", b"</5/0>,"):
        assert registry.register("p", ("ep=a",), links, new_id="2", now=0.0).code == BAD_REQUEST
        assert registry.update("1", "p", (), links, 0.0).code == BAD_REQUEST
    assert registry.get("a") == before
