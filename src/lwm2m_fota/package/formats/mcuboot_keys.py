"""Which keys sign MCUboot images, how, and how images name them (SPEC section 16)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, final

import attrs

from lwm2m_fota.package.crypto import Algorithm, Hash, KeyType, PublicKey
from lwm2m_fota.package.formats.mcuboot_tlv import Tlv, TlvType


@final
@attrs.frozen
class KeyWay:
    """How keys of one type sign.

    Attributes:
        algorithm: what that is.
        digests: the digests of an image that they sign; the first is the usual one.
    """

    algorithm: Algorithm
    digests: tuple[Hash, ...]


KEY_WAYS: Final[Mapping[KeyType, KeyWay]] = MappingProxyType(
    {
        KeyType.ED25519: KeyWay(Algorithm.ED25519, (Hash.SHA256, Hash.SHA512)),
        KeyType.P256: KeyWay(Algorithm.ECDSA_P256, (Hash.SHA256,)),
        KeyType.P384: KeyWay(Algorithm.ECDSA_P384, (Hash.SHA384,)),
        KeyType.RSA: KeyWay(Algorithm.PSS_SHA256, (Hash.SHA256,)),
    }
)
"""The types of key that sign images."""

_RECORD_OF: Final[Mapping[KeyType, TlvType]] = MappingProxyType(
    {KeyType.ED25519: TlvType.ED25519, KeyType.P256: TlvType.ECDSA_SIG, KeyType.P384: TlvType.ECDSA_SIG}
)
_RECORD_OF_BITS: Final[Mapping[int, TlvType]] = MappingProxyType({2048: TlvType.RSA2048_PSS, 3072: TlvType.RSA3072_PSS})
SIGNATURE_RECORDS: Final = frozenset({*_RECORD_OF.values(), *_RECORD_OF_BITS.values()})
"""The records that hold a signature."""


def signature_record(key: PublicKey) -> TlvType | None:
    """The type of the record that holds its signatures; None if it signs no images."""
    if key.type is KeyType.RSA:
        return _RECORD_OF_BITS.get(key.rsa_numbers[0].bit_length())
    return _RECORD_OF.get(key.type)


def named_der(key: PublicKey) -> bytes:
    """The form of a key that images hold, or hold the hash of: PKCS 1 for RSA, else SubjectPublicKeyInfo."""
    return key.pkcs1 if key.type is KeyType.RSA else key.der


def is_named(key: PublicKey, name: Tlv) -> bool:
    """Whether a record names this key: by its hash, or by the key itself."""
    der = named_der(key)
    if name.type == TlvType.PUBKEY:
        return name.value == der
    return any(name.value == kind.digest(der) for kind in Hash if kind.size_bytes == len(name.value))
