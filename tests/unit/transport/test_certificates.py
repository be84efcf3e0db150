"""What is read from PEM, which certificates are weak, and the names in them."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.errors import UsageError
from lwm2m_fota.transport.certificates import identity_of, is_weak, read_certificates, read_private_key

SHA256_WITH_RSA, SHA1_WITH_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
START, END = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2026, 2036))
PKCS8 = serialization.PrivateFormat.PKCS8
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def test_all_certificates_of_a_text_are_read(authority, middle_authority):
    signed = middle_authority.sign("device-1")
    assert read_certificates(signed.chain) == [signed.x509, middle_authority.x509, authority.x509]


@pytest.mark.parametrize("cut", [0, 30, 200, -10])
def test_a_text_that_is_cut_is_refused(authority, cut):
    with pytest.raises(UsageError):
        read_certificates(authority.certificate[:cut])


def test_a_private_key_is_of_a_curve_or_rsa(authority):
    for options in ({}, {"rsa_bits": 2048}):
        signed = authority.sign("device-1", **options)
        key = read_private_key(Secret(signed.key))
        assert key.public_key() == signed.private.public_key()


def test_other_private_keys_are_refused_without_being_shown(authority):
    encrypted = authority.private.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"password"))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.NoEncryption())
    for pem in (encrypted, other, b"", authority.certificate, authority.key[:100]):
        with pytest.raises(UsageError) as caught:
            read_private_key(Secret(pem))
        assert "BEGIN" not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_short_keys_are_weak(authority):
    assert not is_weak(authority.sign("a").x509, 0)
    assert not is_weak(authority.sign("a", rsa_bits=2048).x509, 0)
    assert is_weak(authority.sign("a", rsa_bits=1024).x509, 0)
    assert is_weak(authority.sign("a", rsa_bits=1024).x509, 1)


def test_signatures_over_sha1_are_weak_but_on_a_root():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    root = x509.CertificateBuilder(name, name, key.public_key(), 1, START, END)
    der = root.sign(key, hashes.SHA256()).public_bytes(DER)
    old = x509.load_der_x509_certificate(der.replace(SHA256_WITH_RSA, SHA1_WITH_RSA))
    assert old.signature_hash_algorithm.name == "sha1"
    assert [is_weak(old, depth) for depth in (0, 1, 2)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "hosts", "names"),
    [
        ("device-1", (), {"device-1"}),
        (
            "device-1",
            ("a.example", "urn:dev:1", "192.0.2.1", "2001:db8::1"),
            {"device-1", "a.example", "urn:dev:1", "192.0.2.1", "2001:db8::1"},
        ),
    ],
)
def test_an_identity_has_the_names_in_its_certificate(authority, name, hosts, names):
    signed = authority.sign(name, hosts)
    identity = identity_of(signed.x509)
    assert (identity.name, identity.names) == (name, names)
    assert len(identity.fingerprint) == 32
    assert identity != identity_of(authority.sign(name, hosts).x509)


def test_a_certificate_without_names_is_named_by_its_fingerprint(authority):
    nameless = authority.sign(None, ())
    identity = identity_of(nameless.x509)
    assert identity.names == {identity.fingerprint.hex()}
