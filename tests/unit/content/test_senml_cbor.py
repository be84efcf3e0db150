import math

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.cbor import Tag
from lwm2m_fota.content import senml_cbor
from lwm2m_fota.content.senml import MAX_RECORDS, Record
from lwm2m_fota.errors import CborError, ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

DEFINITIONS = standard_definitions()
BVER, BN, BT, N, V, VS, VB, S, T, VD, VLO = -1, -2, -3, 0, 2, 3, 4, 5, 6, 8, "vlo"
STATE = Path.of(5, 0, 3)


def records(*fields):
    return senml_cbor.decode_records(cbor.dumps(list(fields)))


def read(*fields, base="/"):
    entries = senml_cbor.decode(cbor.dumps(list(fields)), Path.parse(base), DEFINITIONS)
    return [(str(path), value) for path, value in entries]


@pytest.mark.parametrize(
    ("base_name", "name"),
    [
        ("/5/0/3", None),
        (None, "/5/0/3"),
        ("/5/0/", "3"),
        ("/5/0", "/3"),
        ("/", "5/0/3"),
        ("/5/0/3", ""),
        ("", "/5/0/3"),
    ],
)
def test_names_are_put_together_without_a_separator(base_name, name):
    fields = {V: 2}
    if base_name is not None:
        fields[BN] = base_name
    if name is not None:
        fields[N] = name
    assert read(fields) == [("/5/0/3", 2)]


def test_base_values_hold_until_they_are_replaced():
    found = records(
        {BN: "/5/0/", BT: 100, N: "3", V: 2, T: 5},
        {N: "5", V: 0},
        {BN: "/3/0/", N: "3", VS: "1"},
        {BT: 0, N: "0", VS: "a"},
    )
    assert found == [
        Record(Path.of(5, 0, 3), 2, 105),
        Record(Path.of(5, 0, 5), 0, 100),
        Record(Path.of(3, 0, 3), "1", 100),
        Record(Path.of(3, 0, 0), "a", 0),
    ]


@pytest.mark.parametrize(
    ("path", "label", "content", "value"),
    [
        ("/5/0/3", V, 2, 2),
        ("/5/0/3", V, 2.0, 2),
        ("/5/0/1", VS, "coap://h/f", "coap://h/f"),
        ("/5/0/0", VD, b"\x00", b"\x00"),
        ("/5/0/14", VB, True, True),
        ("/5/0/12", V, 1_700_000_000, 1_700_000_000),
        ("/5/0/12", V, Tag(1, 1_700_000_000), 1_700_000_000),
        ("/5/0/12", VS, "2023-11-14T22:13:20Z", 1_700_000_000),
        ("/5/0/8/1", V, 1, 1),
        ("/33629/0/16/0", VLO, "33629:1", ObjectLink(33629, 1)),
        ("/3303/0/1", V, 21.5, 21.5),
        ("/3303/0/2", VB, False, False),
    ],
)
def test_values_by_label(path, label, content, value):
    found = read({N: path, label: content})
    assert found == [(path, value)]
    assert type(found[0][1]) is type(value)


def test_of_several_values_in_time_the_latest_counts():
    assert read({BN: "/5/0/3", V: 1, T: -10}, {V: 2, T: -1}, {V: 0, T: -5}) == [("/5/0/3", 2)]


@pytest.mark.parametrize("later", [Tag(1, 1_700_000_000), Tag(1, 1_700_000_000.5), Tag(4, [9, 2])])
@pytest.mark.parametrize("label", [T, BT])
def test_a_time_may_be_tagged(later, label):
    """Tag 1 says what the label says already; some devices write it. A number may be a decimal fraction."""
    assert read({N: "/5/0/3", V: 1, label: later}) == [("/5/0/3", 1)]
    assert read({N: "/5/0/3", V: 1, T: 1_600_000_000}, {N: "/5/0/3", V: 2, label: later}) == [("/5/0/3", 2)]


