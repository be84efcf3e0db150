import math

import pytest

from lwm2m_fota.content.codec import choose_format, decode, decode_paths, encode, encode_paths
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
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType

DEFINITIONS = standard_definitions()
TEXT, LINK, OPAQUE, CBOR, SENML_JSON, SENML, TLV, OMA_JSON = 0, 40, 42, 60, 110, 112, 11542, 11543
ETCH_JSON, ETCH_CBOR, LWM2M_CBOR = 320, 322, 11544
STATE = Path.of(5, 0, 3)
SENSOR = ObjectDefinition(
    id=3303,
    name="Temperature",
    version="1.0",
    urn="urn:oma:lwm2m:ext:3303",
    lwm2m_version="1.0",
    multiple=True,
    mandatory=False,
    resources=(ResourceDefinition(id=5700, name="Value", operations=Operations.READ, type=ValueType.FLOAT),),
)


@pytest.mark.parametrize(("content_format", "payload"), [(TEXT, b"2"), (TLV, b"\xc1\x03\x02")])
def test_an_enum_is_an_integer(content_format, payload):
    assert encode([(STATE, State.DOWNLOADED)], content_format, STATE, DEFINITIONS) == payload
    assert decode(payload, content_format, STATE, DEFINITIONS) == [(STATE, 2)]


@pytest.mark.parametrize(("old", "payload"), [(1541, b"2"), (1542, b"\xc1\x03\x02"), (1543, b'{"e":[{"v":2}]}')])
def test_numbers_from_before_1_0_are_read(old, payload):
    assert decode(payload, old, STATE, DEFINITIONS) == [(STATE, 2)]


@pytest.mark.parametrize("content_format", [LINK, 1544, 65000, -1])
def test_formats_that_are_not_known(content_format):
    with pytest.raises(UnsupportedContentFormatError) as caught:
        decode(b"", content_format, STATE, DEFINITIONS)
    assert caught.value.code == 0x8F
    with pytest.raises(NotAcceptableError) as caught:
        encode([(STATE, 2)], content_format, STATE, DEFINITIONS)
    assert caught.value.code == 0x86


@pytest.mark.parametrize("content_format", [1541, 1542, 1543, OMA_JSON, ETCH_JSON, ETCH_CBOR])
def test_what_is_read_but_never_written(content_format):
    with pytest.raises(NotAcceptableError):
        encode([(STATE, 2)], content_format, STATE, DEFINITIONS)
    with pytest.raises(NotAcceptableError):
        choose_format(content_format, STATE, FIRMWARE_1_1)


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [(ETCH_JSON, b'[{"n":"/5/0/3","v":2}]'), (ETCH_CBOR, bytes.fromhex("81a200662f352f302f330202"))],
)
def test_a_patch_is_for_several_objects_only(content_format, payload):
    assert decode(payload, content_format, Path(()), DEFINITIONS) == [(STATE, 2)]
    with pytest.raises(UnsupportedContentFormatError):
        decode(payload, content_format, STATE, DEFINITIONS)


@pytest.mark.parametrize("content_format", [TEXT, OPAQUE, CBOR, TLV, OMA_JSON])
def test_formats_that_are_not_for_several_objects(content_format):
    with pytest.raises(UnsupportedContentFormatError):
        decode(b"", content_format, Path(()), DEFINITIONS)


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
@pytest.mark.parametrize("content_format", [TEXT, CBOR, SENML_JSON, SENML, TLV, LWM2M_CBOR])
def test_a_value_of_another_type_is_not_written(content_format, path, value):
    parsed = Path.parse(path)
    with pytest.raises(ContentError):
        encode([(parsed, value)], content_format, parsed, DEFINITIONS)


