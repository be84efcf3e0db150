"""What a Package URI is worth before anything is fetched (Object 5 resources 1 and 8; RFC 3986)."""

import re
from typing import Final
from urllib.parse import urlsplit

from lwm2m_fota.model.enums import UpdateResult

MAX_URI_BYTES: Final = 255
_URI_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


def judge_uri(uri: str, schemes: frozenset[str]) -> UpdateResult | None:
    """Judge a Package URI by its text.

    Args:
        uri: the URI as written.
        schemes: the schemes that the device can fetch, in lower case.

    Returns:
        `INVALID_URI` (7), `UNSUPPORTED_PROTOCOL` (9), or None where a fetch may be tried.
    """
    scheme, colon, _ = uri.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme) or len(uri) > MAX_URI_BYTES or not _URI_CHARACTERS.fullmatch(uri):
        return UpdateResult.INVALID_URI
    if scheme.lower() not in schemes:
        return UpdateResult.UNSUPPORTED_PROTOCOL
    return None if host_of(uri) else UpdateResult.INVALID_URI


def host_of(uri: str) -> str:
    """The host that the URI names, in lower case and without brackets; "" where there is none or its port is wrong."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return ""
    return parts.hostname or ""
