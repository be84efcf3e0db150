import pytest

from lwm2m_fota.content import text
from lwm2m_fota.errors import ContentError, NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink, ValueType

DEFINITIONS = standard_definitions()
BOTH_WAYS = [
    (ValueType.STRING, "", b""),
    (ValueType.STRING, "a ü", "a ü".encode()),
    (ValueType.INTEGER, -7, b"-7"),
    (ValueType.INTEGER, 2**63 - 1, b"9223372036854775807"),
    (ValueType.UNSIGNED, 2**64 - 1, b"18446744073709551615"),
    (ValueType.TIME, 1_700_000_000, b"1700000000"),
    (ValueType.FLOAT, 1.5, b"1.5"),
    (ValueType.FLOAT, -1e300, b"-1e+300"),
    (ValueType.FLOAT, 1e-07, b"1e-07"),
    (ValueType.BOOLEAN, True, b"1"),
    (ValueType.BOOLEAN, False, b"0"),
    (ValueType.OPAQUE, b"\xde\xad\xbe\xef", b"3q2+7w=="),
    (ValueType.OPAQUE, b"", b""),
    (ValueType.OBJLNK, ObjectLink(33629, 1), b"33629:1"),
    (ValueType.OBJLNK, ObjectLink(65535, 65535), b"65535:65535"),
]


@pytest.mark.parametrize(("kind", "value", "payload"), BOTH_WAYS)
def test_values_as_text(kind, value, payload):
    assert text.format_text(value) == payload
    read = text.parse_text(payload, kind)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        (ValueType.INTEGER, b"007", 7),
        (ValueType.INTEGER, b"-0", 0),
        (ValueType.FLOAT, b"3", 3.0),
        (ValueType.FLOAT, b"-1.5E3", -1500.0),
        (ValueType.FLOAT, b"2.", 2.0),
    ],
)
def test_other_ways_to_write_a_value(kind, payload, value):
    assert text.parse_text(payload, kind) == value


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (ValueType.STRING, b"\xff"),
        (ValueType.INTEGER, b""),
        (ValueType.INTEGER, b"1.0"),
        (ValueType.INTEGER, b"+1"),
        (ValueType.INTEGER, b" 1"),
        (ValueType.INTEGER, b"1\n"),
        (ValueType.INTEGER, b"1_0"),
        (ValueType.INTEGER, "٣".encode()),
        (ValueType.INTEGER, b"9223372036854775808"),
        (ValueType.INTEGER, b"1" * 21),
        (ValueType.INTEGER, b"9" * 100_000),
        (ValueType.UNSIGNED, b"-1"),
        (ValueType.UNSIGNED, b"18446744073709551616"),
        (ValueType.TIME, b"2026-01-01"),
        (ValueType.FLOAT, b""),
        (ValueType.FLOAT, b"nan"),
        (ValueType.FLOAT, b"inf"),
        (ValueType.FLOAT, b"1e999"),
        (ValueType.FLOAT, b".5"),
        (ValueType.BOOLEAN, b"true"),
        (ValueType.BOOLEAN, b"2"),
        (ValueType.BOOLEAN, b""),
        (ValueType.OPAQUE, b"3q2+7w"),
        (ValueType.OPAQUE, b"3q2-7w=="),
        (ValueType.OPAQUE, "ü".encode()),
        (ValueType.OBJLNK, b"5"),
        (ValueType.OBJLNK, b"65536:0"),
        (ValueType.OBJLNK, b"0:65536"),
        (ValueType.OBJLNK, b"123456:0"),
        (ValueType.OBJLNK, b"-1:0"),
        (ValueType.OBJLNK, b"5:0 "),
        (ValueType.NONE, b""),
    ],
)
def test_what_is_no_value_of_the_type(kind, payload):
    with pytest.raises(ContentError):
        text.parse_text(payload, kind)


def test_a_resource_that_is_not_known_is_a_string():
    path = Path.of(3303, 0, 5700)
    assert text.decode(b"21.5", path, DEFINITIONS) == [(path, "21.5")]


@pytest.mark.parametrize("base", ["/", "/5", "/5/0", "/5/0/8"])
def test_more_than_one_value(base):
    with pytest.raises(NotAcceptableError):
        text.encode([(Path.of(5, 0, 8, 0), 1)], Path.parse(base), DEFINITIONS)
    with pytest.raises(UnsupportedContentFormatError):
        text.decode(b"1", Path.parse(base), DEFINITIONS)


def test_no_value_at_all():
    with pytest.raises(NotAcceptableError):
        text.encode([], Path.of(5, 0, 3), DEFINITIONS)


def test_a_resource_instance_has_one_value():
    path = Path.of(5, 0, 8, 1)
    assert text.encode([(path, 1)], path, DEFINITIONS) == b"1"
    assert text.decode(b"1", path, DEFINITIONS) == [(path, 1)]
