import pytest

from lwm2m_fota.content import tlv
from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import ObjectDefinition, ObjectLink, Operations, ResourceDefinition, ValueType

KINDS = ValueType.FLOAT, ValueType.OBJLNK, ValueType.TIME, ValueType.STRING
ZOO = ObjectDefinition(
    id=30000,
    name="Zoo",
    version="1.0",
    urn="",
    lwm2m_version="1.0",
    multiple=True,
    mandatory=False,
    resources=tuple(
        ResourceDefinition(id=1 + index, name=kind.value, operations=Operations.READ, type=kind)
        for index, kind in enumerate(KINDS)
    ),
)
FLOAT, LINK, TIME = 1, 2, 3
DEFINITIONS = Definitions((*standard_definitions(), ZOO))


def b(text):
    return bytes.fromhex(text)


def rows(pairs):
    return [(Path.parse(path), value) for path, value in pairs]


def read(payload, base):
    return [(str(path), value) for path, value in tlv.decode(b(payload), Path.parse(base), DEFINITIONS)]


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (0, "c10300"),
        (127, "c1037f"),
        (-128, "c10380"),
        (128, "c2030080"),
        (-129, "c203ff7f"),
        (32767, "c2037fff"),
        (32768, "c40300008000"),
        (2**31 - 1, "c4037fffffff"),
        (-(2**31), "c40380000000"),
        (2**31, "c803080000000080000000"),
        (-(2**63), "c803088000000000000000"),
    ],
)
def test_integers_take_1_2_4_or_8_bytes(value, payload):
    path = Path.of(30000, 0, TIME)
    assert tlv.encode([(path, value)], path, DEFINITIONS) == b(payload)
    assert tlv.decode(b(payload), path, DEFINITIONS) == [(path, value)]


@pytest.mark.parametrize(
    ("value", "payload"),
    [(0, "c10d00"), (255, "c10dff"), (256, "c20d0100"), (65536, "c40d00010000"), (2**64 - 1, "c80d08ffffffffffffffff")],
)
def test_unsigned_integers_have_no_sign(value, payload):
    path = Path.of(5, 0, 13)
    assert tlv.encode([(path, value)], path, DEFINITIONS) == b(payload)
    assert tlv.decode(b(payload), path, DEFINITIONS) == [(path, value)]


def test_longer_forms_of_a_number_are_read():
    assert read("c403fffffffe", "/30000/0/3") == [("/30000/0/3", -2)]
    assert read("c4013fc00000", "/30000/0/1") == [("/30000/0/1", 1.5)]


@pytest.mark.parametrize("value", [1.5, -2.0, 1e300])
def test_floats_are_written_in_8_bytes(value):
    path = Path.of(30000, 0, FLOAT)
    payload = tlv.encode([(path, value)], path, DEFINITIONS)
    assert payload[:3] == b("c80108")
    assert tlv.decode(payload, path, DEFINITIONS) == [(path, value)]


def test_a_float_resource_takes_an_integer():
    path = Path.of(30000, 0, FLOAT)
    assert tlv.encode([(path, 2)], path, DEFINITIONS) == b("c801084000000000000000")


def test_ids_above_255_take_two_bytes():
    path = Path.of(3303, 256, 5700)
    assert tlv.encode([(path, b"\x01")], Path.of(3303), DEFINITIONS) == b("240100" + "e1164401")
    assert read("240100e1164401", "/3303") == [("/3303/256/5700", b"\x01")]


@pytest.mark.parametrize(
    ("size", "head"), [(7, "c700"), (8, "c80008"), (255, "c800ff"), (256, "d0000100"), (65536, "d800010000")]
)
def test_the_length_of_a_length(size, head):
    path = Path.of(5, 0, 0)
    payload = tlv.encode([(path, bytes(size))], path, DEFINITIONS)
    assert payload == b(head) + bytes(size)
    assert tlv.decode(payload, path, DEFINITIONS) == [(path, bytes(size))]


def test_an_item_ends_at_16_mib():
    path = Path.of(5, 0, 0)
    with pytest.raises(ContentError, match="at most"):
        tlv.encode([(path, bytes(2**24))], path, DEFINITIONS)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("ab", "c2016162"),
        (True, "c10101"),
        (5, "c10105"),
        (1.5, "c801083ff8000000000000"),
        (ObjectLink(5, 0), "c40100050000"),
        (b"\x01", "c10101"),
    ],
)
def test_a_resource_that_is_not_known_is_written_as_it_looks_and_read_as_bytes(value, payload):
    path = Path.of(3303, 0, 1)
    assert tlv.encode([(path, value)], path, DEFINITIONS) == b(payload)
    head_bytes = 3 if payload.startswith("c8") else 2
    assert tlv.decode(b(payload), path, DEFINITIONS) == [(path, b(payload)[head_bytes:])]


