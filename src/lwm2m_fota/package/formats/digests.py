"""What is signed in a SUIT envelope is no image: the digest of its manifest.

A signature of an envelope and one of an image are made by the same keys and look alike: a COSE message over some bytes.
Whoever has an envelope could hand out its signature as that of an image of a few bytes.
"""

from typing import Final

from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError
from lwm2m_fota.package.verdicts import Refusal, refusal_error

MAX_DIGEST_BYTES: Final = 80
"""The longest SUIT_Digest that is told from an image: SHA-512 takes 69 (draft-ietf-suit-manifest-37 section 10)."""

_MAX_ITEMS: Final = 8


def refuse_digest(start: bytes | bytearray, size_bytes: int) -> None:
    """Refuse an image that is a SUIT_Digest: an array of the number of a hash, and bytes.

    Args:
        start: its first bytes, `MAX_DIGEST_BYTES` of them where there are so many.
        size_bytes: its length.

    Raises:
        IntegrityError: it is one.
    """
    if size_bytes > MAX_DIGEST_BYTES:
        return
    try:
        item = cbor.loads(bytes(start), max_items=_MAX_ITEMS)
    except CborError:
        return
    match item:
        case [int(), bytes()]:
            raise refusal_error(Refusal.MALFORMED, "this is what was signed of a SUIT manifest, and no image")
        case _:
            return
