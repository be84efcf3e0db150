"""Which transport a scheme needs, on both sides. Each is imported when it is needed, and says which extra it needs."""
# ruff: noqa: PLC0415 - see above

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from lwm2m_fota.cli.options import Listener
from lwm2m_fota.cli.security import Credentials
from lwm2m_fota.coap.uri import parse_uri
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate
from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.errors import UsageError
from lwm2m_fota.server.ports import PackageHost
from lwm2m_fota.server.publications import BlockServed
from lwm2m_fota.transport.base import DatagramTransport
from lwm2m_fota.transport.udp import UdpTransport

WEB: Final = ("http", "https")
"""The schemes of packages alone."""


class WebHost(PackageHost, AbstractAsyncContextManager["WebHost"], Protocol):
    """A host of packages that listens by itself."""

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port where it listens."""
        ...


# -- the side that listens


def listening(at: Listener, credentials: Credentials, store: CredentialStore) -> DatagramTransport:
    """A transport for a scheme of CoAP.

    Raises:
        UsageError: nobody could be let in with these credentials, or they cannot be used.
        MissingExtraError: a library is not installed.
    """
    if at.scheme == "coap":
        return UdpTransport(at.host, at.port)
    if at.scheme == "coaps":
        from lwm2m_fota.transport.dtls import DtlsTransport

        shown = _shown(at.scheme, credentials)
        return DtlsTransport(UdpTransport(at.host, at.port), store=store, certificate=shown)
    from lwm2m_fota.transport.tcp import TcpTransport

    if at.scheme == "coap+tcp":
        return TcpTransport(at.host, at.port)
    return TcpTransport(at.host, at.port, secure=True, store=store, certificate=_shown_over_tls(at.scheme, credentials))


def _shown(scheme: str, credentials: Credentials) -> Certificate | None:
    """The certificate of the server, if it knows whom to believe; a key alone needs none."""
    certificate = credentials.certificate
    if certificate is not None and certificate.shows_one and certificate.roots_pem:
        return certificate
    if credentials.psk is None:
        raise UsageError(f"{scheme} lets in who has the pre-shared key, or shows a certificate: --cert, --key and --ca")
    return None


def _shown_over_tls(scheme: str, credentials: Credentials) -> Certificate | None:
    """Over TLS a listener takes the one or the other: the key, where it can, as devices do."""
    from lwm2m_fota.transport.tls import HAS_PSK

    return None if credentials.psk is not None and HAS_PSK else _shown(scheme, credentials)


def web_host(
    at: Listener,
    credentials: Credentials,
    store: CredentialStore,
    *,
    advertise_host: Callable[[], str | None],
    on_block: Callable[[BlockServed], None],
) -> WebHost:
    """A host of packages over HTTP or HTTPS; with authorities to believe, for those alone who show a certificate.

    Raises:
        UsageError: there is no certificate to show, or it cannot be used.
        MissingExtraError: a library is not installed.
    """
    from lwm2m_fota.web.host import HttpPackageHost

    certificate = credentials.certificate if at.scheme == "https" else None
    if at.scheme == "https" and (certificate is None or not certificate.shows_one):
        raise UsageError("https shows a certificate: --cert and --key")
    return HttpPackageHost(
        at.host,
        at.port,
        certificate=certificate,
        demand_certificate=certificate is not None and bool(certificate.roots_pem),
        store=store,
        advertise_host=advertise_host,
        on_block=on_block,
    )


# -- the side that connects


def any_address_towards(server: str) -> str:
    """The wildcard address of the family in which a server is reached; IPv4 if that cannot be told now."""
    host = parse_uri(server).host
    for family, wildcard in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - it sends first
        try:
            socket.getaddrinfo(host, None, family=family)
        except (OSError, ValueError):
            continue
        return wildcard
    return "0.0.0.0"  # noqa: S104


def connecting(scheme: str, local: str, keyring: Keyring) -> DatagramTransport:
    """A transport for a scheme of CoAP.

    Args:
        scheme: what is spoken.
        local: the address to send from, where a datagram needs one.
        keyring: what to prove.

    Raises:
        UsageError: the scheme cannot be spoken with these credentials.
        MissingExtraError: a library is not installed.
    """
    if scheme == "coap":
        return UdpTransport(local)
    if scheme == "coaps":
        from lwm2m_fota.transport.dtls import DtlsTransport

        return DtlsTransport(UdpTransport(local), keyring=keyring)
    from lwm2m_fota.transport.tcp import TcpTransport
    from lwm2m_fota.transport.tls import HAS_PSK

    transport = TcpTransport(None, secure=scheme == "coaps+tcp", keyring=keyring)
    if not transport.can_connect:
        older = "" if HAS_PSK else "; with a pre-shared key it needs Python 3.13"
        raise UsageError(f"{scheme} cannot be spoken with the credentials that are given{older}")
    return transport


def web_fetchers(schemes: Iterable[str], credentials: Credentials, keyring: Keyring) -> Sequence[PackageFetcher]:
    """What fetches over HTTP and HTTPS, if one of them is wanted.

    Without a certificate it believes whom the system believes.

    Raises:
        MissingExtraError: a library is not installed.
    """
    if not set(schemes) & set(WEB):
        return ()
    from lwm2m_fota.web.fetcher import HttpFetcher

    return (HttpFetcher(keyring if credentials.certificate is not None else Keyring([Held(None, Certificate())])),)
