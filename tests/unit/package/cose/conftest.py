"""Keys and messages for the tests of COSE."""

import pytest

from lwm2m_fota.package.crypto import SecretKey
from lwm2m_fota.package.keyring import KeyRing, TrustedKey

KID = b"kid-1"


@pytest.fixture(scope="session")
def secret():
    return SecretKey(bytes(range(32)))


@pytest.fixture(scope="session")
def ring_of():
    """`ring_of(key, ...)` trusts keys under the id "kid-1"."""

    def make(*keys, **options):
        return KeyRing(tuple(TrustedKey(key, key_id=KID) for key in keys), **options)

    return make
