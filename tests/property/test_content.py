"""Round trips of every type in every format, and random payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota import cbor
from lwm2m_fota.content import senml_cbor
from lwm2m_fota.content.codec import decode, encode
from lwm2m_fota.content.execute import format_arguments, parse_arguments
from lwm2m_fota.content.link import Link, format_links, parse_links
from lwm2m_fota.content.text import format_text, parse_text
from lwm2m_fota.errors import CborError, ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import (
    ObjectDefinition,
    ObjectLink,
    Operations,
    ResourceDefinition,
    ValueType,
    fits_type,
)

TEXT, OPAQUE, SENML, TLV = 0, 42, 112, 11542
VALUES = {
    ValueType.STRING: st.text(max_size=20),
    ValueType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ValueType.UNSIGNED: st.integers(0, 2**64 - 1),
    ValueType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ValueType.BOOLEAN: st.booleans(),
    ValueType.OPAQUE: st.binary(max_size=300),
    ValueType.TIME: st.integers(-(2**63), 2**63 - 1),
    ValueType.OBJLNK: st.builds(ObjectLink, st.integers(0, 65535), st.integers(0, 65535)),
}
# a single resource of every type, and a multiple one of every type
ZOO = ObjectDefinition(
    id=30000,
    name="Zoo",
    version="1.0",
    urn="",
    lwm2m_version="1.0",
    multiple=True,
    mandatory=False,
    resources=tuple(
        ResourceDefinition(
            id=index + 300 * multiple, name=kind.value, operations=Operations.READ, type=kind, multiple=bool(multiple)
        )
        for multiple in (0, 1)
        for index, kind in enumerate(VALUES)
    ),
)
DEFINITIONS = Definitions((*standard_definitions(), ZOO))
BASES = [
    "/",
    "/5",
    "/5/0",
    "/5/0/0",
    "/5/0/3",
    "/5/0/8",
    "/5/0/8/1",
    "/3/0",
    "/30000",
    "/30000/0",
    "/30000/0/300",
    "/9/0",
]


@st.composite
def entries_of_an_instance(draw, instance):
    entries = []
    for resource in draw(st.lists(st.sampled_from(ZOO.resources), unique=True)):
        path = Path.of(30000, instance, resource.id)
        if not resource.multiple:
            entries.append((path, draw(VALUES[resource.type])))
            continue
        indexes = draw(st.lists(st.integers(0, 65534), unique=True, min_size=1, max_size=3))
        entries.extend((path / index, draw(VALUES[resource.type])) for index in indexes)
    return entries


def same(left, right):
    return left == right and [type(value) for _, value in left] == [type(value) for _, value in right]


@given(entries_of_an_instance(7), st.sampled_from([SENML, TLV]))
def test_an_instance_comes_back(entries, content_format):
    base = Path.of(30000, 7)
    payload = encode(entries, content_format, base, DEFINITIONS)
    assert same(decode(payload, content_format, base, DEFINITIONS), entries)


@given(entries_of_an_instance(0), entries_of_an_instance(65534), st.sampled_from([SENML, TLV]))
def test_an_object_comes_back(first, second, content_format):
    base, entries = Path.of(30000), first + second
    payload = encode(entries, content_format, base, DEFINITIONS)
    assert same(decode(payload, content_format, base, DEFINITIONS), entries)


@given(entries_of_an_instance(0))
def test_every_resource_comes_back_alone(entries):
    for path, value in entries:
        for content_format in (TEXT, SENML, TLV):
            payload = encode([(path, value)], content_format, path, DEFINITIONS)
            assert same(decode(payload, content_format, path, DEFINITIONS), [(path, value)])


@pytest.mark.parametrize("kind", list(VALUES))
@given(data=st.data())
def test_text_comes_back(kind, data):
    value = data.draw(VALUES[kind])
    assert parse_text(format_text(value), kind) == value


def read(payload, content_format, base):
    try:
        entries = decode(payload, content_format, base, DEFINITIONS)
    except (ContentError, CborError):
        return
    for path, value in entries:
        assert base.contains(path)
        resource = DEFINITIONS.resource(path)
        if resource is not None:
            assert fits_type(value, resource.type)
            assert resource.multiple == (len(path.ids) == 4)


@given(st.binary(max_size=40), st.sampled_from([TEXT, OPAQUE, SENML, TLV]), st.sampled_from(BASES))
def test_random_payloads(payload, content_format, base):
    read(payload, content_format, Path.parse(base))


@given(entries_of_an_instance(0), st.sampled_from([SENML, TLV]), st.data())
def test_a_changed_byte_or_a_cut(entries, content_format, data):
    base = Path.of(30000, 0)
    good = bytearray(encode(entries, content_format, base, DEFINITIONS)) or bytearray(b"\x00")
    at = data.draw(st.integers(0, len(good) - 1))
    read(bytes(good[:at]), content_format, base)
    good[at] = data.draw(st.integers(0, 255))
    read(bytes(good), content_format, base)


labels = st.integers(-6, 9) | st.sampled_from(["vlo", "x", "x_"]) | st.booleans() | st.binary(max_size=1)
contents = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.text(max_size=3)
    | st.sampled_from(["/", "/5/0/", "3", "/5/0/3", "8/0", "30000/0/"]) | st.binary(max_size=3)
    | st.builds(cbor.Tag, st.integers(0, 3), st.integers() .filter(lambda n: abs(n) < 2**64) | st.text(max_size=3))
)  # fmt: skip


@given(st.lists(st.lists(st.tuples(labels, contents), max_size=5).map(dict), max_size=4))
def test_random_records(pack):
    payload = cbor.dumps(pack)
    for base in BASES:
        read(payload, SENML, Path.parse(base))


@given(st.lists(st.lists(st.integers(0, 65534), max_size=4).map(tuple).map(Path), max_size=5))
def test_paths_come_back(paths):
    assert senml_cbor.decode_paths(senml_cbor.encode_paths(paths)) == tuple(paths)


names = st.text("abcdefghijklmnopqrstuvwxyz-_09", min_size=1, max_size=6)
links = st.builds(
    Link,
    st.text("/0123456789abcü:", max_size=12),
    st.lists(st.tuples(names, st.none() | st.text(max_size=8)), max_size=3).map(tuple),
)


@given(st.lists(links, max_size=4).map(tuple))
def test_links_come_back(ordered):
    payload = format_links(ordered)
    assert parse_links(payload) == ordered
    for end in range(len(payload)):
        try:
            parse_links(payload[:end])
        except ContentError:
            continue


@given(st.binary(max_size=40) | st.text('<>;,="\\ \ta0/', max_size=30).map(str.encode))
def test_random_links(payload):
    try:
        found = parse_links(payload)
    except ContentError:
        return
    assert parse_links(format_links(found)) == found


argument_values = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\"'\\"), max_size=10
)


@given(st.dictionaries(st.integers(0, 9), st.none() | argument_values))
def test_arguments_come_back(arguments):
    ordered = tuple(arguments.items())
    assert parse_arguments(format_arguments(ordered)) == ordered


@given(st.binary(max_size=20) | st.text("0123456789='\",<>/ a", max_size=20).map(str.encode))
def test_random_arguments(payload):
    try:
        arguments = parse_arguments(payload)
    except ContentError:
        return
    assert format_arguments(arguments) == payload
