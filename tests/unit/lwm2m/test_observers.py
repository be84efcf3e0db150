"""Who observes what on a device, and who is to be told in which order (RFC 7641)."""

from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.observers import Observer, ObserverTable
from lwm2m_fota.lwm2m.watching import Rules
from lwm2m_fota.model.paths import Path

STATE, RESULT, INSTANCE = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(5, 0)
PLAIN = Rules(Attributes(), {})


def observer(token, *paths, peer="server", composite=False):
    return Observer(peer, token, paths or (STATE,), composite=composite)


class Bench:
    def __init__(self, **limits):
        self.table = ObserverTable(**limits)
        self.rules = {}

    def add(self, observer, now=0.0, **attributes):
        self.rules[observer.token] = Rules(Attributes(**attributes), {})
        return self.table.add(observer, self.rules[observer.token], now, lambda path: None)

    def rules_of(self, observer):
        return self.rules[observer.token]

    def due(self, now=1.0):
        return [each.token for each, _ in self.table.take_due(now, self.rules_of, lambda path: None)]

    def told(self, *paths, now=1.0):
        self.table.changed(paths)
        return self.due(now)

    @property
    def deadline(self):
        return self.table.next_deadline(self.rules_of)


def test_changes_reach_observers_of_the_resource_and_above():
    bench = Bench()
    assert bench.add(observer(b"1", STATE))
    assert bench.add(observer(b"2", INSTANCE))
    assert bench.add(observer(b"3", Path.of(3, 0, 3)))
    assert bench.add(observer(b"4", Path.of(3, 0, 3), STATE, composite=True))
    assert bench.add(observer(b"5", Path(()), composite=True))
    assert bench.told(STATE) == [b"1", b"2", b"4", b"5"]


def test_a_change_of_an_instance_reaches_observers_below():
    bench = Bench()
    bench.add(observer(b"1", STATE))
    assert bench.told(INSTANCE) == [b"1"]


def test_observers_hear_in_the_order_of_the_changes_and_once():
    bench = Bench()
    bench.add(observer(b"state", STATE))
    bench.add(observer(b"result", RESULT))
    assert bench.told(RESULT, STATE, RESULT) == [b"result", b"state"]
    assert bench.told() == []
    assert bench.told(STATE, RESULT) == [b"state", b"result"]


def test_the_order_of_the_changes_counts_for_those_that_are_held_back_too():
    bench = Bench()
    bench.add(observer(b"state", STATE), pmin=10)
    bench.add(observer(b"result", RESULT), pmin=5)
    bench.add(observer(b"all", INSTANCE), pmin=10)
    assert bench.deadline is None
    assert bench.told(RESULT, now=1.0) == []
    assert bench.told(STATE, now=2.0) == []
    assert bench.deadline == 5.0
    assert bench.due(5.0) == [b"result"]
    assert bench.deadline == 10.0
    assert bench.told(RESULT, now=10.0) == [b"all", b"state", b"result"]


def test_rules_may_change_while_somebody_observes():
    bench = Bench()
    bench.add(observer(b"1"), pmin=10)
    assert bench.told(STATE) == []
    bench.rules[b"1"] = PLAIN
    assert bench.deadline == 0.0
    assert bench.due() == [b"1"]


def test_the_same_path_or_token_of_a_peer_replaces():
    bench = Bench()
    bench.add(observer(b"1", STATE))
    bench.add(observer(b"2", STATE))
    bench.add(observer(b"2", RESULT))
    bench.add(observer(b"1", STATE, peer="another"))
    assert bench.told(STATE) == [b"1"]
    assert len(bench.table) == 2


def test_a_composite_observation_replaces_one_of_the_same_paths_only():
    bench = Bench()
    bench.add(observer(b"1", STATE))
    bench.add(observer(b"2", STATE, composite=True))
    bench.add(observer(b"3", STATE, RESULT, composite=True))
    assert len(bench.table) == 3
    bench.add(observer(b"4", STATE, RESULT, composite=True))
    assert bench.told(RESULT) == [b"4"]
    assert len(bench.table) == 3


def test_the_table_is_bounded():
    bench = Bench(max_observers=1)
    assert bench.add(observer(b"1", STATE))
    assert not bench.add(observer(b"2", RESULT))
    assert len(bench.table) == 1


def test_removing_and_clearing():
    bench = Bench()
    bench.add(observer(b"1"))
    assert not bench.table.remove("server", b"2")
    assert bench.table.remove("server", b"1")
    bench.add(observer(b"1"), pmax=5)
    assert bench.deadline == 5.0
    bench.table.clear("elsewhere")
    assert len(bench.table) == 1
    bench.table.clear("server")
    assert len(bench.table) == 0
    assert bench.deadline is None


def test_the_sequence_ascends_and_wraps_at_24_bits():
    table = ObserverTable()
    assert [table.next_sequence(), table.next_sequence()] == [1, 2]
    table._sequence = 0xFFFFFF
    assert table.next_sequence() == 0
