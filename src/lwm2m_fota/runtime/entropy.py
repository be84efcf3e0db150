"""Randomness from the operating system, for the cores that take it as an argument."""

import random
import secrets
from typing import Final, final

POOL_BYTES: Final = 1024
"""Randomness taken from the system at a time: asking for every token costs more than sending it."""


@final
class SystemEntropy:
    """Unpredictable tokens, and jitter."""

    __slots__ = ("_at", "_pool", "_random")

    def __init__(self) -> None:
        self._random = random.Random().random  # noqa: S311 - jitter only spreads; the system seeds it
        self._pool = b""
        self._at = 0

    def token(self, size_bytes: int) -> bytes:
        """`size_bytes` unpredictable bytes, that were never given out."""
        at = self._at
        self._at = end = at + size_bytes
        if end > len(self._pool):
            self._pool = secrets.token_bytes(max(POOL_BYTES, size_bytes))
            self._at = end = size_bytes
            at = 0
        return self._pool[at:end]

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return low + (high - low) * self._random()


@final
class SeededEntropy:
    """The same tokens and jitter for the same seed: for simulations, never for real devices."""

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose

    def token(self, size_bytes: int) -> bytes:
        """`size_bytes` bytes of the seeded sequence."""
        return self._random.randbytes(size_bytes)

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high` of the seeded sequence."""
        return self._random.uniform(low, high)
