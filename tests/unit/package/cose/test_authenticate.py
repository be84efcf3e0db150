"""Who has signed a message, and why others have not."""

import tracemalloc

import attrs
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, UsageError
from lwm2m_fota.package.cose.authenticate import PayloadCheck, authenticate
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, WrappedKey, mac, mac0, sign, sign1
from lwm2m_fota.package.cose.message import read_message
from lwm2m_fota.package.cose.proofs import HeldPayload
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import Algorithm, Hash, KeyType, SecretKey
from lwm2m_fota.package.crypto.keys import ecdsa_raw
from lwm2m_fota.package.keyring import KeyRing, TrustedKey
from lwm2m_fota.package.verdicts import Refusal

KID = b"kid-1"
PERMISSIVE = CoseRules.UNSAFE_PERMISSIVE
# number of the algorithm: type of key, and what the two are
SIGNATURES = {
    -7: (KeyType.P256, Algorithm.ECDSA_P256),
    -35: (KeyType.P384, Algorithm.ECDSA_P384),
    -36: (KeyType.P521, Algorithm.ECDSA_P521),
    -9: (KeyType.P256, Algorithm.ECDSA_P256),
    -51: (KeyType.P384, Algorithm.ECDSA_P384),
    -52: (KeyType.P521, Algorithm.ECDSA_P521),
    -19: (KeyType.ED25519, Algorithm.ED25519),
    -53: (KeyType.ED448, Algorithm.ED448),
    -37: (KeyType.RSA, Algorithm.PSS_SHA256),
    -38: (KeyType.RSA, Algorithm.PSS_SHA384),
    -39: (KeyType.RSA, Algorithm.PSS_SHA512),
}
EDDSA = {KeyType.ED25519: Algorithm.ED25519, KeyType.ED448: Algorithm.ED448}
MACS = {5: Algorithm.HMAC_SHA256, 6: Algorithm.HMAC_SHA384, 7: Algorithm.HMAC_SHA512}
PAYLOAD = bytes(range(256)) * 3


def told(message, ring, **options):
    """The algorithms that hold, or the refusals."""
    found = authenticate(read_message(message, rules=options.get("rules", CoseRules.STRICT)), ring, **options)
    return [signer.algorithm for signer in found.signers] or [fault.refusal for fault in found.faults]


@pytest.mark.parametrize("number", SIGNATURES)
def test_each_signature_algorithm(key_of, ring_of, number):
    kind, algorithm = SIGNATURES[number]
    key = key_of(kind)
    message = sign1(PAYLOAD, CoseSigner(key=key, key_id=KID, alg=number))
    assert told(message, ring_of(key.public_key)) == [algorithm]
    assert told(message, KeyRing((TrustedKey(key.public_key),))) == [algorithm]
    for other in KeyType:
        if other not in {kind, KeyType.X25519, KeyType.SECRET}:
            reasons = told(message, ring_of(key_of(other).public_key))
            assert reasons == [Refusal.UNSUPPORTED_ALGORITHM]
    if kind is not KeyType.RSA:
        assert told(message, ring_of(key_of(kind, 7).public_key)) == [Refusal.BAD_SIGNATURE]


@pytest.mark.parametrize("kind", EDDSA)
def test_eddsa_is_of_either_curve(key_of, ring_of, kind):
    message = sign1(PAYLOAD, CoseSigner(key=key_of(kind), key_id=KID, alg=-8))
    assert told(message, ring_of(key_of(kind).public_key)) == [EDDSA[kind]]


@pytest.mark.parametrize("number", MACS)
def test_each_code(ring_of, secret, number):
    message = mac0(PAYLOAD, DirectKey(key=secret, key_id=KID), alg=number)
    assert told(message, ring_of(secret)) == [MACS[number]]
    assert told(message, ring_of(SecretKey(bytes(32)))) == [Refusal.BAD_SIGNATURE]
    assert told(message, KeyRing((TrustedKey(secret, key_id=b"other"),))) == [Refusal.UNTRUSTED_KEY]


