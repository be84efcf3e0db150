"""The vectors of SPEC section 7, byte for byte, and their file."""

from pathlib import Path as File

import pytest

from lwm2m_fota.content import senml_cbor
from lwm2m_fota.content.codec import decode, encode
from lwm2m_fota.content.policies import ContentPolicies, PathKeys
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import ObjectDefinition, ObjectLink, Operations, ResourceDefinition, ValueType

TEXT, OPAQUE, CBOR, SENML_JSON, SENML, TLV, LWM2M_CBOR = 0, 42, 60, 110, 112, 11542, 11544


def resource(resource_id, kind, *, multiple=False):
    return ResourceDefinition(id=resource_id, name="R", operations=Operations.READ, type=kind, multiple=multiple)


# Object 33629 as far as the vectors go
ADVANCED = ObjectDefinition(
    id=33629,
    name="Advanced Firmware Update",
    version="1.0",
    urn="urn:oma:lwm2m:oma:33629",
    lwm2m_version="1.1",
    multiple=True,
    mandatory=False,
    resources=(resource(3, ValueType.INTEGER), resource(16, ValueType.OBJLNK, multiple=True)),
)
DEFINITIONS = Definitions((*standard_definitions(), ADVANCED))
LINKS = [("/33629/0/16/0", ObjectLink(33629, 1)), ("/33629/0/16/1", ObjectLink(33629, 2))]
INSTANCE = [("/5/0/1", ""), ("/5/0/3", 2), ("/5/0/5", 0), ("/5/0/8/0", 0), ("/5/0/8/1", 1), ("/5/0/9", 2)]
PAIR = [("/5/0/3", 2), ("/5/0/5", 0)]
OBJECT = [("/33629/0/3", 2), ("/33629/1/3", 0)]

VECTORS = [
    (TLV, "/5/0/3", [("/5/0/3", 2)], "c10302"),
    (TLV, "/5/0", INSTANCE, "c001c10302c105008608410000410101c10902"),
    (TLV, "/5/0/12", [("/5/0/12", 1_700_000_000)], "c40c6553f100"),
    (TLV, "/5/0/13", [("/5/0/13", 86400)], "c40d00015180"),
    (TLV, "/5/0/14", [("/5/0/14", True)], "c10e01"),
    (TLV, "/5/0/0", [("/5/0/0", b"\x00")], "c10000"),
    (TLV, "/5/0/0", [("/5/0/0", bytes(range(8)))], "c800080001020304050607"),
    (TLV, "/5/0/0", [("/5/0/0", bytes(300))], "d000012c" + "00" * 300),
    (TLV, "/33629/0/16", LINKS, "88100c4400835d00014401835d0002"),
    (TLV, "/33629/0/16", [], "8010"),
    (TLV, "/33629", OBJECT, "0300c103020301c10300"),
    (SENML, "/5/0", PAIR, "82a321652f352f302f0061330202a20061350200"),
    (SENML, "/", PAIR, "82a200662f352f302f330202a200662f352f302f350200"),
    (SENML, "/5/0/0", [("/5/0/0", b"\xde\xad\xbe\xef")], "81a200662f352f302f300844deadbeef"),
    (
        SENML,
        "/33629/0/16",
        LINKS,
        "82a3216c2f33333632392f302f31362f00613063766c6f6733333632393a31a200613163766c6f6733333632393a32",
    ),
    (TEXT, "/5/0/3", [("/5/0/3", 2)], "32"),
    (TEXT, "/33629/0/16/0", LINKS[:1], "33333632393a31"),
    (OPAQUE, "/5/0/0", [("/5/0/0", b"\x00")], "00"),
    (CBOR, "/5/0/3", [("/5/0/3", 2)], "02"),
    (SENML_JSON, "/5/0", PAIR, b'[{"bn":"/5/0/","n":"3","v":2},{"n":"5","v":0}]'.hex()),
    (SENML_JSON, "/5/0/0", [("/5/0/0", b"\xde\xad\xbe\xef")], b'[{"n":"/5/0/0","vd":"3q2-7w"}]'.hex()),
    (LWM2M_CBOR, "/5/0", PAIR, "a1820500a203020500"),
    (LWM2M_CBOR, "/33629", OBJECT, "a119835da200a1030201a10300"),
]


def entries(rows):
    return [(Path.parse(path), value) for path, value in rows]


# keys of LwM2M CBOR as the policy NESTED has them
NESTED = [(PAIR, "a105a100a203020500"), (OBJECT, "a119835da200a1030201a10300")]


@pytest.mark.parametrize(("content_format", "base", "rows", "payload"), VECTORS)
def test_written(content_format, base, rows, payload):
    policies = ContentPolicies(keys=PathKeys.NESTED) if rows is OBJECT else ContentPolicies()
    assert encode(entries(rows), content_format, Path.parse(base), DEFINITIONS, policies).hex() == payload


@pytest.mark.parametrize(("rows", "payload"), NESTED)
def test_lwm2m_cbor_with_a_map_for_each_level(rows, payload):
    policies = ContentPolicies(keys=PathKeys.NESTED)
    assert encode(entries(rows), LWM2M_CBOR, Path(()), DEFINITIONS, policies).hex() == payload
    assert decode(bytes.fromhex(payload), LWM2M_CBOR, Path(()), DEFINITIONS) == entries(rows)


@pytest.mark.parametrize(("content_format", "base", "rows", "payload"), VECTORS)
def test_read(content_format, base, rows, payload):
    read = decode(bytes.fromhex(payload), content_format, Path.parse(base), DEFINITIONS)
    assert read == entries(rows)
    assert [type(value) for _, value in read] == [type(value) for _, value in rows]


def test_a_record_named_by_its_base_name_alone():
    path = Path.of(0, 0, 3)
    assert decode(bytes.fromhex("81a221662f302f302f330843abcdef"), SENML, path, DEFINITIONS) == [
        (path, b"\xab\xcd\xef")
    ]


def test_paths_of_a_composite_request():
    paths = (Path.of(5, 0, 3), Path.of(5, 0, 5))
    payload = bytes.fromhex("82a100662f352f302f33a100662f352f302f35")
    assert senml_cbor.encode_paths(paths) == payload
    assert senml_cbor.decode_paths(payload) == paths


def test_the_file_of_vectors_agrees(root: File):
    file = (root / "tests" / "vectors" / "lwm2m_vectors.txt").read_text()
    for content_format, _, _, payload in VECTORS:
        if content_format in {TLV, SENML, LWM2M_CBOR} and len(payload) < 600:
            assert payload in file, payload
        if content_format == SENML_JSON:
            assert bytes.fromhex(payload).decode() in file, payload
    for _, payload in NESTED:
        assert payload in file
    assert "81a221662f302f302f330843abcdef" in file
