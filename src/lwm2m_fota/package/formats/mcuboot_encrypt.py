"""The keys of encrypted MCUboot images: AES key wrap, RSA-OAEP, and ECIES with P-256 or X25519 (SPEC section 16).

The body is encrypted with AES-CTR from a counter of zero under a key that is made for this image alone; a record behind
the image has that key, encrypted to the device. Digest and signature are those of the image before it was encrypted.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.names import KEY_WRAPS
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.crypto.content import ContentAlgorithm, ContentCipher
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.crypto.wrapping import derive, unwrap_key, wrap_key
from lwm2m_fota.package.formats.mcuboot_tlv import HeaderFlag, Tlv, TlvType
from lwm2m_fota.package.keyring import DecryptionKey

_NONCE: Final = bytes(16)
_INFO: Final = b"MCUBoot_ECIES_v1"
_CIPHERS: Final = {16: ContentAlgorithm.A128CTR, 32: ContentAlgorithm.A256CTR}
_FLAGS: Final = {16: HeaderFlag.ENCRYPTED_AES128, 32: HeaderFlag.ENCRYPTED_AES256}

ENCRYPTION_RECORDS: Final = frozenset(
    {TlvType.ENC_RSA2048, TlvType.ENC_KW, TlvType.ENC_EC256, TlvType.ENC_X25519, TlvType.ENC_X25519_SHA512}
)
"""The records that hold the key of an encrypted image."""

_RSA_BITS: Final = 2048


@final
@attrs.frozen
class _Ecies:
    """How a key is encrypted to a public key: agreed secret, HKDF, AES-CTR, HMAC."""

    kind: KeyType
    public_bytes: int
    hashed: Hash


_ECIES: Final[Mapping[int, _Ecies]] = MappingProxyType(
    {
        TlvType.ENC_EC256: _Ecies(KeyType.P256, 65, Hash.SHA256),
        TlvType.ENC_X25519: _Ecies(KeyType.X25519, 32, Hash.SHA256),
        TlvType.ENC_X25519_SHA512: _Ecies(KeyType.X25519, 32, Hash.SHA512),
    }
)
_WRAP_OF: Final = {size: number for number, size in KEY_WRAPS.items()}


def body_cipher(key: bytes) -> ContentCipher:
    """What encrypts and decrypts the body.

    Raises:
        UsageError: a key that has neither 16 nor 32 bytes.
    """
    if len(key) not in _CIPHERS:
        raise UsageError("the key of an encrypted image has 16 or 32 bytes")
    return ContentCipher(algorithm=_CIPHERS[len(key)], key=key, nonce=_NONCE)


def content_keys(records: Sequence[Tlv], key_bytes: int, keys: Sequence[DecryptionKey]) -> Iterator[bytes]:
    """The key of an image, from each record that one of the keys opens.

    Args:
        records: the unprotected records.
        key_bytes: how long the key is, as the header says.
        keys: those of the device.
    """
    for record in records:
        if record.type in ENCRYPTION_RECORDS:
            for known in keys:
                found = _open(record, key_bytes, known.key) if known.is_for(_alg_of(record, known.key)) else None
                if found is not None and len(found) == key_bytes:
                    yield found


def _alg_of(record: Tlv, key: PrivateKey | SecretKey) -> int | None:
    """How a record is encrypted for a key, as the number of COSE; None for ways that COSE does not have."""
    if record.type == TlvType.ENC_KW and isinstance(key, SecretKey):
        return _WRAP_OF.get(len(key.secret))
    return None


def _open(record: Tlv, key_bytes: int, key: PrivateKey | SecretKey) -> bytes | None:
    if record.type == TlvType.ENC_KW:
        return unwrap_key(key.secret, record.value) if isinstance(key, SecretKey) else None
    if isinstance(key, SecretKey):
        return None
    if record.type == TlvType.ENC_RSA2048:
        return key.decrypt_oaep(record.value)
    way = _ECIES[record.type]
    return _open_ecies(way, record.value, key_bytes, key) if way.kind is key.type else None


def _open_ecies(way: _Ecies, value: bytes, key_bytes: int, key: PrivateKey) -> bytes | None:
    mac_end = way.public_bytes + way.hashed.size_bytes
    public, mac, encrypted = value[: way.public_bytes], value[way.public_bytes : mac_end], value[mac_end:]
    try:
        ephemeral = PublicKey.from_raw(way.kind, public)
    except UsageError:
        return None
    shared = key.agree(ephemeral)
    if shared is None or len(encrypted) != key_bytes:
        return None
    cipher_key, mac_key = _derived(way, shared, key_bytes)
    if not same(SecretKey(mac_key).mac(way.hashed, encrypted).digest(), mac):
        return None
    return body_cipher(cipher_key).decrypt(encrypted)


def _derived(way: _Ecies, shared: bytes, key_bytes: int) -> tuple[bytes, bytes]:
    """The keys for AES-CTR and for HMAC."""
    derived = derive(shared, key_bytes + way.hashed.size_bytes, info=_INFO, kind=way.hashed)
    return derived[:key_bytes], derived[key_bytes:]


Recipient: TypeAlias = PublicKey | SecretKey


@final
@attrs.frozen(kw_only=True)
class ImageEncryption:
    """How an image that is made is encrypted.

    Attributes:
        content_key: 16 or 32 random bytes, made for this image alone.
        recipient: a public key of RSA with 2048 bits, P-256 or X25519, or a secret of 16, 24 or 32 bytes that wraps.
        ephemeral: with P-256 and X25519, a private key of the same type, made for this image alone.
        hashed: with X25519, SHA-256 or SHA-512.

    Raises:
        UsageError: a key of another length or type, or the ephemeral key is missing.
    """

    content_key: bytes = attrs.field(repr=False)
    recipient: Recipient
    ephemeral: PrivateKey | None = None
    hashed: Hash = Hash.SHA256

    def __attrs_post_init__(self) -> None:
        self.record()

    @property
    def cipher(self) -> ContentCipher:
        """What encrypts the body."""
        return body_cipher(self.content_key)

    @property
    def flag(self) -> HeaderFlag:
        """What the header says."""
        return _FLAGS[len(self.content_key)]

    def record(self) -> Tlv:
        """The record with the key.

        Raises:
            UsageError: a key of another length or type, or the ephemeral key is missing.
        """
        body_cipher(self.content_key)
        recipient = self.recipient
        if isinstance(recipient, SecretKey):
            return Tlv(TlvType.ENC_KW, wrap_key(recipient.secret, self.content_key))
        if recipient.type is KeyType.RSA:
            if recipient.rsa_numbers[0].bit_length() != _RSA_BITS:
                raise UsageError(f"images are encrypted to RSA keys of {_RSA_BITS} bits")
            return Tlv(TlvType.ENC_RSA2048, recipient.encrypt_oaep(self.content_key))
        for kind, way in _ECIES.items():
            if way.kind is recipient.type and way.hashed is self.hashed:
                return Tlv(kind, self._ecies(way, recipient))
        raise UsageError(f"images are not encrypted to {recipient.type.value} keys with {self.hashed.value}")

    def _ecies(self, way: _Ecies, recipient: PublicKey) -> bytes:
        shared = None if self.ephemeral is None else self.ephemeral.agree(recipient)
        if shared is None or self.ephemeral is None:
            raise UsageError(f"an ephemeral {way.kind.value} key is needed")
        cipher_key, mac_key = _derived(way, shared, len(self.content_key))
        encrypted = body_cipher(cipher_key).encrypt(self.content_key)
        mac = SecretKey(mac_key).mac(way.hashed, encrypted).digest()
        return self.ephemeral.public_key.raw + mac + encrypted