@pytest.mark.parametrize("path", ["/3303/0/5700", "/30000/0/1"])
@pytest.mark.parametrize("number", ["f97e00", "f97c00", "f9fc00", "fa7f800000", "fb7ff8000000000000"])
@pytest.mark.parametrize("content_format", [CBOR, SENML, LWM2M_CBOR])
def test_what_is_not_finite_is_no_value_whether_its_resource_is_known_or_not(content_format, number, path):
    """RFC 8428 section 4.2: a value is a number of JSON, which has neither infinity nor NaN; so in every format."""
    parsed = Path.parse(path)
    definitions = Definitions([SENSOR])
    head = {
        CBOR: b"",
        SENML: bytes.fromhex(f"81a200{0x60 + len(path):x}") + path.encode() + b"\x02",
        LWM2M_CBOR: b"\xa1\x83" + b"".join(b"\x19" + each.to_bytes(2, "big") for each in parsed.ids),
    }
    assert decode(head[content_format] + bytes.fromhex("f93e00"), content_format, parsed, definitions) == [
        (parsed, 1.5)
    ]
    with pytest.raises(ContentError):
        decode(head[content_format] + bytes.fromhex(number), content_format, parsed, definitions)


@pytest.mark.parametrize(
    ("content_format", "path", "head"),
    [
        (CBOR, "/3303/0/5700", ""),
        (CBOR, "/30000/0/1", ""),
        (SENML, "/3303/0/5700", "81a2006c2f333330332f302f3537303002"),
        (SENML, "/30000/0/1", "81a2006a2f33303030302f302f3102"),
        (LWM2M_CBOR, "/3303/0/5700", "a1190ce7a100a1191644"),
        (LWM2M_CBOR, "/30000/0/1", "a1197530a100a101"),
    ],
)
def test_a_decimal_fraction_is_a_number_in_cbor(content_format, path, head):
    """RFC 8428 section 6."""
    parsed = Path.parse(path)
    payload = bytes.fromhex(head + "c48221196ab3")
    assert decode(payload, content_format, parsed, Definitions([SENSOR])) == [(parsed, 273.15)]


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (TEXT, b"inf"),
        (TEXT, b"nan"),
        (TEXT, b"1e999"),
        (TLV, b"\xe4\x16\x44\x7f\x80\x00\x00"),
        (TLV, b"\xe8\x16\x44\x08\x7f\xf8" + bytes(6)),
        (SENML_JSON, b'[{"n":"/3303/0/5700","v":1e999}]'),
        (SENML_JSON, b'[{"n":"/3303/0/5700","v":NaN}]'),
        (OMA_JSON, b'{"e":[{"v":1e999}]}'),
    ],
)
def test_what_is_not_finite_is_no_value_in_the_other_formats(content_format, payload):
    with pytest.raises(ContentError):
        decode(payload, content_format, Path.of(3303, 0, 5700), Definitions([SENSOR]))


@pytest.mark.parametrize(
    ("content_format", "base", "payload"),
    [
        (TEXT, "/5/0/2", b""),
        (CBOR, "/5/0/2", b"\x01"),
        (TLV, "/5/0", b"\xc1\x02\x01"),
        (TLV, "/5/0/2", b"\xc0\x02"),
        (SENML_JSON, "/5/0", b'[{"n":"/5/0/2","v":1}]'),
        (SENML, "/5/0/2", bytes.fromhex("81a200662f352f302f320201")),
        (LWM2M_CBOR, "/5/0", bytes.fromhex("a18305000201")),
        (OMA_JSON, "/5/0", b'{"e":[{"n":"2","v":1}]}'),
        (ETCH_JSON, "/", b'[{"n":"/5/0/2","v":1}]'),
    ],
)
def test_a_value_for_what_is_executed_is_not_allowed(content_format, base, payload):
    """LwM2M Core 1.2, 6.3.3: the target of a Write allows Write; that is no fault of the payload."""
    with pytest.raises(ContentError, match="executed") as caught:
        decode(payload, content_format, Path.parse(base), DEFINITIONS)
    assert caught.value.code == 0x85


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
        (CBOR, "/5/0/3", CBOR),
        (CBOR, "/5/0/8/0", CBOR),
        (SENML_JSON, "/", SENML_JSON),
        (SENML_JSON, "/5/0", SENML_JSON),
        (LWM2M_CBOR, "/", LWM2M_CBOR),
        (LWM2M_CBOR, "/5/0/3", LWM2M_CBOR),
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
        (CBOR, "/5/0"),
        (CBOR, "/5/0/8"),
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
    assert choose_format(None, STATE, FIRMWARE_1_1, preferred=CBOR) == CBOR
    assert choose_format(None, Path.of(5, 0), FIRMWARE_1_1, preferred=CBOR) == SENML
    assert choose_format(None, Path.of(5, 0), FIRMWARE_1_1, preferred=LWM2M_CBOR) == LWM2M_CBOR
    assert choose_format(None, Path.of(5, 0), FIRMWARE_1_1, preferred=OMA_JSON) == SENML
    assert choose_format(SENML, STATE, FIRMWARE_1_1, preferred=TEXT) == SENML


