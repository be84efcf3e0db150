"""Images that are made here."""

import hashlib

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import KeyAlgorithm, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import McubootBuilder, create_mcuboot, mcuboot_parts
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import Dependency
from lwm2m_fota.package.verifier import PackageVerifier

VERSION = ImageVersion(1, 2, 3, 4)


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
        header_size=512,
        security_counter=7,
        dependencies=(ImageDependency(1, ImageVersion(1, 0, 0)),),
    )
    assert made == vector("ed25519.bin")


def test_the_unsigned_vector_is_made_again(vector):
    assert create_mcuboot(vector("payload.bin"), version=ImageVersion(0, 9, 0), key=None) == vector("nosig.bin")


def test_the_p256_vector_is_made_again_but_for_its_random_signature(vector, p256_key):
    made = create_mcuboot(vector("payload.bin"), version=VERSION, key=p256_key, header_size=512)
    assert made[:814] == vector("p256.bin")[:814]
    assert made[816:888] == vector("p256.bin")[816:888]
    assert made == create_mcuboot(vector("payload.bin"), version=VERSION, key=p256_key, header_size=512)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
@pytest.mark.parametrize("body", [b"", b"x", bytes(1000)])
def test_what_is_made_verifies(algorithm, body):
    key = PrivateKey.from_seed(algorithm, b"\x11" * 32)
    made = create_mcuboot(
        body,
        version=VERSION,
        key=key,
        header_size=100,
        security_counter=0,
        dependencies=(ImageDependency(0, VERSION), ImageDependency(255, ImageVersion(0, 0, 1))),
    )
    package = verify(Trust(keys=(key.public_key,)), [made])
    assert package.version == "1.2.3+4"
    assert package.security_counter == 0
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

    package = verify(Trust(keys=(ed25519_key.public_key,)), parts())
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
        {"body_bytes": -1},
        {"body_bytes": 1 << 32},
        {"security_counter": -1},
        {"security_counter": 1 << 32},
        {"dependencies": (ImageDependency(256, VERSION),)},
    ],
)
def test_numbers_out_of_range_are_a_mistake_of_the_caller(fields):
    with pytest.raises(UsageError):
        McubootBuilder(**{"body_bytes": 3, "version": VERSION, **fields})


def test_a_body_may_come_as_a_view(ed25519_key):
    builder = McubootBuilder(body_bytes=4, version=VERSION)
    builder.feed(memoryview(b"body"))
    assert builder.header + b"body" + builder.trailer(ed25519_key) == create_mcuboot(
        b"body", version=VERSION, key=ed25519_key
    )
