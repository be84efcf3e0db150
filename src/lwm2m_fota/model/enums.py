"""The words of LwM2M firmware update: states, results and the enumerated resources.

Sources: Object 5 (urn:oma:lwm2m:oma:5, 5:1.1 and 5:1.2), resources 3, 5, 8, 9 and 11; Object 33629, resource 5.
"""

from enum import IntEnum
from typing import Self, final


@final
class State(IntEnum):
    """Resource 3, State."""

    IDLE = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    UPDATING = 3


class _OpenEnum(IntEnum):
    """An enumeration whose unlisted values are kept: a peer may know more than we do.

    An unlisted value is a pseudo-member made on the spot (never cached: the peer does not size our memory).
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}" if value >= 0 else f"UNKNOWN_MINUS_{-value}"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """False for a value that the object definition does not list."""
        return self._name_ in type(self).__members__


@final
class UpdateResult(_OpenEnum):
    """Resource 5, Update Result: 0-9 since 1.0, 10 and 11 since 1.1, 12 and 13 on Object 33629 only."""

    INITIAL = 0
    SUCCESS = 1
    NOT_ENOUGH_STORAGE = 2
    OUT_OF_MEMORY = 3
    CONNECTION_LOST = 4
    INTEGRITY_FAILURE = 5
    UNSUPPORTED_PACKAGE = 6
    INVALID_URI = 7
    UPDATE_FAILED = 8
    UNSUPPORTED_PROTOCOL = 9
    CANCELLED = 10
    DEFERRED = 11
    CONFLICTING_STATE = 12
    DEPENDENCY_ERROR = 13


@final
class ProtocolSupport(_OpenEnum):
    """Resource 8, Firmware Update Protocol Support (multiple)."""

    COAP = 0
    COAPS = 1
    HTTP = 2
    HTTPS = 3
    COAP_TCP = 4
    COAPS_TCP = 5

    @property
    def scheme(self) -> str | None:
        """The URI scheme that this protocol serves; None for an unlisted value."""
        return _SCHEMES.get(self.value)


_SCHEMES = {0: "coap", 1: "coaps", 2: "http", 3: "https", 4: "coap+tcp", 5: "coaps+tcp"}


@final
class DeliveryMethod(_OpenEnum):
    """Resource 9, Firmware Update Delivery Method."""

    PULL = 0
    PUSH = 1
    BOTH = 2


@final
class Severity(_OpenEnum):
    """Resource 11, Severity: a hint for those who may defer an update."""

    CRITICAL = 0
    MANDATORY = 1
    OPTIONAL = 2
