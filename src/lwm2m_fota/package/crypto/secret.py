"""Secrets that both sides hold: for message authentication codes, key wrapping and content encryption."""

import hmac
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto.algorithms import Hash, KeyType

MIN_SECRET_BYTES: Final = 16
MAX_SECRET_BYTES: Final = 128


@final
@attrs.frozen
class SecretKey:
    """A symmetric key. It is never shown by `repr`.

    Attributes:
        secret: 16 to 128 bytes.

    Raises:
        UsageError: another length.
    """

    secret: bytes = attrs.field(repr=False, converter=bytes)

    def __attrs_post_init__(self) -> None:
        if not MIN_SECRET_BYTES <= len(self.secret) <= MAX_SECRET_BYTES:
            raise UsageError(f"a secret key has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")

    @property
    def type(self) -> KeyType:
        """A secret."""
        return KeyType.SECRET

    def mac(self, kind: Hash, data: bytes = b"") -> "hmac.HMAC":
        """A running HMAC (RFC 2104): `update`, `digest`."""
        return hmac.new(self.secret, data, kind.value.replace("-", ""))


def same(one: bytes, other: bytes) -> bool:
    """Compare digests, codes and the like in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one, other)
