"""Notification attributes: how they are written, where they count (LwM2M Core 1.2, 7.3.2)."""

import pytest

from lwm2m_fota.errors import ContentError, RefusedError
from lwm2m_fota.lwm2m.attributes import (
    NO_ATTRIBUTES,
    Attributes,
    AttributeTable,
    check_place,
    format_changes,
    is_attribute,
    parse_changes,
)
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

OBJECT, INSTANCE, STATE = Path.of(5), Path.of(5, 0), Path.of(5, 0, 3)
DEFINITIONS = standard_definitions()


@pytest.mark.parametrize(
    ("queries", "changes"),
    [
        ((), {}),
        (("pmin=10", "pmax=60"), {"pmin": 10, "pmax": 60}),
        (("pmin",), {"pmin": None}),
        (("pmin=",), {"pmin": None}),
        (("gt=25", "lt=-3.5", "st=0.5"), {"gt": 25, "lt": -3.5, "st": 0.5}),
        (("gt=1e3", "st=2.0"), {"gt": 1000, "st": 2}),
        (("gt=9007199254740993", "lt=-9007199254740993"), {"gt": 9007199254740993, "lt": -9007199254740993}),
        (("epmin=1", "epmax=4294967295", "con=1"), {"epmin": 1, "epmax": 4294967295, "con": 1}),
        (("con=0",), {"con": 0}),
    ],
)
def test_what_is_read(queries, changes):
    found = parse_changes(queries)
    assert found == changes
    assert [type(value) for value in found.values()] == [type(value) for value in changes.values()]
    assert all(map(is_attribute, queries))


@pytest.mark.parametrize(
    "queries",
    [
        ("pmin=10", "pmin=20"),
        ("pmin=1", "pmin"),
        ("pmin=-1",),
        ("pmin=1.5",),
        ("pmin=99999999999",),
        ("pmin=ten",),
        ("pmin=1=2",),
        ("pmax=\u0663",),
        ("gt=",) * 2,
        ("gt=1.",),
        ("gt=.5",),
        ("gt=nan",),
        ("gt=inf",),
        ("lt=1e999",),
        ("st=+1",),
        ("con=2",),
        ("con=true",),
        ("edge=1",),
        ("hqmax=5",),
        ("PMIN=1",),
        ("=1",),
        ("",),
    ],
)
def test_what_is_refused(queries):
    with pytest.raises(ContentError) as caught:
        parse_changes(queries)
    assert caught.value.code == 0x80


def test_other_parameters_are_no_attributes():
    assert not any(map(is_attribute, ("depth=1", "x", "", "pminx=1", "edge=0")))


@pytest.mark.parametrize(
    ("attributes", "consistent"),
    [
        (Attributes(lt=10, gt=20), True),
        (Attributes(lt=20, gt=20), False),
        (Attributes(lt=30, gt=20), False),
        (Attributes(lt=10, gt=20, st=4.9), True),
        (Attributes(lt=10, gt=20, st=5), False),
        (Attributes(lt=30), True),
        (Attributes(gt=-5, st=100), True),
        (Attributes(st=0), False),
        (Attributes(st=-1), False),
        (Attributes(epmin=5, epmax=6), True),
        (Attributes(epmin=5, epmax=5), False),
        (Attributes(pmin=10, pmax=5), True),  # pmax is ignored then
    ],
)
def test_which_contradict_each_other(attributes, consistent):
    assert (attributes.fault() is None) is consistent


@pytest.mark.parametrize(
    ("path", "placeable"),
    [
        ("/5", False),
        ("/5/0", False),
        ("/5/0/3", True),  # Integer
        ("/5/0/13", True),  # Unsigned
        ("/5/0/12", True),  # Time
        ("/5/0/8", True),
        ("/5/0/8/0", True),
        ("/5/0/1", False),  # String
        ("/5/0/14", False),  # Boolean
        ("/33629/0/16", False),  # Objlnk
        ("/3303/0/5700", True),  # not known
    ],
)
def test_thresholds_are_for_numbers(path, placeable):
    parsed = Path.parse(path)
    resource = DEFINITIONS.resource(parsed)
    check_place({"pmin": 1, "con": 0}, parsed, resource)
    if placeable:
        check_place({"gt": 1}, parsed, resource)
    else:
        with pytest.raises(ContentError):
            check_place({"gt": 1}, parsed, resource)
        with pytest.raises(ContentError):
            check_place({"pmin": 1, "st": None}, parsed, resource)


def test_what_is_nearer_counts():
    table = AttributeTable()
    table.write("a", OBJECT, {"pmin": 10, "pmax": 60})
    table.write("a", INSTANCE, {"pmax": 120, "con": 1})
    table.write("a", STATE, {"gt": 2, "pmin": 0})
    assert table.attached("a", INSTANCE) == Attributes(pmax=120, con=1)
    assert table.effective("a", OBJECT) == Attributes(pmin=10, pmax=60)
    assert table.effective("a", INSTANCE) == Attributes(pmin=10, pmax=120, con=1)
    assert table.effective("a", STATE) == Attributes(pmin=0, pmax=120, con=1, gt=2)
    assert table.effective("a", STATE / 0) == Attributes(pmin=0, pmax=120, con=1, gt=2)
    assert table.effective("a", Path.of(5, 0, 5), Attributes(pmin=1, epmin=7)) == Attributes(
        pmin=10, pmax=120, con=1, epmin=7
    )