@pytest.mark.parametrize(
    "fields",
    [
        ({N: "/5/0/3"},),  # no value
        ({N: "/5/0/3", V: 1, T: Tag(0, "2023-11-14T22:13:20Z")},),
        ({N: "/5/0/3", V: 1, BT: Tag(1, "now")},),
        ({N: "/5/0/3", V: 1, BT: Tag(1, math.nan)},),
        ({N: "/5/0/3", V: 1, BT: Tag(4, [309, 1])},),
        ({N: "/5/0/3", V: 1}, {N: "/5/0/3", V: 1}),  # twice
        ({N: "/5/0/3", V: 1, VS: "1"},),
        ({N: "/5/0/3", V: "1"},),
        ({N: "/5/0/3", V: True},),
        ({N: "/5/0/3", V: None},),
        ({N: "/5/0/3", VB: 1},),
        ({N: "/5/0/3", V: 2.5},),
        ({N: "/5/0/3", VS: "2"},),
        ({N: "/5/0/1", VS: b"a"},),
        ({N: "/5/0/0", VD: "a"},),
        ({N: "/5/0/2", V: 1},),  # executable
        ({N: "/33629/0/16/0", VLO: "x"},),
        ({N: "/33629/0/16/0", VLO: 5},),
        ({N: "5/0/3", V: 1},),  # no path
        ({V: 1},),
        ({N: "/5/0/x", V: 1},),
        ({N: "/5/0/65535", V: 1},),
        ({N: "/1/2/3/4/5", V: 1},),
        ({N: 5, V: 1},),
        ({BN: b"/5", V: 1},),
        ({N: "/5/0/3", V: 1, T: "now"},),
        ({N: "/5/0/3", V: 1, T: True},),
        ({N: "/5/0/3", V: 1, BT: math.nan},),
        ({N: "/5/0/3", V: 1, T: math.inf},),
        ({N: "/5/0/3", V: 1, -5: 1},),  # base value, base sum, sum
        ({N: "/5/0/3", V: 1, -6: 1},),
        ({N: "/5/0/3", V: 1, S: 1},),
        ({N: "/5/0/3", V: 1, "new_": 1},),  # must be understood
        ({False: "/5/0/3", V: 1},),
        ({N: "/5/0/3", V: 1, b"x": 1},),
        ({N: "/5/0/3", V: 1, BVER: 11},),
        ({N: "/5/0/3", V: 1, BVER: "10"},),
        (5,),
        ([],),
    ],
)
def test_what_is_refused(fields):
    with pytest.raises(ContentError):
        read(*fields)


def test_fields_that_need_not_be_understood_are_passed_over():
    assert read({N: "/5/0/3", V: 1, 1: "Cel", "new": [1], 7: 3, -4: "s", BVER: 10}) == [("/5/0/3", 1)]


def test_only_what_lies_below_the_base():
    assert read({N: "/5/0/3", V: 1}, base="/5/0") == [("/5/0/3", 1)]
    with pytest.raises(ContentError, match="below"):
        read({N: "/5/1/3", V: 1}, base="/5/0")


@pytest.mark.parametrize("payload", ["a0", "00", "c180", "f6"])
def test_a_pack_is_an_array(payload):
    with pytest.raises(ContentError, match="array"):
        senml_cbor.decode_records(bytes.fromhex(payload))


@pytest.mark.parametrize("payload", ["", "81", "8000", "81a2000000", "81a10081818100"])
def test_what_is_no_cbor(payload):
    with pytest.raises(CborError):
        senml_cbor.decode_records(bytes.fromhex(payload))


def test_the_number_of_records_is_bounded():
    record = {N: "/5"}
    assert len(records(*[record] * MAX_RECORDS)) == MAX_RECORDS
    with pytest.raises(ContentError, match="at most"):
        records(*[record] * (MAX_RECORDS + 1))


def test_lengths_may_be_indefinite():
    path = Path.of(5, 0, 3)
    assert senml_cbor.decode(bytes.fromhex("9fbf00662f352f302f330202ffff"), path, DEFINITIONS) == [(path, 2)]


@pytest.mark.parametrize(
    ("base", "rows", "expected"),
    [
        ("/5", [("/5/0/3", 2)], [{BN: "/5/", N: "0/3", V: 2}]),
        ("/5/0/3", [("/5/0/3", 2)], [{N: "/5/0/3", V: 2}]),
        ("/5/0/8", [("/5/0/8/0", 1), ("/5/0/8/1", 5)], [{BN: "/5/0/8/", N: "0", V: 1}, {N: "1", V: 5}]),
        ("/", [("/5/0/14", True), ("/3/0/0", "x")], [{N: "/5/0/14", VB: True}, {N: "/3/0/0", VS: "x"}]),
        ("/3303/0", [("/3303/0/1", 1.5)], [{BN: "/3303/0/", N: "1", V: 1.5}]),
        ("/5/0", [], []),
    ],
)
def test_what_is_written(base, rows, expected):
    entries = [(Path.parse(path), value) for path, value in rows]
    payload = senml_cbor.encode(entries, Path.parse(base), DEFINITIONS)
    assert cbor.loads(payload) == expected


def test_paths_alone():
    assert senml_cbor.decode_paths(cbor.dumps([{N: "/5/0"}, {BN: "/3/0", N: "/3"}, {BN: "/"}])) == (
        Path.of(5, 0),
        Path.of(3, 0, 3),
        Path(()),
    )
    with pytest.raises(ContentError, match="no path"):
        senml_cbor.decode_paths(b"\x80")
    with pytest.raises(ContentError, match="a value"):
        senml_cbor.decode_paths(cbor.dumps([{N: "/5/0/3", V: 2}]))
