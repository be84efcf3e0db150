"""Round trips of every type in every format, and random payloads."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota import cbor
from lwm2m_fota.content.codec import decode, decode_paths, encode, encode_paths
from lwm2m_fota.content.dates import format_date, parse_date
from lwm2m_fota.content.execute import format_arguments, parse_arguments
from lwm2m_fota.content.link import Link, format_links, parse_links
from lwm2m_fota.content.policies import ContentPolicies, PathKeys, TimeForm
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

TEXT, OPAQUE, CBOR, SENML_JSON, SENML, TLV, OMA_JSON, LWM2M_CBOR = 0, 42, 60, 110, 112, 11542, 11543, 11544
ETCH_JSON, ETCH_CBOR = 320, 322
WRITTEN = (SENML_JSON, SENML, TLV, LWM2M_CBOR)
SINGLE = (TEXT, CBOR, *WRITTEN)
EVERY = (OPAQUE, OMA_JSON, ETCH_JSON, ETCH_CBOR, *SINGLE)
VALUES = {
    ValueType.STRING: st.text(max_size=20),
    ValueType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ValueType.UNSIGNED: st.integers(0, 2**64 - 1),
    ValueType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ValueType.BOOLEAN: st.booleans(),
    ValueType.OPAQUE: st.binary(max_size=300),
    ValueType.TIME: st.integers(-(2**63), 2**63 - 1),
    ValueType.OBJLNK: st.builds(ObjectLink, st.integers(0, 65535), st.integers(0, 65535)),
    ValueType.CORELNK: st.sampled_from(["", "</3>", "</5/0>;ver=1.1,</33629/1>", '</x>;title="a,b"']),
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


policies = st.builds(ContentPolicies, time=st.sampled_from(TimeForm), keys=st.sampled_from(PathKeys))


@given(entries_of_an_instance(7), st.sampled_from(WRITTEN), policies)
def test_an_instance_comes_back(entries, content_format, policies):
    base = Path.of(30000, 7)
    payload = encode(entries, content_format, base, DEFINITIONS, policies)
    assert same(decode(payload, content_format, base, DEFINITIONS), entries)


@given(entries_of_an_instance(0), entries_of_an_instance(1), st.sampled_from((SENML_JSON, SENML, LWM2M_CBOR)), policies)
def test_several_objects_come_back(first, second, content_format, policies):
    entries = [*first, (Path.of(5, 0, 3), 2), *second, (Path.of(3, 0, 11, 0), 0)]
    entries.sort()
    payload = encode(entries, content_format, Path(()), DEFINITIONS, policies)
    assert same(decode(payload, content_format, Path(()), DEFINITIONS), entries)
    etch = {SENML_JSON: ETCH_JSON, SENML: ETCH_CBOR}.get(content_format)
    if etch is not None:
        assert same(decode(payload, etch, Path(()), DEFINITIONS), entries)


@given(entries_of_an_instance(0), entries_of_an_instance(65534), st.sampled_from(WRITTEN))
def test_an_object_comes_back(first, second, content_format):
    base, entries = Path.of(30000), first + second
    payload = encode(entries, content_format, base, DEFINITIONS)
    assert same(decode(payload, content_format, base, DEFINITIONS), entries)


@given(entries_of_an_instance(0))
def test_every_resource_comes_back_alone(entries):
    for path, value in entries:
        for content_format in SINGLE:
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


@given(st.binary(max_size=40), st.sampled_from(EVERY), st.sampled_from(BASES))
def test_random_payloads(payload, content_format, base):
    read(payload, content_format, Path.parse(base))


@given(entries_of_an_instance(0), st.sampled_from(WRITTEN), st.data())
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


@given(
    st.lists(st.lists(st.integers(0, 65534), max_size=4).map(tuple).map(Path), min_size=1, max_size=5),
    st.sampled_from((SENML_JSON, SENML, ETCH_JSON, ETCH_CBOR)),
)
def test_paths_come_back(paths, content_format):
    payload = encode_paths(paths, content_format)
    assert decode_paths(payload, content_format) == tuple(paths)
    for end in range(len(payload)):
        with pytest.raises((ContentError, CborError)):
            decode_paths(payload[:end], content_format)
    with pytest.raises((ContentError, CborError)):
        decode_paths(payload + b"0", content_format)


@given(st.binary(max_size=40) | st.text('[]{},:"nbvt0/5', max_size=30).map(str.encode), st.data())
def test_random_paths(payload, data):
    with contextlib.suppress(ContentError, CborError):
        decode_paths(payload, data.draw(st.sampled_from((SENML_JSON, SENML, ETCH_JSON, ETCH_CBOR))))


json_values = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
    | st.sampled_from(["/", "/5/0/", "3", "/5/0/3", "8/0", "30000/0/", "3q2-7w"])
)  # fmt: skip
json_labels = st.sampled_from(
    ["bn", "bt", "bver", "bv", "n", "v", "vs", "vb", "vd", "vlo", "t", "s", "u", "sv", "bv", "ov", "x", "x_"]
)


@given(
    st.lists(st.dictionaries(json_labels, json_values, max_size=5), max_size=4),
    st.dictionaries(json_labels, json_values),
)
def test_random_records_in_json(pack, head):
    for base in BASES:
        for content_format in (SENML_JSON, ETCH_JSON):
            read(json.dumps(pack).encode(), content_format, Path.parse(base))
        read(json.dumps({**head, "e": pack}).encode(), OMA_JSON, Path.parse(base))


@given(st.text('[]{},:"\\-0.e tfn', max_size=60).map(str.encode), st.sampled_from((SENML_JSON, OMA_JSON, ETCH_JSON)))
def test_random_json(payload, content_format):
    read(payload, content_format, Path(()) if content_format == ETCH_JSON else Path.of(5))


id_keys = st.integers(-1, 65536) | st.sampled_from((5, 0, 3, 8)) | st.booleans()
tree_keys = id_keys | st.lists(id_keys, max_size=5).map(tuple) | st.text(max_size=1)
trees = st.recursive(contents, lambda below: st.dictionaries(tree_keys, below, max_size=3), max_leaves=8)


@given(st.dictionaries(tree_keys, trees, max_size=3))
def test_random_trees(tree):
    payload = cbor.dumps(tree)
    for base in BASES:
        read(payload, LWM2M_CBOR, Path.parse(base))


@given(contents, st.sampled_from(BASES))
def test_random_values_in_cbor(value, base):
    read(cbor.dumps(value), CBOR, Path.parse(base))


@given(st.integers(-62135596800, 253402300799))
def test_dates_come_back(seconds):
    assert parse_date(format_date(seconds)) == seconds


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
