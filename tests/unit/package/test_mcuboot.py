"""MCUboot images: the vectors, what is believed, and what is refused."""

import hashlib
import struct

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.crypto import KeyAlgorithm, PrivateKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import Trust, UnknownTlv
from lwm2m_fota.package.types import Component, Dependency
from lwm2m_fota.package.verifier import PackageVerifier

KEYHASH, PUBKEY, SHA256, SHA384, SHA512 = 0x01, 0x02, 0x10, 0x11, 0x12
RSA, ECDSA, ED25519, PURE = 0x20, 0x22, 0x24, 0x25
DEPENDENCY, SEC_CNT, VID, CID = 0x40, 0x50, 0x74, 0x75
UNSAFE = Trust.unsafe_accept_unsigned()


def sha256(data):
    return hashlib.sha256(data).digest()


def verify(trust, data, **limits):
    verifier = PackageVerifier(trust, formats=default_formats().with_format(McubootFormat(**limits)))
    verifier.feed(data)
    return verifier.finish()


@pytest.fixture
def trust(ed25519_key, p256_key):
    return Trust(keys=(ed25519_key.public_key, p256_key.public_key))


@pytest.fixture
def stranger():
    return PrivateKey.from_seed(KeyAlgorithm.ED25519, b"\x55" * 32)


def pair(key, digest):
    """The record that names a key, and its signature."""
    kind = {KeyAlgorithm.ED25519: ED25519, KeyAlgorithm.ECDSA_P256: ECDSA}[key.algorithm]
    return [(KEYHASH, key.public_key.key_hash), (kind, key.sign_digest(digest))]


def signed(*keys):
    """The usual records: digest, then each key with its signature."""

    def records(hashed):
        digest = sha256(hashed)
        return [(SHA256, digest), *(record for key in keys for record in pair(key, digest))]

    return records


# The vectors: facts of verified.txt.


def test_the_ed25519_vector(trust, vector, ed25519_key):
    package = verify(trust, vector("ed25519.bin"))
    assert (package.format, package.version, package.size_bytes) == ("mcuboot", "1.2.3+4", 984)
    assert package.security_counter == 7
    assert package.dependencies == (Dependency(name="1", minimum_version="1.0.0"),)
    assert package.components == (Component(name="image", version="1.2.3+4", offset_bytes=0, length_bytes=984),)
    assert package.signed_by == ed25519_key.public_key.key_hash


def test_the_p256_vector(trust, vector, p256_key):
    package = verify(trust, vector("p256.bin"))
    assert (package.version, package.size_bytes, package.security_counter) == ("1.2.3+4", 963, None)
    assert package.dependencies == ()
    assert package.signed_by == p256_key.public_key.key_hash


def test_the_unsigned_vector(trust, vector):
    data = vector("nosig.bin")
    for policy in (UNSAFE, Trust.of_digest(sha256(data))):
        package = verify(policy, data)
        assert (package.version, package.size_bytes, package.signed_by) == ("0.9.0", 372, None)
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, data)


def test_the_pure_vector(trust, vector, ed25519_key):
    package = verify(trust, vector("ed25519-pure.bin"), max_pure_bytes=332)
    assert (package.version, package.size_bytes) == ("2.0.0", 545)
    assert package.signed_by == ed25519_key.public_key.key_hash


def test_a_pure_signature_is_supported_up_to_the_limit_only(trust, vector):
    for limits in ({}, {"max_pure_bytes": 331}):
        with pytest.raises(UnsupportedPackageError, match=r"332 bytes, more than max_pure_bytes") as caught:
            verify(trust, vector("ed25519-pure.bin"), **limits)
        assert caught.value.result == 6


# Who signed.


def test_one_key_of_several_is_enough(trust, forge, ed25519_key, p256_key, stranger):
    for keys, signer in (
        ((stranger, p256_key), p256_key),
        ((p256_key, stranger), p256_key),
        ((ed25519_key, p256_key), ed25519_key),
    ):
        assert verify(trust, forge(signed(*keys))).signed_by == signer.public_key.key_hash


