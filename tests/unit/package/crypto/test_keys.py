"""Keys and signatures, and the border to cryptography."""

import hashlib
import inspect
import itertools
import subprocess

import pytest
from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, PublicKey, foreign, keys
from lwm2m_fota.package.crypto.keys import RsaNumbers, ecdsa_der, ecdsa_raw

# RFC 8032 section 7.1, test 2.
RFC8032_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC8032_PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
RFC8032_SIGNATURE = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
# RFC 6979 section A.2.5, P-256 with SHA-256, message "sample".
RFC6979_PRIVATE = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
RFC6979_R = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
RFC6979_S = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8


# RFC 6979 sections A.2.6 and A.2.7, with SHA-384 and SHA-512, message "sample"; RFC 8032 section 7.4, no message.
P384_PRIVATE = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5"
P384_R = "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
P384_S = "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
P521_PRIVATE = "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538"
P521_R = "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa"
P521_S = "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"
ED448_SEED = (
    "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b"
)
ED448_PUBLIC = (
    "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180"
)
ED448_SIGNATURE = "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600"

SIGNING = [KeyType.ED25519, KeyType.ED448, KeyType.P256, KeyType.P384, KeyType.P521, KeyType.RSA]
SEEDED = {"Ed25519": 32, "Ed448": 57, "X25519": 32, "P-256": 32, "P-384": 48, "P-521": 66}


@pytest.fixture(params=SIGNING, ids=lambda kind: kind.value)
def key(request, key_of):
    return key_of(request.param)


@pytest.fixture
def other(key, key_of, large_rsa_key):
    return large_rsa_key if key.type is KeyType.RSA else key_of(key.type, 7)


def test_an_ed25519_signature_is_that_of_the_rfc():
    key = PrivateKey.from_seed(KeyType.ED25519, bytes.fromhex(RFC8032_SEED))
    assert key.public_key.der == bytes.fromhex("302a300506032b6570032100" + RFC8032_PUBLIC)
    assert key.sign(b"\x72") == bytes.fromhex(RFC8032_SIGNATURE)
    assert key.public_key.verify(bytes.fromhex(RFC8032_SIGNATURE), b"\x72")


def test_an_ed448_signature_is_that_of_the_rfc():
    key = PrivateKey.from_seed(KeyType.ED448, bytes.fromhex(ED448_SEED))
    assert key.public_key.raw.hex() == ED448_PUBLIC
    assert key.sign(b"").hex() == ED448_SIGNATURE


def test_an_ecdsa_signature_is_that_of_the_rfc():
    key = PrivateKey.from_seed(KeyType.P256, bytes.fromhex(RFC6979_PRIVATE))
    der = bytes.fromhex(f"3046022100{RFC6979_R:064x}022100{RFC6979_S:064x}")
    assert key.sign(b"sample") == key.sign_digest(hashlib.sha256(b"sample").digest()) == der


@pytest.mark.parametrize(
    ("kind", "hashed", "private", "raw"),
    [
        (KeyType.P256, Hash.SHA256, RFC6979_PRIVATE, f"{RFC6979_R:064x}{RFC6979_S:064x}"),
        (KeyType.P384, Hash.SHA384, P384_PRIVATE, P384_R + P384_S),
        (KeyType.P521, Hash.SHA512, P521_PRIVATE, P521_R + P521_S),
    ],
)
def test_the_raw_form_of_ecdsa_is_that_of_the_rfc(kind, hashed, private, raw):
    key = PrivateKey.from_seed(kind, bytes.fromhex(private))
    signature = key.sign(b"sample", hashed)
    assert ecdsa_raw(signature, kind).hex() == raw
    assert ecdsa_der(bytes.fromhex(raw), kind) == signature
    assert key.sign_digest(hashed.digest(b"sample")) == signature
    assert key.public_key.verify(signature, b"sample", hashed)
    for length in (0, 1, len(raw) // 2 - 1, len(raw) // 2 + 1, len(raw) // 2 + 2):
        assert ecdsa_der(bytes(length), kind) is None


def test_the_test_keys_are_those_of_their_seeds(ed25519_key, p256_key):
    assert ed25519_key == PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
    assert p256_key == PrivateKey.from_seed(KeyType.P256, bytes(range(1, 33)))
    assert ed25519_key.public_key.key_hash.hex().startswith("a050837d85070582ccf7394b")
    assert p256_key.public_key.key_hash.hex().startswith("f1d59449b727165de732bf28")
    assert hashlib.sha512(ed25519_key.public_key.der).hexdigest().startswith("ef1791e20bdd754315724f86")


def test_a_signature_holds_for_its_message_and_key_only(key, other):
    public = key.public_key
    signature = key.sign(b"message")
    assert public.verify(signature, b"message")
    assert public.verify(signature, bytearray(b"message"))
    assert public.verify(signature, memoryview(b"a message")[2:])
    assert not public.verify(signature, b"massage")
    assert not public.verify(b"", b"message")
    assert not public.verify(signature + b"\0", b"message")
    assert not other.public_key.verify(signature, b"message")


@pytest.mark.parametrize("hashed", Hash)
def test_a_signature_of_a_digest_holds_for_that_digest_only(key, hashed):
    digest = hashed.digest(b"message")
    signature = key.sign_digest(digest)
    assert key.public_key.verify_digest(signature, digest)
    assert not key.public_key.verify_digest(signature, hashed.digest(b"massage"))
    assert not key.public_key.verify_digest(signature[:-1], digest)
    assert not key.public_key.verify_digest(signature, digest[:-1])


@pytest.mark.parametrize("hashed", Hash)
@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.P384, KeyType.P521, KeyType.RSA])
def test_a_signature_over_a_digest_is_one_over_its_message(key_of, kind, hashed):
    key = key_of(kind)
    digest = hashed.digest(b"message")
    assert key.public_key.verify(key.sign_digest(digest), b"message", hashed)
    assert key.public_key.verify_digest(key.sign(b"message", hashed), digest)
    for another in set(Hash) - {hashed}:
        assert not key.public_key.verify(key.sign(b"message", hashed), b"message", another)


