"""The verifier: sizes, recognition, policy, and what it does after an error."""

import hashlib

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageTooLargeError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.crypto import Algorithm
from lwm2m_fota.package.crypto.content import ContentAlgorithm, ContentCipher
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor
from lwm2m_fota.package.keyring import Authentication, Signer, TrustedKey
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import Check, Component, Envelope, Verdict
from lwm2m_fota.package.verifier import PackageVerifier


def verify(trust, data, **options):
    verifier = PackageVerifier(trust, **options)
    verifier.feed(data)
    return verifier.finish()


@pytest.fixture
def trust(p256_key):
    return TrustPolicy(keys=(p256_key.public_key,))


@attrs.frozen
class Fixed:
    """A format whose verdict is fixed beforehand, whatever the bytes are."""

    verdict: Verdict
    name: str = "fixed"
    prefix_bytes: int = 0

    def sniff(self, prefix):
        return True

    def open(self, context):
        return self

    def feed(self, data):
        return 0

    def finish(self):
        return self.verdict


def fixed(**fields):
    part = Component(name=None, version=None, offset_bytes=0, length_bytes=3)
    return FormatRegistry((Fixed(Verdict(**{"components": (part,), **fields})),))


def test_a_package_says_what_it_is(trust, vector, p256_key):
    data = vector("p256.bin")
    package = verify(trust, data, expected_size_bytes=963)
    assert package.format == "mcuboot"
    assert package.size_bytes == 963
    assert package.sha256 == hashlib.sha256(data).digest()
    assert package.version == "1.2.3+4"
    assert package.signed_by == (p256_key.public_key.key_hash,)


def test_the_digest_and_the_count_grow_with_what_is_fed(trust, vector):
    data = vector("p256.bin")
    verifier = PackageVerifier(trust)
    assert (verifier.bytes_fed, verifier.digest_so_far()) == (0, hashlib.sha256(b"").digest())
    verifier.feed(b"")
    verifier.feed(data[:700])
    assert (verifier.bytes_fed, verifier.digest_so_far()) == (700, hashlib.sha256(data[:700]).digest())
    verifier.feed(memoryview(data)[700:])
    assert (verifier.bytes_fed, verifier.digest_so_far()) == (963, hashlib.sha256(data).digest())
    assert verifier.finish().sha256 == verifier.digest_so_far()


@pytest.mark.parametrize("first", [b"\x3d\xb8\xf3\x97", b"\x3c\xb8\xf3\x96", b"\xd8\x6c\xa2\x02", b"\x7fELF"])
def test_an_unknown_magic_number_is_refused_with_its_fourth_byte(trust, first):
    verifier = PackageVerifier(trust)
    for byte in first[:3]:
        verifier.feed(bytes([byte]))
    with pytest.raises(UnsupportedPackageError) as caught:
        verifier.feed(first[3:])
    assert caught.value.result == 6


def test_a_package_that_ends_before_it_is_recognised_is_refused(trust):
    for length in range(4):
        verifier = PackageVerifier(trust)
        verifier.feed(b"\x3d\xb8\xf3\x96"[:length])
        with pytest.raises(UnsupportedPackageError):
            verifier.finish()


def test_no_format_recognises_nothing(trust):
    with pytest.raises(UnsupportedPackageError):
        PackageVerifier(trust, formats=FormatRegistry(())).feed(b"x")


def test_a_size_over_the_limit_is_refused_before_the_first_byte(p256_key):
    trust = TrustPolicy(keys=(p256_key.public_key,), max_package_bytes=962)
    with pytest.raises(PackageTooLargeError) as caught:
        PackageVerifier(trust, expected_size_bytes=963)
    assert caught.value.result == 2


def test_a_size_over_the_limit_in_the_header_is_refused_with_the_header(p256_key, vector):
    trust = TrustPolicy(keys=(p256_key.public_key,), max_package_bytes=815)
    verifier = PackageVerifier(trust)
    verifier.feed(vector("p256.bin")[:31])
    with pytest.raises(PackageTooLargeError) as caught:
        verifier.feed(vector("p256.bin")[31:32])
    assert caught.value.result == 2


def test_a_file_of_the_largest_size_is_taken_and_no_larger(p256_key, vector):
    data = vector("p256.bin")
    assert verify(TrustPolicy(keys=(p256_key.public_key,), max_package_bytes=963), data).size_bytes == 963
    with pytest.raises(PackageTooLargeError):
        verify(TrustPolicy(keys=(p256_key.public_key,), max_package_bytes=962), data)


@pytest.mark.parametrize("told", [962, 964])
def test_a_file_has_the_size_that_was_told(trust, vector, told):
    with pytest.raises(IntegrityError):
        verify(trust, vector("p256.bin"), expected_size_bytes=told)


