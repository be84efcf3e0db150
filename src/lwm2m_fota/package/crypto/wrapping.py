"""How a content key reaches those who may have it: AES key wrap (RFC 3394) and HKDF (RFC 5869)."""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto.algorithms import Hash
from lwm2m_fota.package.crypto.foreign import FOREIGN

_HASHES: Final = {Hash.SHA256: hashes.SHA256(), Hash.SHA384: hashes.SHA384(), Hash.SHA512: hashes.SHA512()}


def wrap_key(wrapping: bytes, key: bytes) -> bytes:
    """Wrap a key of 16, 24 or 32 bytes: 8 bytes more.

    Raises:
        UsageError: a key of another length.
    """
    try:
        return aes_key_wrap(wrapping, key)
    except FOREIGN as error:
        raise UsageError("keys of AES have 16, 24 or 32 bytes") from error


def unwrap_key(wrapping: bytes, wrapped: bytes) -> bytes | None:
    """The key that was wrapped; None if it was not wrapped with this one, or was changed since."""
    try:
        return aes_key_unwrap(wrapping, wrapped)
    except (*FOREIGN, InvalidUnwrap):
        return None


def derive(
    secret: bytes, size_bytes: int, *, info: bytes, salt: bytes | None = None, kind: Hash = Hash.SHA256
) -> bytes:
    """HKDF: bytes of a key from a shared secret."""
    return HKDF(algorithm=_HASHES[kind], length=size_bytes, salt=salt, info=info).derive(secret)
