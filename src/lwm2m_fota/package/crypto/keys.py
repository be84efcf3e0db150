"""Public and private keys: read, written, and what they verify and sign."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self, final

import attrs
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils, x25519

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto.algorithms import HASH_OF_BYTES, Hash, KeyType
from lwm2m_fota.package.crypto.foreign import FOREIGN
from lwm2m_fota.package.crypto.signatures import Check, Data, NativePrivate, NativePublic, Sign, checks_of, signs_of

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Larger keys are refused: a verification must not take a device seconds."""

_CURVES: Final[Mapping[KeyType, ec.EllipticCurve]] = MappingProxyType(
    {KeyType.P256: ec.SECP256R1(), KeyType.P384: ec.SECP384R1(), KeyType.P521: ec.SECP521R1()}
)
_TYPE_OF_CURVE: Final = {curve.name: kind for kind, curve in _CURVES.items()}
_OKP_PUBLIC: Final = MappingProxyType(
    {
        KeyType.ED25519: ed25519.Ed25519PublicKey.from_public_bytes,
        KeyType.ED448: ed448.Ed448PublicKey.from_public_bytes,
        KeyType.X25519: x25519.X25519PublicKey.from_public_bytes,
    }
)
_OKP_PRIVATE: Final = MappingProxyType(
    {
        KeyType.ED25519: ed25519.Ed25519PrivateKey.from_private_bytes,
        KeyType.ED448: ed448.Ed448PrivateKey.from_private_bytes,
        KeyType.X25519: x25519.X25519PrivateKey.from_private_bytes,
    }
)
SEED_BYTES: Final[Mapping[KeyType, int]] = MappingProxyType(
    {
        KeyType.ED25519: 32,
        KeyType.ED448: 57,
        KeyType.X25519: 32,
        KeyType.P256: 32,
        KeyType.P384: 48,
        KeyType.P521: 66,
    }
)
"""The length of the seed of a private key, and with a curve of NIST that of a coordinate."""

CURVES: Final = frozenset(_CURVES)
"""The curves of NIST, for ECDSA and ECDH."""

_P521_BITS: Final = 521


def _key_type(native: object) -> KeyType:
    match native:
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            return KeyType.ED25519
        case ed448.Ed448PublicKey() | ed448.Ed448PrivateKey():
            return KeyType.ED448
        case x25519.X25519PublicKey() | x25519.X25519PrivateKey():
            return KeyType.X25519
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey() if native.curve.name in _TYPE_OF_CURVE:
            return _TYPE_OF_CURVE[native.curve.name]
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            if MIN_RSA_BITS <= native.key_size <= MAX_RSA_BITS:
                return KeyType.RSA
            raise UsageError(f"an RSA key of {native.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are supported")
        case _:
            raise UsageError("only Ed25519, Ed448, X25519, P-256, P-384, P-521 and RSA keys are supported")


