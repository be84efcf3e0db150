"""MCUboot images: the vectors, what is believed, and what is refused."""

import hashlib
import struct

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import Check, Component, Dependency
from lwm2m_fota.package.verifier import PackageVerifier

KEYHASH, PUBKEY, SHA256, SHA384, SHA512 = 0x01, 0x02, 0x10, 0x11, 0x12
RSA, ECDSA, ED25519, PURE = 0x20, 0x22, 0x24, 0x25
DEPENDENCY, SEC_CNT, VID, CID = 0x40, 0x50, 0x74, 0x75
UNSAFE = UnsafeTrustPolicy()
OF_ZEROS = {
    DEPENDENCY: DeviceIdentity(),
    SEC_CNT: DeviceIdentity(),
    VID: DeviceIdentity(vendor_ids=[bytes(16)]),
    CID: DeviceIdentity(class_ids=[bytes(16)]),
}


def sha256(data):
    return hashlib.sha256(data).digest()


def sha512(data):
    return hashlib.sha512(data).digest()


def verify(trust, data, **limits):
    verifier = PackageVerifier(trust, formats=default_formats().with_format(McubootFormat(**limits)))
    verifier.feed(data)
    return verifier.finish()


@pytest.fixture
def trust(ed25519_key, p256_key):
    return TrustPolicy(keys=(ed25519_key.public_key, p256_key.public_key))


@pytest.fixture
def stranger():
    return PrivateKey.from_seed(KeyType.ED25519, b"\x55" * 32)


def pair(key, digest):
    """The record that names a key, and its signature."""
    kind = {KeyType.ED25519: ED25519, KeyType.P256: ECDSA}[key.type]
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
    assert package.counters == (Counter(None, 7),)
    assert package.dependencies == (Dependency(name="1", minimum_version="1.0.0"),)
    assert package.components == (Component(name=None, version="1.2.3+4", offset_bytes=0, length_bytes=984),)
    assert package.signed_by == (ed25519_key.public_key.key_hash,)


def test_the_p256_vector(trust, vector, p256_key):
    package = verify(trust, vector("p256.bin"))
    assert (package.version, package.size_bytes, package.counters) == ("1.2.3+4", 963, ())
    assert package.dependencies == ()
    assert package.signed_by == (p256_key.public_key.key_hash,)


def test_the_unsigned_vector(trust, vector):
    data = vector("nosig.bin")
    for policy in (UNSAFE, TrustPolicy.of_digest(sha256(data))):
        package = verify(policy, data)
        assert (package.version, package.size_bytes, package.signed_by) == ("0.9.0", 372, ())
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, data)


def test_the_pure_vector(trust, vector, ed25519_key):
    package = verify(trust, vector("ed25519-pure.bin"), max_held_bytes=332)
    assert (package.version, package.size_bytes) == ("2.0.0", 545)
    assert package.signed_by == (ed25519_key.public_key.key_hash,)


def test_a_pure_signature_is_supported_up_to_the_limit_only(trust, vector):
    with pytest.raises(PackageError, match=r"332 bytes, at most 331 are held \(max_held_bytes\)") as caught:
        verify(trust, vector("ed25519-pure.bin"), max_held_bytes=331)
    assert caught.value.result == 3


# Who signed.


def test_one_key_of_several_is_enough(trust, forge, ed25519_key, p256_key, stranger):
    for keys, signers in (
        ((stranger, p256_key), (p256_key,)),
        ((p256_key, stranger), (p256_key,)),
        ((ed25519_key, p256_key), (ed25519_key, p256_key)),
        ((p256_key, ed25519_key, p256_key), (p256_key, ed25519_key)),
    ):
        package = verify(trust, forge(signed(*keys)))
        assert package.signed_by == tuple(each.public_key.key_hash for each in signers)


def test_a_valid_signature_behind_a_bad_one_is_enough(trust, forge, ed25519_key, p256_key):
    def records(hashed):
        digest = sha256(hashed)
        return [(SHA256, digest), *pair(ed25519_key, b"x" * 32), *pair(p256_key, digest)]

    assert verify(trust, forge(records)).signed_by == (p256_key.public_key.key_hash,)


def test_an_untrusted_key_is_refused(forge, p256_key, stranger):
    with pytest.raises(IntegrityError, match="untrusted key") as caught:
        verify(TrustPolicy(keys=(p256_key.public_key,)), forge(signed(stranger)))
    assert caught.value.result == 5


