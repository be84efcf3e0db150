"""Opaque values in text: Base64 in plain text and OMA JSON, base64url without padding in SenML JSON (RFC 4648)."""

import base64

from lwm2m_fota.errors import ContentError

_FOUR = 4


def write_base64url(value: bytes) -> str:
    """With the URL-safe alphabet, the padding left out (RFC 8428 section 5)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def read_base64(text: str) -> bytes:
    """With either alphabet, padded or not: documents and clients disagree.

    Raises:
        ContentError: not Base64.
    """
    stripped = text.rstrip("=")
    padding = -len(stripped) % _FOUR
    if len(text) not in {len(stripped), len(stripped) + padding}:
        raise ContentError("Base64 with a wrong padding")
    try:
        return base64.b64decode(stripped.replace("-", "+").replace("_", "/") + "=" * padding, validate=True)
    except ValueError as error:  # binascii.Error is one, text that is not ASCII another
        raise ContentError(f"not Base64: {text[:32]!r}") from error
