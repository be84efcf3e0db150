"""Wrapped and derived keys."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Hash, foreign
from lwm2m_fota.package.crypto import wrapping as module
from lwm2m_fota.package.crypto.wrapping import derive, unwrap_key, wrap_key

BYTES = bytes(range(32))
# RFC 3394 sections 4.1 and 4.6.
RFC3394 = [
    (16, "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
    (
        32,
        "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    ),
]


@pytest.mark.parametrize(("size", "key", "wrapped"), RFC3394)
def test_keys_are_wrapped_as_in_the_rfc(size, key, wrapped):
    assert wrap_key(BYTES[:size], bytes.fromhex(key)).hex() == wrapped
    assert unwrap_key(BYTES[:size], bytes.fromhex(wrapped)).hex() == key


def test_another_key_or_another_byte_is_noticed():
    wrapped = wrap_key(BYTES[:16], BYTES)
    assert unwrap_key(BYTES[1:17], wrapped) is None
    for at in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[at] ^= 1
        assert unwrap_key(BYTES[:16], bytes(changed)) is None
    for length in range(len(wrapped)):
        assert unwrap_key(BYTES[:16], wrapped[:length]) is None
    assert unwrap_key(b"short", wrapped) is None


@pytest.mark.parametrize("length", [0, 8, 17])
def test_what_is_no_key_is_not_wrapped(length):
    with pytest.raises(UsageError, match="16, 24 or 32"):
        wrap_key(BYTES, bytes(length))
    with pytest.raises(UsageError, match="16, 24 or 32"):
        wrap_key(bytes(15), BYTES)


def test_keys_are_derived_as_in_the_rfc():
    """RFC 5869 sections A.1 and A.3."""
    secret = b"\x0b" * 22
    assert derive(secret, 42, info=bytes(range(0xF0, 0xFA)), salt=bytes(range(13))).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert derive(secret, 42, info=b"").hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
    assert derive(secret, 42, info=b"", kind=Hash.SHA512) != derive(secret, 42, info=b"")


@pytest.mark.parametrize("kind", [*foreign.FOREIGN, module.InvalidUnwrap])
def test_no_foreign_exception_leaves(kind, monkeypatch):
    def fail(*_args):
        raise kind("planted")

    monkeypatch.setattr(module, "aes_key_unwrap", fail)
    assert unwrap_key(BYTES, BYTES) is None