def test_a_valid_signature_behind_a_bad_one_is_enough(trust, forge, ed25519_key, p256_key):
    def records(hashed):
        digest = sha256(hashed)
        return [(SHA256, digest), *pair(ed25519_key, b"x" * 32), *pair(p256_key, digest)]

    assert verify(trust, forge(records)).signed_by == p256_key.public_key.key_hash


def test_an_untrusted_key_is_refused(forge, p256_key, stranger):
    with pytest.raises(IntegrityError, match="untrusted key") as caught:
        verify(Trust(keys=(p256_key.public_key,)), forge(signed(stranger)))
    assert caught.value.result == 5


def test_a_signature_of_something_else_is_refused(trust, forge, ed25519_key, p256_key):
    for key in (ed25519_key, p256_key):
        image = forge(lambda hashed, key=key: [(SHA256, sha256(hashed)), *pair(key, b"x" * 32)])
        with pytest.raises(IntegrityError, match="bad signature") as caught:
            verify(trust, image)
        assert caught.value.result == 5


def test_a_bad_signature_of_a_trusted_key_is_refused_even_if_none_is_required(forge, ed25519_key, stranger):
    image = forge(lambda hashed: [(SHA256, sha256(hashed)), *pair(ed25519_key, b"x" * 32)])
    lenient = Trust(keys=(ed25519_key.public_key,), require_signature=False, expected_sha256=sha256(image))
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(lenient, image)
    foreign = forge(signed(stranger))
    assert verify(attrs.evolve(lenient, expected_sha256=sha256(foreign)), foreign).signed_by is None
    good = forge(signed(ed25519_key))
    assert verify(attrs.evolve(lenient, expected_sha256=sha256(good)), good).signed_by is not None


def test_a_key_may_be_there_in_full(trust, forge, p256_key, stranger):
    def with_key(key):
        def records(hashed):
            digest = sha256(hashed)
            return [(SHA256, digest), (PUBKEY, key.public_key.der), pair(key, digest)[1]]

        return records

    assert verify(trust, forge(with_key(p256_key))).signed_by == p256_key.public_key.key_hash
    with pytest.raises(IntegrityError, match="untrusted key"):
        verify(trust, forge(with_key(stranger)))


def test_a_signature_without_the_name_of_its_key_is_refused(trust, forge, p256_key):
    image = forge(lambda hashed: [(SHA256, sha256(hashed)), pair(p256_key, sha256(hashed))[1]])
    with pytest.raises(IntegrityError, match="untrusted key"):
        verify(trust, image)


def test_a_signature_of_another_algorithm_than_its_key_is_refused(trust, forge, p256_key, ed25519_key):
    def records(pure):
        def make(hashed):
            digest = sha256(hashed)
            name, signature = pair(p256_key, digest)[0], pair(ed25519_key, digest)[1]
            return [(SHA256, digest), *pure, name, signature]

        return make

    for pure in ([], [(PURE, b"\x01")]):
        with pytest.raises(IntegrityError, match="not of the algorithm"):
            verify(trust, forge(records(pure)), max_pure_bytes=1000)


def test_a_hash_and_a_key_are_not_mistaken_for_each_other(trust, forge, p256_key):
    public = p256_key.public_key
    for name in ((PUBKEY, public.key_hash), (KEYHASH, public.der)):
        image = forge(lambda hashed, name=name: [(SHA256, sha256(hashed)), name, pair(p256_key, sha256(hashed))[1]])
        with pytest.raises(IntegrityError, match="untrusted key"):
            verify(trust, image)


def test_a_name_without_signature_is_no_signature(trust, forge, p256_key):
    image = forge(lambda hashed: [(SHA256, sha256(hashed)), pair(p256_key, sha256(hashed))[0]])
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, image)


def test_other_signatures_are_not_supported(trust, forge, p256_key):
    rsa = [(KEYHASH, bytes(32)), (RSA, bytes(256))]
    with pytest.raises(UnsupportedPackageError, match="RSA2048_PSS") as caught:
        verify(trust, forge(lambda hashed: [(SHA256, sha256(hashed)), *rsa]))
    assert caught.value.result == 6
    both = forge(lambda hashed: [(SHA256, sha256(hashed)), *rsa, *pair(p256_key, sha256(hashed))])
    assert verify(trust, both).signed_by == p256_key.public_key.key_hash