def test_a_signature_of_something_else_is_refused(trust, forge, ed25519_key, p256_key):
    for key in (ed25519_key, p256_key):
        image = forge(lambda hashed, key=key: [(SHA256, sha256(hashed)), *pair(key, b"x" * 32)])
        with pytest.raises(IntegrityError, match="bad signature") as caught:
            verify(trust, image)
        assert caught.value.result == 5


def test_a_bad_signature_of_a_trusted_key_is_refused_even_if_none_is_required(forge, ed25519_key, stranger):
    image = forge(lambda hashed: [(SHA256, sha256(hashed)), *pair(ed25519_key, b"x" * 32)])
    lenient = UnsafeTrustPolicy(keys=(ed25519_key.public_key,))
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(lenient, image)
    assert verify(lenient, forge(signed(stranger))).signed_by == ()
    assert verify(lenient, forge(signed(ed25519_key))).signed_by != ()


def test_a_key_may_be_there_in_full(trust, forge, p256_key, stranger):
    def with_key(key):
        def records(hashed):
            digest = sha256(hashed)
            return [(SHA256, digest), (PUBKEY, key.public_key.der), pair(key, digest)[1]]

        return records

    assert verify(trust, forge(with_key(p256_key))).signed_by == (p256_key.public_key.key_hash,)
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
        with pytest.raises(IntegrityError, match="not of the type of the key"):
            verify(trust, forge(records(pure)), max_held_bytes=1000)


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


def test_a_signature_of_another_kind_of_key_is_untrusted_and_keeps_nothing_from_the_others(trust, forge, p256_key):
    rsa = [(KEYHASH, bytes(32)), (RSA, bytes(256))]
    with pytest.raises(IntegrityError, match="untrusted key") as caught:
        verify(trust, forge(lambda hashed: [(SHA256, sha256(hashed)), *rsa]))
    assert caught.value.result == 5
    both = forge(lambda hashed: [(SHA256, sha256(hashed)), *rsa, *pair(p256_key, sha256(hashed))])
    assert verify(trust, both).signed_by == (p256_key.public_key.key_hash,)


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
        name = (KEYHASH, sha512(ed25519_key.public_key.der))
        return [(SHA512, digest), name, (ED25519, ed25519_key.sign_digest(digest))]

    assert verify(trust, forge(records)).signed_by == (ed25519_key.public_key.key_hash,)


def test_ecdsa_over_sha512_is_not_supported(trust, forge, p256_key):
    def records(hashed):
        return [(SHA512, hashlib.sha512(hashed).digest()), *pair(p256_key, sha256(hashed))]

    with pytest.raises(UnsupportedPackageError, match="over another digest"):
        verify(trust, forge(records))
    with pytest.raises(UnsupportedPackageError, match="SHA-512: no trusted key"):
        verify(TrustPolicy(keys=(p256_key.public_key,)), forge(records))


@pytest.mark.parametrize(("kind", "name"), [(SHA256, "sha256"), (SHA384, "sha384"), (SHA512, "sha512")])
def test_each_kind_of_digest_is_known(forge, kind, name):
    def records(hashed):
        return [(kind, hashlib.new(name, hashed).digest())]

    image = forge(records)
    assert Check.DIGEST in verify(UNSAFE, image).checks
    damaged = bytearray(image)
    damaged[33] ^= 1
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(UNSAFE, bytes(damaged))


def test_a_file_whose_digest_is_known_needs_no_digest_that_is_not_made(forge):
    image = forge(lambda hashed: [(SHA512, sha512(hashed))])
    package = verify(TrustPolicy.of_digest(sha256(image)), image)
    assert package.checks == {Check.FILE_DIGEST}


def test_a_kind_of_digest_that_the_boot_loader_does_not_know_is_refused(forge):
    image = forge(lambda hashed: [(SHA512, sha512(hashed))])
    for policy in (UNSAFE, TrustPolicy.of_digest(sha256(image))):
        with pytest.raises(UnsupportedPackageError, match="SHA-512"):
            verify(policy, image, digests=frozenset({Hash.SHA256}))


# Pure signatures.


def pure(key, *, digest=True, mark=b"\x01"):
    def records(hashed):
        digests = [(SHA512, hashlib.sha512(hashed).digest())] if digest else []
        kind = {KeyType.ED25519: ED25519, KeyType.P256: ECDSA}[key.type]
        return [*digests, (PURE, mark), (KEYHASH, sha512(key.public_key.der)), (kind, key.sign(hashed))]

    return records


@pytest.mark.parametrize("digest", [True, False])
def test_a_pure_signature_needs_no_digest(trust, forge, ed25519_key, digest):
    package = verify(trust, forge(pure(ed25519_key, digest=digest)), max_held_bytes=36)
    assert package.signed_by == (ed25519_key.public_key.key_hash,)


