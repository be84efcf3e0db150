"""Policies that cannot be met, or that anything meets, are refused where they are made."""

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.trust import Trust, UnknownTlv


def test_the_default_requires_a_signature(ed25519_key):
    trust = Trust(keys=(ed25519_key.public_key,))
    assert trust.require_signature
    assert trust.max_package_bytes == 67_108_864
    assert trust.expected_sha256 is None
    assert trust.minimum_security_counter is None
    assert trust.unknown_protected_tlv is UnknownTlv.REFUSE
    assert not trust.unsafe


@pytest.mark.parametrize("fields", [{}, {"expected_sha256": bytes(32)}, {"unsafe": True}])
def test_a_required_signature_needs_a_key(fields):
    with pytest.raises(UsageError, match="no key is trusted"):
        Trust(**fields)


def test_without_signature_a_digest_is_needed(ed25519_key):
    with pytest.raises(UsageError, match="unsafe_accept_unsigned"):
        Trust(require_signature=False)
    with pytest.raises(UsageError, match="unsafe_accept_unsigned"):
        Trust(require_signature=False, keys=(ed25519_key.public_key,))


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(64)])
def test_a_digest_has_32_bytes(digest):
    with pytest.raises(UsageError, match="32"):
        Trust.of_digest(digest)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_positive(limit):
    with pytest.raises(UsageError, match="positive"):
        Trust.unsafe_accept_unsigned(max_package_bytes=limit)


def test_a_digest_alone_is_a_policy():
    trust = Trust.of_digest(bytes(32), max_package_bytes=7)
    assert (trust.require_signature, trust.expected_sha256, trust.max_package_bytes) == (False, bytes(32), 7)
    assert not trust.unsafe


def test_the_unsafe_policy_says_so():
    trust = Trust.unsafe_accept_unsigned()
    assert trust.unsafe
    assert not trust.require_signature
    assert "unsafe=True" in repr(trust)


def test_a_policy_is_a_value(ed25519_key):
    trust = Trust(keys=(ed25519_key.public_key,))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        trust.require_signature = False
    with pytest.raises(UsageError):
        attrs.evolve(trust, require_signature=False)
