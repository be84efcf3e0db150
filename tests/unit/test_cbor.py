import math

import pytest

from lwm2m_fota.cbor import DEEPEST, Tag, dumps, item_end, loads, loads_sequence
from lwm2m_fota.errors import CborError, UsageError
from lwm2m_fota.model.enums import State


def b(text):
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("20", -1),
        ("3bffffffffffffffff", -(2**64)),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f97c00", math.inf),
        ("40", b""),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("80", []),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("a1820500a203020500", {(5, 0): {3: 2, 5: 0}}),
        ("bf830d181a01182aff", {(13, 26, 1): 42}),
        ("d86b8101", Tag(107, [1])),
        ("c11a514b67b0", Tag(1, 1363896240)),
        ("c249010000000000000000", Tag(2, b("010000000000000000"))),
        ("d81c82d81d0001", Tag(28, [Tag(29, 0), 1])),
        ("d9d9f7a10102", Tag(55799, {1: 2})),
        ("c1c0a10180", Tag(1, Tag(0, {1: []}))),
    ],
)
def test_an_item_is_read(data, value):
    assert loads(b(data)) == value


def test_containers_within_tags_are_plain():
    tag = loads(b("d86ba1018102"))
    assert type(tag.value) is dict
    assert type(tag.value[1]) is list


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "ends within"),
        ("18", "ends within"),
        ("19ff", "ends within"),
        ("42ff", "ends within"),
        ("5b7fffffffffffffff", "ends within"),
        ("9b7fffffffffffffff", "ends within"),
        ("bb7fffffffffffffff00", "ends within"),
        ("8201", "ends within"),
        ("a101", "ends within"),
        ("9f01", "ends within"),
        ("bf0102", "ends within"),
        ("5f4101", "ends within"),
        ("c1", "ends within"),
        ("f93c", "ends within"),
        ("fb3ff1", "ends within"),
        ("0102", "1 bytes follow"),
        ("1c", "initial byte"),
        ("3d", "initial byte"),
        ("5e", "initial byte"),
        ("1f", "initial byte"),
        ("3f", "initial byte"),
        ("df01", "initial byte"),
        ("ff", "a break"),
        ("8101ff", "1 bytes follow"),
        ("82ff01", "a break"),
        ("a1ff01", "a break"),
        ("bf01ff", "a break"),
        ("f7", "simple value"),
        ("e0", "simple value"),
        ("f3", "simple value"),
        ("f818", "simple value"),
        ("f8ff", "simple value"),
        ("fc", "simple value"),
        ("81f7", "simple value"),
        ("9f0182ff02ff", "a break"),
        ("5f6161ff", "another type"),
        ("7f4161ff", "another type"),
        ("5f5f4161ffff", "indefinite chunk"),
        ("5f00ff", "another type"),
        ("61ff", "not UTF-8"),
        ("7f61c361bcff", "not UTF-8"),
        ("a201020103", "comes twice"),
        ("a20102180103", "comes twice"),
        ("a20102f503", "comes twice"),
        ("bf01020103ff", "comes twice"),
        ("a1a1010203", "a key holds"),
        ("a1c10102", "a key holds"),
        ("a181c10102", "a key holds"),
        ("a1f701", "simple value"),
    ],
)
def test_an_item_is_refused(data, reason):
    with pytest.raises(CborError, match=reason):
        loads(b(data))


def test_two_nan_as_keys_are_one_key():
    nan = "fb7ff8000000000001"
    with pytest.raises(CborError, match="comes twice"):
        loads(b("a2" + nan + "01" + nan + "02"))


def test_the_depth_counts_the_outermost_item():
    assert loads(b("818101"), max_depth=3) == [[1]]
    with pytest.raises(CborError, match="deeper than 2"):
        loads(b("818101"), max_depth=2)
    assert loads(b("c1c101"), max_depth=3) == Tag(1, Tag(1, 1))
    with pytest.raises(CborError, match="deeper"):
        loads(b("c1c101"), max_depth=2)
    with pytest.raises(CborError, match="deeper"):
        loads(b("a101a10101"), max_depth=2)


@pytest.mark.parametrize(("empty", "value"), [("80", []), ("a0", {}), ("9fff", []), ("bfff", {})])
def test_what_is_empty_has_no_level_within(empty, value):
    assert loads(b("8181" + empty), max_depth=3) == [[value]]
    with pytest.raises(CborError, match="nested deeper than 2"):
        loads(b("8181" + empty), max_depth=2)


def test_the_deepest_that_may_be_asked_for_works():
    assert loads(b"\x81" * (DEEPEST - 1) + b"\x00", max_depth=DEEPEST)
    assert loads(b"\xc1" * (DEEPEST - 1) + b"\x00", max_depth=DEEPEST)
    with pytest.raises(UsageError):
        loads(b"\x00", max_depth=DEEPEST + 1)


def test_items_are_counted_with_keys_and_tags():
    assert loads(b("a101c102"), max_items=4) == {1: Tag(1, 2)}
    with pytest.raises(CborError, match="too many"):
        loads(b("a101c102"), max_items=3)