def test_an_image_larger_than_its_file_is_refused_with_the_header(trust, vector):
    verifier = PackageVerifier(trust, expected_size_bytes=815)
    with pytest.raises(IntegrityError, match="816"):
        verifier.feed(vector("p256.bin")[:32])


def test_what_lies_within_the_limit_is_judged_first():
    """The same verdict as byte by byte: the magic number is wrong before the file is too large."""
    trust = TrustPolicy.of_digest(bytes(32), max_package_bytes=5)
    formats = FormatRegistry((McubootFormat(),))
    for told in (None, 4):
        with pytest.raises(UnsupportedPackageError):
            PackageVerifier(trust, formats=formats, expected_size_bytes=told).feed(b"none" + bytes(9))
    with pytest.raises(IntegrityError, match="more than the 5 bytes"):
        PackageVerifier(attrs.evolve(trust, max_package_bytes=6), expected_size_bytes=5).feed(bytes(7))
    verifier = PackageVerifier(trust)
    with pytest.raises(PackageTooLargeError):
        verifier.feed(bytes(6))
    assert verifier.bytes_fed == 5
    with pytest.raises(PackageTooLargeError):
        verifier.feed(b"")


def test_a_size_is_not_negative(trust):
    with pytest.raises(UsageError, match="negative"):
        PackageVerifier(trust, expected_size_bytes=-1)


def test_it_stays_failed(trust, vector):
    verifier = PackageVerifier(trust)
    with pytest.raises(UnsupportedPackageError) as caught:
        verifier.feed(b"none")
    for _ in range(2):
        with pytest.raises(UnsupportedPackageError) as again:
            verifier.feed(vector("p256.bin"))
        assert again.value is caught.value
        with pytest.raises(UnsupportedPackageError) as again:
            verifier.finish()
        assert again.value is caught.value


def test_it_stays_failed_after_its_end(trust, vector):
    verifier = PackageVerifier(trust)
    verifier.feed(vector("p256.bin")[:-1])
    with pytest.raises(IntegrityError):
        verifier.finish()
    with pytest.raises(IntegrityError):
        verifier.feed(vector("p256.bin")[-1:])


def test_it_verifies_one_package_only(trust, vector):
    verifier = PackageVerifier(trust)
    verifier.feed(vector("p256.bin"))
    verifier.finish()
    with pytest.raises(UsageError, match="new verifier"):
        verifier.feed(b"")
    with pytest.raises(UsageError, match="new verifier"):
        verifier.finish()


def test_an_expected_digest_and_a_signature_must_both_hold(p256_key, vector):
    data = vector("p256.bin")
    keys = (p256_key.public_key,)
    assert verify(TrustPolicy(keys=keys, expected_sha256=hashlib.sha256(data).digest()), data).signed_by != ()
    with pytest.raises(IntegrityError, match="digest mismatch") as caught:
        verify(TrustPolicy(keys=keys, expected_sha256=bytes(32)), data)
    assert caught.value.result == 5


def test_an_expected_digest_does_not_replace_a_required_signature(p256_key, vector):
    data = vector("nosig.bin")
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(TrustPolicy(keys=(p256_key.public_key,), expected_sha256=hashlib.sha256(data).digest()), data)


def test_a_format_cannot_forget_the_signature(trust):
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, b"abc", formats=fixed())


def test_a_format_cannot_invent_a_key(trust, p256_key, ed25519_key):
    def by(key, algorithm=Algorithm.ECDSA_P256):
        return fixed(authentication=Authentication((Signer(TrustedKey(key.public_key), algorithm),)))

    assert verify(trust, b"abc", formats=by(p256_key)).signed_by == (p256_key.public_key.key_hash,)
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, b"abc", formats=by(ed25519_key))
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(attrs.evolve(trust, algorithms=[Algorithm.ED25519]), b"abc", formats=by(p256_key))


def test_a_format_cannot_forget_the_floor_or_the_device(trust):
    policy = UnsafeTrustPolicy(rollback_floor=RollbackFloor.at_least(7))
    for counters in ((), (Counter("x", 6),)):
        with pytest.raises(IntegrityError, match="rollback") as caught:
            verify(policy, b"abc", formats=fixed(counters=counters))
        assert caught.value.result == 5
    assert verify(policy, b"abc", formats=fixed(counters=(Counter("x", 7),))).counters == (Counter("x", 7),)
    with pytest.raises(UnsupportedPackageError, match="wrong device"):
        verify(policy, b"abc", formats=fixed(counters=(Counter("x", 7),), made_for=MadeFor(device_id=b"me")))


