"""Encrypted images: every way to their key, and what is refused."""

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, SecretKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.mcuboot_encrypt import ImageEncryption, body_cipher
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion, encode_area
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.keyring import DecryptionKey
from lwm2m_fota.package.rollback import Counter
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import Check
from lwm2m_fota.package.verifier import PackageVerifier

BODY = bytes(range(256)) * 5 + b"odd"
VERSION = ImageVersion(1, 2, 3)
# name: type of the record, bytes of it beside the key itself
WAYS = {"kw": (0x31, 8), "rsa": (0x30, None), "p256": (0x32, 97), "x25519": (0x33, 64), "x25519 sha512": (0x34, 96)}


@pytest.fixture
def way(key_of, rsa_key):
    """`way(name, size)`: how an image is encrypted, and the key that opens it."""

    def make(name, size):
        content_key = bytes(range(1, 1 + size))
        match name:
            case "kw":
                secret = SecretKey(bytes(range(size)))
                return ImageEncryption(content_key=content_key, recipient=secret), secret
            case "rsa":
                return ImageEncryption(content_key=content_key, recipient=rsa_key.public_key), rsa_key
            case _:
                key = key_of(KeyType.P256 if name == "p256" else KeyType.X25519)
                encryption = ImageEncryption(
                    content_key=content_key,
                    recipient=key.public_key,
                    ephemeral=key_of(key.type, 7),
                    hashed=Hash.SHA512 if "512" in name else Hash.SHA256,
                )
                return encryption, key

    return make


def make(key, encryption, **options):
    return create_mcuboot(BODY, version=VERSION, key=key, options=ImageOptions(encryption=encryption, **options))


def verify(trust, data, *, step=1 << 20, **limits):
    verifier = PackageVerifier(trust, formats=default_formats().with_format(McubootFormat(**limits)))
    for at in range(0, len(data), step):
        verifier.feed(data[at : at + step])
    return verifier.finish()


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("name", WAYS)
def test_each_way_to_the_key(way, p256_key, name, size):
    encryption, key = way(name, size)
    image = make(p256_key, encryption, security_counter=5, header_size=64)
    found = inspect_mcuboot([image]).image
    (record,) = [each for each in found.records if each.type >= 0x30]
    kind, beside = WAYS[name]
    assert record.type == kind
    assert len(record.value) == (256 if beside is None else beside + size)
    assert found.header.flags == {16: 0x4, 32: 0x8}[size]
    assert (64 + found.header.body_bytes) % 16 == 0
    assert BODY[:64] not in image
    trust = TrustPolicy(
        keys=[p256_key.public_key], decryption_keys=[DecryptionKey(SecretKey(bytes(16))), DecryptionKey(key)]
    )
    for step in (1, 77, 1 << 20):
        package = verify(trust, image, step=step)
        assert package.checks == {Check.DIGEST, Check.DECRYPTION, Check.SIGNATURE}
        assert package.counters == (Counter(None, 5),)
        assert package.components[0].length_bytes == len(image)
        assert package.components[0].envelope is None  # the boot loader decrypts


@pytest.mark.parametrize(
    ("name", "alg", "opens"), [("kw", -3, True), ("kw", -5, False), ("kw", 1, False), ("x25519", -29, False)]
)
def test_a_key_that_is_for_one_algorithm_of_cose_opens_nothing_else(way, p256_key, name, alg, opens):
    """AES key wrap is the same in both; the ways with a public key are MCUboot's own."""
    encryption, key = way(name, 16)
    trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(key, alg=alg)])
    if opens:
        assert verify(trust, make(p256_key, encryption)).signers
    else:
        with pytest.raises(UnsupportedPackageError, match="no decryption key"):
            verify(trust, make(p256_key, encryption))


@pytest.mark.parametrize("kind", [KeyType.ED25519, KeyType.P384, KeyType.RSA])
def test_each_signature_is_over_the_image_before_it_was_encrypted(way, key_of, kind):
    encryption, key = way("x25519", 16)
    trust = TrustPolicy(keys=[key_of(kind).public_key], decryption_keys=[DecryptionKey(key)])
    assert verify(trust, make(key_of(kind), encryption)).signers
    if kind is KeyType.ED25519:
        assert verify(trust, make(key_of(kind), encryption, is_pure=True)).signers


def test_the_body_is_ctr_from_zero(way, p256_key):
    encryption, _ = way("kw", 16)
    image = make(p256_key, encryption)
    padded = BODY + bytes(-(32 + len(BODY)) % 16)
    assert body_cipher(bytes(range(1, 17))).decrypt(image[32 : 32 + len(padded)]) == padded
    plain = create_mcuboot(padded, version=VERSION, key=None)
    assert inspect_mcuboot([plain]).image.values(0x10) != inspect_mcuboot([image]).image.values(0x10)  # flags count too