@final
@attrs.frozen(init=False)
class PublicKey:
    """A key that verifies; made with `from_pem`, `from_der`, `from_raw`, `from_rsa` or `PrivateKey.public_key`.

    Attributes:
        type: what kind of key it is.
        der: its SubjectPublicKeyInfo in DER.
    """

    type: KeyType
    der: bytes
    _native: NativePublic = attrs.field(eq=False, repr=False)
    _check: Check = attrs.field(eq=False, repr=False)
    _check_digest: Check = attrs.field(eq=False, repr=False)

    def __init__(self, native: object) -> None:
        kind = _key_type(native)
        if not isinstance(native, NativePublic):
            raise UsageError("this is a private key; give its public key away, not the key itself")
        der = native.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.__attrs_init__(kind, der, native, *checks_of(native))

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """Read a public key in PEM.

        Raises:
            UsageError: it is none, or its type is not supported.
        """
        return cls(_load_public(data))

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """Read a SubjectPublicKeyInfo in DER.

        Raises:
            UsageError: it is none, or its type is not supported.
        """
        try:
            native = serialization.load_der_public_key(data)
        except FOREIGN as error:
            raise UsageError("not a public key in DER") from error
        return cls(native)

    @classmethod
    def from_raw(cls, kind: KeyType, data: bytes) -> Self:
        """Read the bytes of a public key without their wrapping.

        Args:
            kind: any type but RSA and secrets.
            data: the key of RFC 8032 or RFC 7748; with a curve of NIST, a point in the form of SEC 1 (first byte 02, 03
                or 04).

        Raises:
            UsageError: no key of this type.
        """
        try:
            if kind in _CURVES:
                return cls(ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], data))
            return cls(_OKP_PUBLIC[kind](data))
        except (*FOREIGN, KeyError) as error:
            raise UsageError(f"not a public {kind.value} key") from error

    @classmethod
    def from_rsa(cls, modulus: int, exponent: int) -> Self:
        """Make an RSA key of its numbers.

        Raises:
            UsageError: they are no RSA key, or of a size that is not supported.
        """
        try:
            native = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        except FOREIGN as error:
            raise UsageError("not the numbers of an RSA key") from error
        return cls(native)

    def to_pem(self) -> bytes:
        """The key in PEM."""
        return self._native.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def raw(self) -> bytes:
        """What `from_raw` takes: the uncompressed point of a curve of NIST, the bytes of the others.

        Raises:
            UsageError: RSA keys have no such form.
        """
        if self.type is KeyType.RSA:
            raise UsageError("an RSA key has numbers, see rsa_numbers")
        if self.type in _CURVES:
            encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        else:
            encoding, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return self._native.public_bytes(encoding, form)

    @property
    def rsa_numbers(self) -> tuple[int, int]:
        """Modulus and exponent of an RSA key.

        Raises:
            UsageError: another key.
        """
        numbers = _as_rsa(self._native).public_numbers()
        return numbers.n, numbers.e

    @property
    def pkcs1(self) -> bytes:
        """An RSA key in the DER of PKCS 1, by which MCUboot names it.

        Raises:
            UsageError: another key.
        """
        return _as_rsa(self._native).public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of `der`, 32 bytes: the name of the key."""
        return hashlib.sha256(self.der).digest()

    def verify(self, signature: bytes, message: Data, kind: Hash = Hash.SHA256) -> bool:
        """Whether a signature of `message` holds.

        Args:
            signature: of EdDSA as it is (64 or 114 bytes), of ECDSA in DER, of RSA-PSS with MGF1 of the same hash and a
                salt as long as its digests.
            message: what was signed.
            kind: the hash of ECDSA and RSA-PSS; EdDSA has its own.
        """
        try:
            self._check(signature, message, kind)
        except FOREIGN:
            return False
        return True

    def verify_digest(self, signature: bytes, digest: bytes) -> bool:
        """Whether a signature over a digest holds; the hash is the one that has digests of this length.

        With EdDSA the digest is the message, as in MCUboot's images.
        """
        kind = HASH_OF_BYTES.get(len(digest))
        if kind is None:
            return False
        try:
            self._check_digest(signature, digest, kind)
        except FOREIGN:
            return False
        return True

    def encrypt_oaep(self, secret: bytes) -> bytes:
        """Encrypt a short secret to an RSA key: OAEP with SHA-256, as MCUboot does.

        Raises:
            UsageError: another key, or the secret is too long.
        """
        try:
            return _as_rsa(self._native).encrypt(secret, _OAEP)
        except FOREIGN as error:
            raise UsageError("this is too long for the RSA key") from error


_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _as_rsa(native: NativePublic) -> rsa.RSAPublicKey:
    if not isinstance(native, rsa.RSAPublicKey):
        raise UsageError("this needs an RSA key")
    return native


def _load_public(data: bytes) -> object:
    try:
        return serialization.load_pem_public_key(data)
    except FOREIGN as error:
        hint = "; this is a private key, a verifier needs the public one" if b"PRIVATE KEY" in data else ""
        raise UsageError(f"not a public key in PEM{hint}") from error


@final
@attrs.frozen
class RsaNumbers:
    """The numbers of a private RSA key, in the order of COSE_Key (RFC 8230 section 4); never shown by `repr`.

    Attributes:
        n: the modulus.
        e: the public exponent.
        d: the private exponent.
        p: a factor.
        q: the other one.
        d_p: d mod (p - 1).
        d_q: d mod (q - 1).
        q_inv: the inverse of q modulo p.
    """

    n: int
    e: int
    d: int = attrs.field(repr=False)
    p: int = attrs.field(repr=False)
    q: int = attrs.field(repr=False)
    d_p: int = attrs.field(repr=False)
    d_q: int = attrs.field(repr=False)
    q_inv: int = attrs.field(repr=False)


@final
@attrs.frozen(init=False)
class PrivateKey:
    """A key that signs or decrypts; made with `from_pem` or `from_seed`. It is never shown by `repr`.

    Attributes:
        type: what kind of key it is.
        public_key: its public part.
    """

    type: KeyType
    public_key: PublicKey
    _native: NativePrivate = attrs.field(eq=False, repr=False)
    _sign_message: Sign = attrs.field(eq=False, repr=False)
    _sign_digest: Sign = attrs.field(eq=False, repr=False)

    def __init__(self, native: object) -> None:
        kind = _key_type(native)
        if not isinstance(native, NativePrivate):
            raise UsageError("this is a public key; only a private key signs")
        self.__attrs_init__(kind, PublicKey(native.public_key()), native, *signs_of(native))

    @classmethod
    def from_pem(cls, data: bytes, password: bytes | None = None) -> Self:
        """Read a private key in PEM.

        Raises:
            UsageError: it is none, the password is wrong or missing, or its type is not supported.
        """
        try:
            native = serialization.load_pem_private_key(data, password)
        except FOREIGN as error:
            raise UsageError("not a private key in PEM, or not with this password") from error
        return cls(native)

    @classmethod
    def from_seed(cls, kind: KeyType, seed: bytes) -> Self:
        """Make a key from secret random bytes, as many as `SEED_BYTES` says.

        They are the seed of RFC 8032, the key of RFC 7748, or the private number of a curve of NIST; of P-521 the upper
        7 bits do not count.

        Raises:
            UsageError: no key is made from a seed, another length, or not a private number of the curve (about one in
                2**32 of P-256 is none, and far fewer of the others: take another seed).
        """
        if kind not in SEED_BYTES:
            raise UsageError(f"{kind.value} keys are not made from a seed")
        if len(seed) != SEED_BYTES[kind]:
            raise UsageError(f"a seed of {kind.value} has {SEED_BYTES[kind]} bytes")
        if kind not in _CURVES:
            return cls(_OKP_PRIVATE[kind](seed))
        number = int.from_bytes(seed)
        if kind is KeyType.P521:
            number &= (1 << _P521_BITS) - 1
        try:
            native = ec.derive_private_key(number, _CURVES[kind])
        except FOREIGN as error:
            raise UsageError(f"this seed is not a {kind.value} private number; take another") from error
        return cls(native)

    def to_pem(self) -> bytes:
        """The key in PEM (PKCS 8), not encrypted: keep it where only its owner reads."""
        return self._native.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def seed(self) -> bytes:
        """What `from_seed` takes: secret.

        Raises:
            UsageError: RSA keys have none.
        """
        match self._native:
            case rsa.RSAPrivateKey():
                raise UsageError("RSA keys are not made from a seed")
            case ec.EllipticCurvePrivateKey() as native:
                return native.private_numbers().private_value.to_bytes(SEED_BYTES[self.type])
            case native:
                return native.private_bytes(
                    serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
                )

    @classmethod
    def from_rsa(cls, numbers: RsaNumbers) -> Self:
        """Make an RSA key of its numbers.

        Raises:
            UsageError: they are no RSA key, or of a size that is not supported.
        """
        public = rsa.RSAPublicNumbers(numbers.e, numbers.n)
        try:
            native = rsa.RSAPrivateNumbers(
                numbers.p, numbers.q, numbers.d, numbers.d_p, numbers.d_q, numbers.q_inv, public
            ).private_key()
        except FOREIGN as error:
            raise UsageError("not the numbers of an RSA key") from error
        return cls(native)

    @property
    def rsa_numbers(self) -> RsaNumbers:
        """The numbers of an RSA key: secret.

        Raises:
            UsageError: another key.
        """
        if not isinstance(self._native, rsa.RSAPrivateKey):
            raise UsageError("this needs an RSA key")
        private = self._native.private_numbers()
        public = private.public_numbers
        return RsaNumbers(public.n, public.e, private.d, private.p, private.q, private.dmp1, private.dmq1, private.iqmp)

    def sign(self, message: bytes, kind: Hash = Hash.SHA256) -> bytes:
        """Sign a message; see `PublicKey.verify` for the form. All but RSA-PSS is deterministic.

        Raises:
            UsageError: a key of X25519, or the OpenSSL below does not offer the algorithm.
        """
        try:
            return self._sign_message(message, kind)
        except FOREIGN as error:
            raise UsageError(f"a {self.type.value} key cannot sign this") from error

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign a digest; the hash is the one that has digests of this length. With EdDSA the digest is the message.

        Raises:
            UsageError: a digest of another length, a key of X25519, or the OpenSSL below does not offer the algorithm.
        """
        kind = HASH_OF_BYTES.get(len(digest))
        if kind is None:
            raise UsageError(f"no digest has {len(digest)} bytes")
        try:
            return self._sign_digest(digest, kind)
        except FOREIGN as error:
            raise UsageError(f"a {self.type.value} key cannot sign this") from error

    def agree(self, peer: PublicKey) -> bytes | None:
        """The secret that this key and the public key of another have in common (ECDH).

        None if the two are not of one type that agrees, or the peer's key is one of the few that lead to no secret.
        """
        native, other = self._native, peer._native  # noqa: SLF001 - a key of the same module
        try:
            match native, other:
                case ec.EllipticCurvePrivateKey(), ec.EllipticCurvePublicKey():
                    return native.exchange(ec.ECDH(), other)
                case x25519.X25519PrivateKey(), x25519.X25519PublicKey():
                    return native.exchange(other)
                case _:
                    return None
        except FOREIGN:
            return None

    def decrypt_oaep(self, data: bytes) -> bytes | None:
        """What was encrypted to an RSA key with OAEP and SHA-256; None if it was not for this key."""
        if not isinstance(self._native, rsa.RSAPrivateKey):
            return None
        try:
            return self._native.decrypt(data, _OAEP)
        except FOREIGN:
            return None


def ecdsa_der(signature: bytes, kind: KeyType) -> bytes | None:
    """A signature of ECDSA as COSE has it, r and s of equal length, in DER; None if its length is not of the curve."""
    size = SEED_BYTES[kind]
    if len(signature) != 2 * size:
        return None
    return utils.encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))


def ecdsa_raw(signature: bytes, kind: KeyType) -> bytes:
    """A signature of ECDSA in DER, of our own making, as r and s of equal length."""
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(SEED_BYTES[kind]) + s.to_bytes(SEED_BYTES[kind])