def test_a_curve_is_bound_to_its_hash_unless_one_is_permissive(key_of, ring_of):
    key = key_of(KeyType.P256)
    header = cbor.dumps({1: -36})
    data = b"\x84\x6aSignature1" + cbor.dumps(header) + b"\x40" + cbor.dumps(PAYLOAD)
    signature = key.sign(data, Hash.SHA512)
    message = cbor.dumps(cbor.Tag(18, [header, {4: KID}, PAYLOAD, ecdsa_raw(signature, KeyType.P256)]))
    assert told(message, ring_of(key.public_key)) == [Refusal.UNSUPPORTED_ALGORITHM]
    assert told(message, ring_of(key.public_key), rules=PERMISSIVE) == [None]
    narrow = attrs.evolve(ring_of(key.public_key), algorithms=frozenset({Algorithm.ECDSA_P256}))
    assert told(message, narrow, rules=PERMISSIVE) == [None]


def test_a_shortened_code_is_for_the_permissive_alone(ring_of, secret):
    header = cbor.dumps({1: 4})
    data = b"\x84\x64MAC0" + cbor.dumps(header) + b"\x40" + cbor.dumps(PAYLOAD)
    code = secret.mac(Hash.SHA256, data).digest()[:8]
    message = cbor.dumps(cbor.Tag(17, [header, {4: KID}, PAYLOAD, code]))
    assert told(message, ring_of(secret)) == [Refusal.UNSUPPORTED_ALGORITHM]
    assert told(message, ring_of(secret), rules=PERMISSIVE) == [None]


@pytest.mark.parametrize("number", [None, "ES256", -999, 1, b"x", True])
def test_other_algorithms(key_of, ring_of, secret, number):
    for tag, key in ((18, key_of(KeyType.P256).public_key), (17, secret)):
        header = cbor.dumps({} if number is None else {1: number})
        message = cbor.dumps(cbor.Tag(tag, [header, {4: KID}, b"p", b"s"]))
        expected = Refusal.MALFORMED if number is None else Refusal.UNSUPPORTED_ALGORITHM
        for rules in CoseRules:
            assert told(message, ring_of(key), rules=rules) == [expected]


def test_the_algorithm_stands_in_the_protected_header(key_of, ring_of):
    key = key_of(KeyType.P256)
    message = read_message(sign1(PAYLOAD, CoseSigner(key=key, key_id=KID)))
    moved = cbor.dumps(cbor.Tag(18, [b"", {1: -7, 4: KID}, PAYLOAD, message.signature]))
    assert told(moved, ring_of(key.public_key)) == [Refusal.MALFORMED]
    assert told(moved, ring_of(key.public_key), rules=PERMISSIVE) == [Refusal.BAD_SIGNATURE]


@pytest.mark.parametrize("length", [0, 63, 65, 71])
def test_a_signature_of_another_length(key_of, ring_of, length):
    message = cbor.dumps(cbor.Tag(18, [cbor.dumps({1: -7}), {4: KID}, b"p", bytes(length)]))
    assert told(message, ring_of(key_of(KeyType.P256).public_key)) == [Refusal.BAD_SIGNATURE]


def test_a_signature_in_der_is_none_of_cose(key_of, ring_of):
    key = key_of(KeyType.P256)
    data = b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x41p"
    message = cbor.dumps(cbor.Tag(18, [cbor.dumps({1: -7}), {4: KID}, b"p", key.sign(data)]))
    assert told(message, ring_of(key.public_key)) == [Refusal.BAD_SIGNATURE]


