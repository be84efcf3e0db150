"""Who has signed, and what is read only then."""

import pytest
from suit_forge import SIGNER, bstr, envelope, manifest, member_sha256, sha256, sign

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, encrypt0, sign1
from lwm2m_fota.package.crypto import KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.suit.codes import Key
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.members import judge_of, open_envelope
from lwm2m_fota.package.keyring import TrustedKey
from lwm2m_fota.package.trust import AllOf, TrustPolicy, UnsafeChoice, UnsafeTrustPolicy

OTHER = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
PLAIN = manifest(m20=bstr([20, {21: "#app"}, 21, 0]))


def opened(data, policy, now=None, **options):
    return open_envelope(data, judge_of(policy, now), **options)[0]


def wrapped(wrapper, data=PLAIN):
    return bstr(cbor.Tag(107, {2: wrapper, 3: data}))


def test_what_is_signed_is_opened(trust):
    found, payloads = open_envelope(envelope(PLAIN, payloads={"#app": b"image"}), judge_of(trust, None))
    assert found.manifest.sequences.keys() == {Key.INSTALL}
    assert [signer.key.key for signer in found.authentication.signers] == [SIGNER.public_key]
    assert found.members.keys() == {Key.AUTHENTICATION, Key.MANIFEST}
    assert [each.name for each in payloads] == ["#app"]


def test_without_a_tag_it_is_the_same(trust):
    assert opened(envelope(PLAIN, is_tagged=False), trust).manifest.sequence_number == 1


def test_several_authorities_sign_one_manifest():
    keys = [TrustedKey(SIGNER.public_key, authority="maker"), TrustedKey(OTHER.public_key, authority="operator")]
    policy = TrustPolicy(keys=keys, required=AllOf("maker", "operator"))
    both = opened(envelope(PLAIN, signers=(SIGNER, OTHER)), policy)
    assert {signer.key.authority for signer in both.authentication.signers} == {"maker", "operator"}
    with pytest.raises(IntegrityError, match="signed by maker, and that is not enough") as caught:
        opened(envelope(PLAIN, signers=(SIGNER,)), policy)
    assert caught.value.reason == "package.missing-authority"


def test_one_good_block_is_enough_beside_others(trust):
    assert opened(envelope(PLAIN, signers=(OTHER, SIGNER)), trust)


def test_nothing_is_read_of_a_manifest_that_nobody_has_signed(trust):
    rubbish = b"\xff rubbish"
    with pytest.raises(IntegrityError, match="unsigned"):
        opened(envelope(rubbish, signers=()), trust)
    with pytest.raises(IntegrityError, match="untrusted key"):
        opened(envelope(rubbish, signers=(OTHER,)), trust)
    with pytest.raises(IntegrityError, match="malformed: the manifest"):
        opened(envelope(rubbish), trust)


def test_a_key_that_is_not_valid_is_told():
    policy = TrustPolicy(keys=[TrustedKey(SIGNER.public_key, not_after=100.0)])
    assert opened(envelope(PLAIN), policy, now=100.0)
    with pytest.raises(IntegrityError, match="not valid at this time"):
        opened(envelope(PLAIN), policy, now=101.0)


def test_a_policy_without_signatures_takes_what_nobody_has_signed():
    policy = UnsafeTrustPolicy(choices=[UnsafeChoice.ACCEPT_UNSIGNED])
    assert opened(envelope(PLAIN, signers=()), policy).authentication.signers == ()


def test_a_manifest_that_was_changed_is_refused(trust):
    other = manifest(number=2, m20=bstr([20, {21: "#app"}, 21, 0]))
    with pytest.raises(IntegrityError, match="digest mismatch: the manifest was changed"):
        opened(wrapped(sign(member_sha256(PLAIN), SIGNER), other), trust)


def test_the_digest_is_over_the_byte_string_with_its_head(trust):
    with pytest.raises(IntegrityError, match="digest mismatch"):
        opened(wrapped(sign(sha256(PLAIN), SIGNER)), trust)


@pytest.mark.parametrize("size", [23, 24, 255, 256, 65535, 65536])
def test_the_head_is_right_at_any_length(trust, size):
    policy = UnsafeTrustPolicy(keys=trust.keys, choices=[UnsafeChoice.ACCEPT_UNSIGNED])
    with pytest.raises(PackageError) as caught:
        opened(envelope(b"\xff" * size), policy, limits=SuitLimits(max_manifest_bytes=1 << 20))
    assert caught.value.reason == "package.malformed"


def encrypted():
    made = encrypt0(DirectKey(key=SecretKey(bytes(16)), key_id=b"k"), bytes(12), alg=1)
    return made.message(made.cipher.encrypt(b"x"))


SIGNED = cbor.dumps(member_sha256(PLAIN))


@pytest.mark.parametrize(
    ("wrapper", "error", "detail"),
    [
        (b"\x80", IntegrityError, "not an array of byte strings, a digest first"),
        (cbor.dumps([SIGNED, []]), IntegrityError, "not an array of byte strings, a digest first"),
        (cbor.dumps({}), IntegrityError, "not an array in a byte string"),
        (cbor.dumps([b"\x80"]), IntegrityError, "a digest is not an algorithm"),
        (cbor.dumps([cbor.dumps([-45, b""])]), UnsupportedPackageError, "digests with algorithm -45"),
        (cbor.dumps([SIGNED, encrypted()]), IntegrityError, "a block that is encrypted"),
        (
            cbor.dumps([SIGNED, sign1(b"inside", CoseSigner(key=SIGNER))]),
            IntegrityError,
            "a block with a payload of its own",
        ),
        (cbor.dumps([SIGNED, b"rubbish"]), UnsupportedPackageError, "not a COSE message"),
        (cbor.dumps([SIGNED] + [b"x"] * 9), PackageError, r"blocks: 9, at most 8 \(max_blocks\)"),
    ],
)
def test_a_wrapper_that_is_not_what_it_should_be_is_refused(trust, wrapper, error, detail):
    with pytest.raises(error, match=detail.replace("a block", "an authentication block")):
        opened(wrapped(wrapper), trust)


def test_bytes_that_follow_are_refused(trust):
    with pytest.raises(IntegrityError, match="1 bytes follow the envelope"):
        opened(envelope(PLAIN) + b"\0", trust)


def test_an_envelope_that_ends_early_is_refused(trust):
    data = envelope(PLAIN, payloads={"#app": b"image"})
    for size in range(len(data)):
        with pytest.raises(PackageError) as caught:
            opened(data[:size], trust)
        assert caught.value.reason == "package.truncated"


def test_what_was_severed_is_compared(trust):
    install = bstr([20, {21: "#app"}, 21, 0])
    data = manifest(m20=member_sha256(install))
    assert opened(envelope(data), trust).manifest.sequences == {}
    assert opened(envelope(data, {20: install}), trust).manifest.sequences.keys() == {Key.INSTALL}
    with pytest.raises(IntegrityError, match="digest mismatch: install was changed"):
        opened(envelope(data, {20: bstr([20, {21: "#bad"}, 21, 0])}), trust)
    with pytest.raises(IntegrityError, match="install lies beside the manifest"):
        opened(envelope(manifest(), {20: install}), trust)


def test_sha384_and_sha512_are_digests_too(trust):
    import hashlib

    for number, kind in ((-43, hashlib.sha384), (-44, hashlib.sha512)):
        digest = [number, kind(cbor.dumps(PLAIN)).digest()]
        assert opened(wrapped(sign(digest, SIGNER)), trust).wrapper.digest.value == digest[1]
