"""Whatever the bytes, the loader answers with a value of the listed types or with CborError."""

import math

import cbor2  # noqa: TID251 - what is compared with
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.cbor import Tag, dumps, item_end, loads, loads_sequence
from lwm2m_fota.errors import CborError

UINT64 = 2**64 - 1
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-UINT64 - 1, UINT64)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
# one Python type, so that 1, 1.0 and True do not meet as keys
keys = st.integers(-UINT64 - 1, UINT64) | st.text(max_size=4) | st.binary(max_size=4) | st.tuples(st.integers(0, 99))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.builds(Tag, st.integers(0, UINT64), inner)
    ),
    max_leaves=12,
)


def check(value):
    match value:
        case None | bool() | int() | float() | str() | bytes():
            return
        case list():
            for each in value:
                check(each)
        case dict():
            for key, each in value.items():
                check_key(key)
                check(each)
        case Tag():
            assert 0 <= value.number <= UINT64
            check(value.value)
        case _:
            raise AssertionError(type(value))


def check_key(key):
    if isinstance(key, tuple):
        for each in key:
            check_key(each)
    else:
        assert key is None or isinstance(key, bool | int | float | str | bytes)


@given(st.binary(max_size=64))
def test_random_bytes(data):
    for options in ({}, {"canonical_ints": True}, {"allow_indefinite": False}, {"max_depth": 2}):
        try:
            check(loads(data, **options))
        except CborError:
            continue


@given(values, st.data())
def test_a_changed_byte(value, data):
    good = bytearray(dumps(value))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] = data.draw(st.integers(0, 255))
    try:
        check(loads(bytes(good), max_depth=40))
    except CborError:
        return


@given(values)
def test_what_is_written_is_read(value):
    assert loads(dumps(value), max_depth=40) == value
    assert loads(dumps(value), max_depth=40, canonical_ints=True, allow_indefinite=False) == value


@given(values)
def test_the_canonical_form_is_one_and_the_same(value):
    data = dumps(value, canonical=True)
    again = loads(data, max_depth=40, canonical_ints=True, allow_indefinite=False)
    assert again == value
    assert dumps(again, canonical=True) == data


@given(values)
def test_every_beginning_is_refused(value):
    data = dumps(value)
    for end in range(len(data)):
        with pytest.raises(CborError):
            loads(data[:end], max_depth=40)


@given(values, st.binary(min_size=1, max_size=4))
def test_nothing_may_follow(value, tail):
    with pytest.raises(CborError):
        loads(dumps(value) + tail, max_depth=40)


@given(st.lists(values, max_size=4))
def test_a_sequence_is_its_items(items):
    assert loads_sequence(b"".join(map(dumps, items)), max_depth=40) == items


@given(st.integers(1, 8), st.integers(0, 7))
def test_lengths_that_are_not_there_cost_nothing(size_power, major):
    data = bytes((major << 5 | 27,)) + (2**63 + size_power).to_bytes(8, "big")
    try:
        value = loads(data)
    except CborError:
        return
    assert isinstance(value, int | float)
    assert not isinstance(value, float) or math.isfinite(value)


@given(values)
def test_cbor2_reads_what_we_read(value):
    """Of what both know: cbor2 resolves tags, and gives containers in keys and tags other types."""
    if "Tag" in repr(value):
        return
    data = dumps(value)
    assert loads(data, max_depth=40) == cbor2.loads(data)
    assert item_end(data + b"\0", max_depth=40) == len(data)


@given(st.binary(max_size=40))
def test_what_we_take_cbor2_takes_too(data):
    try:
        value = loads(data)
    except CborError:
        return
    if "Tag" not in repr(value) and "nan" not in repr(value):
        assert cbor2.loads(data) == value