# Which digest.


def test_a_wrong_digest_is_refused(trust, forge, p256_key):
    image = forge(lambda hashed: [(SHA256, bytes(32)), *pair(p256_key, sha256(hashed))])
    for policy in (trust, UNSAFE):
        with pytest.raises(IntegrityError, match="digest mismatch") as caught:
            verify(policy, image)
        assert caught.value.result == 5


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_digest(trust, forge, p256_key, count):
    image = forge(lambda hashed: [(SHA256, sha256(hashed))] * count + pair(p256_key, sha256(hashed)))
    with pytest.raises(IntegrityError, match=f"{count} digests"):
        verify(trust, image)


def test_a_digest_of_the_other_algorithm_is_wrong(forge):
    image = forge(lambda hashed: [(SHA256, hashlib.sha512(hashed).digest())])
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(UNSAFE, image)


def test_ed25519_signs_sha512_too(trust, forge, ed25519_key):
    def records(hashed):
        digest = hashlib.sha512(hashed).digest()
        name = (KEYHASH, ed25519_key.public_key.key_hash_sha512)
        return [(SHA512, digest), name, (ED25519, ed25519_key.sign_digest(digest))]

    assert verify(trust, forge(records)).signed_by == ed25519_key.public_key.key_hash


def test_ecdsa_over_sha512_is_not_supported(trust, forge, p256_key):
    def records(hashed):
        return [(SHA512, hashlib.sha512(hashed).digest()), *pair(p256_key, sha256(hashed))]

    with pytest.raises(UnsupportedPackageError, match="SHA-256 only"):
        verify(trust, forge(records))


def test_sha384_is_not_supported(forge):
    with pytest.raises(UnsupportedPackageError, match="SHA-384"):
        verify(UNSAFE, forge(lambda hashed: [(SHA384, hashlib.sha384(hashed).digest())]))


# Pure signatures.


def pure(key, *, digest=True, mark=b"\x01"):
    def records(hashed):
        digests = [(SHA512, hashlib.sha512(hashed).digest())] if digest else []
        kind = {KeyAlgorithm.ED25519: ED25519, KeyAlgorithm.ECDSA_P256: ECDSA}[key.algorithm]
        return [*digests, (PURE, mark), (KEYHASH, key.public_key.key_hash_sha512), (kind, key.sign(hashed))]

    return records


@pytest.mark.parametrize("digest", [True, False])
def test_a_pure_signature_needs_no_digest(trust, forge, ed25519_key, digest):
    package = verify(trust, forge(pure(ed25519_key, digest=digest)), max_pure_bytes=36)
    assert package.signed_by == ed25519_key.public_key.key_hash


def test_a_pure_signature_covers_the_protected_records(trust, forge, ed25519_key):
    image = bytearray(forge(pure(ed25519_key, digest=False), protected=[(SEC_CNT, struct.pack("<I", 9))]))
    assert verify(trust, bytes(image), max_pure_bytes=48).security_counter == 9
    image[32 + 4 + 4 + 4] ^= 1
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(trust, bytes(image), max_pure_bytes=48)


def test_a_wrong_digest_beside_a_pure_signature_is_refused(trust, forge, ed25519_key):
    image = forge(lambda hashed: [(SHA512, bytes(64)), *pure(ed25519_key, digest=False)(hashed)])
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(trust, image, max_pure_bytes=1000)


def test_a_pure_mark_cannot_be_added_or_taken_away(trust, forge, ed25519_key):
    marked = forge(lambda hashed: [(PURE, b"\x01"), *signed(ed25519_key)(hashed)])
    bare = forge(lambda hashed: [(SHA256, sha256(hashed)), *pure(ed25519_key, digest=False)(hashed)[1:]])
    for image in (marked, bare):
        with pytest.raises(IntegrityError, match="bad signature"):
            verify(trust, image, max_pure_bytes=1000)


@pytest.mark.parametrize("mark", [b"", b"\x00", b"\x01\x01", b"\x02"])
def test_a_pure_mark_is_one_byte(trust, forge, ed25519_key, mark):
    with pytest.raises(IntegrityError, match="SIG_PURE"):
        verify(trust, forge(pure(ed25519_key, mark=mark)), max_pure_bytes=1000)


