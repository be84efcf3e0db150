"""Randomness from the operating system, for the cores that take it as an argument."""

import random
import secrets
from typing import final


@final
class SystemEntropy:
    """Unpredictable tokens, and jitter."""

    __slots__ = ("_random",)

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - jitter only spreads; the system seeds it

    def token(self, size_bytes: int) -> bytes:
        """`size_bytes` unpredictable bytes."""
        return secrets.token_bytes(size_bytes)

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return self._random.uniform(low, high)


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