def test_a_pure_signature_covers_the_protected_records(trust, forge, ed25519_key):
    image = bytearray(forge(pure(ed25519_key, digest=False), protected=[(SEC_CNT, struct.pack("<I", 9))]))
    assert verify(trust, bytes(image), max_held_bytes=48).counters == (Counter(None, 9),)
    image[32 + 4 + 4 + 4] ^= 1
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(trust, bytes(image), max_held_bytes=48)


def test_a_wrong_digest_beside_a_pure_signature_is_refused(trust, forge, ed25519_key):
    image = forge(lambda hashed: [(SHA512, bytes(64)), *pure(ed25519_key, digest=False)(hashed)])
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(trust, image, max_held_bytes=1000)


def test_a_pure_mark_cannot_be_added_or_taken_away(trust, forge, ed25519_key):
    marked = forge(lambda hashed: [(PURE, b"\x01"), *signed(ed25519_key)(hashed)])
    bare = forge(lambda hashed: [(SHA256, sha256(hashed)), *pure(ed25519_key, digest=False)(hashed)[1:]])
    for image in (marked, bare):
        with pytest.raises(IntegrityError, match="bad signature"):
            verify(trust, image, max_held_bytes=1000)


@pytest.mark.parametrize("mark", [b"", b"\x00", b"\x01\x01", b"\x02"])
def test_a_pure_mark_is_one_byte(trust, forge, ed25519_key, mark):
    with pytest.raises(IntegrityError, match="SIG_PURE"):
        verify(trust, forge(pure(ed25519_key, mark=mark)), max_held_bytes=1000)


def test_pure_ecdsa_is_not_supported(trust, forge, p256_key):
    with pytest.raises(UnsupportedPackageError, match="Ed25519 only"):
        verify(trust, forge(pure(p256_key)), max_held_bytes=1000)


def test_a_pure_signature_is_not_looked_at_by_a_policy_without_keys(forge, ed25519_key):
    image = forge(pure(ed25519_key))
    assert verify(TrustPolicy.of_digest(sha256(image)), image).signed_by == ()


# What is protected, and what is not.


@pytest.mark.parametrize(
    ("kind", "value"), [(DEPENDENCY, bytes(12)), (SEC_CNT, bytes(4)), (VID, bytes(16)), (CID, bytes(16))]
)
def test_what_needs_protection_is_refused_outside_of_it(trust, forge, p256_key, kind, value):
    mine = attrs.evolve(trust, identity=OF_ZEROS[kind])
    inside = forge(signed(p256_key), protected=[(kind, value)])
    assert verify(mine, inside).signed_by != ()
    outside = forge(lambda hashed: [*signed(p256_key)(hashed), (kind, value)])
    both = forge(lambda hashed: [*signed(p256_key)(hashed), (kind, value)], protected=[(kind, value)])
    for image in (outside, both):
        with pytest.raises(IntegrityError, match="outside of the protected area") as caught:
            verify(trust, image)
        assert caught.value.result == 5


@pytest.mark.parametrize("kind", [0x30, 0x33, 0x77, 0x00A0, 0xFFFE])
def test_unknown_records_outside_are_ignored(trust, forge, p256_key, kind):
    image = forge(lambda hashed: [(kind, b"x"), *signed(p256_key)(hashed), (kind, b"y")])
    assert verify(trust, image).signed_by == (p256_key.public_key.key_hash,)


@pytest.mark.parametrize("kind", [0x0001, 0x0010, 0x0024, 0x0076, 0x009F, 0x00FF, 0x0150])
def test_unknown_protected_records_are_a_policy(trust, forge, p256_key, kind):
    image = forge(signed(p256_key), protected=[(kind, b"x")])
    with pytest.raises(UnsupportedPackageError, match="is not understood") as caught:
        verify(trust, image)
    assert caught.value.result == 6
    lenient = UnsafeTrustPolicy(keys=trust.keys, choices=[UnsafeChoice.IGNORE_UNKNOWN_RECORDS])
    assert verify(lenient, image).signed_by == (p256_key.public_key.key_hash,)


@pytest.mark.parametrize("kind", [0x60, 0x70, 0x71, 0x72, 0x73, 0x00A0, 0x12B7, 0xFFFE])
def test_known_and_vendor_records_pass(trust, forge, p256_key, kind):
    assert verify(trust, forge(signed(p256_key), protected=[(kind, b"x")])).counters == ()


