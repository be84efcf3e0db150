"""What the tests of SUIT share; `suit_forge` makes envelopes by hand."""

import sys
from pathlib import Path

import pytest

from lwm2m_fota.package.crypto import PrivateKey, SecretKey
from lwm2m_fota.package.keyring import TrustedKey
from lwm2m_fota.package.trust import TrustPolicy

sys.path.insert(0, str(Path(__file__).parent))  # test modules are no package: this lets them import `suit_forge`

from suit_forge import SIGNER


@pytest.fixture(scope="session")
def trust():
    return TrustPolicy(keys=[SIGNER.public_key])


@pytest.fixture(scope="session")
def published(spec):
    """Trust in the keys that the drafts publish."""
    key = PrivateKey.from_pem((spec / "vectors/suit/private_key.pem").read_bytes()).public_key
    return TrustPolicy(keys=[key, TrustedKey(SecretKey(b"a" * 32), key_id=b"drafts")])


@pytest.fixture(scope="session")
def examples(spec, vectors_module):
    """The envelopes of the drafts by their names; of several in one file, the last is the whole one."""
    return dict(vectors_module.suit_envelopes(spec / "vectors"))
