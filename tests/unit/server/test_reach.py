"""Which sessions are held for registrations, and what a server's peers say of themselves."""

from lwm2m_fota.credentials.values import Identity
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.reach import Holds, Names, Reached, same_device
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.sessions import SessionPeer


class FakePump:
    scheme = "coaps"

    def __init__(self):
        self.calls = []

    def hold(self, peer):
        self.calls.append(("hold", peer))

    def release(self, peer):
        self.calls.append(("release", peer))


def test_a_session_is_held_for_a_registration_and_released_after_it():
    pump, holds = FakePump(), Holds()
    holds.hold("one", Reached(pump, "a"))
    holds.hold("one", Reached(pump, "a"))
    holds.release("one")
    holds.release("one")
    assert pump.calls == [("hold", "a"), ("release", "a")]


def test_a_session_that_two_registrations_use_is_held_for_both():
    pump, holds = FakePump(), Holds()
    for name in ("one", "two"):
        holds.hold(name, Reached(pump, "a"))
    pump.calls.clear()
    holds.release("one")
    assert pump.calls == []
    holds.release("two")
    assert pump.calls == [("release", "a")]


def test_a_registration_that_moves_takes_its_hold_with_it():
    pump, holds = FakePump(), Holds()
    holds.hold("one", Reached(pump, "a"))
    holds.hold("one", Reached(pump, "b"))
    assert pump.calls == [("hold", "a"), ("hold", "b"), ("release", "a")]


def test_a_peer_tells_its_address_and_identity():
    pump, identity = FakePump(), Identity.of_psk("device")
    plain, secure = Reached(pump, ("h", 1)), Reached(pump, SessionPeer(("h", 1), identity))
    assert (plain.address, plain.identity, plain.scheme) == (("h", 1), None, "coaps")
    assert (secure.address, secure.identity) == (("h", 1), identity)
    assert repr(plain) == "Reached(peer=('h', 1))"
    assert str(plain) == "('h', 1) (nothing proven)"
    assert str(secure) == "('h', 1) (psk 'device')"


def test_a_name_that_somebody_has_proven_is_not_given_to_one_who_proves_nothing():
    names, pump = Names((Pump(MemoryNetwork().transport()),)), FakePump()
    pump.sessions = None
    plain, proven = Reached(pump, "a"), Reached(pump, SessionPeer("b", Identity.of_psk("device")))
    assert not names.permit(plain, "device", proven)
    assert names.permit(plain, "device", Reached(pump, "c"))
    assert names.permit(proven, "device", plain)


def test_one_device_is_whoever_has_proven_the_same_or_has_the_same_address_without_a_proof():
    pump, device, other = FakePump(), Identity.of_psk("device"), Identity.of_psk("other")

    def session(address, identity):
        return Reached(pump, SessionPeer(address, identity))

    assert same_device(session("a", device), session("b", device))
    assert not same_device(session("a", device), session("a", other))
    assert not same_device(session("a", device), session("a", None))
    assert not same_device(session("a", None), session("a", device))
    assert same_device(session("a", None), session("a", None))
    assert not same_device(session("a", None), session("b", None))
    assert same_device(Reached(pump, ("h", 1)), Reached(pump, ("h", 1)))
    assert not same_device(Reached(pump, ("h", 1)), Reached(pump, ("h", 2)))
    assert not same_device(Reached(pump, "a"), Reached(FakePump(), "a"))


def test_without_stores_every_name_is_free():
    pump = Pump(MemoryNetwork().transport())
    assert Names((pump,)).permit(Reached(pump, ("h", 1)), "any")
