"""Trusted keys, their names and times, and which of them a message may mean."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.keyring import Authentication, DecryptionKey, Fault, KeyRing, Signer, TrustedKey, show_id
from lwm2m_fota.package.verdicts import Refusal

SECRET = SecretKey(b"s" * 16)


def public(number=1):
    return PrivateKey.from_seed(KeyType.ED25519, bytes([number]) * 32).public_key


def test_a_key_has_the_name_that_it_was_given_or_its_hash():
    assert TrustedKey(public()).name == public().key_hash
    assert TrustedKey(public(), key_id=b"kid-1").name == b"kid-1"
    assert TrustedKey(public(), key_id=b"").name == b""


@pytest.mark.parametrize(
    ("key_id", "shown"),
    [
        (b"kid-1", "kid-1"),
        (b"", ""),
        (b"\x00\x01\x02", "000102"),
        (bytes(range(200, 232)), "c8c9cacbcccdcecf"),
        ("ü".encode(), "c3bc"),
        (b"a\nb", "610a62"),
    ],
)
def test_a_key_id_is_shown_as_text_or_in_hex(key_id, shown):
    assert show_id(key_id) == shown
    assert TrustedKey(public(), key_id=key_id).label == shown


def test_a_secret_needs_an_id_and_is_not_shown():
    with pytest.raises(UsageError, match="key_id"):
        TrustedKey(SECRET)
    assert "ssss" not in repr(TrustedKey(SECRET, key_id=b"k"))
    assert "ssss" not in repr(DecryptionKey(SECRET))


def test_a_key_that_verifies_nothing_is_not_trusted():
    with pytest.raises(UsageError, match="X25519 key verifies nothing"):
        TrustedKey(PrivateKey.from_seed(KeyType.X25519, bytes(32)).public_key)


def test_an_authority_has_a_name():
    with pytest.raises(UsageError, match="authority"):
        TrustedKey(public(), authority="")


@pytest.mark.parametrize(
    ("not_before", "not_after", "valid", "invalid"),
    [
        (None, None, [None, 0.0, 1e12], []),
        (10.0, None, [10.0, 11.0], [None, 9.9]),
        (None, 10.0, [0.0, 10.0], [None, 10.1]),
        (10.0, 10.0, [10.0], [None, 9.0, 11.0]),
    ],
)
def test_a_key_is_valid_from_its_first_second_to_its_last(not_before, not_after, valid, invalid):
    key = TrustedKey(public(), not_before=not_before, not_after=not_after)
    assert all(key.is_valid_at(now) for now in valid)
    assert not any(key.is_valid_at(now) for now in invalid)


def test_times_are_in_order():
    with pytest.raises(UsageError, match="not_before"):
        TrustedKey(public(), not_before=2.0, not_after=1.0)


def test_a_message_means_the_keys_of_its_id_or_those_without_one():
    named, twin, bare, hashed = (
        TrustedKey(public(1), key_id=b"a"),
        TrustedKey(public(2), key_id=b"a"),
        TrustedKey(public(3)),
        TrustedKey(public(4), key_id=b"b"),
    )
    ring = KeyRing((named, twin, bare, hashed))
    assert ring.candidates(b"a") == (named, twin)
    assert ring.candidates(b"b") == (hashed,)
    assert ring.candidates(b"unknown") == (bare,)
    assert ring.candidates(public(3).key_hash) == (bare,)
    assert ring.candidates(None) == ring.keys


def test_objections():
    timed = TrustedKey(public(), key_id=b"t", not_after=5.0)
    narrow = TrustedKey(public(), key_id=b"n", algorithms=[Algorithm.ED448])
    ring = KeyRing((timed, narrow), now=6.0)
    assert ring.objection(timed, Algorithm.ED25519) == Fault(Refusal.KEY_NOT_VALID, "key t is not valid at this time")
    unset = KeyRing((timed,))
    assert unset.objection(timed, None) == Fault(Refusal.KEY_NOT_VALID, "key t is not valid while the clock is not set")
    assert KeyRing((timed,), ignores_validity=True).objection(timed, Algorithm.ED25519) is None
    assert ring.objection(narrow, Algorithm.ED25519) == Fault(Refusal.ALGORITHM_NOT_ALLOWED, "Ed25519 with key n")
    assert ring.objection(narrow, Algorithm.ED448) is None
    assert ring.objection(narrow, None) is None
    few = KeyRing((narrow,), algorithms=frozenset({Algorithm.ED25519}))
    assert few.objection(narrow, Algorithm.ED448) == Fault(Refusal.ALGORITHM_NOT_ALLOWED, "Ed448 with key n")


def test_what_came_of_several_messages_adds_up():
    one = Authentication((Signer(TrustedKey(public()), Algorithm.ED25519),), (Fault(Refusal.UNTRUSTED_KEY, "a"),))
    two = Authentication((), (Fault(Refusal.BAD_SIGNATURE, "b"), Fault(Refusal.BAD_SIGNATURE, "c")))
    both = one + two
    assert both.signers == one.signers
    assert [fault.detail for fault in both.faults] == ["a", "b", "c"]
    assert both.gravest == Fault(Refusal.BAD_SIGNATURE, "b")
    assert Authentication().gravest is None
    assert Authentication(faults=(Fault(Refusal.TOO_LARGE, "never a fault of a signature"),)).gravest is None


def test_a_digest_is_tried_with_all_keys_of_the_right_type():
    private = [PrivateKey.from_seed(KeyType.ED25519, bytes([number]) * 32) for number in (1, 2)]
    other = PrivateKey.from_seed(KeyType.P256, bytes([1]) * 32).public_key
    keys = (*map(TrustedKey, (other, *(key.public_key for key in private))), TrustedKey(SECRET, key_id=b"s"))
    ring = KeyRing(keys)
    signature = private[1].sign_digest(bytes(32))
    assert ring.authenticate(Algorithm.ED25519, signature, bytes(32)) == Authentication(
        (Signer(keys[2], Algorithm.ED25519),)
    )
    assert ring.authenticate(Algorithm.ED25519, signature, bytes(64)).gravest.refusal is Refusal.UNTRUSTED_KEY
    assert KeyRing(()).authenticate(Algorithm.ED25519, signature, bytes(32)).signers == ()


def test_a_digest_of_another_hash_is_a_mistake_of_the_format():
    private = PrivateKey.from_seed(KeyType.P256, bytes([1]) * 32)
    ring = KeyRing((TrustedKey(private.public_key),))
    signature = private.sign_digest(bytes(32))
    assert ring.authenticate(Algorithm.ECDSA_P256, signature, bytes(32)).signers
    with pytest.raises(UsageError, match="digests of 32 bytes"):
        ring.authenticate(Algorithm.ECDSA_P256, signature, bytes(33))


def test_a_signature_over_a_digest_may_hold_and_not_count():
    private = PrivateKey.from_seed(KeyType.ED25519, bytes([1]) * 32)
    ring = KeyRing((TrustedKey(private.public_key, not_after=5.0),), now=6.0)
    found = ring.authenticate(Algorithm.ED25519, private.sign_digest(bytes(48)), bytes(48))
    assert found.signers == ()
    assert found.gravest.refusal is Refusal.KEY_NOT_VALID