@pytest.mark.parametrize(
    ("payload", "base", "expected"),
    [
        ("", "/5/0", []),
        ("0300c10302", "/5", [("/5/0/3", 2)]),
        ("c10302", "/5", [("/5/0/3", 2)]),  # one instance only: it need not be named
        ("0300c10302", "/5/0", [("/5/0/3", 2)]),
        ("0300c10302", "/5/0/3", [("/5/0/3", 2)]),
        ("8608410000410101", "/5/0/8", [("/5/0/8/0", 0), ("/5/0/8/1", 1)]),
        ("410000410101", "/5/0/8", [("/5/0/8/0", 0), ("/5/0/8/1", 1)]),
        ("410101", "/5/0/8/1", [("/5/0/8/1", 1)]),
        ("8308410101", "/5/0/8/1", [("/5/0/8/1", 1)]),
        ("8008", "/5/0/8", []),
        ("800b", "/3/0", []),
    ],
)
def test_wrapped_or_not(payload, base, expected):
    assert read(payload, base) == expected


@pytest.mark.parametrize(
    ("payload", "base"),
    [
        ("c1", "/5/0"),  # ends within the head
        ("c8", "/5/0"),
        ("c800", "/5/0"),
        ("e100", "/5/0"),
        ("d00001", "/5/0"),
        ("c103", "/5/0"),  # ends within the value
        ("c8000800", "/5/0"),
        ("0300c103", "/5"),  # ends within the inner item
        ("c10302", "/30000"),  # which instance?
        ("c10302", "/3303"),
        ("410000", "/5"),  # out of place
        ("410000", "/5/0"),
        ("0300c10302", "/"),
        ("c10302", "/"),
        ("05000300c10302", "/5"),  # an instance within an instance
        ("0300410002", "/5"),  # a resource instance within an instance
        ("8308c10300", "/5/0"),  # a resource within a resource
        ("0301c10302", "/5/0"),  # another instance than asked for
        ("c10500", "/5/0/3"),  # another resource
        ("410001", "/5/0/8/1"),  # another resource instance
        ("e3ffff010203", "/5/0"),  # 65535 is no id
        ("23ffffc10302", "/5"),
        ("c003", "/5/0"),  # an integer of no bytes
        ("c303000002", "/5/0"),
        ("c90300", "/5/0"),
        ("c10e02", "/5/0"),  # a Boolean of 2
        ("c20e0001", "/5/0"),
        ("c100ff", "/3/0"),
        ("c101ff", "/5/0"),  # not UTF-8
        ("c102ff", "/5/0"),  # executable
        ("c2013fc0", "/30000/0"),  # a float of 2 bytes
        ("c4017fc00000", "/30000/0"),  # NaN
        ("c2020005", "/30000/0"),  # half a link
    ],
)
def test_what_is_refused(payload, base):
    with pytest.raises(ContentError):
        read(payload, base)


def test_the_root_has_no_form():
    with pytest.raises(ContentError):
        tlv.encode(rows([("/5/0/3", 2)]), Path(()), DEFINITIONS)


def test_no_entries():
    assert tlv.encode([], Path.of(5, 0, 8), DEFINITIONS) == b("8008")
    assert tlv.encode([], Path.of(5, 0, 3), DEFINITIONS) == b""
    assert tlv.encode([], Path.of(3303, 0, 3), DEFINITIONS) == b""
    assert tlv.encode([], Path.of(5, 0), DEFINITIONS) == b""
    assert tlv.encode([], Path.of(5), DEFINITIONS) == b""


def test_what_belongs_together_is_gathered():
    entries = rows([("/30000/1/3", 1), ("/30000/0/3", 2), ("/30000/1/2", ObjectLink(5, 0))])
    assert tlv.encode(entries, Path.of(30000), DEFINITIONS) == b("080109" + "c10301" + "c40200050000" + "0300c10302")
    entries = rows([("/5/0/8/0", 0), ("/5/0/3", 2), ("/5/0/8/1", 1)])
    assert tlv.encode(entries, Path.of(5, 0), DEFINITIONS) == b("8608410000410101" + "c10302")


def test_a_resource_instance():
    path = Path.of(5, 0, 8, 1)
    assert tlv.encode([(path, 1)], path, DEFINITIONS) == b("410101")


@pytest.mark.parametrize("paths", [("/3303/0/1", "/3303/0/1/0"), ("/3303/0/1", "/3303/0/1")])
def test_a_value_and_instances_do_not_go_together(paths):
    with pytest.raises(UsageError):
        tlv.encode(rows([(path, 1) for path in paths]), Path.of(3303, 0), DEFINITIONS)
