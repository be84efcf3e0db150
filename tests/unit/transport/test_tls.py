"""Contexts for TLS from credentials: what is refused, and that nothing stays on the disk."""

import ssl
import tempfile

import pytest
from cryptography.hazmat.primitives import serialization

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate
from lwm2m_fota.errors import UsageError
from lwm2m_fota.transport.tls import client_context, server_context


@pytest.fixture
def own(authority):
    signed = authority.sign("server", ["127.0.0.1"])
    return {"chain_pem": signed.chain, "key_pem": Secret(signed.key), "roots_pem": authority.certificate}


def test_contexts_are_for_tls_1_2_and_later_and_verify(own):
    client, server = client_context(Certificate(**own), ["coap"]), server_context(Certificate(**own), [], demand=True)
    for context in (client, server):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert client.check_hostname
    assert not client_context(Certificate(**own, check_host=False), []).check_hostname
    assert server_context(Certificate(**own), [], demand=False).verify_mode == ssl.CERT_NONE


def test_without_roots_the_system_is_believed(own):
    assert client_context(Certificate(), []).verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("spoil", ["key", "chain", "roots", "encrypted", "other"])
def test_what_cannot_be_used_is_told_without_its_key(own, authority, other_authority, spoil):
    bad = dict(own)
    match spoil:
        case "key":
            bad["key_pem"] = Secret(b"no key")
        case "chain":
            bad["chain_pem"] = b"no chain"
        case "roots":
            bad["roots_pem"] = "keine Wurzel, äöü".encode()
        case "encrypted":
            encrypted = authority.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"password"),
            )
            bad["key_pem"] = Secret(encrypted)
        case "other":
            bad["key_pem"] = Secret(other_authority.key)
    for make in (
        lambda: client_context(Certificate(**bad), []),
        lambda: server_context(Certificate(**bad), [], demand=True),
    ):
        with pytest.raises(UsageError) as caught:
            make()
        assert "PRIVATE" not in str(caught.value)


def test_a_server_needs_what_it_is_to_show_and_demand(own):
    with pytest.raises(UsageError):
        server_context(Certificate(roots_pem=own["roots_pem"]), [], demand=False)
    with pytest.raises(UsageError):
        server_context(Certificate(chain_pem=own["chain_pem"], key_pem=own["key_pem"]), [], demand=True)


def test_no_key_stays_on_the_disk(own, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    modes = []
    real = ssl.SSLContext.load_cert_chain

    def look(context, chain, key, **more):
        modes.append(tuple(path.stat().st_mode & 0o777 for path in (key, key.parent)))
        return real(context, chain, key, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look)
    client_context(Certificate(**own), [])
    assert modes == [(0o600, 0o700)]
    assert list(tmp_path.iterdir()) == []
