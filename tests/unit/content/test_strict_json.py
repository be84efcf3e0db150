import pytest

from lwm2m_fota.content.strict_json import dumps, loads
from lwm2m_fota.errors import ContentError


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"[]", []),
        (b' {"a": [1, -2.5, 1e3, "x", true, false, null]} \n', {"a": [1, -2.5, 1000.0, "x", True, False, None]}),
        (b'"\xc3\xa9\\u00e9"', "éé"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"18446744073709551615", 18446744073709551615),
        (b"-9223372036854775808", -9223372036854775808),
        (b'"[[[[[[[[[[[["', "[[[[[[[[[[[["),
        (b'"\\"[[[[[[[[[[[["', '"[[[[[[[[[[[['),
    ],
)
def test_what_is_json(payload, value):
    found = loads(payload)
    assert found == value
    assert type(found) is type(value)


def test_a_number_beyond_64_bits_is_as_good_as_a_float():
    assert loads(b"100000000000000000000") == 1e20
    assert isinstance(loads(b"100000000000000000000"), float)
    assert loads(b"9" * 300) == float("9" * 300)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[",
        b"[] x",
        b"[][]",
        b"{'a':1}",
        b"[1,]",
        b"01",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"9" * 400,
        b"9" * 10_000,
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'"\xff"',
        b'"\x00"',
        b'"\\ud83d"',
        b'{"\\ude00":1}',
        b"\xef\xbb\xbf[]",
        b"\xff\xfe[\x00]\x00",
    ],
)
def test_what_is_refused(payload):
    with pytest.raises(ContentError) as caught:
        loads(payload)
    assert caught.value.code == 0x80


def test_nesting_is_bounded_before_anything_is_built():
    assert loads(b"[" * 8 + b"]" * 8) == [[[[[[[[]]]]]]]]
    with pytest.raises(ContentError, match="8 levels"):
        loads(b"[" * 9 + b"]" * 9)
    with pytest.raises(ContentError, match="8 levels"):
        loads(b'{"a":' * 100_000)
    with pytest.raises(ContentError, match="2 levels"):
        loads(b'[{"a":[]}]', max_depth=2)


def test_what_is_written_is_short_and_read_again():
    value = {"n": "é", "v": [1, 2.5, True, None]}
    assert dumps(value) == '{"n":"é","v":[1,2.5,true,null]}'.encode()
    assert loads(dumps(value)) == value
