"""Contexts for TLS 1.2 and later, by the standard library, from credentials."""

import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.errors import UsageError

_FLAGS: Final = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
"""The same for all versions of Python: what is believed may be the other end's own certificate, and certificates of the
field that break a minor rule of RFC 5280 are taken."""


HAS_PSK: Final[bool] = getattr(ssl, "HAS_PSK", False)
"""Pre-shared keys: since Python 3.13, where its OpenSSL has them."""

PSK_SUITES: Final = "PSK-AES128-CCM8:PSK-AES128-GCM-SHA256:PSK-AES128-CBC-SHA256"


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


def psk_client_context(psk: PreSharedKey, protocols: Sequence[str]) -> ssl.SSLContext:
    """The context of a client with a pre-shared key; Python 3.13 and later.

    Raises:
        UsageError: this Python has none.
    """
    context: Any = _psk_context(ssl.PROTOCOL_TLS_CLIENT, protocols)
    context.set_psk_client_callback(lambda _hint: (psk.identity, psk.key.reveal()))
    return context  # type: ignore[no-any-return]  # what Python 3.11 knows nothing of


def psk_server_context(
    key_of: Callable[[str], Secret | None], proven: Callable[[str, Secret], None], protocols: Sequence[str]
) -> ssl.SSLContext:
    """The context of one connection of a server that knows its clients by pre-shared keys; Python 3.13 and later.

    Args:
        key_of: the key of an identity; None refuses it. Never raises.
        proven: told the identity whose key was given out, and that key: if the handshake ends well, the client has it.
        protocols: to be agreed on, for ALPN.

    Raises:
        UsageError: this Python has none.
    """

    def find(identity: str | None) -> bytes:
        key = None if identity is None else key_of(identity)
        if identity is None or key is None:
            return b""
        proven(identity, key)
        return key.reveal()

    context: Any = _psk_context(ssl.PROTOCOL_TLS_SERVER, protocols)
    context.set_psk_server_callback(find)
    return context  # type: ignore[no-any-return]


def _psk_context(protocol: int, protocols: Sequence[str]) -> ssl.SSLContext:
    if not HAS_PSK:
        raise UsageError("TLS with a pre-shared key needs Python 3.13 or later")
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{PSK_SUITES}:@SECLEVEL=0")  # CCM_8 counts as too weak above it
    context.set_alpn_protocols(protocols)
    return context
