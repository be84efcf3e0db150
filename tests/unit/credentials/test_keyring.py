"""Which credential serves which origin."""

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate, CredentialKind, PreSharedKey
from lwm2m_fota.errors import MissingCredentialError
from lwm2m_fota.model.enums import UpdateResult

PSK_ONLY = {CredentialKind.PSK}
CERTIFICATE_ONLY = {CredentialKind.CERTIFICATE}
ANY = {CredentialKind.PSK, CredentialKind.CERTIFICATE}


def psk(name):
    return PreSharedKey(name, Secret(b"key of " + name.encode()))


MANAGEMENT = Held(Origin("coaps", "192.0.2.1", 5684), psk("management"))


def test_the_management_credential_serves_its_own_origin():
    assert Keyring([MANAGEMENT]).find(Origin("coaps", "192.0.2.1", 5684), ANY) == psk("management")


@pytest.mark.parametrize(
    "origin", [Origin("coaps", "192.0.2.1", 5685), Origin("coaps+tcp", "192.0.2.1", 5684)], ids=str
)
def test_it_serves_other_ports_and_schemes_of_the_same_host(origin):
    assert Keyring([MANAGEMENT]).find(origin, ANY) == psk("management")


def test_the_same_origin_goes_before_the_same_host_and_that_before_any():
    exact, host, anywhere = (
        Held(Origin("coaps", "192.0.2.1", 5685), psk("exact")),
        Held(Origin("coaps", "192.0.2.1", 1), psk("host")),
        Held(None, psk("anywhere")),
    )
    ring = Keyring([anywhere, host, exact])
    assert ring.find(Origin("coaps", "192.0.2.1", 5685), ANY) == psk("exact")
    assert ring.find(Origin("coaps", "192.0.2.1", 5686), ANY) == psk("host")
    assert ring.find(Origin("coaps", "192.0.2.9", 5685), ANY) == psk("anywhere")


def test_of_two_that_fit_equally_the_first_is_taken():
    given = Held(Origin("coaps", "192.0.2.1", 5684), psk("given"))
    assert Keyring([given, MANAGEMENT]).find(Origin("coaps", "192.0.2.1", 5684), ANY) == psk("given")


def test_what_a_protocol_cannot_use_is_passed_over():
    certificate = Certificate(roots_pem=b"roots")
    ring = Keyring([MANAGEMENT, Held(Origin("https", "192.0.2.1", 443), certificate)])
    assert ring.find(Origin("coaps", "192.0.2.1", 5684), CERTIFICATE_ONLY) == certificate
    assert ring.serves(CERTIFICATE_ONLY)
    assert not Keyring([MANAGEMENT]).serves(CERTIFICATE_ONLY)


@pytest.mark.parametrize(
    ("ring", "origin", "kinds", "words"),
    [
        (
            Keyring([MANAGEMENT]),
            Origin("coaps", "198.51.100.7", 5684),
            ANY,
            (
                "no credential for coaps://198.51.100.7:5684: it needs a pre-shared key or a certificate; "
                "there is a pre-shared key for coaps://192.0.2.1:5684"
            ),
        ),
        (
            Keyring([MANAGEMENT]),
            Origin("https", "192.0.2.1", 443),
            CERTIFICATE_ONLY,
            (
                "no credential for https://192.0.2.1:443: it needs a certificate; "
                "there is a pre-shared key for coaps://192.0.2.1:5684"
            ),
        ),
        (
            Keyring(),
            Origin("coaps", "2001:db8::1", 5684),
            PSK_ONLY,
            "no credential for coaps://[2001:db8::1]:5684: it needs a pre-shared key; there is none",
        ),
        (
            Keyring(),
            Origin("coaps+tcp", "a", 1),
            (),
            "no credential for coaps+tcp://a:1: it needs what this build lacks; there is none",
        ),
    ],
)
def test_a_missing_credential_is_result_9_and_named(ring, origin, kinds, words):
    with pytest.raises(MissingCredentialError) as caught:
        ring.find(origin, kinds)
    assert str(caught.value) == words
    assert caught.value.result == UpdateResult(9)
