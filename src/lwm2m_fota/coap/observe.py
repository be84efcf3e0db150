"""Telling new notifications from old ones (RFC 7641 section 3.4)."""

from typing import Final, final

SEQUENCE_MASK: Final = 0xFFFFFF
"""Observe values have 24 bits."""

FRESH_AFTER_S: Final = 128.0
"""A notification that comes later than this after the newest one is newer, whatever its number."""

_HALF: Final = 1 << 23


@final
class Freshness:
    """The newest notification so far."""

    __slots__ = ("_at", "_value")

    def __init__(self, value: int, now: float) -> None:
        self._value = value & SEQUENCE_MASK
        self._at = now

    def accept(self, value: int, now: float) -> bool:
        """True if a notification with this Observe value is newer than all before it; it is then the newest."""
        value &= SEQUENCE_MASK
        ahead = value - self._value & SEQUENCE_MASK
        if not 0 < ahead < _HALF and now <= self._at + FRESH_AFTER_S:
            return False
        self._value = value
        self._at = now
        return True
