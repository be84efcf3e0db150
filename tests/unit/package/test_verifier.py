"""The verifier: sizes, recognition, policy, and what it does after an error."""

import hashlib

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageTooLargeError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import Component, Verdict
from lwm2m_fota.package.verifier import PackageVerifier


def verify(trust, data, **options):
    verifier = PackageVerifier(trust, **options)
    verifier.feed(data)
    return verifier.finish()


@pytest.fixture
def trust(p256_key):
    return Trust(keys=(p256_key.public_key,))


@attrs.frozen
class Fixed:
    """A format whose verdict is fixed beforehand, whatever the bytes are."""

    verdict: Verdict
    name: str = "fixed"
    prefix_bytes: int = 0

    def sniff(self, prefix):
        return True

    def open(self, trust, *, expected_size_bytes):
        return self

    def feed(self, data):
        pass

    def finish(self):
        return self.verdict


def fixed(**fields):
    part = Component(name="image", version=None, offset_bytes=0, length_bytes=3)
    return FormatRegistry((Fixed(Verdict(**{"components": (part,), **fields})),))


def test_a_package_says_what_it_is(trust, vector, p256_key):
    data = vector("p256.bin")
    package = verify(trust, data, expected_size_bytes=963)
    assert package.format == "mcuboot"
    assert package.size_bytes == 963
    assert package.sha256 == hashlib.sha256(data).digest()
    assert package.version == "1.2.3+4"
    assert package.signed_by == p256_key.public_key.key_hash


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


@pytest.mark.parametrize("first", [b"\x3d\xb8\xf3\x97", b"\x3c\xb8\xf3\x96", b"\xd8\x6b\xa2\x02", b"\x7fELF"])
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
    trust = Trust(keys=(p256_key.public_key,), max_package_bytes=962)
    with pytest.raises(PackageTooLargeError) as caught:
        PackageVerifier(trust, expected_size_bytes=963)
    assert caught.value.result == 2


def test_a_size_over_the_limit_in_the_header_is_refused_with_the_header(p256_key, vector):
    trust = Trust(keys=(p256_key.public_key,), max_package_bytes=815)
    verifier = PackageVerifier(trust)
    verifier.feed(vector("p256.bin")[:31])
    with pytest.raises(PackageTooLargeError) as caught:
        verifier.feed(vector("p256.bin")[31:32])
    assert caught.value.result == 2


def test_a_file_of_the_largest_size_is_taken_and_no_larger(p256_key, vector):
    data = vector("p256.bin")
    assert verify(Trust(keys=(p256_key.public_key,), max_package_bytes=963), data).size_bytes == 963
    with pytest.raises(PackageTooLargeError):
        verify(Trust(keys=(p256_key.public_key,), max_package_bytes=962), data)


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
    trust = Trust.of_digest(bytes(32), max_package_bytes=5)
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
    assert verify(Trust(keys=keys, expected_sha256=hashlib.sha256(data).digest()), data).signed_by is not None
    with pytest.raises(IntegrityError, match="digest mismatch") as caught:
        verify(Trust(keys=keys, expected_sha256=bytes(32)), data)
    assert caught.value.result == 5


def test_an_expected_digest_does_not_replace_a_required_signature(p256_key, vector):
    data = vector("nosig.bin")
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(Trust(keys=(p256_key.public_key,), expected_sha256=hashlib.sha256(data).digest()), data)


def test_a_format_cannot_forget_the_signature(trust):
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(trust, b"abc", formats=fixed())


def test_a_format_cannot_invent_a_key(trust, p256_key, ed25519_key):
    assert verify(trust, b"abc", formats=fixed(signed_by=p256_key.public_key.key_hash)).size_bytes == 3
    with pytest.raises(IntegrityError, match="untrusted key"):
        verify(trust, b"abc", formats=fixed(signed_by=ed25519_key.public_key.key_hash))


@pytest.mark.parametrize(("found", "minimum"), [(None, 0), (6, 7), (0, 1)])
def test_a_security_counter_that_is_too_low_or_absent_is_refused(found, minimum):
    trust = attrs.evolve(Trust.unsafe_accept_unsigned(), minimum_security_counter=minimum)
    with pytest.raises(IntegrityError, match="rollback") as caught:
        verify(trust, b"abc", formats=fixed(security_counter=found))
    assert caught.value.result == 5


@pytest.mark.parametrize(("found", "minimum"), [(7, 7), (8, 7), (0, 0), (None, None), (1, None)])
def test_a_security_counter_that_is_high_enough_passes(found, minimum):
    trust = attrs.evolve(Trust.unsafe_accept_unsigned(), minimum_security_counter=minimum)
    assert verify(trust, b"abc", formats=fixed(security_counter=found)).security_counter == found


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 4), (3, 1), (2, -1), (4, 0)])
def test_a_component_lies_inside_of_the_package(offset, length):
    part = Component(name="part", version=None, offset_bytes=offset, length_bytes=length)
    with pytest.raises(IntegrityError, match="part lies outside"):
        verify(Trust.unsafe_accept_unsigned(), b"abc", formats=fixed(components=(part,)))


def test_memory_does_not_grow_with_the_body(trust, forge):
    """Nothing in the parser holds what was fed: the largest buffer is the prefix, the header or a TLV area."""
    verifier = PackageVerifier(trust)
    verifier.feed(forge(lambda _hashed: [], body=b"", body_bytes=1 << 20)[:32])
    for _ in range(16):
        verifier.feed(bytes(65_535))
    reader = verifier._parser._reader
    assert len(verifier._prefix) == 4
    assert len(reader._buffer) == 0
    assert reader._kept is None
