import math

import pytest

from lwm2m_fota.model.enums import State
from lwm2m_fota.model.resources import (
    NULL_LINK,
    ObjectLink,
    Operations,
    ResourceDefinition,
    ValueType,
    fits_type,
    version_key,
)


def resource(kind, *, multiple=False, low=None, high=None):
    return ResourceDefinition(
        id=1, name="Thing", operations=Operations.READ, multiple=multiple, type=kind, low=low, high=high
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ValueType.STRING, ""),
        (ValueType.STRING, "ü"),
        (ValueType.INTEGER, -(2**63)),
        (ValueType.INTEGER, 2**63 - 1),
        (ValueType.INTEGER, State.UPDATING),
        (ValueType.TIME, 1_700_000_000),
        (ValueType.TIME, -1),
        (ValueType.UNSIGNED, 0),
        (ValueType.UNSIGNED, 2**64 - 1),
        (ValueType.FLOAT, 1.5),
        (ValueType.FLOAT, 3),
        (ValueType.BOOLEAN, True),
        (ValueType.OPAQUE, b""),
        (ValueType.OBJLNK, ObjectLink(33629, 1)),
    ],
)
def test_a_value_of_the_type_fits(kind, value):
    assert fits_type(value, kind)
    assert resource(kind).fault(value) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ValueType.STRING, b"a"),
        (ValueType.STRING, "\ud800"),
        (ValueType.INTEGER, 2**63),
        (ValueType.INTEGER, -(2**63) - 1),
        (ValueType.INTEGER, 1.0),
        (ValueType.INTEGER, True),
        (ValueType.INTEGER, "1"),
        (ValueType.TIME, 1.5),
        (ValueType.TIME, False),
        (ValueType.UNSIGNED, -1),
        (ValueType.UNSIGNED, 2**64),
        (ValueType.UNSIGNED, True),
        (ValueType.FLOAT, math.nan),
        (ValueType.FLOAT, math.inf),
        (ValueType.FLOAT, True),
        (ValueType.BOOLEAN, 1),
        (ValueType.OPAQUE, "00"),
        (ValueType.OPAQUE, bytearray(b"a")),
        (ValueType.OBJLNK, "5:0"),
        (ValueType.NONE, ""),
        (ValueType.NONE, 0),
    ],
)
def test_a_value_of_another_type_does_not(kind, value):
    assert not fits_type(value, kind)
    assert "Thing is" in resource(kind).fault(value)


@pytest.mark.parametrize(("value", "fits"), [(-1, False), (0, True), (3, True), (4, False)])
def test_numbers_stay_in_range(value, fits):
    assert (resource(ValueType.INTEGER, low=0, high=3).fault(value) is None) is fits


@pytest.mark.parametrize(("value", "fits"), [("", False), ("a", True), ("ab", True), ("abc", False), ("üü", False)])
def test_the_range_of_a_string_is_its_length_in_bytes(value, fits):
    assert (resource(ValueType.STRING, low=1, high=2).fault(value) is None) is fits


def test_ranges_may_be_open():
    assert resource(ValueType.INTEGER, low=0).fault(2**40) is None
    assert resource(ValueType.INTEGER, high=3).fault(-(2**40)) is None


def test_a_multiple_resource_takes_all_values_or_one():
    many = resource(ValueType.INTEGER, multiple=True, low=0, high=5)
    assert many.fault({0: 0, 65534: 5}) is None
    assert many.fault({}) is None
    assert many.fault(3) is None
    assert "out of range" in many.fault({0: 0, 1: 6})
    assert "instance id" in many.fault({65535: 0})
    assert "instance id" in many.fault({-1: 0})


def test_a_single_resource_has_no_instances():
    assert "no resource instances" in resource(ValueType.INTEGER).fault({0: 1})


@pytest.mark.parametrize("ids", [(-1, 0), (65536, 0), (0, -1), (0, 65536)])
def test_ids_of_a_link_are_16_bits(ids):
    with pytest.raises(ValueError):
        ObjectLink(*ids)


def test_links():
    assert str(ObjectLink(33629, 1)) == "33629:1"
    assert str(NULL_LINK) == "65535:65535"
    assert NULL_LINK.is_null
    assert not ObjectLink(65535, 0).is_null
    assert not ObjectLink(0, 65535).is_null


def test_versions_are_numbers_in_order():
    assert version_key("1.10") > version_key("1.9") > version_key("1.0")
    with pytest.raises(ValueError):
        version_key("1.x")