def test_who_is_not_known_is_told(key_of, ring_of):
    message = read_message(sign1(PAYLOAD, CoseSigner(key=key_of(KeyType.P256), key_id=b"stranger")))
    found = authenticate(message, ring_of(key_of(KeyType.P256).public_key))
    assert [(fault.refusal, fault.detail) for fault in found.faults] == [
        (Refusal.UNTRUSTED_KEY, "no trusted key is stranger")
    ]
    nameless = read_message(sign1(PAYLOAD, CoseSigner(key=key_of(KeyType.P256))))
    found = authenticate(nameless, ring_of(key_of(KeyType.ED25519).public_key))
    assert [fault.detail for fault in found.faults] == ["no trusted key is of its kind"]


def test_several_keys_of_one_id_are_tried(key_of, ring_of):
    message = sign1(PAYLOAD, CoseSigner(key=key_of(KeyType.P256, 7), key_id=KID))
    assert told(message, ring_of(key_of(KeyType.P256).public_key, key_of(KeyType.P256, 7).public_key)) == [
        Algorithm.ECDSA_P256
    ]


def test_a_key_that_is_not_valid_or_not_allowed(key_of):
    key = key_of(KeyType.P256)
    message = sign1(PAYLOAD, CoseSigner(key=key, key_id=KID))
    code = mac0(PAYLOAD, DirectKey(key=SecretKey(bytes(32)), key_id=KID))
    for made, trusted in ((message, key.public_key), (code, SecretKey(bytes(32)))):
        timed = KeyRing((TrustedKey(trusted, key_id=KID, not_after=5.0),), now=6.0)
        assert told(made, timed) == [Refusal.KEY_NOT_VALID]
        narrow = KeyRing((TrustedKey(trusted, key_id=KID),), algorithms=frozenset({Algorithm.ED25519}))
        assert told(made, narrow) == [Refusal.ALGORITHM_NOT_ALLOWED]


def test_a_secret_is_no_public_key_and_the_other_way_round(key_of, ring_of, secret):
    message = sign1(PAYLOAD, CoseSigner(key=key_of(KeyType.P256), key_id=KID))
    assert told(message, ring_of(secret)) == [Refusal.UNSUPPORTED_ALGORITHM]
    code = mac0(PAYLOAD, DirectKey(key=secret, key_id=KID))
    assert told(code, ring_of(key_of(KeyType.P256).public_key)) == [Refusal.UNTRUSTED_KEY]


# Several signatures.


def test_all_signatures_that_hold_are_told(key_of):
    kinds = [KeyType.P256, KeyType.ED25519, KeyType.RSA, KeyType.P521]
    signers = [CoseSigner(key=key_of(kind), key_id=kind.value.encode()) for kind in kinds]
    message = sign(PAYLOAD, signers, protected={3: 0})
    ring = KeyRing(tuple(TrustedKey(key_of(kind).public_key, key_id=kind.value.encode()) for kind in kinds))
    assert told(message, ring) == [
        Algorithm.ECDSA_P256, Algorithm.ED25519, Algorithm.PSS_SHA256, Algorithm.ECDSA_P521,
    ]  # fmt: skip
    found = authenticate(read_message(message), KeyRing(ring.keys[:2]))
    assert [signer.key for signer in found.signers] == list(ring.keys[:2])
    assert [fault.refusal for fault in found.faults] == [Refusal.UNTRUSTED_KEY] * 2


def test_one_broken_signature_leaves_the_others(key_of, ring_of):
    key = key_of(KeyType.P256)
    parts = cbor.loads(sign(PAYLOAD, [CoseSigner(key=key, key_id=KID)] * 2)).value
    parts[3][0][2] = bytes(64)
    parts[3].append([b"", {}, b""])
    found = authenticate(read_message(cbor.dumps(cbor.Tag(98, parts))), ring_of(key.public_key))
    assert len(found.signers) == 1
    assert [fault.refusal for fault in found.faults] == [Refusal.BAD_SIGNATURE, Refusal.MALFORMED]


def test_a_signature_of_one_kind_is_none_of_the_other(key_of, ring_of):
    key = key_of(KeyType.P256)
    one = read_message(sign1(PAYLOAD, CoseSigner(key=key, key_id=KID)))
    several = cbor.Tag(98, [b"", {}, PAYLOAD, [[one.headers.protected_bytes, {4: KID}, one.signature]]])
    assert told(cbor.dumps(several), ring_of(key.public_key)) == [Refusal.BAD_SIGNATURE]


