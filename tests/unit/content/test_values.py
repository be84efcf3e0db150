import math

import pytest

from lwm2m_fota.cbor import Tag
from lwm2m_fota.content.values import adopt, is_single, natural_type, parse_link_value, type_of, validate
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink, ValueType

DEFINITIONS = standard_definitions()


def test_a_value_that_may_be_written():
    severity = DEFINITIONS.resource(Path.of(5, 0, 11))
    validate(severity, 2)
    with pytest.raises(ContentError, match="Severity: value 3") as caught:
        validate(severity, 3)
    assert caught.value.code == 0x80


@pytest.mark.parametrize(
    ("path", "single"),
    [
        ("/", False),
        ("/5", False),
        ("/5/0", False),
        ("/5/0/3", True),
        ("/5/0/8", False),
        ("/5/0/8/0", True),
        ("/3303/0/1", True),
    ],
)
def test_which_paths_have_one_value(path, single):
    parsed = Path.parse(path)
    assert is_single(parsed, DEFINITIONS.resource(parsed)) is single


def test_the_type_at_a_path():
    assert type_of(Path.of(5, 0, 13), DEFINITIONS) is ValueType.UNSIGNED
    assert type_of(Path.of(5, 0, 4), DEFINITIONS) is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, ValueType.BOOLEAN),
        (1, ValueType.INTEGER),
        (1.0, ValueType.FLOAT),
        ("", ValueType.STRING),
        (b"", ValueType.OPAQUE),
        (ObjectLink(1, 2), ValueType.OBJLNK),
    ],
)
def test_the_natural_type(value, kind):
    assert natural_type(value) is kind


@pytest.mark.parametrize(
    ("value", "kind", "adopted"),
    [
        (3, ValueType.INTEGER, 3),
        (3.0, ValueType.INTEGER, 3),
        (-3.0, ValueType.TIME, -3),
        (86400.0, ValueType.UNSIGNED, 86400),
        (3, ValueType.FLOAT, 3.0),
        (2**64 - 1, ValueType.FLOAT, float(2**64 - 1)),
        (1.5, ValueType.FLOAT, 1.5),
        ("33629:1", ValueType.OBJLNK, ObjectLink(33629, 1)),
        (ObjectLink(1, 2), ValueType.OBJLNK, ObjectLink(1, 2)),
        (Tag(1, 1700000000), ValueType.TIME, 1700000000),
        (Tag(1, 1700000000.0), ValueType.TIME, 1700000000),
        (Tag(0, "2023-11-14T22:13:20Z"), ValueType.TIME, 1700000000),
        ("2023-11-14T22:13:20Z", ValueType.TIME, 1700000000),
        (True, ValueType.BOOLEAN, True),
        (b"a", ValueType.OPAQUE, b"a"),
        ("a", ValueType.STRING, "a"),
        ("a", None, "a"),
        (1.5, None, 1.5),
        (2**64 - 1, None, 2**64 - 1),
        (-(2**63), None, -(2**63)),
        (False, None, False),
        (Tag(1, 1700000000), None, 1700000000),
        (Tag(0, "2023-11-14T22:13:20Z"), None, 1700000000),
        (Tag(4, [-2, 27315]), ValueType.FLOAT, 273.15),  # RFC 8949 section 3.4.4
        (Tag(4, [-2, 27315]), None, 273.15),
        (Tag(4, [2, 3]), ValueType.FLOAT, 300.0),
        (Tag(4, [2, -3]), ValueType.INTEGER, -300),
        (Tag(4, [-1, 20]), ValueType.UNSIGNED, 2),
        (Tag(4, [0, 2**64 - 1]), ValueType.UNSIGNED, 2**64 - 1),
        (Tag(4, [9, 1]), ValueType.TIME, 10**9),
        (Tag(4, [300, 1]), ValueType.FLOAT, 1e300),
        (Tag(4, [-400, 1]), ValueType.FLOAT, 0.0),
        ("</5/0>", ValueType.CORELNK, "</5/0>"),
        (ObjectLink(1, 2), None, ObjectLink(1, 2)),
    ],
)
def test_a_value_is_adopted(value, kind, adopted):
    taken = adopt(value, kind)
    assert taken == adopted
    assert type(taken) is type(adopted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3.5, ValueType.INTEGER),
        (2.0**60, ValueType.INTEGER),
        (math.nan, ValueType.INTEGER),
        (math.inf, ValueType.TIME),
        (math.nan, ValueType.FLOAT),
        (True, ValueType.INTEGER),
        (True, ValueType.FLOAT),
        (1, ValueType.BOOLEAN),
        ("1", ValueType.INTEGER),
        (2**63, ValueType.INTEGER),
        (-1.0, ValueType.UNSIGNED),
        (b"a", ValueType.STRING),
        ("a", ValueType.OPAQUE),
        (1, ValueType.OBJLNK),
        ("1", ValueType.OBJLNK),
        (Tag(2, b"\x01"), ValueType.INTEGER),
        (Tag(1, "x"), ValueType.TIME),
        (Tag(0, 5), ValueType.STRING),
        (Tag(0, b""), ValueType.TIME),
        (Tag(37, b""), ValueType.TIME),
        ("yesterday", ValueType.TIME),
        (1, ValueType.NONE),
        (Tag(2, b"\x01"), None),
        (Tag(0, "yesterday"), None),
        (5, ValueType.CORELNK),
        (Tag(4, [-2, 27315]), ValueType.INTEGER),
        (Tag(4, [1, 2]), ValueType.STRING),
        (Tag(4, [309, 1]), ValueType.FLOAT),  # too large for a double
        (Tag(4, [309, 1]), None),
        (Tag(4, [19, 2**64]), ValueType.INTEGER),
        (Tag(4, [10**18, 1]), ValueType.FLOAT),
        (Tag(4, [-(10**18), 1]), ValueType.FLOAT),
        (Tag(4, [1]), ValueType.FLOAT),
        (Tag(4, [1, 2, 3]), ValueType.FLOAT),
        (Tag(4, [1, 2.0]), ValueType.FLOAT),
        (Tag(4, [1, True]), None),
        (Tag(4, [False, 1]), None),
        (Tag(4, [1, Tag(2, b"a")]), None),
        (Tag(4, 5), ValueType.FLOAT),
        (Tag(5, [1, 2]), ValueType.FLOAT),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (Tag(1, math.inf), None),
        (2**64, None),
        (-(2**63) - 1, None),
        ("\ud800", None),
        (None, None),
        ([], None),
    ],
)
def test_a_value_that_does_not_fit(value, kind):
    with pytest.raises(ContentError):
        adopt(value, kind)


def test_links():
    assert parse_link_value("0:65535") == ObjectLink(0, 65535)
    for bad in ("", ":", "1:", "1:2:3", "a:b", "1:2\n", "99999:0"):
        with pytest.raises(ContentError):
            parse_link_value(bad)
