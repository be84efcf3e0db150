"""Keys and messages for the tests of COSE."""

import importlib.util

import pytest

from lwm2m_fota.package.crypto import SecretKey
from lwm2m_fota.package.keyring import KeyRing, TrustedKey

KID = b"kid-1"


@pytest.fixture(scope="session")
def vectors_module(root):
    """`docs/vectors.py`: what comes of the vectors, as it goes into the documentation."""
    found = importlib.util.spec_from_file_location("vectors", root / "docs" / "vectors.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def secret():
    return SecretKey(bytes(range(32)))


@pytest.fixture(scope="session")
def ring_of():
    """`ring_of(key, ...)` trusts keys under the id "kid-1"."""

    def make(*keys, **options):
        return KeyRing(tuple(TrustedKey(key, key_id=KID) for key in keys), **options)

    return make