# Codes with recipients.


def test_a_code_with_the_key_itself(ring_of, secret):
    message = mac(PAYLOAD, secret, [DirectKey(key=secret, key_id=KID)])
    assert told(message, ring_of(secret)) == [Algorithm.HMAC_SHA256]
    assert told(message, ring_of(SecretKey(bytes(32)))) == [Refusal.BAD_SIGNATURE]


@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_code_with_a_wrapped_key(ring_of, secret, size):
    wrapping = SecretKey(bytes(range(size)))
    message = mac(PAYLOAD, secret, [WrappedKey(key=wrapping, key_id=KID)], alg=6)
    assert told(message, ring_of(wrapping)) == [Algorithm.HMAC_SHA384]
    for other in (SecretKey(bytes(size)), SecretKey(bytes(40))):
        assert told(message, ring_of(other)) == [Refusal.BAD_SIGNATURE]


def test_one_of_several_recipients_is_enough(ring_of, secret):
    mine, other = SecretKey(bytes(16)), SecretKey(bytes(range(16)))
    ways = [WrappedKey(key=other, key_id=b"other"), WrappedKey(key=mine, key_id=KID)]
    assert told(mac(PAYLOAD, secret, ways), ring_of(mine)) == [Algorithm.HMAC_SHA256]


@pytest.mark.parametrize(
    ("recipient", "refusal"),
    [
        ([b"\xa1\x01\x25", {4: KID}, b""], Refusal.MALFORMED),
        ([b"\xa1\x03\x00", {1: -6, 4: KID}, b""], Refusal.MALFORMED),
        ([b"", {1: -6, 4: KID}, b"x"], Refusal.UNSUPPORTED_ALGORITHM),
        ([b"", {1: -29, 4: KID}, b"x"], Refusal.UNSUPPORTED_ALGORITHM),
        ([b"", {4: KID}, b"x"], Refusal.UNSUPPORTED_ALGORITHM),
        ([b"", {1: -3, 4: b"other"}, b"x"], Refusal.UNTRUSTED_KEY),
        ([b"", {1: -3, 4: KID}, b"x"], Refusal.BAD_SIGNATURE),
    ],
)
def test_ways_to_a_key_that_lead_nowhere(ring_of, recipient, refusal):
    key = SecretKey(bytes(16))
    message = cbor.dumps(cbor.Tag(97, [cbor.dumps({1: 5}), {}, b"p", bytes(32), [recipient]]))
    assert told(message, ring_of(key)) == [refusal]


@pytest.mark.parametrize("size", [8, 128, 136, 1024])
def test_wrapped_keys_of_other_lengths_raise_nothing(ring_of, size):
    key = SecretKey(bytes(16))
    wrapped = bytes(16) if size == 8 else aes_key_wrap(key.secret, bytes(size))
    message = cbor.dumps(cbor.Tag(97, [cbor.dumps({1: 5}), {}, b"p", bytes(32), [[b"", {1: -3, 4: KID}, wrapped]]]))
    assert told(message, ring_of(key)) == [Refusal.BAD_SIGNATURE]


def test_a_key_beside_others_is_not_used_directly(ring_of, secret):
    direct = [b"", {1: -6, 4: KID}, b""]
    code = secret.mac(Hash.SHA256, b"\x84\x63MAC\x43\xa1\x01\x05\x40\x41p").digest()
    alone = cbor.dumps(cbor.Tag(97, [cbor.dumps({1: 5}), {}, b"p", code, [direct]]))
    assert told(alone, ring_of(secret)) == [Algorithm.HMAC_SHA256]
    beside = cbor.dumps(cbor.Tag(97, [cbor.dumps({1: 5}), {}, b"p", code, [direct, direct]]))
    assert told(beside, ring_of(secret)) == [Refusal.UNSUPPORTED_ALGORITHM] * 2


