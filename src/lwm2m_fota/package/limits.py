"""Limits that several formats share, in bytes."""

from typing import Final

DEFAULT_MAX_HELD_BYTES: Final = 512 * 1024
"""The longest content that is held in memory, where a format or an algorithm does not let it stream."""