def test_digests_have_a_length(key):
    for length in (0, 31, 33, 47, 65):
        with pytest.raises(UsageError, match="no digest"):
            key.sign_digest(bytes(length))


def test_signatures_are_deterministic_but_for_pss(key):
    assert (key.sign(b"message") == key.sign(b"message")) is (key.type is not KeyType.RSA)


def test_x25519_signs_and_verifies_nothing(key_of):
    key = key_of(KeyType.X25519)
    for sign in (lambda: key.sign(b"m"), lambda: key.sign_digest(bytes(32))):
        with pytest.raises(UsageError, match="cannot sign"):
            sign()
    assert not key.public_key.verify(bytes(64), b"m")
    assert not key.public_key.verify_digest(bytes(64), bytes(32))


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


@pytest.mark.parametrize(
    "native",
    [
        ec.derive_private_key(5, ec.SECP256K1()),
        x448.X448PrivateKey.from_private_bytes(bytes(56)),
    ],
)
def test_other_types_are_refused(native):
    pem = native.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(UsageError, match="supported"):
        PrivateKey.from_pem(pem)
    with pytest.raises(UsageError, match="supported"):
        PublicKey(native.public_key())


def test_rsa_keys_have_a_size():
    with pytest.raises(UsageError, match="RSA key of 1024 bits; 2048 to 8192"):
        PublicKey(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505 - what is refused


@pytest.mark.parametrize(("name", "length"), SEEDED.items())
def test_a_seed_has_a_length_and_comes_back(name, length):
    kind = KeyType(name)
    for wrong in (0, length - 1, length + 1):
        with pytest.raises(UsageError, match=f"{length} bytes"):
            PrivateKey.from_seed(kind, bytes(wrong))
    seed = b"\x01" * length
    assert PrivateKey.from_seed(kind, seed).seed == seed


def test_the_upper_bits_of_a_seed_of_p521_do_not_count():
    low = PrivateKey.from_seed(KeyType.P521, b"\x01" * 66)
    assert PrivateKey.from_seed(KeyType.P521, b"\xff" + b"\x01" * 65) == low
    assert low.seed == b"\x01" * 66


@pytest.mark.parametrize("kind", [KeyType.RSA, KeyType.SECRET])
def test_other_keys_have_no_seed(kind, rsa_key):
    with pytest.raises(UsageError, match="not made from a seed"):
        PrivateKey.from_seed(kind, bytes(32))
    with pytest.raises(UsageError, match="not made from a seed"):
        _ = rsa_key.seed


@pytest.mark.parametrize("seed", [bytes(32), b"\xff" * 32])
def test_a_seed_that_is_no_p256_number_is_refused(seed):
    with pytest.raises(UsageError, match="another"):
        PrivateKey.from_seed(KeyType.P256, seed)


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind.value in SEEDED])
def test_raw_public_keys_come_back(key_of, kind):
    public = key_of(kind).public_key
    assert PublicKey.from_raw(kind, public.raw) == public
    for wrong in (b"", public.raw[:-1], public.raw + b"\0"):
        with pytest.raises(UsageError, match="not a public"):
            PublicKey.from_raw(kind, wrong)


@pytest.mark.parametrize("kind", [KeyType.RSA, KeyType.SECRET])
def test_other_keys_have_no_raw_form(kind, rsa_key):
    with pytest.raises(UsageError, match="not a public"):
        PublicKey.from_raw(kind, bytes(32))
    with pytest.raises(UsageError, match="numbers"):
        _ = rsa_key.public_key.raw


