"""MCUboot's own imgtool: its images verify here, ours verify there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.crypto import PrivateKey, PublicKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.identity import DNS_NAMESPACE, DeviceIdentity, uuid5
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Dependency
from lwm2m_fota.package.verifier import PackageVerifier

IMGTOOL = shutil.which("imgtool", path=str(Path(sys.executable).parent)) or shutil.which("imgtool")
VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "mcuboot"
SLOT_BYTES = 65536
BODY = bytes(range(256)) * 12

pytestmark = [pytest.mark.interop, pytest.mark.skipif(IMGTOOL is None, reason="imgtool is not installed")]


def imgtool(*arguments, check=True):
    assert IMGTOOL is not None
    return subprocess.run([IMGTOOL, *map(str, arguments)], check=check, capture_output=True, text=True, timeout=60)


@pytest.fixture(params=["ed25519", "p256"])
def pem(request):
    return VECTORS / f"TEST-ONLY-{request.param}.pem"


@pytest.fixture
def key(pem):
    return PrivateKey.from_pem(pem.read_bytes())


@pytest.fixture
def sign(tmp_path, pem):
    """Let imgtool sign BODY."""

    def make(*options, header_size=32, signed=True):
        (tmp_path / "body.bin").write_bytes(BODY)
        keys = ("-k", pem) if signed else ()
        imgtool(
            "sign", *keys, "-v", "1.2.3+4", "-H", header_size, "-S", SLOT_BYTES, "--pad-header", *options,
            tmp_path / "body.bin", tmp_path / "image.bin",
        )  # fmt: skip
        return (tmp_path / "image.bin").read_bytes()

    return make


def verify(trust, image, **limits):
    verifier = PackageVerifier(trust, formats=default_formats().with_format(McubootFormat(**limits)))
    verifier.feed(image)
    return verifier.finish()


@pytest.mark.parametrize("header_size", [32, 128, 512, 1024])
def test_its_images_verify_here(sign, key, header_size):
    image = sign(header_size=header_size)
    package = verify(TrustPolicy(keys=(key.public_key,)), image)
    assert (package.version, package.counters, package.dependencies) == ("1.2.3+4", (), ())
    assert package.signed_by == (key.public_key.key_hash,)
    assert image[header_size : header_size + len(BODY)] == BODY


def test_its_protected_records_are_read(sign, key):
    image = sign("--security-counter", "9", "-d", "(1, 1.0.0+0)(2, 3.4.5+6)", "--boot-record", "app")
    package = verify(TrustPolicy(keys=(key.public_key,)), image)
    assert [counter.value for counter in package.counters] == [9]
    assert package.dependencies == (
        Dependency(name="1", minimum_version="1.0.0"),
        Dependency(name="2", minimum_version="3.4.5+6"),
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--public-key-format", "full"),
        ("--security-counter", "auto"),
        ("--custom-tlv", "0x00a5", "mine"),
        ("--non-bootable",),
        ("-L", "0x20000000"),
        ("--align", "8", "--overwrite-only"),
    ],
)
def test_its_options_verify_here(sign, key, options):
    assert verify(TrustPolicy(keys=(key.public_key,)), sign(*options)).signed_by == (key.public_key.key_hash,)


def test_its_ids_are_those_of_our_identity(sign, key):
    vendor = uuid5(DNS_NAMESPACE, "example.com")
    image = sign("--vid", "example.com", "--cid", "thermostat")
    identity = DeviceIdentity(vendor_ids=(vendor,), class_ids=(uuid5(vendor, "thermostat"),))
    trust = TrustPolicy(keys=(key.public_key,), identity=identity)
    assert verify(trust, image).signed_by == (key.public_key.key_hash,)
    with pytest.raises(UnsupportedPackageError, match="wrong device"):
        verify(TrustPolicy(keys=(key.public_key,)), image)


@pytest.mark.parametrize("option", ["--pad", "--test", "--confirm"])
def test_its_padding_is_refused_unless_allowed(sign, key, option):
    image = sign(option)
    trust = TrustPolicy(keys=(key.public_key,))
    assert len(image) == SLOT_BYTES
    with pytest.raises(IntegrityError, match="max_trailing_bytes"):
        verify(trust, image)
    package = verify(trust, image, max_trailing_bytes=SLOT_BYTES)
    assert package.size_bytes == SLOT_BYTES
    assert package.components[0].length_bytes < SLOT_BYTES


def test_its_image_without_signature_needs_a_policy(sign, key):
    image = sign(signed=False)
    assert verify(UnsafeTrustPolicy(), image).signed_by == ()
    with pytest.raises(IntegrityError, match="unsigned"):
        verify(TrustPolicy(keys=(key.public_key,)), image)


@pytest.mark.parametrize("pem", [VECTORS / "TEST-ONLY-ed25519.pem"])
def test_its_ed25519_variants_verify_here(sign, key):
    trust = TrustPolicy(keys=(key.public_key,))
    assert verify(trust, sign("--sha", "512")).signed_by == (key.public_key.key_hash,)
    pure = sign("--pure")
    assert verify(trust, pure).signed_by == (key.public_key.key_hash,)
    with pytest.raises(PackageError, match="max_held_bytes"):
        verify(trust, pure, max_held_bytes=len(BODY))


@pytest.mark.parametrize("pem", [VECTORS / "TEST-ONLY-p256.pem"])
def test_its_encrypted_image_is_not_supported(sign, key, tmp_path):
    (tmp_path / "recipient.pem").write_bytes(key.public_key.to_pem())
    with pytest.raises(UnsupportedPackageError, match="encrypted"):
        verify(TrustPolicy(keys=(key.public_key,)), sign("-E", tmp_path / "recipient.pem"))


@pytest.mark.parametrize("header_size", [32, 512])
@pytest.mark.parametrize("protected", [False, True])
def test_our_images_verify_there(tmp_path, pem, key, header_size, protected):
    image = create_mcuboot(
        BODY,
        version=ImageVersion(1, 2, 3, 4),
        key=key,
        options=ImageOptions(
            header_size=header_size,
            security_counter=7 if protected else None,
            dependencies=(ImageDependency(1, ImageVersion(2, 0, 0)),) if protected else (),
        ),
    )
    (tmp_path / "image.bin").write_bytes(image)
    done = imgtool("verify", "-k", pem, tmp_path / "image.bin")
    assert "Image version: 1.2.3+4" in done.stdout
    assert "correctly validated" in done.stdout
    image = bytearray(image)
    image[header_size] ^= 1
    (tmp_path / "image.bin").write_bytes(image)
    assert imgtool("verify", "-k", pem, tmp_path / "image.bin", check=False).returncode != 0


def test_our_images_are_those_that_it_signs(sign, key, pem):
    """Byte for byte with Ed25519; with ECDSA but for the signature, which is random there."""
    theirs = sign("--security-counter", "7", "-d", "(1, 2.0.0+0)", header_size=64)
    ours = create_mcuboot(
        BODY,
        version=ImageVersion(1, 2, 3, 4),
        key=key,
        options=ImageOptions(
            header_size=64, security_counter=7, dependencies=(ImageDependency(1, ImageVersion(2, 0, 0)),)
        ),
    )
    if "ed25519" in pem.name:
        assert ours == theirs
    else:
        before_total = 64 + len(BODY) + 28 + 2
        assert ours[:before_total] == theirs[:before_total]


def test_its_keys_have_our_names(tmp_path, pem, key):
    done = imgtool("getpub", "-k", pem, "-e", "pem")
    assert PublicKey.from_pem(done.stdout.encode()) == key.public_key