def test_a_signature_in_the_protected_area_does_not_count(forge, p256_key):
    lenient = UnsafeTrustPolicy(keys=[p256_key.public_key], choices=[UnsafeChoice.IGNORE_UNKNOWN_RECORDS])
    image = forge(lambda hashed: [(SHA256, sha256(hashed))], protected=pair(p256_key, bytes(32)))
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(lenient, image)


def test_there_is_one_security_counter(trust, forge, p256_key):
    image = forge(signed(p256_key), protected=[(SEC_CNT, bytes(4))] * 2)
    with pytest.raises(IntegrityError, match="more than one SEC_CNT"):
        verify(trust, image)


def test_the_security_counter_is_weighed(trust, vector):
    package = verify(attrs.evolve(trust, rollback_floor=RollbackFloor.at_least(7)), vector("ed25519.bin"))
    assert package.counters == (Counter(None, 7),)
    assert Check.ROLLBACK in package.checks
    for minimum, name in ((8, "ed25519.bin"), (0, "p256.bin")):
        with pytest.raises(IntegrityError, match="rollback"):
            verify(attrs.evolve(trust, rollback_floor=RollbackFloor.at_least(minimum)), vector(name))


def test_an_image_that_can_have_no_counter_and_no_ids_is_refused_with_its_header(trust, forge, p256_key):
    bare, counted = forge(signed(p256_key)), forge(signed(p256_key), protected=[(SEC_CNT, struct.pack("<I", 7))])
    floor = attrs.evolve(trust, rollback_floor=RollbackFloor.at_least(7))
    ours = attrs.evolve(trust, identity=DeviceIdentity(vendor_ids=(bytes(16),)))
    for policy, words in ((floor, "rollback: it has no counter"), (ours, "wrong device: it names no vendor")):
        verifier = PackageVerifier(policy)
        verifier.feed(bare[:31])
        with pytest.raises(PackageError, match=words):
            verifier.feed(bare[31:32])
        PackageVerifier(policy).feed(counted[:32])  # what is protected comes behind the body
    assert verify(floor, counted)
    with pytest.raises(UnsupportedPackageError, match="it names no vendor"):
        verify(ours, counted)


@pytest.mark.parametrize("kind", [VID, CID])
def test_ids_are_uuids_and_come_once(trust, forge, p256_key, kind):
    for protected in ([(kind, bytes(15))], [(kind, bytes(17))], [(kind, bytes(16))] * 2):
        with pytest.raises(IntegrityError, match=r"malformed: .*UUID"):
            verify(trust, forge(signed(p256_key), protected=protected))


def test_an_image_for_a_vendor_and_a_class_is_for_them_alone(trust, forge, p256_key):
    vendor, kind = bytes(range(16)), bytes(range(1, 17))
    image = forge(signed(p256_key), protected=[(VID, vendor), (CID, kind)])
    mine = DeviceIdentity(vendor_ids=[bytes(16), vendor], class_ids=[kind])
    package = verify(attrs.evolve(trust, identity=mine), image)
    assert package.made_for == MadeFor(vendor_id=vendor, class_id=kind)
    assert {Check.VENDOR, Check.CLASS} <= package.checks
    for other in (
        DeviceIdentity(),
        DeviceIdentity(vendor_ids=[vendor]),
        DeviceIdentity(class_ids=[kind]),
        DeviceIdentity(vendor_ids=[kind], class_ids=[kind]),
    ):
        with pytest.raises(UnsupportedPackageError, match="wrong device") as caught:
            verify(attrs.evolve(trust, identity=other), image)
        assert caught.value.result == 6
    with pytest.raises(UnsupportedPackageError, match="names no vendor"):
        verify(attrs.evolve(trust, identity=mine), forge(signed(p256_key)))


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
def test_an_encrypted_image_is_refused_with_its_header_where_there_is_no_key(trust, forge, p256_key, flag):
    verifier = PackageVerifier(trust)
    image = forge(signed(p256_key), flags=flag)
    verifier.feed(image[:31])
    with pytest.raises(UnsupportedPackageError, match="no decryption key") as caught:
        verifier.feed(image[31:32])
    assert caught.value.result == 6


@pytest.mark.parametrize("flag", [0x10, 0x20, 0x100, 0x200, 0x400, 0x800, 0x40000000])
def test_other_flags_change_nothing(trust, forge, p256_key, flag):
    assert verify(trust, forge(signed(p256_key), flags=flag)).signed_by != ()


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
            if not refused(trust, bytes(image), max_held_bytes=1000):
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
