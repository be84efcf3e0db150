"""CoAP URIs, and how they become options (RFC 7252 section 6, RFC 8323 section 8; syntax: RFC 3986)."""

import ipaddress
import re
from typing import Final, final
from urllib.parse import quote, unquote_to_bytes

import attrs

from lwm2m_fota.coap.message import Options
from lwm2m_fota.coap.numbers import DEFAULT_PORT, DEFAULT_SECURE_PORT, Option
from lwm2m_fota.errors import InvalidUriError, UnsupportedProtocolError

MAX_URI_BYTES: Final = 255  # Object 5 resource 1, Package URI: a string of 0..255 bytes
MAX_SEGMENT_BYTES: Final = 255  # Uri-Host, one Uri-Path, one Uri-Query (RFC 7252 section 5.10)
MAX_PORT: Final = 0xFFFF

DEFAULT_PORTS: Final = {
    "coap": DEFAULT_PORT,
    "coaps": DEFAULT_SECURE_PORT,
    "coap+tcp": DEFAULT_PORT,
    "coaps+tcp": DEFAULT_SECURE_PORT,
}
_HOSTED: Final = frozenset({*DEFAULT_PORTS, "http", "https"})  # schemes whose URIs must name a host

_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#\[\]]*)(?:\?(?P<query>[^#\[\]]*))?(?:#(?P<fragment>[^#\[\]]*))?"
)
_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_AUTHORITY: Final = re.compile(
    r"(?:(?P<user>[^@]*)@)?(?P<host>\[(?P<literal>[0-9A-Fa-f:.]+)\]|[^@:\[\]]*)(?::(?P<port>[0-9]{0,5}))?"
)
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x20\x7f/?#\[\]@:\\%]")
_SEGMENT_SAFE: Final = "!$&'()*+,;=:@"
_QUERY_SAFE: Final = "!$'()*+,;=:@/?"


@final
@attrs.frozen(slots=True)
class CoapUri:
    """A CoAP URI in its parts, decoded and normalised; `str` gives the text again.

    Attributes:
        scheme: coap, coaps, coap+tcp or coaps+tcp.
        host: a lower-case name or an IP address; an IPv6 address without brackets.
        port: 1..65535; the scheme's default if the text names none.
        path: the segments; empty for the root. A trailing slash is a last segment that is empty.
        query: the arguments, as between ampersands.

    Raises:
        InvalidUriError: a part is out of range or cannot be carried in options.
        UnsupportedProtocolError: another scheme.
    """

    scheme: str
    host: str
    port: int
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.scheme not in DEFAULT_PORTS:
            raise UnsupportedProtocolError(f"not a CoAP scheme: {self.scheme}")
        if not self.host or (_NOT_IN_NAMES.search(self.host) and not self.is_address):
            raise InvalidUriError("no host, or not a host name")
        if not 1 <= self.port <= MAX_PORT:
            raise InvalidUriError(f"port {self.port} is not in 1..{MAX_PORT}")
        if self.path == ("",):
            raise InvalidUriError("the root has no segments")
        if "." in self.path or ".." in self.path:
            raise InvalidUriError("the path is not resolved: it has a dot segment")
        for part in (self.host, *self.path, *self.query):
            if len(part.encode()) > MAX_SEGMENT_BYTES:
                raise InvalidUriError(f"a host, path segment or query argument has at most {MAX_SEGMENT_BYTES} bytes")

    @property
    def is_address(self) -> bool:
        """True if the host is an IP address, not a name."""
        return _is_ipv4(self.host) or _is_ipv6(self.host)

    @property
    def is_secure(self) -> bool:
        """True for coaps and coaps+tcp."""
        return self.scheme.startswith("coaps")

    @property
    def is_stream(self) -> bool:
        """True for coap+tcp and coaps+tcp."""
        return self.scheme.endswith("+tcp")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="!$&'()*+,;=")
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        path = "".join("/" + quote(segment, safe=_SEGMENT_SAFE) for segment in self.path)
        query = "?" + "&".join(quote(argument, safe=_QUERY_SAFE) for argument in self.query) if self.query else ""
        return f"{self.scheme}://{host}{port}{path}{query}"

    def request_options(self, *, literal_host: bool = False) -> Options:
        """The options of a request that is sent to this host and port (RFC 7252 section 6.4).

        Uri-Port is not among them: it defaults to the port that the request is sent to.

        Args:
            literal_host: send Uri-Host for an IP address too, as for a request that goes to another address.
        """
        host = ((int(Option.URI_HOST), self.host.encode()),) if literal_host or not self.is_address else ()
        path = tuple((int(Option.URI_PATH), segment.encode()) for segment in self.path)
        query = tuple((int(Option.URI_QUERY), argument.encode()) for argument in self.query)
        return host + path + query