# Payloads.


def test_external_data_is_covered(key_of, ring_of, secret):
    key = key_of(KeyType.P256)
    for message, trusted in (
        (sign1(PAYLOAD, CoseSigner(key=key, key_id=KID), external_aad=b"aad"), key.public_key),
        (sign(PAYLOAD, [CoseSigner(key=key, key_id=KID)], external_aad=b"aad"), key.public_key),
        (mac0(PAYLOAD, DirectKey(key=secret, key_id=KID), external_aad=b"aad"), secret),
        (mac(PAYLOAD, secret, [DirectKey(key=secret, key_id=KID)], external_aad=b"aad"), secret),
    ):
        assert authenticate(read_message(message), ring_of(trusted), external_aad=b"aad").signers
        assert told(message, ring_of(trusted)) == [Refusal.BAD_SIGNATURE]


def test_a_detached_payload_is_given_beside_the_message(key_of, ring_of, secret):
    key = key_of(KeyType.ED25519)
    for message, trusted in (
        (sign1(PAYLOAD, CoseSigner(key=key, key_id=KID), is_detached=True), key.public_key),
        (sign(PAYLOAD, [CoseSigner(key=key, key_id=KID)], is_detached=True), key.public_key),
        (mac0(PAYLOAD, DirectKey(key=secret, key_id=KID), is_detached=True), secret),
        (mac(PAYLOAD, secret, [DirectKey(key=secret, key_id=KID)], is_detached=True), secret),
    ):
        read = read_message(message)
        assert read.payload is None
        assert authenticate(read, ring_of(trusted), payload=PAYLOAD).signers
        assert authenticate(read, ring_of(trusted), payload=bytearray(PAYLOAD)).signers
        assert not authenticate(read, ring_of(trusted), payload=PAYLOAD[:-1]).signers
        with pytest.raises(IntegrityError, match="detached from the message and was not given"):
            authenticate(read, ring_of(trusted))
    whole = read_message(sign1(PAYLOAD, CoseSigner(key=key, key_id=KID)))
    with pytest.raises(IntegrityError, match="in the message and beside it"):
        authenticate(whole, ring_of(key.public_key), payload=PAYLOAD)


@pytest.mark.parametrize("step", [1, 7, 768])
@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.ED25519, KeyType.RSA, KeyType.SECRET])
def test_a_payload_may_come_in_pieces(key_of, ring_of, secret, kind, step):
    if kind is KeyType.SECRET:
        message, trusted = mac0(PAYLOAD, DirectKey(key=secret, key_id=KID), is_detached=True), secret
    else:
        message, trusted = (
            sign1(PAYLOAD, CoseSigner(key=key_of(kind), key_id=KID), is_detached=True),
            key_of(kind).public_key,
        )
    read = read_message(message)
    for content, count in ((PAYLOAD, 1), (bytes(len(PAYLOAD)), 0)):
        check = PayloadCheck(read, ring_of(trusted), payload_bytes=len(PAYLOAD))
        for at in range(0, len(content), step):
            check.update(memoryview(content)[at : at + step])
        assert len(check.finish().signers) == count
    value = read.tag if kind is KeyType.SECRET else read.signature
    check = PayloadCheck(read, ring_of(trusted), payload_bytes=len(PAYLOAD))
    check.update(PAYLOAD)
    assert check.finish(value).signers
    check = PayloadCheck(read, ring_of(trusted), payload_bytes=len(PAYLOAD))
    check.update(PAYLOAD)
    assert not check.finish(value[:-1] + bytes([value[-1] ^ 1])).signers


def test_a_payload_has_the_length_that_was_said(key_of, ring_of):
    key = key_of(KeyType.P256)
    read = read_message(sign1(PAYLOAD, CoseSigner(key=key, key_id=KID)))
    check = PayloadCheck(read, ring_of(key.public_key), payload_bytes=5)
    check.update(b"1234")
    with pytest.raises(UsageError, match="shorter"):
        check.finish()
    with pytest.raises(UsageError, match="longer"):
        check.update(b"56")


