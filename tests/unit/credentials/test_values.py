"""Credentials and identities: their limits, and what they say of themselves."""

import pytest

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate, CredentialKind, Identity, PreSharedKey
from lwm2m_fota.errors import UsageError

KEY = Secret(b"k")


@pytest.mark.parametrize("identity", ["", "a" * 129, "ä" * 65, "a\0b", "\ud800"])
def test_what_cannot_be_a_psk_identity_is_refused(identity):
    with pytest.raises(UsageError):
        PreSharedKey(identity, KEY)


@pytest.mark.parametrize("identity", ["a", "a" * 128, "ä" * 64, "urn:imei:123"])
@pytest.mark.parametrize("key", [b"k", b"k" * 64])
def test_identities_and_keys_have_room(identity, key):
    assert PreSharedKey(identity, Secret(key)).kind is CredentialKind.PSK


def test_a_key_is_of_1_to_64_bytes():
    for key in (b"", b"k" * 65):
        with pytest.raises(UsageError):
            PreSharedKey("a", Secret(key))


def test_a_certificate_and_its_key_go_together():
    for parts in ({"chain_pem": b"x"}, {"key_pem": Secret(b"x")}):
        with pytest.raises(UsageError):
            Certificate(**parts)
    assert not Certificate().shows_one
    assert Certificate(chain_pem=b"x", key_pem=KEY).shows_one
    assert Certificate().kind is CredentialKind.CERTIFICATE


def test_an_identity_is_shown_by_its_kind_and_name():
    assert str(Identity.of_psk("device-1")) == "psk 'device-1'"
    assert Identity.of_psk("device-1").names == {"device-1"}
