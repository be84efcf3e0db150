"""The content formats, each for several paths, and the other texts that are read."""

from functools import partial
from typing import Final

from fuzz.target import add, target
from lwm2m_fota.content import strict_json
from lwm2m_fota.content.codec import decode, decode_paths
from lwm2m_fota.content.execute import format_arguments, parse_arguments
from lwm2m_fota.content.link import format_links, parse_links
from lwm2m_fota.content.text import format_text, parse_text
from lwm2m_fota.errors import CborError, ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ValueType, fits_type

_DEFINITIONS: Final = standard_definitions()
_PATHS: Final = tuple(
    map(
        Path.parse,
        (
            "/",
            "/5",
            "/5/0",
            "/5/0/0",
            "/5/0/1",
            "/5/0/3",
            "/3/0/13",
            "/5/0/8",
            "/3/0/11/0",
            "/33629/0/16",
            "/3/0",
            "/9",
        ),
    )
)

_TLV: Final = {
    "an instance": bytes.fromhex("c001c10302c105008608410000410101c10902"),
    "instances": bytes.fromhex("0300c103020301c10300"),
    "links": bytes.fromhex("88100c4400835d00014401835d0002"),
    "a long value": bytes.fromhex("d000012c0000") + bytes(298),
    "a time": bytes.fromhex("c40c6553f100"),
}
_SENML_CBOR: Final = {
    "two values": bytes.fromhex("82a321652f352f302f0061330202a20061350200"),
    "opaque": bytes.fromhex("81a200662f352f302f300844deadbeef"),
    "links": bytes.fromhex(
        "82a3216c2f33333632392f302f31362f00613063766c6f6733333632393a31a200613163766c6f6733333632393a32"
    ),
}
_CBOR_PATHS: Final = bytes.fromhex("82a100662f352f302f33a100662f352f302f35")
_JSON_PATHS: Final = b'[{"n":"/5/0/3"},{"n":"/5/0/5"}]'
_SENML_JSON: Final = {
    "two values": b'[{"bn":"/5/0/","n":"3","v":2},{"n":"5","v":0}]',
    "opaque": b'[{"n":"/5/0/0","vd":"3q2-7w"}]',
    "others": b'[{"bn":"/3/0/","bt":1.5e3,"n":"14","vs":"+01:00","t":-5},{"n":"11/0","v":0},{"n":"13","v":1700000000}]',
}
_LWM2M_CBOR: Final = {
    "an instance": bytes.fromhex("a105a100a203020500"),
    "path as array": bytes.fromhex("a1820500a203020500"),
    "indefinite": bytes.fromhex("bf830d181a01182aff"),
    "instances": bytes.fromhex("a119835da200a1030201a10300"),
}
_FORMATS: Final = {
    "text": (
        0,
        {"number": b"2", "text": "ü".encode(), "opaque": b"3q2+7w==", "time": b"1700000000"},
    ),
    "opaque": (42, {"bytes": bytes(range(16))}),
    "cbor": (
        60,
        {"number": b"\x18\x64", "time": bytes.fromhex("c11a6553f100"), "text": b"\x63a:b", "float": b"\xf9\x3c\0"},
    ),
    "senml-json": (110, _SENML_JSON),
    "senml-cbor": (112, _SENML_CBOR),
    "senml-etch-json": (320, _SENML_JSON),
    "senml-etch-cbor": (322, _SENML_CBOR),
    "tlv": (11542, _TLV),
    "oma-json": (11543, {"values": b'{"bn":"/5/0/","e":[{"n":"3","v":2},{"n":"6","sv":"a"},{"n":"5","v":0}]}'}),
    "lwm2m-cbor": (11544, _LWM2M_CBOR),
}


def _read(content_format: int, data: bytes) -> None:
    """Whatever is read lies below what was asked for, and has the type of its resource; some path has to take it."""
    refusals: list[Exception] = []
    for base in _PATHS:
        try:
            entries = decode(data, content_format, base, _DEFINITIONS)
        except _OURS as error:
            refusals.append(error)
            continue
        for path, value in entries:
            assert base.contains(path), path
            resource = _DEFINITIONS.resource(path)
            assert resource is None or fits_type(value, resource.type), (path, value)
    if len(refusals) == len(_PATHS):
        raise refusals[0]


_OURS: Final = (ContentError, CborError)


def _add_formats() -> None:
    for name, (number, seeds) in _FORMATS.items():
        add(f"content-{name}", partial(_read, number), seeds)
    for name, number in (("json", 110), ("cbor", 112), ("etch-json", 320), ("etch-cbor", 322)):
        seed = _JSON_PATHS if "json" in name else _CBOR_PATHS
        add(f"paths-senml-{name}", partial(_paths, number), {"two paths": seed})


def _paths(content_format: int, data: bytes) -> None:
    for path in decode_paths(data, content_format):
        assert Path.parse(str(path)) == path


_add_formats()


@target({"numbers": b"2", "float": b"-1.5e-3", "link": b"33629:1", "base64": b"3q2+7w=="})
def text_values(data: bytes) -> None:
    """What is read as text of any type is the same when it is written and read again."""
    refusals: list[ContentError] = []
    for kind in ValueType:
        try:
            value = parse_text(data, kind)
        except ContentError as error:
            refusals.append(error)
            continue
        assert parse_text(format_text(value), kind) == value
    if len(refusals) == len(ValueType):
        raise refusals[0]


@target(
    {
        "objects": b'</>;rt="oma.lwm2m";ct="110 112 11542",</1/0>,</3/0>,</5/0>;ver=1.1',
        "attributes": b'</5/0>;pmin=5;gt=1.5,</5/0/3>;title="a,\\"b"',
        "one": b"</33629/1>",
    }
)
def link_format(data: bytes) -> None:
    """Links are the same when they are written and read again."""
    links = parse_links(data)
    assert parse_links(format_links(links)) == links


@target({"several": b"0='</33629/1>,</33629/2>',1,2='x'", "one": b"3"})
def execute_arguments(data: bytes) -> None:
    """Arguments are the same when they are written and read again."""
    arguments = parse_arguments(data)
    assert parse_arguments(format_arguments(arguments)) == arguments


@target(
    {"object": b'{"a":[1,2.5,"x\\u00e9",null,true],"b":{}}', "deep": b"[" * 8 + b"]" * 8, "text": b'"\\ud83d\\ude00"'}
)
def strict_json_loader(data: bytes) -> None:
    """What is read is the same when it is written and read again."""
    value = strict_json.loads(data)
    assert strict_json.loads(strict_json.dumps(value)) == value