def test_it_says_what_was_verified_and_under_which_limits(p256_key):
    identity = DeviceIdentity(vendor_ids=[b"v"], class_ids=[b"c"], device_ids=[b"d"])
    trust = TrustPolicy(
        keys=[p256_key.public_key],
        identity=identity,
        rollback_floor=RollbackFloor.at_least(1),
        expected_sha256=hashlib.sha256(b"abc").digest(),
        max_package_bytes=9,
    )
    signed = Authentication((Signer(trust.keys[0], Algorithm.ECDSA_P256),))
    whole = fixed(
        authentication=signed,
        counters=(Counter("x", 1),),
        made_for=MadeFor(vendor_id=b"v", class_id=b"c", device_id=b"d"),
        checks=[Check.DIGEST, Check.DECRYPTION],
        limits={"max_items": 5},
    )
    package = verify(trust, b"abc", formats=whole)
    assert package.checks == set(Check)
    assert dict(package.limits) == {"max_package_bytes": 9, "max_items": 5}
    assert package.signers == signed.signers
    assert verify(UnsafeTrustPolicy(), b"abc", formats=fixed()).checks == frozenset()


def test_a_key_has_to_be_valid_at_the_time(p256_key, vector):
    trust = TrustPolicy(keys=[TrustedKey(p256_key.public_key, not_before=100.0, not_after=200.0)])
    for now in (100.0, 150.0, 200.0):
        assert verify(trust, vector("p256.bin"), now=now).signed_by != ()
    for now in (None, 99.9, 200.1):
        with pytest.raises(IntegrityError, match="key not valid") as caught:
            verify(trust, vector("p256.bin"), now=now)
        assert (caught.value.result, caught.value.reason) == (5, "package.key-not-valid")
    lenient = UnsafeTrustPolicy(keys=trust.keys, choices=[UnsafeChoice.IGNORE_KEY_VALIDITY])
    assert verify(lenient, vector("p256.bin")).signed_by != ()


@pytest.mark.parametrize(("offset", "length", "within"), [(0, 4, 4), (1, 4, 4), (-1, 3, 0), (0, 20, 5), (0, 2, 1)])
def test_an_envelope_lies_inside_of_the_package_and_its_content_inside_of_it(offset, length, within):
    cipher = ContentCipher(algorithm=ContentAlgorithm.A128CTR, key=bytes(16), nonce=bytes(16))
    envelope = Envelope(offset_bytes=offset, length_bytes=length, cipher=cipher)
    part = Component(name="part", version=None, offset_bytes=0, length_bytes=within, envelope=envelope)
    if (offset, length, within) == (0, 2, 1):
        assert verify(UnsafeTrustPolicy(), b"abc", formats=fixed(components=(part,))).components == (part,)
        return
    with pytest.raises(IntegrityError, match="part lies outside"):
        verify(UnsafeTrustPolicy(), b"abc", formats=fixed(components=(part,)))


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 4), (3, 1), (2, -1), (4, 0)])
def test_a_component_lies_inside_of_the_package(offset, length):
    part = Component(name="part", version=None, offset_bytes=offset, length_bytes=length)
    with pytest.raises(IntegrityError, match="part lies outside"):
        verify(UnsafeTrustPolicy(), b"abc", formats=fixed(components=(part,)))


def test_memory_does_not_grow_with_the_body(trust, forge):
    """Nothing in the parser holds what was fed: the largest buffer is the prefix, the header or a TLV area."""
    verifier = PackageVerifier(trust)
    verifier.feed(forge(lambda _hashed: [], body=b"", body_bytes=1 << 20)[:32])
    for _ in range(16):
        verifier.feed(bytes(65_535))
    parser = verifier._stream._parser
    assert len(verifier._stream._prefix) == 4
    assert len(parser._reader._buffer) == 0
    assert parser._covered.message is None


def test_what_nobody_needs_to_see_is_only_hashed(trust, forge):
    seen = []

    class Lazy:
        name, prefix_bytes = "lazy", 2

        def sniff(self, prefix):
            return True

        def open(self, context):
            context.digest.mark(7)
            self.digest = context.digest
            return self

        def feed(self, data):
            seen.append(bytes(data))
            return 5

        def finish(self):
            assert self.digest.at(7) == hashlib.sha256(bytes(range(7))).digest()
            return Verdict(components=(Component(name=None, version=None, offset_bytes=0, length_bytes=1),))

    data = bytes(range(40))
    for step in (1, 2, 3, 40):
        seen.clear()
        verifier = PackageVerifier(UnsafeTrustPolicy(), formats=FormatRegistry((Lazy(),)))
        for at in range(0, 40, step):
            verifier.feed(data[at : at + step])
            assert verifier.bytes_fed == min(40, at + step)
            assert verifier.digest_so_far() == hashlib.sha256(data[: at + step]).digest()
        assert verifier.finish().sha256 == hashlib.sha256(data).digest()
        assert seen[0] == b"\0\1"
        assert b"\2" not in b"".join(seen[1:])
        assert seen[1].startswith(b"\7")
