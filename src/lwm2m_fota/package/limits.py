"""Limits that several formats share."""

from typing import Final

DEFAULT_MAX_HELD_BYTES: Final = 512 * 1024
"""The longest content that is held in memory, where a format or an algorithm does not let it stream."""

DEFAULT_MAX_DECRYPTION_KEYS: Final = 8
"""How many keys are tried where a message does not name the one that encrypts it."""
