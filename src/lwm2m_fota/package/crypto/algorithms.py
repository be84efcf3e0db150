"""The words of cryptography that policies and formats share: keys, hashes, and algorithms that authenticate."""

import hashlib
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, final

if TYPE_CHECKING:
    import _hashlib

    HashContext: TypeAlias = _hashlib.HASH


@final
class KeyType(Enum):
    """What a key is: a curve, RSA, or a secret that both sides hold."""

    ED25519 = "Ed25519"
    ED448 = "Ed448"
    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    RSA = "RSA"
    X25519 = "X25519"
    SECRET = "secret"  # noqa: S105 - a word

    __hash__ = object.__hash__  # members are one of a kind; that of Enum is written in Python


@final
class Hash(Enum):
    """A hash of the SHA-2 family."""

    SHA256 = "SHA-256"
    SHA384 = "SHA-384"
    SHA512 = "SHA-512"

    __hash__ = object.__hash__  # as above

    @property
    def size_bytes(self) -> int:
        """The length of its digests: 32, 48 or 64."""
        return _HASH_BYTES[self]

    def new(self, data: bytes = b"") -> "HashContext":
        """A running hash: `update`, `digest`, `copy`."""
        return _NEW[self](data)

    def digest(self, data: bytes) -> bytes:
        """The digest of some bytes."""
        return _NEW[self](data).digest()


_HASH_BYTES: Final = {Hash.SHA256: 32, Hash.SHA384: 48, Hash.SHA512: 64}
_NEW: Final = {Hash.SHA256: hashlib.sha256, Hash.SHA384: hashlib.sha384, Hash.SHA512: hashlib.sha512}
HASH_OF_BYTES: Final[Mapping[int, Hash]] = MappingProxyType({size: each for each, size in _HASH_BYTES.items()})
"""The hash whose digests have this length."""


@final
class Algorithm(Enum):
    """An algorithm that authenticates, with everything that belongs to it: a policy allows some of them."""

    ED25519 = "Ed25519"
    ED448 = "Ed448"
    ECDSA_P256 = "ECDSA P-256 SHA-256"
    ECDSA_P384 = "ECDSA P-384 SHA-384"
    ECDSA_P521 = "ECDSA P-521 SHA-512"
    PSS_SHA256 = "RSA-PSS SHA-256"
    PSS_SHA384 = "RSA-PSS SHA-384"
    PSS_SHA512 = "RSA-PSS SHA-512"
    HMAC_SHA256 = "HMAC SHA-256"
    HMAC_SHA384 = "HMAC SHA-384"
    HMAC_SHA512 = "HMAC SHA-512"


ALGORITHMS: Final[Mapping[Algorithm, tuple[KeyType, Hash | None]]] = MappingProxyType(
    {
        Algorithm.ED25519: (KeyType.ED25519, None),
        Algorithm.ED448: (KeyType.ED448, None),
        Algorithm.ECDSA_P256: (KeyType.P256, Hash.SHA256),
        Algorithm.ECDSA_P384: (KeyType.P384, Hash.SHA384),
        Algorithm.ECDSA_P521: (KeyType.P521, Hash.SHA512),
        Algorithm.PSS_SHA256: (KeyType.RSA, Hash.SHA256),
        Algorithm.PSS_SHA384: (KeyType.RSA, Hash.SHA384),
        Algorithm.PSS_SHA512: (KeyType.RSA, Hash.SHA512),
        Algorithm.HMAC_SHA256: (KeyType.SECRET, Hash.SHA256),
        Algorithm.HMAC_SHA384: (KeyType.SECRET, Hash.SHA384),
        Algorithm.HMAC_SHA512: (KeyType.SECRET, Hash.SHA512),
    }
)
"""The type of key and the hash of each algorithm; the hash of EdDSA is its own affair."""
