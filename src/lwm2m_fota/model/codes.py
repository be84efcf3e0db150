"""CoAP method and response codes (RFC 7252 section 12.1, RFC 7959, RFC 8132, RFC 8323)."""

from enum import IntEnum
from typing import Final, final


@final
class Code(IntEnum):
    """A CoAP code, `class << 5 | detail`.

    Messages carry plain integers, so a code that is not listed here is kept and shown, never an exception.
    """

    EMPTY = 0x00
    GET = 0x01
    POST = 0x02
    PUT = 0x03
    DELETE = 0x04
    FETCH = 0x05
    PATCH = 0x06
    IPATCH = 0x07

    CREATED = 0x41
    DELETED = 0x42
    VALID = 0x43
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F

    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    BAD_OPTION = 0x82
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    REQUEST_ENTITY_INCOMPLETE = 0x88
    CONFLICT = 0x89
    PRECONDITION_FAILED = 0x8C
    REQUEST_ENTITY_TOO_LARGE = 0x8D
    UNSUPPORTED_CONTENT_FORMAT = 0x8F
    UNPROCESSABLE_ENTITY = 0x96
    TOO_MANY_REQUESTS = 0x9D

    INTERNAL_SERVER_ERROR = 0xA0
    NOT_IMPLEMENTED = 0xA1
    BAD_GATEWAY = 0xA2
    SERVICE_UNAVAILABLE = 0xA3
    GATEWAY_TIMEOUT = 0xA4
    PROXYING_NOT_SUPPORTED = 0xA5

    CSM = 0xE1
    PING = 0xE2
    PONG = 0xE3
    RELEASE = 0xE4
    ABORT = 0xE5


_NAMES: Final[dict[int, str]] = {member.value: member.name for member in Code}


def dotted(code: int) -> str:
    """The `c.dd` notation of a code, e.g. `dotted(0x45) == "2.05"`."""
    return f"{code >> 5}.{code & 0x1F:02d}"


def describe_code(code: int) -> str:
    """`"2.05 CONTENT"`; an unlisted code gives its digits alone."""
    name = _NAMES.get(code)
    return f"{dotted(code)} {name}" if name else dotted(code)


def is_request(code: int) -> bool:
    """True for methods: class 0, detail not 0."""
    return 0 < code < 0x20  # noqa: PLR2004 - class 0


def is_success(code: int) -> bool:
    """True for class 2."""
    return code >> 5 == 2  # noqa: PLR2004 - class 2


def is_response(code: int) -> bool:
    """True for classes 2 to 5."""
    return 0x40 <= code < 0xC0  # noqa: PLR2004 - classes 2 to 5
