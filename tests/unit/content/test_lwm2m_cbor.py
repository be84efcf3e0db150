"""LwM2M CBOR (Core 1.2, 7.5.4): nested, folded, of stated and unstated length."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.content import lwm2m_cbor
from lwm2m_fota.content.policies import ContentPolicies, PathKeys, TimeForm
from lwm2m_fota.content.senml import MAX_RECORDS
from lwm2m_fota.errors import CborError, ContentError, UsageError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

DEFINITIONS = standard_definitions()
FOLDED, NESTED = ContentPolicies(), ContentPolicies(keys=PathKeys.NESTED)
ROOT = Path(())


def entries(rows):
    return [(Path.parse(path), value) for path, value in rows]


def write(rows, policies=FOLDED):
    return cbor.loads(lwm2m_cbor.encode(entries(rows), ROOT, DEFINITIONS, policies))


def read(payload, base="/"):
    found = lwm2m_cbor.decode(payload, Path.parse(base), DEFINITIONS)
    return [(str(path), value) for path, value in found]


@pytest.mark.parametrize(
    ("rows", "folded", "nested"),
    [
        ([], {}, {}),
        ([("/5/0/3", 2)], {(5, 0, 3): 2}, {5: {0: {3: 2}}}),
        ([("/5/0/3", 2), ("/5/0/5", 0)], {(5, 0): {3: 2, 5: 0}}, {5: {0: {3: 2, 5: 0}}}),
        (
            [("/5/0/8/0", 0), ("/5/0/8/3", 1), ("/5/0/9", 2)],
            {(5, 0): {8: {0: 0, 3: 1}, 9: 2}},
            {5: {0: {8: {0: 0, 3: 1}, 9: 2}}},
        ),
        ([("/5/0/8/7", 1)], {(5, 0, 8, 7): 1}, {5: {0: {8: {7: 1}}}}),
        (
            [("/3/0/3", "1.0"), ("/5/0/3", 2), ("/5/0/8/1", 5)],
            {(3, 0, 3): "1.0", (5, 0): {3: 2, (8, 1): 5}},
            {3: {0: {3: "1.0"}}, 5: {0: {3: 2, 8: {1: 5}}}},
        ),
        (
            [("/33629/0/3", 2), ("/33629/1/3", 0), ("/33629/1/16/0", ObjectLink(33629, 0))],
            {33629: {(0, 3): 2, 1: {3: 0, (16, 0): "33629:0"}}},
            {33629: {0: {3: 2}, 1: {3: 0, 16: {0: "33629:0"}}}},
        ),
    ],
)
def test_keys_are_folded_or_not_and_read_either_way(rows, folded, nested):
    assert write(rows) == folded
    assert write(rows, NESTED) == nested
    for policies in (FOLDED, NESTED):
        payload = lwm2m_cbor.encode(entries(rows), ROOT, DEFINITIONS, policies)
        assert read(payload) == rows


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        # {_ [_ 5, 0, 3]: 2}, {_ [5, 0]: {_ 3: 2, 5: 0}}, {5: {[0, 3]: 2, [0, 5]: 0}}, {[5, 0]: {3: 2}, [5, 0, 5]: 0}
        ("bf9f050003ff02ff", [("/5/0/3", 2)]),
        ("bf820500bf03020500ffff", [("/5/0/3", 2), ("/5/0/5", 0)]),
        ("a105a2820003028200 0500", [("/5/0/3", 2), ("/5/0/5", 0)]),
        ("a2820500a103028305000500", [("/5/0/3", 2), ("/5/0/5", 0)]),
        # keys longer than need be: {[5, 0 in two bytes, 3 in three]: 2}
        ("a183051800190003 02", [("/5/0/3", 2)]),
        ("a1830500 0cc11a6553f100", [("/5/0/12", 1_700_000_000)]),
        ("a1830500 0cc074323032332d31312d31345432323a31333a32305a", [("/5/0/12", 1_700_000_000)]),
        ("a1830500 0c1a6553f100", [("/5/0/12", 1_700_000_000)]),
        ("a0", []),
        ("a105a0", []),
        ("a1830500 08a0", []),
        # the style of a common client, {_ [13, 26, 1]: 42}
        ("bf830d181a01182aff", [("/13/26/1", 42)]),
    ],
)
def test_other_forms_are_read(payload, found):
    assert read(bytes.fromhex(payload)) == found


@pytest.mark.parametrize("form", list(TimeForm))
def test_time_by_a_policy(form):
    policies = ContentPolicies(time=form)
    rows = [("/5/0/12", 1_700_000_000)]
    expected = {
        TimeForm.NUMBER: 1_700_000_000,
        TimeForm.EPOCH: cbor.Tag(1, 1_700_000_000),
        TimeForm.DATE: cbor.Tag(0, "2023-11-14T22:13:20Z"),
    }
    assert write(rows, policies) == {(5, 0, 12): expected[form]}


def test_only_what_lies_below_the_base():
    payload = bytes.fromhex("a1820500a103 02")
    assert read(payload, "/5/0/3") == [("/5/0/3", 2)]
    with pytest.raises(ContentError, match="below"):
        read(payload, "/5/1")


@pytest.mark.parametrize(
    "tree",
    [
        [],
        2,
        None,
        {"5": 2},
        {5.0: 2},
        {-1: 2},
        {65535: {0: {3: 2}}},
        {(5, 0, 3, 0, 0): 2},
        {5: {0: {8: {0: {0: 1}}}}},
        {(): 2},
        {(5, "0", 3): 2},
        {(5, False, 3): 2},
        {True: {0: {3: 2}}},
        {b"\x05": 2},
        {(5, 0, 3): None},
        {(5, 0, 3): [2]},
        {(5, 0, 3): "2"},
        {(5, 0, 3): True},
        {(5, 0, 3): cbor.Tag(1, 2)},
        {(5, 0, 2): 0},
        {(33629, 0, 16, 0): "x"},
    ],
)
def test_what_is_refused(tree):
    with pytest.raises(ContentError):
        read(cbor.dumps(tree))


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "a1",
        "a105",
        "a10503ff",
        "a183050003",
        "a2830500030283050003 02",  # a key twice
        "a1a1000502",  # a map as a key
        "a1c10502",  # a tag as a key
        "a105" * 7 + "02",  # deeper than any path
    ],
)
def test_what_is_no_cbor(payload):
    with pytest.raises(CborError):
        read(bytes.fromhex(payload))


def test_the_number_of_values_is_bounded():
    many = {(5, 0, 8): dict.fromkeys(range(MAX_RECORDS), 1)}
    assert len(read(cbor.dumps(many))) == MAX_RECORDS
    many[3, 0, 3] = "1"
    with pytest.raises(ContentError, match="more than"):
        read(cbor.dumps(many))


@pytest.mark.parametrize("paths", [("/5/0/8", "/5/0/8/0"), ("/5/0/8/0", "/5/0/8"), ("/5/0/3", "/5/0/3")])
def test_a_value_has_none_below_it(paths):
    with pytest.raises(UsageError):
        write([(path, 1) for path in paths])
