"""What is signed, authenticated or mixed into keys: CBOR arrays that never travel (RFC 9052 sections 4.4, 5.3, 6.3)."""

from typing import Final

_UP_TO_16: Final = 1 << 16
_UP_TO_32: Final = 1 << 32
_SHORT_HEADS: Final = (
    *(bytes((0x40 | size,)) for size in range(24)),
    *(bytes((0x58, size)) for size in range(24, 256)),
)


def bytes_head(size_bytes: int) -> bytes:
    """The head of a CBOR byte string of this length, in its shortest form."""
    if size_bytes < len(_SHORT_HEADS):
        return _SHORT_HEADS[size_bytes]
    if size_bytes < _UP_TO_16:
        return b"\x59" + size_bytes.to_bytes(2)
    if size_bytes < _UP_TO_32:
        return b"\x5a" + size_bytes.to_bytes(4)
    return b"\x5b" + size_bytes.to_bytes(8)


def _strings(context: bytes, *strings: bytes) -> bytes:
    parts = [context]
    for each in strings:
        parts += (bytes_head(len(each)), each)
    return b"".join(parts)


def sign1_prefix(protected: bytes, external_aad: bytes, payload_bytes: int) -> bytes:
    """What precedes the payload in the Sig_structure of a COSE_Sign1."""
    return _strings(b"\x84\x6aSignature1", protected, external_aad) + bytes_head(payload_bytes)


def sign_prefix(body_protected: bytes, protected: bytes, external_aad: bytes, payload_bytes: int) -> bytes:
    """What precedes the payload in the Sig_structure of one signature of a COSE_Sign."""
    return _strings(b"\x85\x69Signature", body_protected, protected, external_aad) + bytes_head(payload_bytes)


def mac0_prefix(protected: bytes, external_aad: bytes, payload_bytes: int) -> bytes:
    """What precedes the payload in the MAC_structure of a COSE_Mac0."""
    return _strings(b"\x84\x64MAC0", protected, external_aad) + bytes_head(payload_bytes)


def mac_prefix(protected: bytes, external_aad: bytes, payload_bytes: int) -> bytes:
    """What precedes the payload in the MAC_structure of a COSE_Mac."""
    return _strings(b"\x84\x63MAC", protected, external_aad) + bytes_head(payload_bytes)


def encrypt0_structure(protected: bytes, external_aad: bytes) -> bytes:
    """The Enc_structure of a COSE_Encrypt0: what is authenticated beside the content."""
    return _strings(b"\x83\x68Encrypt0", protected, external_aad)


def encrypt_structure(protected: bytes, external_aad: bytes) -> bytes:
    """The Enc_structure of a COSE_Encrypt."""
    return _strings(b"\x83\x67Encrypt", protected, external_aad)
