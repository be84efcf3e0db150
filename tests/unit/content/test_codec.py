import math

import pytest

from lwm2m_fota.content.codec import choose_format, decode, encode
from lwm2m_fota.errors import (
    CborError,
    ContentError,
    NotAcceptableError,
    UnsupportedContentFormatError,
    UsageError,
)
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.firmware import FIRMWARE_1_1
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

DEFINITIONS = standard_definitions()
TEXT, LINK, OPAQUE, CBOR, SENML, TLV, OMA_JSON = 0, 40, 42, 60, 112, 11542, 11543
STATE = Path.of(5, 0, 3)


@pytest.mark.parametrize(("content_format", "payload"), [(TEXT, b"2"), (TLV, b"\xc1\x03\x02")])
def test_an_enum_is_an_integer(content_format, payload):
    assert encode([(STATE, State.DOWNLOADED)], content_format, STATE, DEFINITIONS) == payload
    assert decode(payload, content_format, STATE, DEFINITIONS) == [(STATE, 2)]


@pytest.mark.parametrize(("old", "payload"), [(1541, b"2"), (1542, b"\xc1\x03\x02")])
def test_numbers_from_before_1_0_are_read(old, payload):
    assert decode(payload, old, STATE, DEFINITIONS) == [(STATE, 2)]


@pytest.mark.parametrize("content_format", [LINK, CBOR, OMA_JSON, 1543, 1544, 65000, -1])
def test_formats_that_are_not_known(content_format):
    with pytest.raises(UnsupportedContentFormatError) as caught:
        decode(b"", content_format, STATE, DEFINITIONS)
    assert caught.value.code == 0x8F
    with pytest.raises(NotAcceptableError) as caught:
        encode([(STATE, 2)], content_format, STATE, DEFINITIONS)
    assert caught.value.code == 0x86


def test_old_numbers_are_never_written():
    with pytest.raises(NotAcceptableError):
        encode([(STATE, 2)], 1542, STATE, DEFINITIONS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/5/0/3", "2"),
        ("/5/0/3", 2.0),
        ("/5/0/1", "\ud800"),
        ("/5/0/13", -1),
        ("/5/0/2", "x"),
        ("/5/0/14", 1),
        ("/3303/0/1", 2**63),
        ("/3303/0/1", math.nan),
        ("/3303/0/1", "\udfff"),
    ],
)
@pytest.mark.parametrize("content_format", [TEXT, SENML, TLV])
def test_a_value_of_another_type_is_not_written(content_format, path, value):
    parsed = Path.parse(path)
    with pytest.raises(ContentError):
        encode([(parsed, value)], content_format, parsed, DEFINITIONS)


def test_ranges_are_not_checked_here():
    payload = encode([(STATE, 7)], TLV, STATE, DEFINITIONS)
    assert decode(payload, TLV, STATE, DEFINITIONS) == [(STATE, 7)]


def test_entries_lie_below_the_base():
    with pytest.raises(UsageError):
        encode([(Path.of(5, 1, 3), 2)], SENML, Path.of(5, 0), DEFINITIONS)


@pytest.mark.parametrize("path", ["/5", "/5/0", "/5/0/3/0", "/5/0/8"])
def test_a_value_stands_at_a_resource_or_at_an_instance_of_a_multiple_one(path):
    parsed = Path.parse(path)
    with pytest.raises(ContentError):
        encode([(parsed, 1)], SENML, Path(()), DEFINITIONS)
    payload = bytes.fromhex(f"81a200{0x60 + len(path):x}") + path.encode() + b"\x02\x01"
    with pytest.raises(ContentError):
        decode(payload, SENML, Path(()), DEFINITIONS)


@pytest.mark.parametrize("payload", ["c10800", "8303410002"])
def test_a_tlv_item_has_the_shape_of_its_resource(payload):
    with pytest.raises(ContentError):
        decode(bytes.fromhex(payload), TLV, Path.of(5, 0), DEFINITIONS)


def test_no_path_comes_twice():
    with pytest.raises(ContentError, match="twice"):
        decode(bytes.fromhex("c10302c10302"), TLV, Path.of(5, 0), DEFINITIONS)


def test_what_is_not_known_is_kept_or_left_out():
    payload = bytes.fromhex("c10302c10402c15501")
    base = Path.of(5, 0)
    assert decode(payload, TLV, base, DEFINITIONS) == [(STATE, 2), (base / 4, b"\x02"), (base / 0x55, b"\x01")]
    assert decode(payload, TLV, base, DEFINITIONS, keep_unknown=False) == [(STATE, 2)]


def test_broken_cbor_is_broken_content():
    with pytest.raises(CborError) as caught:
        decode(b"\x81", SENML, STATE, DEFINITIONS)
    assert caught.value.code == 0x80


@pytest.mark.parametrize(
    ("accept", "base", "chosen"),
    [
        (TEXT, "/5/0/3", TEXT),
        (TEXT, "/5/0/8/0", TEXT),
        (TEXT, "/5/0/0", TEXT),
        (OPAQUE, "/5/0/0", OPAQUE),
        (TLV, "/5/0/3", TLV),
        (TLV, "/5/0/8", TLV),
        (TLV, "/5", TLV),
        (SENML, "/", SENML),
        (SENML, "/5/0/3", SENML),
        (None, "/5/0/3", SENML),
        (None, "/5/0", SENML),
    ],
)
def test_the_format_of_an_answer(accept, base, chosen):
    assert choose_format(accept, Path.parse(base), FIRMWARE_1_1) == chosen


@pytest.mark.parametrize(
    ("accept", "base"),
    [
        (TEXT, "/5/0/8"),
        (TEXT, "/5/0"),
        (TEXT, "/5"),
        (OPAQUE, "/5/0/3"),
        (OPAQUE, "/5/0"),
        (TLV, "/"),
        (LINK, "/5/0/3"),
        (1542, "/5/0/3"),
        (65000, "/5/0/3"),
    ],
)
def test_a_format_that_cannot_be_had(accept, base):
    with pytest.raises(NotAcceptableError) as caught:
        choose_format(accept, Path.parse(base), FIRMWARE_1_1)
    assert caught.value.code == 0x86


def test_a_preference_counts_where_the_peer_has_none():
    assert choose_format(None, STATE, FIRMWARE_1_1, preferred=TEXT) == TEXT
    assert choose_format(None, Path.of(5, 0), FIRMWARE_1_1, preferred=TEXT) == SENML
    assert choose_format(None, Path.of(5, 0), FIRMWARE_1_1, preferred=TLV) == TLV
    assert choose_format(None, STATE, FIRMWARE_1_1, preferred=CBOR) == SENML
    assert choose_format(SENML, STATE, FIRMWARE_1_1, preferred=TEXT) == SENML


def test_without_a_definition_a_resource_is_taken_for_single():
    assert choose_format(TEXT, Path.of(3303, 0, 1), None) == TEXT
    assert choose_format(OPAQUE, Path.of(3303, 0, 1), None) == OPAQUE