def test_the_size_is_bounded():
    assert loads(b("4401020304"), max_bytes=5)
    with pytest.raises(CborError, match="at most 4"):
        loads(b("4401020304"), max_bytes=4)


def test_the_default_limits():
    assert loads(b"\x81" * 15 + b"\x00")
    with pytest.raises(CborError):
        loads(b"\x81" * 16 + b"\x00")
    assert len(loads(b"\x99\x1f\xff" + bytes(8191))) == 8191
    with pytest.raises(CborError):
        loads(b"\x99\x20\x00" + bytes(8192))
    assert loads(b"\x59\xff\xfd" + bytes(65533))
    with pytest.raises(CborError):
        loads(b"\x59\xff\xfe" + bytes(65534))


@pytest.mark.parametrize(
    "data",
    ["1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3800", "580101", "780161", "980101", "b8010102", "d80101"],
)
def test_arguments_may_have_to_be_shortest(data):
    loads(b(data))
    with pytest.raises(CborError, match="shortest"):
        loads(b(data), canonical_ints=True)


@pytest.mark.parametrize("data", ["a201000000", "a200000000", "a26161000000", "a220000000", "82a0a201000000"])
def test_the_keys_of_a_map_may_have_to_ascend(data):
    with pytest.raises(CborError, match="do not ascend"):
        loads(b(data), canonical_maps=True)


@pytest.mark.parametrize(
    "data", ["a0", "a10000", "a200000100", "a218ff001901000a", "a42000610000626161008000", "a3000020006000"]
)
def test_keys_that_ascend_are_welcome(data):
    assert loads(b(data), canonical_maps=True) == loads(b(data))


@pytest.mark.parametrize("data", ["1818", "190100", "1a00010000", "1b0000000100000000", "3818", "d81801", "f93c00"])
def test_shortest_arguments_are_welcome(data):
    assert loads(b(data), canonical_ints=True) == loads(b(data))


@pytest.mark.parametrize("data", ["5f4101ff", "7f6161ff", "9f01ff", "bf0102ff"])
def test_indefinite_lengths_may_be_refused(data):
    loads(b(data))
    with pytest.raises(CborError, match="indefinite"):
        loads(b(data), allow_indefinite=False)


@pytest.mark.parametrize(
    ("data", "start", "end"),
    [
        ("00", 0, 1),
        ("0001", 1, 2),
        ("8201", 0, None),
        ("820102ff", 0, 3),
        ("00a10102ff", 1, 4),
        ("d284", 0, None),
        ("", 0, None),
        ("58", 0, None),
        ("5803aabb", 0, None),
        ("5f4101", 0, None),
    ],
)
def test_where_an_item_ends_in_data_that_may_grow(data, start, end):
    assert item_end(b(data), start) == end


def test_what_begins_no_item_has_no_end():
    for data in ("ff", "1c", "a1a1", "a2010201", "61ff"):
        with pytest.raises(CborError):
            item_end(b(data))
    with pytest.raises(CborError, match="deeper"):
        item_end(b("818101"), max_depth=2)
    with pytest.raises(CborError, match="too many"):
        item_end(b("820102"), max_items=2)


def test_a_sequence():
    assert loads_sequence(b"") == []
    assert loads_sequence(b("01820203c104")) == [1, [2, 3], Tag(1, 4)]
    with pytest.raises(CborError, match="ends within"):
        loads_sequence(b("0182"))
    with pytest.raises(CborError, match="too many"):
        loads_sequence(b("010203"), max_items=2)
    with pytest.raises(CborError, match="at most 2"):
        loads_sequence(b("010203"), max_bytes=2)
    with pytest.raises(CborError, match="shortest"):
        loads_sequence(b("011800"), canonical_ints=True)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (State.UPDATING, "03"),
        ((1, [2]), "82018102"),
        ({"vlo": 1, 0: 2}, "a263766c6f010002"),
        (Tag(1070, {1: b""}), "d9042ea10140"),
        ([Tag(1, Tag(2, b"\x01"))], "81c1c24101"),
        (1.5, "fb3ff8000000000000"),
    ],
)
def test_an_item_is_written(value, data):
    assert dumps(value).hex() == data


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({100: 1, -1: 2, 10: 3}, "a30a0318640120" + "02"),
        ({"b": 1, "aa": 2, b"": 3}, "a3400361620162616102"),
        ({1: {3: 1, 2: 2}}, "a101a202020301"),
        ([1.5, (1.0,)], "82f93e0081f93c00"),
        (Tag(1070, {2: 1, 1: 2}), "d9042ea201020201"),
        ({(1, 2): 1, 3: 2}, "a2030282010201"),
        (list(range(24)), "9818" + "".join(f"{each:02x}" for each in range(24))),
    ],
)
def test_canonical_is_bytewise_and_shortest(value, data):
    assert dumps(value, canonical=True).hex() == data


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("value", [object(), [object()], {1: object()}, "\ud800", Tag(1, object())])
def test_what_cannot_be_written_is_a_bug_of_the_caller(value, canonical):
    with pytest.raises(UsageError):
        dumps(value, canonical=canonical)