def test_rsa_keys_have_numbers(rsa_key, p256_key):
    public = rsa_key.public_key
    assert PublicKey.from_rsa(*public.rsa_numbers) == public
    assert PrivateKey.from_rsa(rsa_key.rsa_numbers) == rsa_key
    assert public.rsa_numbers[1] == 65537
    assert str(rsa_key.rsa_numbers.d) not in repr(rsa_key.rsa_numbers)
    for use in (
        lambda: p256_key.public_key.rsa_numbers,
        lambda: p256_key.public_key.pkcs1,
        lambda: p256_key.rsa_numbers,
    ):
        with pytest.raises(UsageError, match="needs an RSA key"):
            use()
    with pytest.raises(UsageError, match="not the numbers"):
        PublicKey.from_rsa(public.rsa_numbers[0], 2)
    with pytest.raises(UsageError, match="not the numbers"):
        PrivateKey.from_rsa(RsaNumbers(1, 2, 3, 4, 5, 6, 7, 8))


def test_rsa_decrypts_what_was_encrypted_to_it(rsa_key, large_rsa_key, p256_key):
    encrypted = rsa_key.public_key.encrypt_oaep(b"a secret")
    assert rsa_key.decrypt_oaep(encrypted) == b"a secret"
    assert rsa_key.decrypt_oaep(encrypted[:-1]) is None
    assert rsa_key.decrypt_oaep(bytes(256)) is None
    assert large_rsa_key.decrypt_oaep(encrypted) is None
    assert p256_key.decrypt_oaep(encrypted) is None
    with pytest.raises(UsageError, match="too long"):
        rsa_key.public_key.encrypt_oaep(bytes(300))
    with pytest.raises(UsageError, match="needs an RSA key"):
        p256_key.public_key.encrypt_oaep(b"x")


@pytest.mark.parametrize("kind", [KeyType.X25519, KeyType.P256, KeyType.P384, KeyType.P521])
def test_two_keys_agree_on_a_secret(key_of, kind):
    one, other = key_of(kind), key_of(kind, 7)
    secret = one.agree(other.public_key)
    assert secret == other.agree(one.public_key)
    assert len(secret) == SEEDED[kind.value]
    assert secret != one.agree(one.public_key)


def test_keys_of_different_types_do_not_agree(key_of):
    for one, other in itertools.permutations(
        [KeyType.X25519, KeyType.P256, KeyType.P384, KeyType.ED25519, KeyType.RSA], 2
    ):
        assert key_of(one).agree(key_of(other).public_key) is None
    assert key_of(KeyType.ED25519).agree(key_of(KeyType.ED25519).public_key) is None


def test_a_public_key_that_leads_to_no_secret_is_noticed(key_of):
    assert key_of(KeyType.X25519).agree(PublicKey.from_raw(KeyType.X25519, bytes(32))) is None


FOREIGN = [
    *(kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)),
    OverflowError,
    ValueError,
    TypeError,
]


def test_the_list_of_foreign_exceptions_is_complete():
    assert len(FOREIGN) >= 10
    assert set(FOREIGN) == set(foreign.FOREIGN)


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_foreign_exception_leaves(kind, key, monkeypatch):
    def fail(*_args, **_options):
        raise kind("planted")

    key = PrivateKey.from_pem(key.to_pem())  # it is broken below, and the other is shared
    for name in ("load_pem_public_key", "load_der_public_key", "load_pem_private_key"):
        monkeypatch.setattr(keys.serialization, name, fail)
    monkeypatch.setattr(keys.ec, "derive_private_key", fail)
    monkeypatch.setattr(keys.ec.EllipticCurvePublicKey, "from_encoded_point", fail)
    monkeypatch.setattr(keys.rsa, "RSAPublicNumbers", fail)
    for read in (PublicKey.from_pem, PublicKey.from_der, PrivateKey.from_pem):
        with pytest.raises(UsageError):
            read(b"x")
    with pytest.raises(UsageError):
        PrivateKey.from_seed(KeyType.P256, bytes(32))
    with pytest.raises(UsageError):
        PublicKey.from_raw(KeyType.P256, b"\4")
    with pytest.raises(UsageError):
        PublicKey.from_rsa(1, 2)
    public = key.public_key
    for name in ("_check", "_check_digest"):
        object.__setattr__(public, name, fail)
    for name in ("_sign_message", "_sign_digest"):
        object.__setattr__(key, name, fail)
    assert not public.verify(b"s", b"m")
    assert not public.verify_digest(b"s", bytes(32))
    for sign in (lambda: key.sign(b"m"), lambda: key.sign_digest(bytes(32))):
        with pytest.raises(UsageError):
            sign()


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
    assert PrivateKey(native) == PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
