"""Registered numbers: message types, options, content formats (RFC 7252 section 12; RFC 7641, 7959, 9175, 9177)."""

from enum import IntEnum
from typing import Final, final

from lwm2m_fota.model.formats import ContentFormat as ContentFormat  # noqa: PLC0414 - a re-export

CON: Final = 0
NON: Final = 1
ACK: Final = 2
RST: Final = 3

DEFAULT_PORT: Final = 5683
DEFAULT_SECURE_PORT: Final = 5684


@final
class Option(IntEnum):
    """Option numbers."""

    IF_MATCH = 1
    URI_HOST = 3
    ETAG = 4
    IF_NONE_MATCH = 5
    OBSERVE = 6
    URI_PORT = 7
    LOCATION_PATH = 8
    URI_PATH = 11
    CONTENT_FORMAT = 12
    MAX_AGE = 14
    URI_QUERY = 15
    ACCEPT = 17
    Q_BLOCK1 = 19
    LOCATION_QUERY = 20
    BLOCK2 = 23
    BLOCK1 = 27
    SIZE2 = 28
    Q_BLOCK2 = 31
    PROXY_URI = 35
    PROXY_SCHEME = 39
    SIZE1 = 60
    ECHO = 252
    NO_RESPONSE = 258
    REQUEST_TAG = 292


def is_critical(number: int) -> bool:
    """True if an endpoint that does not know the option must refuse the message (RFC 7252 section 5.4.6)."""
    return bool(number & 1)