def test_eddsa_holds_no_more_than_it_may(key_of, ring_of):
    key = key_of(KeyType.ED25519)
    read = read_message(sign1(PAYLOAD, CoseSigner(key=key, key_id=KID)))
    for limit, count in ((len(PAYLOAD), 1), (len(PAYLOAD) - 1, 0)):
        check = PayloadCheck(read, ring_of(key.public_key), payload_bytes=len(PAYLOAD), max_held_bytes=limit)
        check.update(PAYLOAD)
        found = check.finish()
        assert len(found.signers) == count
    assert [fault.refusal for fault in found.faults] == [Refusal.VERIFIER_MEMORY]


def test_what_can_come_of_a_message_is_known_before_its_payload(key_of, ring_of, secret):
    large, small = {"payload_bytes": 8, "max_held_bytes": 7}, {"payload_bytes": 8}
    ed, ecdsa = (CoseSigner(key=key_of(kind), key_id=KID) for kind in (KeyType.ED25519, KeyType.P256))
    both = read_message(sign(b"8 octets", [ed, ecdsa]))
    ring = KeyRing(tuple(TrustedKey(each.key.public_key) for each in (ed, ecdsa)))
    algorithms = [Algorithm.ED25519, Algorithm.ECDSA_P256]
    for options, expected, refusals in ((small, algorithms, []), (large, algorithms[1:], [Refusal.VERIFIER_MEMORY])):
        best = PayloadCheck(both, ring, **options).at_best
        assert [each.algorithm for each in best.signers] == expected
        assert [each.refusal for each in best.faults] == refusals
    code = read_message(mac0(b"8 octets", DirectKey(key=secret, key_id=KID)))
    assert [each.algorithm for each in PayloadCheck(code, ring_of(secret), **small).at_best.signers] == [MACS[5]]
    assert not PayloadCheck(code, ring, **small).at_best.signers


SIGNATURES_MOST = 16


def signed_by_many(key_of, content, *, is_detached=False):
    """A COSE_Sign with as many EdDSA signatures as a message may have, with headers of several lengths."""
    curves = (KeyType.ED25519, KeyType.ED448)
    signers = [
        CoseSigner(key=key_of(curves[each % 2]), key_id=curves[each % 2].value.encode())
        for each in range(SIGNATURES_MOST)
    ]
    trusted = [TrustedKey(key_of(each).public_key, key_id=each.value.encode()) for each in curves]
    return read_message(sign(content, signers, is_detached=is_detached)), KeyRing(tuple(trusted))


def test_the_payload_of_many_signatures_is_held_once(key_of):
    content = bytes(1 << 20)
    message, ring = signed_by_many(key_of, content, is_detached=True)
    tracemalloc.start()
    check = PayloadCheck(message, ring, payload_bytes=len(content), max_held_bytes=len(content))
    for at in range(0, len(content), 4096):
        check.update(memoryview(content)[at : at + 4096])
    found = check.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.signers) == SIGNATURES_MOST
    assert most < len(content) + (64 << 10)


@pytest.mark.parametrize("room", [0, 30, 1000])
def test_a_payload_that_is_held_needs_no_further_copy(key_of, room):
    message, ring = signed_by_many(key_of, PAYLOAD, is_detached=True)
    for content, count in ((PAYLOAD, SIGNATURES_MOST), (bytes(len(PAYLOAD)), 0)):
        held = HeldPayload(len(content), room)
        for at in range(0, len(content), 100):
            held.update(content[at : at + 100])
        assert len(authenticate(message, ring, payload=held).signers) == count
        assert held.payload == content
    with pytest.raises(IntegrityError, match="in the message and beside it"):
        authenticate(signed_by_many(key_of, PAYLOAD)[0], ring, payload=HeldPayload(5, 0))
