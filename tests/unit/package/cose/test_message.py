"""Messages are read by the rules, or refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.cose.message import (
    CoseEncrypt,
    CoseEncrypt0,
    CoseMac,
    CoseMac0,
    CoseSign,
    CoseSign1,
    build_message,
    read_message,
)
from lwm2m_fota.package.cose.names import CoseTag
from lwm2m_fota.package.cose.rules import CoseRules

ES256 = bytes.fromhex("a10126")
PERMISSIVE = CoseRules.UNSAFE_PERMISSIVE


def message(tag, *parts):
    return cbor.dumps(cbor.Tag(tag, list(parts)))


SIGN1 = message(18, ES256, {4: b"11"}, b"payload", b"signature")
PROOF = [ES256, {}, b"proof"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SIGN1, CoseSign1),
        (message(18, ES256, {}, None, b"s"), CoseSign1),
        (message(98, b"", {}, b"p", [PROOF, PROOF]), CoseSign),
        (message(17, ES256, {}, b"p", b"t"), CoseMac0),
        (message(97, ES256, {}, b"p", b"t", [PROOF, [b"", {}, None]]), CoseMac),
        (message(16, ES256, {}, b"c"), CoseEncrypt0),
        (message(96, ES256, {}, None, [PROOF]), CoseEncrypt),
        (b"\xd8\x12" + SIGN1[1:], CoseSign1),
        (b"\xd9\x00\x12" + SIGN1[1:], CoseSign1),
        (b"\xda\x00\x00\x00\x12" + SIGN1[1:], CoseSign1),
        (b"\xdb" + bytes(7) + b"\x12" + SIGN1[1:], CoseSign1),
    ],
)
def test_each_kind_is_read(data, kind):
    assert type(read_message(data)) is kind


def test_the_parts_of_a_message():
    found = read_message(SIGN1)
    assert found.headers.protected_bytes == ES256
    assert dict(found.headers.protected) == {1: -7}
    assert dict(found.headers.unprotected) == {4: b"11"}
    assert (found.headers.key_id, found.payload, found.signature) == (b"11", b"payload", b"signature")
    mac = read_message(message(97, ES256, {}, b"p", b"t", [[b"", {1: -6}, b""], [b"", {}, None]]))
    assert [recipient.ciphertext for recipient in mac.recipients] == [b"", b""]
    assert mac.recipients[0].headers.get(1) == -6


@pytest.mark.parametrize("empty", [b"", b"\xa0", b"\xb8\x00", b"\xbf\xff"])
def test_an_empty_protected_header_is_made_one(empty):
    assert read_message(message(18, empty, {1: -7}, b"p", b"s")).headers.protected_bytes == b""


def test_a_protected_header_is_kept_as_it_came():
    strange = bytes.fromhex("a1180126")  # a label that is longer than it need be
    found = read_message(message(18, strange, {}, b"p", b"s"))
    assert found.headers.protected_bytes == strange
    assert found.headers.get(1) == -7


def test_the_protected_header_comes_first():
    found = read_message(message(18, bytes.fromhex("a104413a"), {4: b"other"}, b"p", b"s"), rules=PERMISSIVE)
    assert found.headers.key_id == b":"


def test_an_id_that_is_no_bytes_is_none():
    assert read_message(message(18, ES256, {4: "text"}, b"p", b"s")).headers.key_id is None


@pytest.mark.parametrize("tag", [0, 15, 19, 61, 95, 99, 998, 55799, 2**32])
def test_other_tags_are_no_messages(tag):
    for rules in CoseRules:
        with pytest.raises(UnsupportedPackageError, match=f"tag {tag} is not that") as caught:
            read_message(message(tag, ES256, {}, b"p", b"s"), rules=rules, untagged=CoseTag.SIGN1)
        assert caught.value.result == 6


def test_a_message_without_its_tag_is_for_the_permissive_alone():
    bare = SIGN1[1:]
    for rules, untagged in ((CoseRules.STRICT, CoseTag.SIGN1), (PERMISSIVE, None)):
        with pytest.raises(IntegrityError, match="without its tag"):
            read_message(bare, rules=rules, untagged=untagged)
    assert read_message(bare, rules=PERMISSIVE, untagged=CoseTag.SIGN1) == read_message(SIGN1)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xa0", b"text", b"\xd8", b"\xd9\x00", b"\xdf\x84", b"\x40"])
def test_what_is_no_message_is_an_unknown_format(data):
    for rules in CoseRules:
        with pytest.raises(UnsupportedPackageError, match="not a COSE message"):
            read_message(data, rules=rules)


@pytest.mark.parametrize("tail", [b"\x00", SIGN1])
def test_nothing_follows(tail):
    with pytest.raises(IntegrityError, match="follow"):
        read_message(SIGN1 + tail)


def test_its_length_is_limited():
    assert read_message(SIGN1, max_bytes=len(SIGN1))
    with pytest.raises(PackageError, match="at most") as caught:
        read_message(SIGN1, max_bytes=len(SIGN1) - 1)
    assert caught.value.result == 3


BROKEN = [
    (18, [], "COSE_Sign1"),
    (18, [ES256, {}, b"p"], "COSE_Sign1"),
    (18, [ES256, {}, b"p", b"s", b"more"], "COSE_Sign1"),
    (18, [ES256, {}, "text", b"s"], "COSE_Sign1"),
    (18, [ES256, {}, b"p", None], "COSE_Sign1"),
    (18, ["text", {}, b"p", b"s"], "byte string and a map"),
    (18, [ES256, [], b"p", b"s"], "byte string and a map"),
    (18, [b"\x80", {}, b"p", b"s"], "is not a map"),
    (18, [b"\xa1\x01", {}, b"p", b"s"], "ends within"),
    (18, [b"\xa1\x01\x26\x00", {}, b"p", b"s"], "follow"),
    (18, [b"\xa2\x01\x26\x01\x26", {}, b"p", b"s"], "comes twice"),
    (18, [b"\xa1\xf5\x26", {}, b"p", b"s"], "label"),
    (18, [ES256, {b"bytes": 1}, b"p", b"s"], "label"),
    (18, [ES256, {True: 1}, b"p", b"s"], "label"),
    (18, [ES256, {1: -7}, b"p", b"s"], "both headers"),
    (18, [ES256, {2: [1]}, b"p", b"s"], "crit is not a protected list"),
    (18, [bytes.fromhex("a20126028101"), {5: b"", 6: b""}, b"p", b"s"], "both IV and Partial IV"),
    (98, [b"", {}, b"p", []], "neither a signature"),
    (98, [b"", {}, b"p", b"s"], "COSE_Sign"),
    (98, [b"", {}, b"p", [b"s"]], "COSE_Signature"),
    (98, [b"", {}, b"p", [[ES256, {}]]], "COSE_Signature"),
    (17, [ES256, {}, b"p"], "COSE_Mac0"),
    (97, [ES256, {}, b"p", b"t"], "COSE_Mac"),
    (97, [ES256, {}, b"p", b"t", []], "neither a signature"),
    (97, [ES256, {}, b"p", b"t", [[b"", {}]]], "COSE_recipient"),
    (16, [ES256, {}], "COSE_Encrypt0"),
    (96, [ES256, {}, b"c"], "COSE_Encrypt"),
    (96, [ES256, {}, b"c", [b"r"]], "COSE_recipient"),
]


@pytest.mark.parametrize(("tag", "parts", "reason"), BROKEN)
def test_what_breaks_the_rules_is_refused(tag, parts, reason):
    with pytest.raises(IntegrityError, match=reason) as caught:
        read_message(message(tag, *parts))
    assert (caught.value.result, caught.value.reason) == (5, "package.malformed")


def test_a_tag_alone_is_cut_short():
    for data in (b"\xd2", b"\xd8\x12"):
        with pytest.raises(IntegrityError, match="ends within"):
            read_message(data)


def test_a_message_is_an_array():
    with pytest.raises(IntegrityError, match="not an array"):
        read_message(b"\xd2\xa0")


def test_a_label_in_both_headers_is_for_the_permissive_alone():
    assert read_message(message(18, ES256, {1: -35}, b"p", b"s"), rules=PERMISSIVE).headers.get(1) == -7


@pytest.mark.parametrize("rules", CoseRules)
@pytest.mark.parametrize(
    ("protected", "error", "reason"),
    [
        ({1: -7, 2: [1]}, None, ""),
        ({1: -7, 2: [1, 4], 4: b"x"}, None, ""),
        ({1: -7, 2: []}, IntegrityError, "protected list"),
        ({1: -7, 2: 1}, IntegrityError, "protected list"),
        ({1: -7, 2: [4]}, IntegrityError, "4 is not there"),
        ({1: -7, 2: [[1]]}, IntegrityError, "is not there"),
        ({1: -7, 2: [1.0]}, IntegrityError, "is not there"),
        ({1: -7, 2: [99], 99: 0}, UnsupportedPackageError, "99 is not understood"),
        ({1: -7, 2: ["x"], "x": 0}, UnsupportedPackageError, "'x' is not understood"),
    ],
)
def test_what_is_critical_is_honoured(rules, protected, error, reason):
    data = message(18, cbor.dumps(protected), {}, b"p", b"s")
    if error is None:
        assert read_message(data, rules=rules)
        return
    with pytest.raises(error, match=reason):
        read_message(data, rules=rules)


def test_the_number_of_proofs_is_limited():
    assert len(read_message(message(98, b"", {}, b"p", [PROOF] * 16)).signatures) == 16
    for data in (message(98, b"", {}, b"p", [PROOF] * 17), message(96, ES256, {}, b"c", [PROOF] * 17)):
        with pytest.raises(PackageError, match="at most 16") as caught:
            read_message(data)
        assert caught.value.result == 3


def test_recipients_of_recipients_are_not_supported():
    with pytest.raises(UnsupportedPackageError, match="recipients of a recipient"):
        read_message(message(96, ES256, {}, b"c", [[b"", {}, b"", [PROOF]]]))


def test_a_message_is_built_of_items():
    assert build_message(18, [ES256, {}, None, b"s"], CoseRules.STRICT) == read_message(
        message(18, ES256, {}, None, b"s")
    )


@given(st.binary(max_size=80))
def test_random_bytes_raise_package_errors_only(data):
    for start in (b"", b"\xd2\x84", b"\xd8\x62\x84\x40\xa0\xf6", b"\xd2\x84\x43\xa1\x01\x26"):
        for rules in CoseRules:
            try:
                read_message(start + data, rules=rules, untagged=CoseTag.SIGN1)
            except PackageError:
                continue
