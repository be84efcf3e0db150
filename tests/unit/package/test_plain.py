"""Plain images: by their digest, or with a detached signature."""

import hashlib

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, WrappedKey, encrypt0, mac, mac0, sign, sign1
from lwm2m_fota.package.crypto import KeyType, SecretKey
from lwm2m_fota.package.formats.plain import DetachedSignature, PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.identity import DeviceIdentity
from lwm2m_fota.package.keyring import TrustedKey
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import Check
from lwm2m_fota.package.verifier import PackageVerifier

IMAGE = b"an image of no format" * 100
SECRET = SecretKey(bytes(range(32)))


@pytest.fixture
def trust(key_of):
    keys = [TrustedKey(key_of(kind).public_key) for kind in (KeyType.P256, KeyType.ED25519, KeyType.RSA)]
    return TrustPolicy(keys=[*keys, TrustedKey(SECRET, key_id=b"k")])


@pytest.fixture
def signatures(key_of):
    signers = [CoseSigner(key=key_of(kind)) for kind in (KeyType.P256, KeyType.ED25519, KeyType.RSA)]
    return [
        *(sign1(IMAGE, each, is_detached=True) for each in signers),
        sign(IMAGE, signers, is_detached=True),
        mac0(IMAGE, DirectKey(key=SECRET, key_id=b"k"), is_detached=True),
        mac(IMAGE, SECRET, [WrappedKey(key=SECRET, key_id=b"k")], is_detached=True),
    ]


def verify(trust, data, message, *, size=2100, step=1 << 20, **limits):
    plain = PlainFormat(signature=DetachedSignature(message=message, size_bytes=size), **limits)
    verifier = PackageVerifier(trust, formats=FormatRegistry((plain,)))
    for at in range(0, len(data), step):
        verifier.feed(data[at : at + step])
    return verifier.finish()


@pytest.mark.parametrize("step", [1, 333, 1 << 20])
def test_a_detached_signature_of_each_kind(trust, signatures, step):
    for message in signatures:
        package = verify(trust, IMAGE, message, step=step)
        assert (package.format, package.size_bytes) == ("plain", len(IMAGE))
        assert package.checks == {Check.SIGNATURE}
        assert package.components[0].length_bytes == len(IMAGE)
        with pytest.raises(IntegrityError, match="bad signature"):
            verify(trust, IMAGE[:-1] + b"x", message, step=step)
        with pytest.raises(IntegrityError, match="untrusted key"):
            verify(TrustPolicy(), IMAGE, message, step=step)


def test_the_signed_length_holds(trust, signatures):
    with pytest.raises(IntegrityError, match="malformed: more than the 2100 bytes"):
        verify(trust, IMAGE + b"x", signatures[0])
    with pytest.raises(IntegrityError, match="truncated: 1 of 2100"):
        verify(trust, IMAGE[:-1], signatures[0])
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(trust, IMAGE[:-1], signatures[0], size=len(IMAGE) - 1)


def test_eddsa_holds_no_more_than_it_may(trust, signatures):
    assert verify(trust, IMAGE, signatures[0], max_held_bytes=0)
    assert verify(trust, IMAGE, signatures[1], max_held_bytes=len(IMAGE))
    with pytest.raises(PackageError, match="max_held_bytes") as caught:
        verify(trust, IMAGE[:1], signatures[1], max_held_bytes=len(IMAGE) - 1)
    assert caught.value.result == 3
    assert verify(trust, IMAGE, signatures[3], max_held_bytes=0).checks == {Check.SIGNATURE}  # the others are enough


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"rollback_floor": RollbackFloor.at_least(1)},
        {"identity": DeviceIdentity(vendor_ids=[bytes(16)], class_ids=[bytes(16)])},
    ],
    ids=["a signature", "a counter", "ids"],
)
def test_what_no_format_knows_is_told_so_whatever_else_is_asked_of_packages(trust, asked):
    verifier = PackageVerifier(attrs.evolve(trust, **asked))
    with pytest.raises(UnsupportedPackageError, match=r"^unknown format") as caught:
        verifier.feed(IMAGE)
    assert caught.value.result == 6


def test_an_image_without_a_counter_is_refused_with_its_first_byte(trust, signatures):
    floor = attrs.evolve(trust, rollback_floor=RollbackFloor().raised([Counter("image", 1)]))
    with pytest.raises(IntegrityError, match="rollback: it has no counter"):
        verify(floor, IMAGE[:1], signatures[0])


def test_a_signature_beside_an_image_is_detached(trust, key_of):
    whole = sign1(IMAGE, CoseSigner(key=key_of(KeyType.P256)))
    hidden = encrypt0(DirectKey(key=SecretKey(bytes(16))), bytes(12), alg=1).message(None)
    for message, reason in ((whole, "payload of its own"), (hidden, "encrypted"), (b"\xd2\x80", "COSE_Sign1")):
        with pytest.raises(IntegrityError, match=reason):
            verify(trust, IMAGE, message)
    with pytest.raises(UnsupportedPackageError, match="not a COSE message"):
        verify(trust, IMAGE, b"no message")


def test_a_detached_signature_is_bounded():
    with pytest.raises(UsageError, match="not empty"):
        DetachedSignature(message=b"", size_bytes=0)
    with pytest.raises(UsageError, match="16384"):
        DetachedSignature(message=bytes(16385), size_bytes=1)


def test_a_known_format_comes_first(trust, vector, signatures, ed25519_key):
    formats = default_formats().with_format(
        PlainFormat(signature=DetachedSignature(message=signatures[0], size_bytes=9))
    )
    assert formats.formats[0].name == "plain"  # asked first, it takes everything: it is put last by hand
    last = FormatRegistry((*default_formats().formats[:-1], formats.formats[0]))
    verifier = PackageVerifier(TrustPolicy(keys=[ed25519_key.public_key]), formats=last)
    verifier.feed(vector("ed25519.bin"))
    assert verifier.finish().format == "mcuboot"


def test_a_digest_and_a_signature_may_both_be_asked_for(trust, signatures):
    both = TrustPolicy(keys=trust.keys, expected_sha256=hashlib.sha256(IMAGE).digest())
    assert verify(both, IMAGE, signatures[0]).checks == {Check.SIGNATURE, Check.FILE_DIGEST}
