"""The algorithms that are mandatory to implement, in sets (draft-ietf-suit-mti section 3).

All use SHA-256. HSS/LMS is a set too; its signatures are not supported here, and it is left out.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import (
    AgreedKey,
    CoseSigner,
    DirectKey,
    Encryption,
    Recipient,
    WrappedKey,
    encrypt,
)
from lwm2m_fota.package.cose.names import CONTENT, Alg
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.formats.suit.payloads import SUPP_PUB_OTHER


class _Algorithms(NamedTuple):
    """One set: how manifests are authenticated, how keys reach the device, and how payloads are encrypted."""

    authentication: Alg
    key_exchange: Alg
    content: Alg


@final
class SuitProfile(Enum):
    """A set of algorithms; its value is the name that it has in the draft, without "suit-sha256-"."""

    HMAC_A128KW_A128CTR = "hmac-a128kw-a128ctr"
    ESP256_ECDH_A128CTR = "esp256-ecdh-a128ctr"
    ED25519_ECDH_A128CTR = "ed25519-ecdh-a128ctr"
    ESP256_ECDH_A128GCM = "esp256-ecdh-a128gcm"
    ED25519_ECDH_CHACHA_POLY = "ed25519-ecdh-chacha-poly"

    def signer(self, key: PrivateKey | SecretKey, key_id: bytes | None = None) -> CoseSigner | DirectKey:
        """Who authenticates manifests with a key.

        Raises:
            UsageError: the key is not for the profile.
        """
        if isinstance(key, SecretKey) and _SETS[self].authentication is Alg.HMAC_256:
            return DirectKey(key=key, key_id=key_id)
        if isinstance(key, SecretKey) or _SETS[self].authentication is Alg.HMAC_256:
            raise UsageError(f"{self.value} with a {key.type.value} key")
        return CoseSigner(key=key, key_id=key_id, alg=_SETS[self].authentication)

    @property
    def secret_bytes(self) -> int:
        """The length of the key of a payload."""
        return CONTENT[_SETS[self].content].key_bytes

    @property
    def nonce_bytes(self) -> int:
        """The length of the nonce of a payload."""
        return CONTENT[_SETS[self].content].nonce_bytes

    def encryption(
        self,
        recipient: PublicKey | SecretKey,
        *,
        secret: bytes,
        nonce: bytes,
        ephemeral: PrivateKey | None = None,
        key_id: bytes | None = None,
    ) -> Encryption:
        """How a payload is encrypted for a device.

        Args:
            recipient: the key of the device.
            secret: the key of the payload, random, of `secret_bytes`.
            nonce: random, of `nonce_bytes`.
            ephemeral: a private key on the curve of a public recipient, made for this payload alone.
            key_id: the id by which the device knows its key.

        Raises:
            UsageError: a key is not for the profile.
        """
        algorithms = _SETS[self]
        way: Recipient
        if isinstance(recipient, SecretKey):
            if algorithms.key_exchange is not Alg.A128KW or len(recipient.secret) != _WRAPPING_BYTES:
                raise UsageError(f"{self.value} encrypts with no secret key of {len(recipient.secret)} bytes")
            way = WrappedKey(key=recipient, key_id=key_id)
        else:
            if algorithms.key_exchange is Alg.A128KW or ephemeral is None or recipient.type not in _AGREEING:
                raise UsageError(f"{self.value} encrypts with no {recipient.type.value} key")
            way = AgreedKey(key=recipient, ephemeral=ephemeral, key_id=key_id, supp_pub_other=SUPP_PUB_OTHER)
        return encrypt(secret, nonce, [way], alg=algorithms.content)


_WRAPPING_BYTES: Final = 16
_AGREEING: Final = frozenset({KeyType.P256, KeyType.X25519})
_SETS: Final[Mapping[SuitProfile, _Algorithms]] = MappingProxyType(
    {
        SuitProfile.HMAC_A128KW_A128CTR: _Algorithms(Alg.HMAC_256, Alg.A128KW, Alg.A128CTR),
        SuitProfile.ESP256_ECDH_A128CTR: _Algorithms(Alg.ESP256, Alg.ECDH_ES_A128KW, Alg.A128CTR),
        SuitProfile.ED25519_ECDH_A128CTR: _Algorithms(Alg.ED25519, Alg.ECDH_ES_A128KW, Alg.A128CTR),
        SuitProfile.ESP256_ECDH_A128GCM: _Algorithms(Alg.ESP256, Alg.ECDH_ES_A128KW, Alg.A128GCM),
        SuitProfile.ED25519_ECDH_CHACHA_POLY: _Algorithms(Alg.ED25519, Alg.ECDH_ES_A128KW, Alg.CHACHA20_POLY1305),
    }
)
