"""What a Package URI is worth before anything is fetched (Object 5 resources 1 and 8; RFC 3986)."""

import re
from functools import lru_cache
from typing import Final

from lwm2m_fota.model.enums import UpdateResult

MAX_URI_BYTES: Final = 255
"""The range of resource 1; a URI is ASCII, so bytes are characters."""

MAX_PORT: Final = 65535

_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:[\w\-.~%!$&'()*+,;=:]*@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w\-.~%!$&'()*+,;=]+)"
    r"(?::(?P<port>\d{0,5}))?"
    r"(?:[/?#][\w\-.~:/?#\[\]@!$&'()*+,;=%]*)?",
    re.ASCII,
)


@lru_cache(maxsize=16)  # several guards in a row ask the same
def judge_uri(uri: str, schemes: frozenset[str]) -> UpdateResult | None:
    """Judge a Package URI by its text.

    Args:
        uri: the URI as written.
        schemes: the schemes that the device can fetch, in lower case.

    Returns:
        `INVALID_URI` (7), `UNSUPPORTED_PROTOCOL` (9), or None where a fetch may be tried.
    """
    match = _match(uri)
    if match is None:
        return UpdateResult.INVALID_URI
    return None if match["scheme"].lower() in schemes else UpdateResult.UNSUPPORTED_PROTOCOL


def host_of(uri: str) -> str:
    """The host that the URI names, in lower case and without brackets; "" where it is no URI that names a host."""
    match = _match(uri)
    return match["host"].lower().strip("[]") if match else ""


def authority_of(uri: str) -> tuple[str, str, int | None] | None:
    """The scheme and the host, in lower case, and the port where there is one; None where no host is named.

    Other than a Package URI, one that an origin leads on to may be of any length.
    """
    match = _URI.fullmatch(uri)
    return match and (match["scheme"].lower(), match["host"].lower(), int(match["port"]) if match["port"] else None)


def _match(uri: str) -> re.Match[str] | None:
    match = _URI.fullmatch(uri) if len(uri) <= MAX_URI_BYTES else None
    return match if match and int(match["port"] or 0) <= MAX_PORT else None
