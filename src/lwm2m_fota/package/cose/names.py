"""The code points of COSE (RFC 9052, RFC 9053, RFC 9864, and the IANA registry of COSE)."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, final

import attrs

from lwm2m_fota.package.crypto import Algorithm, Hash, KeyType
from lwm2m_fota.package.crypto.content import ContentAlgorithm


@final
class CoseTag(IntEnum):
    """The CBOR tag of each kind of message (RFC 9052 section 2)."""

    ENCRYPT0 = 16
    MAC0 = 17
    SIGN1 = 18
    ENCRYPT = 96
    MAC = 97
    SIGN = 98


@final
class Label(IntEnum):
    """Header parameters (RFC 9052 section 3.1, RFC 9053 section 6.3)."""

    ALG = 1
    CRIT = 2
    CONTENT_TYPE = 3
    KID = 4
    IV = 5
    PARTIAL_IV = 6
    EPHEMERAL_KEY = -1
    STATIC_KEY = -2
    SALT = -20
    PARTY_U_IDENTITY = -21
    PARTY_U_NONCE = -22
    PARTY_U_OTHER = -23
    PARTY_V_IDENTITY = -24
    PARTY_V_NONCE = -25
    PARTY_V_OTHER = -26


UNDERSTOOD: Final = frozenset(Label)
"""What a critical header parameter may be."""


@final
class Alg(IntEnum):
    """Algorithms that are understood."""

    ES256 = -7
    ES384 = -35
    ES512 = -36
    ESP256 = -9
    ESP384 = -51
    ESP512 = -52
    EDDSA = -8
    ED25519 = -19
    ED448 = -53
    PS256 = -37
    PS384 = -38
    PS512 = -39
    HMAC_256_64 = 4
    HMAC_256 = 5
    HMAC_384 = 6
    HMAC_512 = 7
    A128GCM = 1
    A192GCM = 2
    A256GCM = 3
    CHACHA20_POLY1305 = 24
    A128CTR = -65534
    A192CTR = -65533
    A256CTR = -65532
    DIRECT = -6
    A128KW = -3
    A192KW = -4
    A256KW = -5
    ECDH_ES_A128KW = -29
    ECDH_ES_A192KW = -30
    ECDH_ES_A256KW = -31


@final
@attrs.frozen
class SignatureWay:
    """How a signature is made.

    Attributes:
        kind: the hash; of no account for EdDSA.
        bound: the types of key that belong to the algorithm, each with what the two together are.
        loose: further types with which RFC 9053 lets it be used.
        is_pure: whether the message itself is signed and not its hash.
    """

    kind: Hash
    bound: tuple[tuple[KeyType, Algorithm], ...]
    loose: tuple[KeyType, ...] = ()
    is_pure: bool = False


def _on(kind: Hash, curve: KeyType, algorithm: Algorithm) -> SignatureWay:
    return SignatureWay(kind, ((curve, algorithm),))


def _on_any_curve(kind: Hash, curve: KeyType, algorithm: Algorithm) -> SignatureWay:
    return SignatureWay(kind, ((curve, algorithm),), (KeyType.P256, KeyType.P384, KeyType.P521))


def _pure(*bound: tuple[KeyType, Algorithm]) -> SignatureWay:
    return SignatureWay(Hash.SHA512, bound, is_pure=True)


_ED25519: Final = (KeyType.ED25519, Algorithm.ED25519)
_ED448: Final = (KeyType.ED448, Algorithm.ED448)

SIGNATURES: Final[Mapping[int, SignatureWay]] = MappingProxyType(
    {
        Alg.ES256: _on_any_curve(Hash.SHA256, KeyType.P256, Algorithm.ECDSA_P256),
        Alg.ES384: _on_any_curve(Hash.SHA384, KeyType.P384, Algorithm.ECDSA_P384),
        Alg.ES512: _on_any_curve(Hash.SHA512, KeyType.P521, Algorithm.ECDSA_P521),
        Alg.ESP256: _on(Hash.SHA256, KeyType.P256, Algorithm.ECDSA_P256),
        Alg.ESP384: _on(Hash.SHA384, KeyType.P384, Algorithm.ECDSA_P384),
        Alg.ESP512: _on(Hash.SHA512, KeyType.P521, Algorithm.ECDSA_P521),
        Alg.EDDSA: _pure(_ED25519, _ED448),
        Alg.ED25519: _pure(_ED25519),
        Alg.ED448: _pure(_ED448),
        Alg.PS256: _on(Hash.SHA256, KeyType.RSA, Algorithm.PSS_SHA256),
        Alg.PS384: _on(Hash.SHA384, KeyType.RSA, Algorithm.PSS_SHA384),
        Alg.PS512: _on(Hash.SHA512, KeyType.RSA, Algorithm.PSS_SHA512),
    }
)
"""The signature algorithms."""


@final
@attrs.frozen
class MacWay:
    """How a code is made.

    Attributes:
        kind: the hash.
        tag_bytes: how long the code is.
        algorithm: what that is; None if the code is shortened.
    """

    kind: Hash
    tag_bytes: int
    algorithm: Algorithm | None


MACS: Final[Mapping[int, MacWay]] = MappingProxyType(
    {
        Alg.HMAC_256_64: MacWay(Hash.SHA256, 8, None),
        Alg.HMAC_256: MacWay(Hash.SHA256, 32, Algorithm.HMAC_SHA256),
        Alg.HMAC_384: MacWay(Hash.SHA384, 48, Algorithm.HMAC_SHA384),
        Alg.HMAC_512: MacWay(Hash.SHA512, 64, Algorithm.HMAC_SHA512),
    }
)
"""The algorithms of message authentication codes."""

CONTENT: Final[Mapping[int, ContentAlgorithm]] = MappingProxyType(
    {
        Alg.A128GCM: ContentAlgorithm.A128GCM,
        Alg.A192GCM: ContentAlgorithm.A192GCM,
        Alg.A256GCM: ContentAlgorithm.A256GCM,
        Alg.CHACHA20_POLY1305: ContentAlgorithm.CHACHA20_POLY1305,
        Alg.A128CTR: ContentAlgorithm.A128CTR,
        Alg.A192CTR: ContentAlgorithm.A192CTR,
        Alg.A256CTR: ContentAlgorithm.A256CTR,
    }
)
"""The algorithms that encrypt content."""

KEY_WRAPS: Final[Mapping[int, int]] = MappingProxyType({Alg.A128KW: 16, Alg.A192KW: 24, Alg.A256KW: 32})
"""AES key wrap: the length of the wrapping key in bytes."""

AGREEMENTS: Final[Mapping[int, int]] = MappingProxyType(
    {Alg.ECDH_ES_A128KW: Alg.A128KW, Alg.ECDH_ES_A192KW: Alg.A192KW, Alg.ECDH_ES_A256KW: Alg.A256KW}
)
"""Key agreement with an ephemeral key, and the key wrap that the agreed key is for."""


_SPELLED: Final = MappingProxyType(
    {
        Alg.EDDSA: "EdDSA",
        Alg.ED25519: "Ed25519",
        Alg.ED448: "Ed448",
        Alg.HMAC_256_64: "HMAC 256/64",
        Alg.HMAC_256: "HMAC 256/256",
        Alg.HMAC_384: "HMAC 384/384",
        Alg.HMAC_512: "HMAC 512/512",
        Alg.CHACHA20_POLY1305: "ChaCha20/Poly1305",
        Alg.DIRECT: "direct",
        Alg.ECDH_ES_A128KW: "ECDH-ES + A128KW",
        Alg.ECDH_ES_A192KW: "ECDH-ES + A192KW",
        Alg.ECDH_ES_A256KW: "ECDH-ES + A256KW",
    }
)


def alg_name(number: object) -> str:
    """The name of an algorithm as the registry of IANA has it, or what stands in its place."""
    if isinstance(number, int) and number in set(Alg):
        known = Alg(number)
        return _SPELLED.get(known, known.name)
    return repr(number)


@final
class KeyLabel(IntEnum):
    """Parameters of COSE_Key that all types share (RFC 9052 section 7.1)."""

    KTY = 1
    KID = 2
    ALG = 3
    KEY_OPS = 4
    BASE_IV = 5


@final
class Kty(IntEnum):
    """Types of COSE_Key."""

    OKP = 1
    EC2 = 2
    RSA = 3
    SYMMETRIC = 4


@final
class KeyOp(IntEnum):
    """What a COSE_Key may be used for (RFC 9052 section 7.1)."""

    SIGN = 1
    VERIFY = 2
    ENCRYPT = 3
    DECRYPT = 4
    WRAP = 5
    UNWRAP = 6
    DERIVE_KEY = 7
    DERIVE_BITS = 8
    MAC_CREATE = 9
    MAC_VERIFY = 10


COSE_CURVES: Final[Mapping[int, KeyType]] = MappingProxyType(
    {
        1: KeyType.P256,
        2: KeyType.P384,
        3: KeyType.P521,
        4: KeyType.X25519,
        6: KeyType.ED25519,
        7: KeyType.ED448,
    }
)
"""The numbers of curves (RFC 9053 section 7.1)."""
