"""application/cbor: one value (LwM2M Core 1.2, 7.5.3 and table C-2)."""

import pytest

from lwm2m_fota.content import cbor_values
from lwm2m_fota.content.policies import ContentPolicies, TimeForm
from lwm2m_fota.errors import CborError, ContentError, NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

DEFINITIONS = standard_definitions()
POLICIES = ContentPolicies()
TIME = Path.of(5, 0, 12)


def read(path, payload):
    ((found, value),) = cbor_values.decode(bytes.fromhex(payload), Path.parse(path), DEFINITIONS)
    assert str(found) == path
    return value


@pytest.mark.parametrize(
    ("path", "value", "payload"),
    [
        ("/5/0/3", 2, "02"),
        ("/3/0/10", -500, "3901f3"),
        ("/5/0/13", 2**64 - 1, "1bffffffffffffffff"),
        ("/5/0/1", "coap://h/é", "6b636f61703a2f2f682fc3a9"),
        ("/5/0/0", b"\x00\xff", "4200ff"),
        ("/5/0/14", True, "f5"),
        ("/5/0/14", False, "f4"),
        ("/5/0/12", 1_700_000_000, "1a6553f100"),
        ("/33629/0/16/0", ObjectLink(33629, 1), "6733333632393a31"),
        ("/5/0/8/1", 5, "05"),
        ("/3303/0/1", 21.5, "fb4035800000000000"),
    ],
)
def test_both_ways(path, value, payload):
    parsed = Path.parse(path)
    assert cbor_values.encode([(parsed, value)], parsed, DEFINITIONS, POLICIES).hex() == payload
    found = read(path, payload)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("form", "value", "payload"),
    [
        (TimeForm.NUMBER, 1_700_000_000, "1a6553f100"),
        (TimeForm.EPOCH, 1_700_000_000, "c11a6553f100"),
        (TimeForm.DATE, 1_700_000_000, "c074323032332d31312d31345432323a31333a32305a"),
        (TimeForm.EPOCH, -1, "c120"),
        (TimeForm.DATE, 2**62, "1b4000000000000000"),  # no such date
    ],
)
def test_time_is_written_by_a_policy_and_read_in_every_form(form, value, payload):
    policies = ContentPolicies(time=form)
    assert cbor_values.encode([(TIME, value)], TIME, DEFINITIONS, policies).hex() == payload
    assert read("/5/0/12", payload) == value


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("/5/0/12", "c1fb41d954fc40000000", 1_700_000_000),  # tag 1 on a float
        ("/5/0/12", "74323032332d31312d31345432323a31333a32305a", 1_700_000_000),  # a date without a tag
        ("/5/0/3", "f94000", 2),  # half a float
        ("/5/0/3", "1b0000000000000002", 2),  # longer than need be
        ("/5/0/1", "7f61616162ff", "ab"),  # in chunks
        ("/5/0/0", "5f41004101ff", b"\x00\x01"),
        ("/3303/0/1", "fa41ac0000", 21.5),
        ("/3303/0/7", "c11a6553f100", 1_700_000_000),  # not known here
    ],
)
def test_what_is_read_beyond_what_is_written(path, payload, value):
    assert read(path, payload) == value


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/5/0/3", "f6"),
        ("/5/0/3", "f5"),
        ("/5/0/3", "6132"),
        ("/5/0/3", "8102"),
        ("/5/0/3", "a10002"),
        ("/5/0/3", "1b8000000000000000"),
        ("/5/0/14", "01"),
        ("/5/0/2", "00"),
        ("/33629/0/16/0", "02"),
        ("/33629/0/16/0", "6178"),
        ("/5/0/12", "c2420100"),
        ("/5/0/12", "c06178"),
        ("/5/0/12", "c1c102"),  # a tag on a tag
    ],
)
def test_a_value_of_another_type(path, payload):
    with pytest.raises(ContentError):
        read(path, payload)


@pytest.mark.parametrize("payload", ["", "18", "0200", "02ff", "c1", "c1c1c102", "ff", "f7", "5f4100"])
def test_what_is_not_one_item(payload):
    with pytest.raises(CborError):
        read("/5/0/3", payload)


@pytest.mark.parametrize("path", ["/5", "/5/0", "/5/0/8"])
def test_what_has_several_values(path):
    parsed = Path.parse(path)
    with pytest.raises(UnsupportedContentFormatError):
        cbor_values.decode(b"\x02", parsed, DEFINITIONS)
    with pytest.raises(NotAcceptableError):
        cbor_values.encode([(Path.of(5, 0, 8, 0), 1)], parsed, DEFINITIONS, POLICIES)


def test_nothing_is_no_value():
    with pytest.raises(NotAcceptableError):
        cbor_values.encode([], Path.of(5, 0, 3), DEFINITIONS, POLICIES)