def test_without_a_definition_a_resource_is_taken_for_single():
    assert choose_format(TEXT, Path.of(3303, 0, 1), None) == TEXT
    assert choose_format(OPAQUE, Path.of(3303, 0, 1), None) == OPAQUE


# -- links as values


LINKS = Definitions(
    [
        ObjectDefinition(
            id=26,
            name="IoT Device Gateway",
            version="1.0",
            urn="",
            lwm2m_version="1.2",
            multiple=True,
            mandatory=False,
            resources=(ResourceDefinition(id=1, name="M", operations=Operations.READ, type=ValueType.CORELNK),),
        )
    ]
)


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (TEXT, b"</3/0>;x=1"),
        (CBOR, b"\x6a</3/0>;x=1"),
        (SENML_JSON, b'[{"n":"/26/0/1","vs":"</3/0>;x=1"}]'),
        (SENML, b"\x81\xa2\x00\x67/26/0/1\x03\x6a</3/0>;x=1"),
        (TLV, b"\xc8\x01\x0a</3/0>;x=1"),
        (LWM2M_CBOR, b"\xa1\x83\x18\x1a\x00\x01\x6a</3/0>;x=1"),
    ],
)
def test_links_as_a_value_in_every_format(content_format, payload):
    path = Path.of(26, 0, 1)
    assert encode([(path, "</3/0>;x=1")], content_format, path, LINKS) == payload
    assert decode(payload, content_format, path, LINKS) == [(path, "</3/0>;x=1")]
    with pytest.raises(ContentError, match="link format"):
        encode([(path, "/3/0")], content_format, path, LINKS)
    with pytest.raises(ContentError):
        decode(payload.replace(b"</3", b"</<"), content_format, path, LINKS)


# -- paths alone


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (SENML_JSON, b'[{"n":"/5/0/3"},{"n":"/3/0"}]'),
        (ETCH_JSON, b'[{"n":"/5/0/3"},{"n":"/3/0"}]'),
        (SENML, bytes.fromhex("82a100662f352f302f33a100642f332f30")),
        (ETCH_CBOR, bytes.fromhex("82a100662f352f302f33a100642f332f30")),
    ],
)
def test_the_paths_of_a_composite_request(content_format, payload):
    paths = (STATE, Path.of(3, 0))
    assert encode_paths(paths, content_format) == payload
    assert decode_paths(payload, content_format) == paths


@pytest.mark.parametrize("content_format", [SENML_JSON, SENML, ETCH_JSON, ETCH_CBOR])
def test_a_request_for_no_path_is_not_written(content_format):
    with pytest.raises(UsageError):
        encode_paths(iter(()), content_format)


@pytest.mark.parametrize("content_format", [TEXT, OPAQUE, CBOR, TLV, OMA_JSON, LWM2M_CBOR, 1543])
def test_formats_without_paths(content_format):
    with pytest.raises(NotAcceptableError):
        encode_paths([STATE], content_format)
    with pytest.raises(UnsupportedContentFormatError):
        decode_paths(b"", content_format)