def test_pure_ecdsa_is_not_supported(trust, forge, p256_key):
    with pytest.raises(UnsupportedPackageError, match="Ed25519 only"):
        verify(trust, forge(pure(p256_key)), max_pure_bytes=1000)


def test_a_pure_signature_is_not_looked_at_by_a_policy_without_keys(forge, ed25519_key):
    image = forge(pure(ed25519_key))
    assert verify(Trust.of_digest(sha256(image)), image).signed_by is None


# What is protected, and what is not.


@pytest.mark.parametrize(
    ("kind", "value"), [(DEPENDENCY, bytes(12)), (SEC_CNT, bytes(4)), (VID, bytes(16)), (CID, bytes(16))]
)
def test_what_needs_protection_is_refused_outside_of_it(trust, forge, p256_key, kind, value):
    inside = forge(signed(p256_key), protected=[(kind, value)])
    assert verify(trust, inside).signed_by is not None
    outside = forge(lambda hashed: [*signed(p256_key)(hashed), (kind, value)])
    both = forge(lambda hashed: [*signed(p256_key)(hashed), (kind, value)], protected=[(kind, value)])
    for image in (outside, both):
        with pytest.raises(IntegrityError, match="outside of the protected area") as caught:
            verify(trust, image)
        assert caught.value.result == 5


@pytest.mark.parametrize("kind", [0x30, 0x33, 0x77, 0x00A0, 0xFFFE])
def test_unknown_records_outside_are_ignored(trust, forge, p256_key, kind):
    image = forge(lambda hashed: [(kind, b"x"), *signed(p256_key)(hashed), (kind, b"y")])
    assert verify(trust, image).signed_by == p256_key.public_key.key_hash


@pytest.mark.parametrize("kind", [0x0001, 0x0010, 0x0024, 0x0076, 0x009F, 0x00FF, 0x0150])
def test_unknown_protected_records_are_a_policy(trust, forge, p256_key, kind):
    image = forge(signed(p256_key), protected=[(kind, b"x")])
    with pytest.raises(UnsupportedPackageError, match="is not understood") as caught:
        verify(trust, image)
    assert caught.value.result == 6
    lenient = attrs.evolve(trust, unknown_protected_tlv=UnknownTlv.IGNORE)
    assert verify(lenient, image).signed_by == p256_key.public_key.key_hash


@pytest.mark.parametrize("kind", [0x60, 0x70, 0x71, 0x72, 0x73, 0x00A0, 0x12B7, 0xFFFE])
def test_known_and_vendor_records_pass(trust, forge, p256_key, kind):
    assert verify(trust, forge(signed(p256_key), protected=[(kind, b"x")])).security_counter is None


def test_a_signature_in_the_protected_area_does_not_count(forge, p256_key):
    lenient = Trust(keys=(p256_key.public_key,), unknown_protected_tlv=UnknownTlv.IGNORE)
    image = forge(lambda hashed: [(SHA256, sha256(hashed))], protected=pair(p256_key, bytes(32)))
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(lenient, image)


def test_there_is_one_security_counter(trust, forge, p256_key):
    image = forge(signed(p256_key), protected=[(SEC_CNT, bytes(4))] * 2)
    with pytest.raises(IntegrityError, match="more than one security counter"):
        verify(trust, image)


def test_the_security_counter_is_weighed(trust, vector):
    assert verify(attrs.evolve(trust, minimum_security_counter=7), vector("ed25519.bin")).security_counter == 7
    for minimum, name in ((8, "ed25519.bin"), (0, "p256.bin")):
        with pytest.raises(IntegrityError, match="rollback"):
            verify(attrs.evolve(trust, minimum_security_counter=minimum), vector(name))


def test_several_dependencies(trust, forge, p256_key):
    needs = [
        (DEPENDENCY, bytes.fromhex("02000000 01020300 04000000")),
        (DEPENDENCY, bytes.fromhex("ff000000 ffffffff ffffffff")),
    ]
    assert verify(trust, forge(signed(p256_key), protected=needs)).dependencies == (
        Dependency(name="2", minimum_version="1.2.3+4"),
        Dependency(name="255", minimum_version="255.255.65535+4294967295"),
    )


