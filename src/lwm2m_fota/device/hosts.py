"""Where a device goes for packages: an allow-list of hosts, for whatever URI it is given and wherever that leads on."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, Self, final

import attrs

from lwm2m_fota.coap.uri import DEFAULT_PORTS
from lwm2m_fota.errors import HostNotAllowedError, UsageError
from lwm2m_fota.machines.uri import MAX_PORT, authority_of

_PORTS: Final = {**DEFAULT_PORTS, "http": 80, "https": 443}
_ENTRY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")

_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-]+\.)*(?![0-9]+\.?\Z)[A-Za-z0-9_-]+\.?")  # the last label is no number


def _entries(texts: Iterable[str]) -> frozenset[tuple[str, int | None]]:
    if isinstance(texts, str):
        raise UsageError("allowed hosts are several texts, not one")
    return frozenset(map(_entry, texts))


def _entry(text: str) -> tuple[str, int | None]:
    match = _ENTRY.fullmatch(f"[{text}]" if text.count(":") > 1 and "[" not in text else text)
    port = None if match is None or match["port"] is None else int(match["port"])
    is_port = port is None or 0 < port <= MAX_PORT
    if match is None or not is_port or not (_address(match["host"]) or _NAME.fullmatch(match["host"])):
        raise UsageError(f"{text!r} is no HOST or HOST:PORT")
    return _plain(match["host"]), port


def _plain(host: str) -> str:
    """A host as it is compared: a name in lower case, an address in its shortest form."""
    return _address(host) or host.lower()


def _address(host: str) -> str | None:
    """An IP address in its shortest form, which for an IPv4 address mapped into IPv6 is that; None for a name."""
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return str(found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else str(found)


@final
@attrs.frozen
class AllowedHosts:
    """The hosts that a device fetches packages from, and no other.

    Attributes:
        hosts: each a name, or an IP address, as URIs have it: nothing is resolved to be compared, and no part of a name
            stands for others. Addresses are compared as addresses, however they are written. With a port (`HOST:PORT`,
            `[ADDRESS]:PORT`) only that one, else any.

    Raises:
        UsageError: one is neither.
    """

    hosts: frozenset[tuple[str, int | None]] = attrs.field(converter=_entries)

    @classmethod
    def of_server(cls, uri: str) -> Self:
        """The host of a management server alone, on any port.

        Raises:
            UsageError: the URI names no host.
        """
        found = authority_of(uri)
        if found is None:
            raise UsageError(f"{uri!r} names no host")
        return cls([found[1]])

    def check(self, uri: str) -> None:
        """Whether the device goes there.

        Args:
            uri: where it is sent: by a server, a manifest, or a redirect.

        Raises:
            HostNotAllowedError: it does not, or the URI names no host.
        """
        found = authority_of(uri)
        if found is None:
            raise HostNotAllowedError("a URI that names no host leads to none that is allowed")
        scheme, named, written = found
        plain, port = _plain(named), _PORTS.get(scheme) if written is None else written
        if (plain, None) in self.hosts or (plain, port) in self.hosts:
            return
        if any(host == plain for host, _ in self.hosts):
            raise HostNotAllowedError(
                f"{named} is allowed, but not at {'any port' if port is None else f'port {port}'}"
            )
        raise HostNotAllowedError(f"{named} is not among the allowed hosts")