def check_uri_length(text: str, max_bytes: int = MAX_URI_BYTES) -> None:
    """Make sure that a URI fits the Package URI resource.

    Raises:
        InvalidUriError: more than `max_bytes` bytes of UTF-8.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > max_bytes:
        raise InvalidUriError(f"a URI of {size} bytes, at most {max_bytes} are taken")


def shown(text: str) -> str:
    """What an error may say of a URI: scheme, host and port. User information, path and query may be secrets."""
    scheme, _, rest = text.partition("://")
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    return f"{scheme}://{authority.rpartition('@')[2]}" if rest else "a URI"


def scheme_of(text: str) -> str:
    """The scheme, in lower case, of any URI whose syntax holds.

    Raises:
        InvalidUriError: not a URI (RFC 3986), a bad host or port, or no host where the scheme needs one.
    """
    return _parts(text)["scheme"].lower()


def parse_uri(text: str) -> CoapUri:
    """Read a CoAP URI.

    Percent-encoding is decoded, the host is lower-cased, IPv6 addresses are written in their short form.

    Raises:
        InvalidUriError: not a URI, or one that a CoAP request cannot carry: it has a fragment, user information, no
            host, a bad port, a dot segment, or text that is not UTF-8.
        UnsupportedProtocolError: the URI is well-formed, but its scheme is not one of CoAP's.
    """
    parts = _parts(text)
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise UnsupportedProtocolError(f"not a CoAP scheme: {scheme}")
    if parts["fragment"] is not None:
        raise InvalidUriError("a CoAP URI has no fragment")
    authority = _authority(parts["authority"])
    if authority["user"] is not None:
        raise InvalidUriError("a CoAP URI has no user information")
    path = parts["path"]
    query = parts["query"]
    return CoapUri(
        scheme,
        _host(authority),
        int(authority["port"] or DEFAULT_PORTS[scheme]),
        tuple(map(_decoded, path[1:].split("/"))) if len(path) > 1 else (),
        () if query is None else tuple(map(_decoded, query.split("&"))),
    )


def _parts(text: str) -> re.Match[str]:
    match = _URI.fullmatch(text)
    if match is None or not _CHARACTERS.fullmatch(text):
        raise InvalidUriError("not an absolute URI")
    authority = match["authority"]
    host = _authority(authority)["host"] if authority else ""
    if not host and match["scheme"].lower() in _HOSTED:
        raise InvalidUriError(f"{match['scheme']} needs a host")
    return match


def _authority(authority: str) -> re.Match[str]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidUriError("bad host or port")
    if match["literal"] is not None and not _is_ipv6(match["literal"]):
        raise InvalidUriError("bad IPv6 address")
    return match


def _host(authority: re.Match[str]) -> str:
    if authority["literal"] is not None:
        return str(ipaddress.IPv6Address(authority["literal"]))
    return _decoded(authority["host"]).lower()


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host  # a zone means something to one machine only


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise InvalidUriError("not UTF-8 behind the percent signs") from error
