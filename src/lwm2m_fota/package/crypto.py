"""Keys and signatures: the only import of cryptography.

No exception of cryptography leaves this module. Nothing here draws randomness: keys are made from a seed that the
caller brings, and ECDSA signatures are deterministic (RFC 6979).
"""

import hashlib
from enum import Enum
from typing import Final, Self, TypeAlias, final

import attrs
from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from lwm2m_fota.errors import UsageError

SHA256_BYTES: Final = 32
SEED_BYTES: Final = 32

_Public: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
_Private: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

# All that cryptography raises for bytes, keys or algorithms that it does not take.
_FOREIGN: Final = (
    exceptions.AlreadyFinalized,
    exceptions.AlreadyUpdated,
    exceptions.InternalError,
    exceptions.InvalidKey,
    exceptions.InvalidSignature,
    exceptions.InvalidTag,
    exceptions.NotYetFinalized,
    exceptions.UnsupportedAlgorithm,
    TypeError,
    ValueError,
)
_OVER_MESSAGE: Final = ec.ECDSA(hashes.SHA256())
_OVER_DIGEST: Final = ec.ECDSA(Prehashed(hashes.SHA256()))


@final
class KeyAlgorithm(Enum):
    """The signature algorithms that are understood here."""

    ED25519 = "Ed25519"
    ECDSA_P256 = "ECDSA P-256"


def _algorithm(native: object) -> KeyAlgorithm:
    match native:
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            return KeyAlgorithm.ED25519
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return KeyAlgorithm.ECDSA_P256
        case _:
            raise UsageError("only Ed25519 and ECDSA P-256 keys are supported")


@final
@attrs.frozen(init=False)
class PublicKey:
    """A key that verifies; made with `from_pem`, `from_der` or `PrivateKey.public_key`.

    Attributes:
        algorithm: what its signatures are.
        der: its SubjectPublicKeyInfo in DER.
    """

    algorithm: KeyAlgorithm
    der: bytes
    _native: _Public = attrs.field(eq=False, repr=False)

    def __init__(self, native: object) -> None:
        algorithm = _algorithm(native)
        if not isinstance(native, _Public):
            raise UsageError("this is a private key; give its public key away, not the key itself")
        der = native.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.__attrs_init__(algorithm, der, native)

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """Read a public key in PEM.

        Raises:
            UsageError: it is none, or its algorithm is not supported.
        """
        return cls(_load_public(data))

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """Read a SubjectPublicKeyInfo in DER.

        Raises:
            UsageError: it is none, or its algorithm is not supported.
        """
        try:
            native = serialization.load_der_public_key(data)
        except _FOREIGN as error:
            raise UsageError("not a public key in DER") from error
        return cls(native)

    def to_pem(self) -> bytes:
        """The key in PEM."""
        return self._native.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of `der`, 32 bytes: the name of the key."""
        return hashlib.sha256(self.der).digest()

    @property
    def key_hash_sha512(self) -> bytes:
        """SHA-512 of `der`, 64 bytes: its name in MCUboot images that use SHA-512."""
        return hashlib.sha512(self.der).digest()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether a signature of `message` holds: Ed25519 (64 bytes), or ECDSA (DER) over SHA-256."""
        try:
            if isinstance(self._native, ed25519.Ed25519PublicKey):
                self._native.verify(signature, message)
            else:
                self._native.verify(signature, message, _OVER_MESSAGE)
        except _FOREIGN:
            return False
        return True

    def verify_digest(self, signature: bytes, digest: bytes) -> bool:
        """Whether a signature over a digest holds: Ed25519 with the digest as message, or ECDSA over these 32 bytes."""
        if isinstance(self._native, ed25519.Ed25519PublicKey):
            return self.verify(signature, digest)
        try:
            self._native.verify(signature, digest, _OVER_DIGEST)
        except _FOREIGN:
            return False
        return True


def _load_public(data: bytes) -> object:
    try:
        return serialization.load_pem_public_key(data)
    except _FOREIGN as error:
        hint = "; this is a private key, a verifier needs the public one" if b"PRIVATE KEY" in data else ""
        raise UsageError(f"not a public key in PEM{hint}") from error


@final
@attrs.frozen(init=False)
class PrivateKey:
    """A key that signs; made with `from_pem` or `from_seed`. It is never shown by `repr`.

    Attributes:
        algorithm: what its signatures are.
        public_key: the key that verifies them.
    """

    algorithm: KeyAlgorithm
    public_key: PublicKey
    _native: _Private = attrs.field(eq=False, repr=False)

    def __init__(self, native: object) -> None:
        algorithm = _algorithm(native)
        if not isinstance(native, _Private):
            raise UsageError("this is a public key; only a private key signs")
        self.__attrs_init__(algorithm, PublicKey(native.public_key()), native)

    @classmethod
    def from_pem(cls, data: bytes, password: bytes | None = None) -> Self:
        """Read a private key in PEM.

        Raises:
            UsageError: it is none, the password is wrong or missing, or its algorithm is not supported.
        """
        try:
            native = serialization.load_pem_private_key(data, password)
        except _FOREIGN as error:
            raise UsageError("not a private key in PEM, or not with this password") from error
        return cls(native)

    @classmethod
    def from_seed(cls, algorithm: KeyAlgorithm, seed: bytes) -> Self:
        """Make a key from 32 secret random bytes: the Ed25519 seed, or the P-256 private number.

        Raises:
            UsageError: not 32 bytes, or not a P-256 private number (about one in 2**32 is none: take another seed).
        """
        if len(seed) != SEED_BYTES:
            raise UsageError(f"a seed has {SEED_BYTES} bytes")
        if algorithm is KeyAlgorithm.ED25519:
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
        try:
            native = ec.derive_private_key(int.from_bytes(seed), ec.SECP256R1())
        except _FOREIGN as error:
            raise UsageError("this seed is not a P-256 private number; take another") from error
        return cls(native)

    def to_pem(self) -> bytes:
        """The key in PEM (PKCS 8), not encrypted: keep it where only its owner reads."""
        return self._native.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, message: bytes) -> bytes:
        """Sign a message: Ed25519 (64 bytes), or deterministic ECDSA (DER) over SHA-256.

        Raises:
            UsageError: the OpenSSL below does not offer the algorithm.
        """
        return self._sign(message, prehashed=False)

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign a digest: Ed25519 with the digest as message, or deterministic ECDSA (DER) over these 32 bytes.

        Raises:
            UsageError: a digest of another length for ECDSA, or the OpenSSL below does not offer the algorithm.
        """
        return self._sign(digest, prehashed=True)

    def _sign(self, data: bytes, *, prehashed: bool) -> bytes:
        try:
            if isinstance(self._native, ed25519.Ed25519PrivateKey):
                return self._native.sign(data)
            digest = Prehashed(hashes.SHA256()) if prehashed else hashes.SHA256()
            return self._native.sign(data, ec.ECDSA(digest, deterministic_signing=True))
        except _FOREIGN as error:
            raise UsageError("this cannot be signed") from error