# Limits.


@pytest.mark.parametrize("flag", [0x4, 0x8, 0xC])
def test_an_encrypted_image_is_refused_with_its_header(trust, forge, p256_key, flag):
    verifier = PackageVerifier(trust)
    image = forge(signed(p256_key), flags=flag)
    verifier.feed(image[:31])
    with pytest.raises(UnsupportedPackageError, match="encrypted") as caught:
        verifier.feed(image[31:32])
    assert caught.value.result == 6


@pytest.mark.parametrize("flag", [0x10, 0x20, 0x100, 0x200, 0x400, 0x800, 0x40000000])
def test_other_flags_change_nothing(trust, forge, p256_key, flag):
    assert verify(trust, forge(signed(p256_key), flags=flag)).signed_by is not None


def test_a_large_tlv_area_is_a_matter_of_memory(trust, forge, p256_key):
    protected = forge(signed(p256_key), protected=[(0x00A0, bytes(2041))])
    behind = forge(lambda hashed: [*signed(p256_key)(hashed), (0x00A0, bytes(3000))])
    for image in (protected, behind):
        with pytest.raises(PackageError, match="max_tlv_bytes") as caught:
            verify(trust, image, max_tlv_bytes=2048)
        assert caught.value.result == 3
        assert verify(trust, image).size_bytes == len(image)


def test_what_follows_the_image_is_refused_unless_allowed(trust, vector):
    image = vector("p256.bin")
    padded = image + b"\xff" * 100
    with pytest.raises(IntegrityError, match="max_trailing_bytes"):
        verify(trust, padded)
    with pytest.raises(IntegrityError, match="max_trailing_bytes"):
        verify(trust, padded, max_trailing_bytes=99)
    package = verify(trust, padded, max_trailing_bytes=100)
    assert package.size_bytes == 1063
    assert package.components[0].length_bytes == 963
    assert package.sha256 == sha256(padded)


def test_an_empty_body_is_an_image(trust, forge, p256_key):
    assert verify(trust, forge(signed(p256_key), body=b"")).components[0].length_bytes == len(
        forge(signed(p256_key), body=b"")
    )


# Damage.


def refused(trust, image, **limits):
    try:
        verify(trust, image, **limits)
    except PackageError:
        return True
    return False


@pytest.mark.parametrize("name", ["p256.bin", "ed25519.bin"])
def test_every_damaged_byte_is_refused(trust, vector, name, counts):
    """The header, the body, the protected records, the digest, the name of the key, the signature: no byte is free."""
    image = bytearray(vector(name))
    flips = range(1, counts(1, 256)) or (0x01, 0x80, 0xFF)
    for offset, original in enumerate(image):
        for flip in flips:
            image[offset] = original ^ flip
            assert refused(trust, bytes(image)), f"byte {offset} as {image[offset]:02x} was accepted"
        image[offset] = original
    assert not refused(trust, bytes(image))


def test_every_damaged_byte_of_a_pure_image_is_refused_but_in_the_digest_mark(trust, vector):
    image = bytearray(vector("ed25519-pure.bin"))
    accepted = set()
    for offset, original in enumerate(image):
        for flip in (0x01, 0x80, 0xFF):
            image[offset] = original ^ flip
            if not refused(trust, bytes(image), max_pure_bytes=1000):
                accepted.add(offset)
        image[offset] = original
    # The type of the digest record: it is not needed beside a pure signature, and an unknown record is ignored.
    assert accepted <= {336, 337}


@pytest.mark.parametrize("name", ["p256.bin", "ed25519.bin", "nosig.bin"])
def test_every_truncation_is_refused(trust, vector, name):
    image = vector(name)
    policy = UNSAFE if name == "nosig.bin" else trust
    assert not refused(policy, image)
    formats = default_formats()
    for length in range(4, len(image)):
        verifier = PackageVerifier(policy, formats=formats)
        verifier.feed(image[:length])
        with pytest.raises(IntegrityError, match="truncated") as caught:
            verifier.finish()
        assert caught.value.result == 5
    for length in range(4):
        assert refused(trust, image[:length])
