"""The table as data: no row is double, dead or unnamed, and all of it is frozen."""

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import table as tables
from lwm2m_fota.machines.building import BUILDERS, CONSTANT, maker
from lwm2m_fota.machines.changes import CHANGES
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import EventKind
from lwm2m_fota.machines.policies import DEFAULT_POLICIES
from lwm2m_fota.machines.readings import READINGS
from lwm2m_fota.machines.rows import REFUSALS, ROWS, Change
from lwm2m_fota.machines.table import VISIBLE_RESULTS, table_for
from lwm2m_fota.model.enums import DeliveryMethod, State


def test_two_rows_of_one_cell_are_an_error(monkeypatch):
    monkeypatch.setattr(tables, "ROWS", (*ROWS, attrs.evolve(ROWS[0])))
    with pytest.raises(UsageError, match="two rows for IDLE and package begun"):
        table_for.__wrapped__("1.0", DeliveryMethod.BOTH, DEFAULT_POLICIES)


@pytest.mark.parametrize(("since", "object_id"), [("1.2", None), ("1.2", 33629), ("1.1", 33629)])
def test_a_row_that_no_component_can_have(since, object_id):
    with pytest.raises(UsageError, match="no component has a row since"):
        attrs.evolve(ROWS[0], since=since, object_id=object_id)


@pytest.mark.parametrize(("version", "count"), [("1.0", 38), ("1.1", 53), ("1.2", 59)])
def test_number_of_rows_of_a_default_device(version, count):
    assert len(table_for(version, DeliveryMethod.BOTH, DEFAULT_POLICIES).rows) == count


def test_every_kind_of_a_row_is_one_that_an_event_can_be():
    read = {reading.kind for readings in READINGS.values() for reading in readings}
    assert {row.kind for row in ROWS} <= read
    assert read <= set(EventKind)
    assert set(EventKind) == read


def test_every_event_has_a_reading_that_always_holds():
    assert all(readings[-1].guard is None for readings in READINGS.values())


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_every_device_can_read_every_event(version):
    table = table_for(version, DeliveryMethod.BOTH, DEFAULT_POLICIES)
    assert set(table.readings) == set(READINGS)
    assert all(readings[-1].guard is None for readings in table.readings.values())


def test_every_change_and_effect_can_be_carried_out():
    assert set(CHANGES) == set(Change) == {row.change for row in ROWS}
    assert set(BUILDERS) | set(CONSTANT) == set(Do) == {do for row in ROWS for do in row.effects}
    assert not set(BUILDERS) & set(CONSTANT)


def test_what_is_saved_is_saved_first():
    for row in ROWS:
        assert Do.PERSIST not in row.effects[1:], row
        moves = row.state is not row.target or row.result is not None
        assert not moves or row.effects[0] is Do.PERSIST, row


def test_what_changes_visibly_is_told_and_nothing_else():
    inside = {Change.KEEP, Change.COUNT_AGAIN, Change.COUNT_ON, Change.RECEIVE, Change.RESUME_PULL}
    for row in ROWS:
        shows = row.state is not row.target or row.result is not None or row.change not in inside
        assert (Do.NOTIFY in row.effects) == shows, row


def test_results_of_rows_are_visible_ones():
    for row in ROWS:
        if row.result is not None:
            assert row.result in VISIBLE_RESULTS[row.since][row.target], row


def test_rows_and_refusals_name_their_source():
    assert all(each.source for each in (*ROWS, *REFUSALS))


def test_no_refusal_hides_behind_a_row_of_every_device():
    everywhere = {(row.state, row.kind) for row in ROWS if (row.since, row.needs, row.policy) == ("1.0", None, None)}
    assert not everywhere & {(refusal.state, refusal.kind) for refusal in REFUSALS}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0", [list(range(10)), [0], [0, 8], [0]]),
        ("1.1", [list(range(12)), [0], [0, 8, 11], [0]]),
        ("1.2", [list(range(12)), [0], [0, 8, 11], [0]]),
    ],
)
def test_visible_results(version, expected):
    assert [sorted(map(int, VISIBLE_RESULTS[version][state])) for state in State] == expected


@pytest.mark.parametrize("part", ["rows", "readings", "cases"])
def test_table_cannot_be_written(part):
    table = table_for("1.0", DeliveryMethod.BOTH, DEFAULT_POLICIES)
    with pytest.raises(TypeError):
        getattr(table, part)["new"] = None


def test_what_is_always_the_same_may_follow_what_is_made():
    """No row of ours has such effects, and a table of one's own may."""
    make = maker((Do.PERSIST, Do.NOTIFY, Do.STOP_TRANSFER), builders={Do.NOTIFY: lambda *_: None})
    assert make(None, None, None) == (CONSTANT[Do.PERSIST], CONSTANT[Do.STOP_TRANSFER])
