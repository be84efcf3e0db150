"""Keys and signatures, and the border to cryptography."""

import hashlib
import inspect
import subprocess

import pytest
from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package import crypto
from lwm2m_fota.package.crypto import KeyAlgorithm, PrivateKey, PublicKey

# RFC 8032 section 7.1, test 2.
RFC8032_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC8032_PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
RFC8032_SIGNATURE = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
# RFC 6979 section A.2.5, P-256 with SHA-256, message "sample".
RFC6979_PRIVATE = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
RFC6979_R = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
RFC6979_S = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8


@pytest.fixture(params=list(KeyAlgorithm))
def key(request):
    return PrivateKey.from_seed(request.param, bytes(range(1, 33)))


def test_an_ed25519_signature_is_that_of_the_rfc():
    key = PrivateKey.from_seed(KeyAlgorithm.ED25519, bytes.fromhex(RFC8032_SEED))
    assert key.public_key.der == bytes.fromhex("302a300506032b6570032100" + RFC8032_PUBLIC)
    assert key.sign(b"\x72") == key.sign_digest(b"\x72") == bytes.fromhex(RFC8032_SIGNATURE)
    assert key.public_key.verify(bytes.fromhex(RFC8032_SIGNATURE), b"\x72")


def test_an_ecdsa_signature_is_that_of_the_rfc():
    key = PrivateKey.from_seed(KeyAlgorithm.ECDSA_P256, bytes.fromhex(RFC6979_PRIVATE))
    der = bytes.fromhex(f"3046022100{RFC6979_R:064x}022100{RFC6979_S:064x}")
    assert key.sign(b"sample") == key.sign_digest(hashlib.sha256(b"sample").digest()) == der


def test_the_test_keys_are_those_of_their_seeds(ed25519_key, p256_key):
    assert ed25519_key == PrivateKey.from_seed(KeyAlgorithm.ED25519, bytes(range(32)))
    assert p256_key == PrivateKey.from_seed(KeyAlgorithm.ECDSA_P256, bytes(range(1, 33)))
    assert ed25519_key.public_key.key_hash.hex().startswith("a050837d85070582ccf7394b")
    assert p256_key.public_key.key_hash.hex().startswith("f1d59449b727165de732bf28")
    assert ed25519_key.public_key.key_hash_sha512.hex().startswith("ef1791e20bdd754315724f86")


def test_a_signature_holds_for_its_message_and_key_only(key):
    public = key.public_key
    signature = key.sign(b"message")
    assert public.verify(signature, b"message")
    assert not public.verify(signature, b"massage")
    assert not public.verify(b"", b"message")
    assert not public.verify(signature + b"\0", b"message")
    assert not PrivateKey.from_seed(key.algorithm, bytes([7] * 32)).public_key.verify(signature, b"message")


def test_a_signature_of_a_digest_holds_for_that_digest_only(key):
    digest = hashlib.sha256(b"message").digest()
    signature = key.sign_digest(digest)
    assert key.public_key.verify_digest(signature, digest)
    assert not key.public_key.verify_digest(signature, hashlib.sha256(b"massage").digest())
    assert not key.public_key.verify_digest(signature[:-1], digest)
    assert not key.public_key.verify_digest(signature, digest[:-1])


def test_ecdsa_over_a_digest_is_ecdsa_over_its_message(p256_key):
    digest = hashlib.sha256(b"message").digest()
    assert p256_key.public_key.verify(p256_key.sign_digest(digest), b"message")
    assert p256_key.public_key.verify_digest(p256_key.sign(b"message"), digest)


def test_ecdsa_signs_digests_of_32_bytes_only(p256_key):
    with pytest.raises(UsageError):
        p256_key.sign_digest(bytes(31))


def test_signatures_are_deterministic(key):
    assert key.sign(b"message") == key.sign(b"message")


def test_keys_go_to_pem_and_der_and_back(key):
    public = key.public_key
    assert PrivateKey.from_pem(key.to_pem()) == key
    assert PublicKey.from_pem(public.to_pem()) == public
    assert PublicKey.from_der(public.der) == public
    assert hash(PublicKey.from_der(public.der)) == hash(public)
    assert public.key_hash == hashlib.sha256(public.der).digest()


