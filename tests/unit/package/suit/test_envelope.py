"""Envelopes as streams."""

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.package.formats.suit.codes import Key
from lwm2m_fota.package.formats.suit.envelope import Behind, EnvelopeReader, Member, Payload, Piece, is_envelope
from lwm2m_fota.package.formats.suit.limits import SuitLimits

WHOLE = bytes.fromhex("d86ba402417703426d6d17581974" + "74" * 24 + "642361707058186c" + "6c" * 23)


def events(*pieces, **limits):
    """What comes of an envelope that is cut like this; pieces of payloads are joined."""
    reader = EnvelopeReader(SuitLimits(**limits))
    found = []
    for piece in pieces:
        for event in reader.feed(memoryview(piece)):
            if isinstance(event, Piece | Behind):
                data = bytes(event.data)
                if found and isinstance(found[-1], bytes):
                    found[-1] += data
                else:
                    found.append(data)
            else:
                found.append(event)
    return found, reader.is_complete


EXPECTED = [
    Member(Key.AUTHENTICATION, b"w", 5),
    Member(Key.MANIFEST, b"mm", 8),
    Member(Key.TEXT, b"t" * 25, 13),
    Payload("#app", 45, 24),
    b"l" * 24,
]


def test_it_is_split_into_members_and_payloads_with_their_places():
    found, is_complete = events(WHOLE)
    assert found == EXPECTED
    assert is_complete
    assert WHOLE[45:] == b"l" * 24
    assert WHOLE[13:38] == b"t" * 25


def test_byte_by_byte_it_is_the_same():
    assert events(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))) == (EXPECTED, True)


def test_it_is_complete_with_its_last_byte_and_not_before():
    for size in range(len(WHOLE)):
        assert events(WHOLE[:size])[1] is False


def test_what_follows_is_told_apart():
    reader = EnvelopeReader(SuitLimits())
    *_, last = reader.feed(memoryview(WHOLE + b"behind"))
    assert isinstance(last, Behind)
    assert bytes(last.data) == b"behind"
    assert [bytes(each.data) for each in reader.feed(memoryview(b"more"))] == [b"more"]


def test_it_needs_no_tag():
    found, is_complete = events(WHOLE[2:])
    assert is_complete
    assert [each.offset_bytes for each in found[:4]] == [3, 6, 11, 43]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("d86ba2", True),
        ("d86bb8", True),
        ("a20258", True),
        ("b70259", True),
        ("a10258", False),
        ("b80258", False),
        ("a20358", False),
        ("a20241", False),
        ("a202", False),
        ("d86c", False),
        ("3db8f3", False),
        ("", False),
    ],
)
def test_it_is_recognised(prefix, expected):
    assert is_envelope(bytes.fromhex(prefix)) is expected


@pytest.mark.parametrize(
    ("data", "error", "detail"),
    [
        ("d86c", UnsupportedPackageError, "unknown format: tag 108"),
        ("d860", UnsupportedPackageError, "unknown format: tag 96"),
        ("d86bd86b", IntegrityError, "a map of at least a wrapper and a manifest"),
        ("d86b82", IntegrityError, "a map of at least"),
        ("a1", IntegrityError, "a map of at least"),
        ("bf", IntegrityError, "begins with 0xbf"),
        ("bc", IntegrityError, "begins with 0xbc"),
        ("b802", IntegrityError, "not in its shortest form"),
        ("a21802", IntegrityError, "not in its shortest form"),
        ("a2025801", IntegrityError, "not in its shortest form"),
        ("a202590001", IntegrityError, "not in its shortest form"),
        ("a2025a00000001", IntegrityError, "not in its shortest form"),
        ("a2025b0000000000000001", IntegrityError, "not in its shortest form"),
        ("a2025f", IntegrityError, "begins with 0x5f"),
        ("a203", IntegrityError, "no authentication where it belongs"),
        ("a202417714", IntegrityError, "no manifest where it belongs"),
        ("a20241776161", IntegrityError, "no manifest where it belongs"),
        ("a202417702", IntegrityError, "do not ascend"),
        ("a402417703416d14416910", IntegrityError, "do not ascend"),
        ("a402417703416d622362416c622361", IntegrityError, "do not ascend"),
        ("a402417703416d622361416c622361", IntegrityError, "do not ascend"),
        ("a302417703416d07", UnsupportedPackageError, "the key 07"),
        ("a302417703416d20", UnsupportedPackageError, "the key 20"),
        ("a302417703416d187f", UnsupportedPackageError, "the key 187f"),
        ("a302417703416d416b", UnsupportedPackageError, "the key 41"),
        ("a302417703416d61ff", IntegrityError, "not UTF-8"),
        ("a302417703416d60", PackageError, "max_uri_bytes"),
        ("a20240", IntegrityError, "not a byte string of something"),
        ("a20261", IntegrityError, "not a byte string of something"),
        ("a302417703416d62236140", IntegrityError, "not a byte string of something"),
    ],
)
def test_what_breaks_the_rules_is_refused_as_soon_as_it_is_seen(data, error, detail):
    with pytest.raises(error, match=detail):
        events(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "limits", "detail"),
    [
        ("a2025821", {"max_authentication_bytes": 32}, r"33, at most 32 \(max_authentication_bytes\)"),
        ("a2024177035821", {"max_manifest_bytes": 32}, r"33, at most 32 \(max_manifest_bytes\)"),
        ("a302417703416d145821", {"max_member_bytes": 32}, r"33, at most 32 \(max_member_bytes\)"),
        ("a302417703416d63236162", {"max_uri_bytes": 2}, r"3, at most 2 \(max_uri_bytes\)"),
        ("a402417703416d622361416c62236241", {"max_payloads": 1}, r"2, at most 1 \(max_payloads\)"),
    ],
)
def test_limits_are_checked_before_what_is_past_them_arrives(data, limits, detail):
    with pytest.raises(PackageError, match=detail) as caught:
        events(bytes.fromhex(data), **limits)
    assert caught.value.reason == "package.verifier-memory"
    assert caught.value.result is UpdateResult.OUT_OF_MEMORY


def test_a_long_key_of_a_payload_is_read():
    name = "#" + "x" * 30
    data = bytes.fromhex("a302417703416d781f") + name.encode() + b"\x41p"
    assert events(data)[0][2:] == [Payload(name, len(data) - 1, 1), b"p"]