@pytest.mark.parametrize("name", WAYS)
def test_another_key_opens_nothing(way, p256_key, key_of, large_rsa_key, name):
    encryption, key = way(name, 16)
    others = [
        SecretKey(bytes(16)),
        SecretKey(bytes(17)),
        large_rsa_key,
        p256_key,
        key_of(KeyType.X25519, 8),
        key_of(KeyType.P384),
    ]
    trust = TrustPolicy(
        keys=[p256_key.public_key], decryption_keys=[DecryptionKey(each) for each in others if each != key]
    )
    with pytest.raises(UnsupportedPackageError, match="not to a key of this device") as caught:
        verify(trust, make(p256_key, encryption))
    assert (caught.value.result, caught.value.reason) == (6, "package.no-decryption-key")


@pytest.mark.parametrize("name", WAYS)
def test_every_changed_byte_of_the_key_is_noticed(way, p256_key, name):
    encryption, key = way(name, 16)
    image = make(p256_key, encryption)
    trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(key)])
    (record,) = [each for each in inspect_mcuboot([image]).image.records if each.type >= 0x30]
    for at in range(0, len(record.value), 16 if name == "rsa" else 1):
        value = bytearray(record.value)
        value[at] ^= 0x40
        with pytest.raises(PackageError):
            verify(trust, image.replace(record.value, bytes(value)))


@pytest.mark.parametrize("length", [0, 1, 31, 64, 65, 96, 100, 112])
def test_records_of_other_lengths_open_nothing(way, forge, p256_key, key_of, length):
    for kind in range(0x30, 0x35):
        image = forge(lambda _hashed, kind=kind: [(0x10, bytes(32)), (kind, bytes(length))], flags=0x4)
        keys = [SecretKey(bytes(16)), p256_key, key_of(KeyType.X25519), key_of(KeyType.RSA)]
        trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(each) for each in keys])
        with pytest.raises(UnsupportedPackageError, match="no decryption key"):
            verify(trust, image)


def test_a_changed_body_is_noticed(way, p256_key):
    encryption, key = way("p256", 16)
    image = bytearray(make(p256_key, encryption))
    image[40] ^= 1
    trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(key)])
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(trust, bytes(image))


def test_what_is_held_is_limited_with_the_header(way, p256_key):
    encryption, key = way("kw", 16)
    image = make(p256_key, encryption)
    size = inspect_mcuboot([image]).image.header.hashed_bytes
    trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(key)])
    assert verify(trust, image, max_held_bytes=size)
    verifier = PackageVerifier(trust, formats=default_formats().with_format(McubootFormat(max_held_bytes=size - 1)))
    with pytest.raises(PackageError, match="max_held_bytes") as caught:
        verifier.feed(image[:32])
    assert caught.value.result == 3
    with pytest.raises(UnsupportedPackageError, match="no decryption key"):
        PackageVerifier(attrs.evolve(trust, decryption_keys=[])).feed(image[:32])


def test_an_image_may_be_for_several(way, p256_key):
    """Records for two receivers, put together by hand from two images with one content key."""
    images = [make(p256_key, way(name, 16)[0]) for name in ("kw", "x25519")]
    found = [inspect_mcuboot([image]).image for image in images]
    covered = images[0][: found[0].header.hashed_bytes]
    assert images[1].startswith(covered)
    both = covered + encode_area((*found[0].records, found[1].records[-1]), magic=0x6907)
    for name in ("kw", "x25519"):
        trust = TrustPolicy(keys=[p256_key.public_key], decryption_keys=[DecryptionKey(way(name, 16)[1])])
        assert verify(trust, both).signers


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content_key": bytes(15)}, "16 or 32"),
        ({"content_key": bytes(24)}, "16 or 32"),
        ({"recipient": SecretKey(bytes(17))}, "16, 24 or 32"),
    ],
)
def test_how_an_image_is_encrypted_is_checked(fields, reason):
    with pytest.raises(UsageError, match=reason):
        ImageEncryption(**{"content_key": bytes(16), "recipient": SecretKey(bytes(16)), **fields})


def test_to_which_keys_an_image_is_encrypted(key_of, large_rsa_key, p256_key):
    with pytest.raises(UsageError, match="2048 bits"):
        ImageEncryption(content_key=bytes(16), recipient=large_rsa_key.public_key)
    with pytest.raises(UsageError, match="not encrypted to Ed25519"):
        ImageEncryption(content_key=bytes(16), recipient=key_of(KeyType.ED25519).public_key)
    with pytest.raises(UsageError, match="not encrypted to P-256 keys with SHA-512"):
        ImageEncryption(content_key=bytes(16), recipient=p256_key.public_key, ephemeral=p256_key, hashed=Hash.SHA512)
    for ephemeral in (None, key_of(KeyType.X25519)):
        with pytest.raises(UsageError, match="ephemeral P-256 key"):
            ImageEncryption(content_key=bytes(16), recipient=p256_key.public_key, ephemeral=ephemeral)
    assert "content_key" not in repr(ImageEncryption(content_key=bytes(16), recipient=SecretKey(bytes(16))))
