import pytest

from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.peers import PeerTable


@pytest.fixture
def table(coap):
    return PeerTable(coap.Script(7, []), TransmissionParameters(), EndpointLimits(peers=100))


def test_alarms_ring_once_for_each_peer_and_in_order(table):
    one, two = table.admit("one", 0.0), table.admit("two", 0.0)
    for when in (9.0, 5.0, 7.0, 5.0):
        table.alarm(one, when)
    table.alarm(two, 6.0)
    assert table.next_deadline() == 5.0
    assert table.due(4.9) == []
    assert table.due(5.0) == [one]
    assert table.due(9.0) == [two, one]
    assert table.due(99.0) == []
    assert table.due(247.0) == [one, two]  # idle


def test_several_alarms_of_one_peer_ring_together(table):
    one = table.admit("one", 0.0)
    for when in (9.0, 5.0):
        table.alarm(one, when)
    assert table.due(10.0) == [one]
    assert one.alarms == [247.0]


def look_at(table, now):
    """What the owner of the table does at a deadline."""
    for state in table.due(now):
        table.retire(state, now)


def test_the_deadline_without_alarms_is_the_idle_one(table):
    assert table.next_deadline() is None
    table.admit("one", 0.0)
    table.admit("two", 1.0)
    table.admit("one", 2.0)
    assert table.next_deadline() == 247.0
    look_at(table, 247.0)
    assert len(table) == 2
    assert table.next_deadline() == 248.0
    look_at(table, 248.0)
    assert len(table) == 1
    assert table.next_deadline() == 249.0
    look_at(table, 249.0)
    assert len(table) == 0
    assert table.next_deadline() is None


def test_a_busy_peer_is_not_forgotten(table):
    one = table.admit("one", 0.0)
    one.calls[1] = object()
    look_at(table, 247.0)
    assert (len(table), table.next_deadline()) == (1, 494.0)
    one.calls.clear()
    look_at(table, 494.0)
    assert len(table) == 0


def test_alarms_of_forgotten_peers_do_not_ring(table):
    table.alarm(table.admit("one", 0.0), 100.0)
    look_at(table, 100.0)
    look_at(table, 247.0)
    assert len(table) == 0
    assert table.due(300.0) == []
    assert table._stale_alarms == 0


def test_alarms_of_forgotten_peers_do_not_pile_up(table):
    kept = table.admit("kept", 1e6)
    table.alarm(kept, 1e6)  # it comes before those that are void
    kept.calls[1] = object()
    for number in range(1000):
        table.alarm(table.admit(number, 1e6 + 1), 2e6)
    assert len(table) == 100
    assert len(table.alarms) <= 100 + 2 * 64
    assert len([alarm for alarm in table.alarms if not alarm[2].gone]) <= 101


def test_the_budget_is_given_back(table):
    one = table.admit("one", 0.0)
    table.budget.keep(one.recalled.add(1, 0, 247.0, 0.0), b"1234")
    assert table.budget.used_bytes == 4
    look_at(table, 247.0)
    assert table.budget.used_bytes == 0


def test_parameters_of_one_peer(table):
    one = table.admit("one", 0.0)
    table.set_parameters("one", TransmissionParameters(ack_timeout_s=4.0))
    table.set_parameters("two", TransmissionParameters(ack_timeout_s=4.0))
    two = table.admit("two", 0.0)
    assert one.lifetime_s == two.lifetime_s == 4 * 15 * 1.5 + 200 + 4
    table.set_parameters("one", None)
    table.set_parameters("three", None)
    assert one.lifetime_s == 247.0


def test_the_first_message_id_comes_from_entropy(table):
    assert table.admit("one", 0.0).ids.take(0.0, 247.0, ()) == 7


def test_alarms_of_a_peer_that_gave_way_do_not_ring(coap):
    table = PeerTable(coap.Script(7, []), TransmissionParameters(), EndpointLimits(peers=1))
    table.alarm(table.admit("one", 0.0), 5.0)
    two = table.admit("two", 1.0)
    assert table.next_deadline() == 248.0
    table.alarm(two, 2.0)
    assert table.due(248.0) == [two]


def test_alarms_of_a_peer_that_gave_way_do_not_ring_behind_others(coap):
    table = PeerTable(coap.Script(7, []), TransmissionParameters(), EndpointLimits(peers=2))
    one = table.admit("one", 0.0)
    one.calls[1] = object()
    table.alarm(one, 3.0)
    table.alarm(table.admit("two", 0.0), 5.0)
    table.admit("three", 1.0)
    assert table.due(6.0) == [one]
    assert table._stale_alarms == 1  # the one for its idle time