def test_each_server_has_its_own():
    table = AttributeTable()
    table.write("a", STATE, {"pmin": 10})
    table.write("b", STATE, {"pmin": 20})
    assert table.effective("a", STATE) == Attributes(pmin=10)
    assert table.effective("b", STATE) == Attributes(pmin=20)
    assert table.effective("c", STATE) == NO_ATTRIBUTES
    table.forget("a")
    table.forget("c")
    assert table.effective("a", STATE) == NO_ATTRIBUTES
    assert table.effective("b", STATE) == Attributes(pmin=20)


def test_taking_off():
    table = AttributeTable()
    table.write("a", OBJECT, {"pmin": 10})
    table.write("a", STATE, {"pmin": 5, "pmax": 50})
    table.write("a", STATE, {"pmin": None})
    assert table.effective("a", STATE) == Attributes(pmin=10, pmax=50)
    table.write("a", STATE, {"pmax": None})
    assert table._attached == {"a": {OBJECT: Attributes(pmin=10)}}
    table.write("a", OBJECT, {"pmin": None})
    assert table._attached == {}


def test_a_contradiction_changes_nothing():
    table = AttributeTable()
    table.write("a", Path.of(5, 0, 8), {"lt": 1, "gt": 10})
    table.write("a", OBJECT, {"epmin": 5})
    with pytest.raises(ContentError, match="lt"):
        table.write("a", Path.of(5, 0, 8, 0), {"st": 5})
    with pytest.raises(ContentError, match="epmin"):
        table.write("a", STATE, {"epmax": 4, "pmin": 1})
    assert table.attached("a", STATE) == NO_ATTRIBUTES
    assert table.effective("a", Path.of(5, 0, 8, 0)) == Attributes(lt=1, gt=10, epmin=5)


def test_the_table_is_bounded():
    table = AttributeTable(max_servers=2, max_paths=2)
    for server in "abac":
        table.write(server, STATE, {"pmin": 1})
    assert [table.attached(server, STATE).pmin for server in "abc"] == [1, None, 1]
    table.write("a", OBJECT, {"pmin": 1})
    with pytest.raises(RefusedError) as caught:
        table.write("a", INSTANCE, {"pmin": 1})
    assert caught.value.code == 0xA3
    table.write("a", OBJECT, {"pmin": 2})
    table.write("a", STATE, {"pmin": None})
    table.write("a", INSTANCE, {"pmin": 3})
    assert table._attached["a"] == {OBJECT: Attributes(pmin=2), INSTANCE: Attributes(pmin=3)}
    table.write("d", STATE, {"pmin": None})
    assert set(table._attached) == {"a", "c"}


@pytest.mark.parametrize(
    ("changes", "queries"),
    [
        ({"pmin": 10, "pmax": 60.0, "con": None}, ("pmin=10", "pmax=60", "con")),
        ({"gt": 10.0, "lt": -2.5, "st": 1e-05}, ("gt=10", "lt=-2.5", "st=0.00001")),
        ({"gt": 1e20, "lt": -0.0, "st": 0.1}, ("gt=100000000000000000000", "lt=0", "st=0.1")),
        ({"gt": 9007199254740993}, ("gt=9007199254740993",)),
        ({"con": True, "edge": False}, ("con=1", "edge=0")),
        ({"con": 0, "hqmax": 8, "epmin": 0, "epmax": 4294967295}, ("con=0", "hqmax=8", "epmin=0", "epmax=4294967295")),
    ],
)
def test_how_they_are_written(changes, queries):
    """LwM2M Core 1.2, 7.3.2: digits, for thresholds with a decimal part, and nothing else."""
    assert format_changes(changes) == queries


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "no attribute"),
        ({"pmin": True}, "pmin"),
        ({"gt": False}, "gt"),
        ({"pmin": 1.5}, "pmin"),
        ({"pmax": -1}, "pmax"),
        ({"pmax": 10**10}, "pmax"),
        ({"con": 2}, "con"),
        ({"edge": -1}, "edge"),
        ({"hqmax": 0.5}, "hqmax"),
        ({"gt": float("nan")}, "gt"),
        ({"lt": float("inf")}, "lt"),
        ({"pmin": float("-inf")}, "pmin"),
        ({"st": 1e-40}, "st"),
        ({"gt": 10**30}, "gt"),
        ({"gt": 10**400}, "gt"),
        ({"st": -(10**5000)}, "st"),
        ({"other": 1}, "other"),
        ({"other": None}, "other"),
    ],
)
def test_what_cannot_be_written_is_refused(changes, why):
    with pytest.raises(ContentError, match=why):
        format_changes(changes)


def test_as_attributes_of_a_link():
    attributes = Attributes(pmin=10, lt=-3.5, gt=1e20, st=1e-7, con=1)
    assert attributes.links() == (
        ("pmin", "10"),
        ("gt", "100000000000000000000"),
        ("lt", "-3.5"),
        ("st", "0.0000001"),
        ("con", "1"),
    )
    assert NO_ATTRIBUTES.links() == ()