def test_an_encrypted_private_key_needs_its_password(key):
    native = serialization.load_pem_private_key(key.to_pem(), None)
    pem = native.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    assert PrivateKey.from_pem(pem, b"secret") == key
    for password in (None, b"guess"):
        with pytest.raises(UsageError, match="password"):
            PrivateKey.from_pem(pem, password)


def test_a_private_key_is_never_shown(key):
    native = serialization.load_pem_private_key(key.to_pem(), None)
    shown = repr(key)
    assert "native" not in shown
    assert repr(native) not in shown


def test_a_point_may_come_compressed(p256_key):
    native = serialization.load_der_public_key(p256_key.public_key.der)
    point = native.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    again = PublicKey(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    assert again == p256_key.public_key


def test_a_private_key_is_no_public_key(key):
    with pytest.raises(UsageError, match="private key, a verifier needs the public one"):
        PublicKey.from_pem(key.to_pem())
    with pytest.raises(UsageError, match="private"):
        PublicKey(serialization.load_pem_private_key(key.to_pem(), None))


def test_a_public_key_is_no_private_key(key):
    with pytest.raises(UsageError, match="not a private key in PEM"):
        PrivateKey.from_pem(key.public_key.to_pem())
    with pytest.raises(UsageError, match="public"):
        PrivateKey(serialization.load_pem_public_key(key.public_key.to_pem()))


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", b"\x30\x03abc"])
def test_what_is_no_key_is_refused(data):
    for read in (PublicKey.from_pem, PublicKey.from_der, PrivateKey.from_pem):
        with pytest.raises(UsageError):
            read(data)


@pytest.mark.parametrize("native", [ec.derive_private_key(5, ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_other_algorithms_are_refused(native):
    pem = native.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(UsageError, match="supported"):
        PrivateKey.from_pem(pem)
    with pytest.raises(UsageError, match="supported"):
        PublicKey(native.public_key())


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed):
    for algorithm in KeyAlgorithm:
        with pytest.raises(UsageError, match="32"):
            PrivateKey.from_seed(algorithm, seed)


@pytest.mark.parametrize("seed", [bytes(32), b"\xff" * 32])
def test_a_seed_that_is_no_p256_number_is_refused(seed):
    with pytest.raises(UsageError, match="another"):
        PrivateKey.from_seed(KeyAlgorithm.ECDSA_P256, seed)


FOREIGN = [
    *(kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)),
    ValueError,
    TypeError,
]


def test_the_list_of_foreign_exceptions_is_complete():
    assert len(FOREIGN) >= 9
    assert set(FOREIGN) == set(crypto._FOREIGN)


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_foreign_exception_leaves(kind, key, monkeypatch):
    def fail(*_args, **_options):
        raise kind("planted")

    class Native:
        verify = sign = fail

    for name in ("load_pem_public_key", "load_der_public_key", "load_pem_private_key"):
        monkeypatch.setattr(crypto.serialization, name, fail)
    monkeypatch.setattr(crypto.ec, "derive_private_key", fail)
    for read in (PublicKey.from_pem, PublicKey.from_der, PrivateKey.from_pem):
        with pytest.raises(UsageError):
            read(b"x")
    with pytest.raises(UsageError):
        PrivateKey.from_seed(KeyAlgorithm.ECDSA_P256, bytes(32))
    public = key.public_key
    object.__setattr__(public, "_native", Native())
    object.__setattr__(key, "_native", Native())
    assert not public.verify(b"s", b"m")
    assert not public.verify_digest(b"s", b"m")
    with pytest.raises(UsageError):
        key.sign(b"m")


def test_openssl_makes_the_same_keys(tmp_path, key):
    """The DER of a key, and so its hash, is what the usual tools write."""
    (tmp_path / "key.pem").write_bytes(key.to_pem())
    try:
        done = subprocess.run(
            ["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout", "-outform", "DER"],
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert PublicKey.from_der(done.stdout).der == done.stdout == key.public_key.der


def test_the_seed_of_ed25519_is_the_private_key():
    native = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert PrivateKey(native) == PrivateKey.from_seed(KeyAlgorithm.ED25519, bytes(range(32)))
