"""Contexts for TLS 1.2 and later, by the standard library, from credentials."""

import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lwm2m_fota.credentials.values import Certificate
from lwm2m_fota.errors import UsageError

_FLAGS: Final = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
"""The same for all versions of Python: what is believed may be the other end's own certificate, and certificates of the
field that break a minor rule of RFC 5280 are taken."""


def client_context(certificate: Certificate, protocols: Sequence[str]) -> ssl.SSLContext:
    """The context of a client.

    Args:
        certificate: whom to believe, and what to show if the server asks.
        protocols: to be offered, for ALPN (RFC 7301).

    Raises:
        UsageError: a certificate or its key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = certificate.check_host
    if certificate.roots_pem is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_roots(context, certificate.roots_pem)
    if certificate.shows_one:
        _load_own(context, certificate)
    return _finished(context, protocols)


def server_context(certificate: Certificate, protocols: Sequence[str], *, demand: bool) -> ssl.SSLContext:
    """The context of a server.

    Args:
        certificate: what to show, and the authorities of the clients.
        protocols: to be agreed on, for ALPN.
        demand: let in only who shows a certificate of these authorities.

    Raises:
        UsageError: the certificate or its key cannot be used, or a certificate is demanded and no authority is given.
    """
    if not certificate.shows_one or (demand and not certificate.roots_pem):
        raise UsageError("a server needs a certificate with its key, and to demand one the authorities of its clients")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_own(context, certificate)
    if demand and certificate.roots_pem:
        _load_roots(context, certificate.roots_pem)
        context.verify_mode = ssl.CERT_REQUIRED
    return _finished(context, protocols)


def _finished(context: ssl.SSLContext, protocols: Sequence[str]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = _FLAGS
    context.set_alpn_protocols(protocols)
    return context


def _load_roots(context: ssl.SSLContext, roots_pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise UsageError("the certificates of the authorities cannot be read (PEM)") from None


def _load_own(context: ssl.SSLContext, certificate: Certificate) -> None:
    """The standard library reads from files alone: these are there for a moment, in a folder of our own."""
    with tempfile.TemporaryDirectory(prefix="lwm2m-fota-") as name:
        chain, key = Path(name, "chain.pem"), Path(name, "key.pem")
        chain.write_bytes(certificate.chain_pem)
        key.touch(0o600)
        key.write_bytes(certificate.key_pem.reveal())
        try:
            context.load_cert_chain(chain, key, password=_no_password)
        except (ssl.SSLError, ValueError, OSError):
            raise UsageError("the certificate or its private key cannot be used (PEM, not encrypted)") from None


def _no_password() -> str:
    raise ValueError("an encrypted key is not used")
