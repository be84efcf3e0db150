"""Who observes what on a device (RFC 7641)."""

from lwm2m_fota.lwm2m.observers import Observer, ObserverTable
from lwm2m_fota.model.paths import Path

STATE, RESULT, INSTANCE = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(5, 0)


def observer(token, path=STATE, peer="server"):
    return Observer(peer, token, path, None)


def test_changes_reach_observers_of_the_resource_and_above():
    table = ObserverTable()
    assert table.add(observer(b"1", STATE))
    assert table.add(observer(b"2", INSTANCE))
    assert table.add(observer(b"3", Path.of(3, 0, 3)))
    assert [each.token for each in table.affected([STATE])] == [b"1", b"2"]


def test_a_change_of_an_instance_reaches_observers_below():
    table = ObserverTable()
    table.add(observer(b"1", STATE))
    assert [each.token for each in table.affected([INSTANCE])] == [b"1"]


def test_observers_hear_in_the_order_of_the_changes_and_once():
    table = ObserverTable()
    table.add(observer(b"state", STATE))
    table.add(observer(b"result", RESULT))
    assert [each.token for each in table.affected([RESULT, STATE, RESULT])] == [b"result", b"state"]


def test_the_same_path_or_token_of_a_peer_replaces():
    table = ObserverTable()
    table.add(observer(b"1", STATE))
    table.add(observer(b"2", STATE))
    table.add(observer(b"2", RESULT))
    table.add(observer(b"1", STATE, peer="another"))
    assert [each.token for each in table.affected([STATE])] == [b"1"]
    assert len(table) == 2


def test_the_table_is_bounded():
    table = ObserverTable(max_observers=1)
    assert table.add(observer(b"1", STATE))
    assert not table.add(observer(b"2", RESULT))
    assert len(table) == 1


def test_removing_and_clearing():
    table = ObserverTable()
    table.add(observer(b"1"))
    assert not table.remove("server", b"2")
    assert table.remove("server", b"1")
    table.add(observer(b"1"))
    table.clear()
    assert len(table) == 0


def test_the_sequence_ascends_and_wraps_at_24_bits():
    table = ObserverTable()
    assert [table.next_sequence(), table.next_sequence()] == [1, 2]
    table._sequence = 0xFFFFFF
    assert table.next_sequence() == 0
