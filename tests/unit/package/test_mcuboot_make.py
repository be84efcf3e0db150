"""Images that are made here."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.mcuboot_encrypt import ImageEncryption
from lwm2m_fota.package.formats.mcuboot_make import (
    ImageOptions,
    McubootBuilder,
    create_mcuboot,
    mcuboot_parts,
    signature_pair,
    signed_again,
)
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion, TlvType
from lwm2m_fota.package.keyring import TrustedKey
from lwm2m_fota.package.rollback import Counter
from lwm2m_fota.package.trust import AllOf, TrustPolicy
from lwm2m_fota.package.types import Dependency
from lwm2m_fota.package.verifier import PackageVerifier

VERSION = ImageVersion(1, 2, 3, 4)
TO_ALL = ImageEncryption(content_key=bytes(16), recipient=SecretKey(bytes(16)))


def verify(trust, parts):
    verifier = PackageVerifier(trust)
    for part in parts:
        verifier.feed(part)
    return verifier.finish()


def test_the_ed25519_vector_is_made_again(vector, ed25519_key):
    made = create_mcuboot(
        vector("payload.bin"),
        version=VERSION,
        key=ed25519_key,
        options=ImageOptions(
            header_size=512, security_counter=7, dependencies=(ImageDependency(1, ImageVersion(1, 0, 0)),)
        ),
    )
    assert made == vector("ed25519.bin")


def test_the_unsigned_vector_is_made_again(vector):
    assert create_mcuboot(vector("payload.bin"), version=ImageVersion(0, 9, 0), key=None) == vector("nosig.bin")


def test_the_p256_vector_is_made_again_but_for_its_random_signature(vector, p256_key):
    made = create_mcuboot(vector("payload.bin"), version=VERSION, key=p256_key, options=ImageOptions(header_size=512))
    assert made[:814] == vector("p256.bin")[:814]
    assert made[816:888] == vector("p256.bin")[816:888]
    assert made == create_mcuboot(
        vector("payload.bin"), version=VERSION, key=p256_key, options=ImageOptions(header_size=512)
    )


@pytest.mark.parametrize("kind", [KeyType.ED25519, KeyType.P256, KeyType.P384, KeyType.RSA])
@pytest.mark.parametrize("body", [b"", b"x", bytes(1000)])
def test_what_is_made_verifies(key_of, kind, body):
    key = key_of(kind)
    made = create_mcuboot(
        body,
        version=VERSION,
        key=key,
        options=ImageOptions(
            header_size=100,
            security_counter=0,
            dependencies=(ImageDependency(0, VERSION), ImageDependency(255, ImageVersion(0, 0, 1))),
        ),
    )
    package = verify(TrustPolicy(keys=(key.public_key,)), [made])
    assert package.version == "1.2.3+4"
    assert package.counters == (Counter(None, 0),)
    assert package.signed_by == (key.public_key.key_hash,)
    assert package.dependencies == (
        Dependency(name="0", minimum_version="1.2.3+4"),
        Dependency(name="255", minimum_version="0.0.1"),
    )
    assert made[100 : 100 + len(body)] == body


def test_a_large_body_passes_through(ed25519_key):
    piece = bytes(range(256)) * 256
    count = 256  # 16 MiB
    digest = hashlib.sha256()
    sizes = []

    def parts():
        for part in mcuboot_parts(
            (piece for _ in range(count)), body_bytes=len(piece) * count, version=VERSION, key=ed25519_key
        ):
            digest.update(part)
            sizes.append(len(part))
            yield part

    package = verify(TrustPolicy(keys=(ed25519_key.public_key,)), parts())
    assert package.size_bytes == sum(sizes) == 32 + (16 << 20) + 4 + 36 + 36 + 68
    assert package.sha256 == digest.digest()
    assert max(sizes) == len(piece)


def test_the_body_has_the_length_that_was_said(ed25519_key):
    long = mcuboot_parts([b"ab", b"cd"], body_bytes=3, version=VERSION, key=ed25519_key)
    with pytest.raises(UsageError, match="longer"):
        list(long)
    short = mcuboot_parts([b"ab"], body_bytes=3, version=VERSION, key=ed25519_key)
    with pytest.raises(UsageError, match="1 bytes shorter"):
        list(short)


@pytest.mark.parametrize(
    "fields",
    [
        {"header_size": 31},
        {"header_size": 65536},
        {"security_counter": -1},
        {"security_counter": 1 << 32},
        {"dependencies": (ImageDependency(256, VERSION),)},
        {"vendor_id": bytes(15)},
        {"class_id": bytes(17)},
    ],
)
def test_numbers_out_of_range_are_a_mistake_of_the_caller(fields):
    with pytest.raises(UsageError):
        create_mcuboot(b"abc", version=VERSION, key=None, options=ImageOptions(**fields))


@pytest.mark.parametrize("size", [-1, 1 << 32])
def test_a_body_has_a_size(size):
    with pytest.raises(UsageError):
        McubootBuilder(body_bytes=size, version=VERSION, key=None)


def test_a_body_may_come_as_a_view(ed25519_key):
    builder = McubootBuilder(body_bytes=4, version=VERSION, key=ed25519_key)
    assert builder.feed(memoryview(b"body")) == b"body"
    assert builder.header + b"body" + builder.trailer() == create_mcuboot(b"body", version=VERSION, key=ed25519_key)


@pytest.mark.parametrize("digest", [Hash.SHA256, Hash.SHA384, Hash.SHA512])
def test_an_image_without_a_key_has_any_digest(digest):
    made = create_mcuboot(b"body", version=VERSION, key=None, options=ImageOptions(digest=digest))
    found = inspect_mcuboot([made])
    assert found.digest_holds
    assert found.image.digests == ((digest, found.digests[digest]),)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        (KeyType.P256, Hash.SHA512),
        (KeyType.P256, Hash.SHA384),
        (KeyType.P384, Hash.SHA256),
        (KeyType.RSA, Hash.SHA512),
        (KeyType.ED25519, Hash.SHA384),
    ],
)
def test_a_key_signs_its_own_digests_only(key_of, kind, digest):
    with pytest.raises(UsageError, match="sign no"):
        create_mcuboot(b"body", version=VERSION, key=key_of(kind), options=ImageOptions(digest=digest))


@pytest.mark.parametrize("kind", [KeyType.P521, KeyType.ED448, KeyType.X25519])
def test_other_keys_sign_no_images(key_of, kind):
    with pytest.raises(UsageError, match="images are signed with"):
        create_mcuboot(b"body", version=VERSION, key=key_of(kind))
    with pytest.raises(UsageError, match="sign no images"):
        signature_pair(key_of(kind), Hash.SHA256, bytes(32))


def test_rsa_keys_of_other_sizes_sign_no_images():
    key = PrivateKey(rsa.generate_private_key(65537, 2056))
    with pytest.raises(UsageError, match="2048 or 3072"):
        create_mcuboot(b"body", version=VERSION, key=key)


def test_large_rsa_keys_sign_images(large_rsa_key):
    made = create_mcuboot(b"body", version=VERSION, key=large_rsa_key)
    assert [record.type for record in inspect_mcuboot([made]).image.records] == [0x10, 0x01, 0x23]
    assert verify(TrustPolicy(keys=[large_rsa_key.public_key]), [made]).signed_by == (
        large_rsa_key.public_key.key_hash,
    )


def test_an_rsa_key_is_named_by_its_pkcs1_form(rsa_key):
    made = create_mcuboot(b"body", version=VERSION, key=rsa_key)
    (name,) = inspect_mcuboot([made]).image.values(TlvType.KEYHASH)
    assert name == hashlib.sha256(rsa_key.public_key.pkcs1).digest()


def test_the_pure_vector_is_made_again(vector, ed25519_key):
    made = create_mcuboot(
        vector("payload.bin"), version=ImageVersion(2, 0, 0), key=ed25519_key, options=ImageOptions(is_pure=True)
    )
    assert made == vector("ed25519-pure.bin")


def test_only_ed25519_signs_images_themselves(p256_key):
    for key in (p256_key, None):
        with pytest.raises(UsageError, match="pure"):
            create_mcuboot(b"body", version=VERSION, key=key, options=ImageOptions(is_pure=True))


def test_ids_are_protected(p256_key):
    options = ImageOptions(vendor_id=bytes(range(16)), class_id=bytes(range(1, 17)))
    made = create_mcuboot(b"body", version=VERSION, key=p256_key, options=options)
    assert [(record.type, record.value) for record in inspect_mcuboot([made]).image.protected] == [
        (0x74, bytes(range(16))),
        (0x75, bytes(range(1, 17))),
    ]


def test_one_more_may_sign(ed25519_key, p256_key, key_of):
    options = ImageOptions(security_counter=3)
    made = create_mcuboot(b"body", version=VERSION, key=p256_key, options=options)
    twice = signed_again(made, inspect_mcuboot([made]), ed25519_key)
    both = TrustPolicy(
        keys=[TrustedKey(p256_key.public_key, authority="a"), TrustedKey(ed25519_key.public_key, authority="b")],
        required=AllOf("a", "b"),
    )
    assert len(verify(both, [twice]).signers) == 2
    bare = create_mcuboot(b"body", version=VERSION, key=None, options=options)
    assert signed_again(bare, inspect_mcuboot([bare]), p256_key) == made
    for other in (KeyType.P384, KeyType.X25519):
        with pytest.raises(UsageError, match="sign no SHA-256 digests"):
            signed_again(made, inspect_mcuboot([made]), key_of(other))


def test_what_cannot_be_signed_again(ed25519_key, p256_key):
    pure = create_mcuboot(b"body", version=VERSION, key=ed25519_key, options=ImageOptions(is_pure=True))
    hidden = create_mcuboot(b"body", version=VERSION, key=None, options=ImageOptions(encryption=TO_ALL))
    damaged = bytearray(create_mcuboot(b"body", version=VERSION, key=None))
    damaged[33] ^= 1
    for image in (pure, hidden, bytes(damaged)):
        with pytest.raises(UsageError, match="another signature"):
            signed_again(image, inspect_mcuboot([image]), p256_key)
