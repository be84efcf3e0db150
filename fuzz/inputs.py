"""The inputs of a target: each follows from the name of the target, a seed and its number, and from nothing else."""

import random
from collections.abc import Iterator
from typing import Final

from fuzz.target import Target
from lwm2m_fota.testing.damage import damaged

_BLOCK: Final = 64
"""How many inputs are made one after another from one generator: to begin one costs as much as an input."""

_MOST_RANDOM_BYTES: Final = 160
_DAMAGED: Final = 5  # of eight


def make_inputs(target: Target, seed: int, first: int, count: int) -> Iterator[tuple[int, str, bytes]]:
    """The number of each input, where it comes from, and the input."""
    chance = random.Random()
    for number in range(first - first % _BLOCK, first + count):
        if number % _BLOCK == 0:
            chance = random.Random(f"{target.name} {seed} {number}")
        origin, data = _make(target, chance)
        if number >= first:
            yield number, origin, data


def _make(target: Target, chance: random.Random) -> tuple[str, bytes]:
    names = list(target.seeds)
    name, kind = chance.choice(names), chance.randrange(8)
    data = target.seeds[name]
    if kind < _DAMAGED:
        return f"damaged {name!r}", damaged(data, chance)
    noise = chance.randbytes(chance.randrange(_MOST_RANDOM_BYTES))
    cut = chance.randrange(len(data) + 1)
    if kind == _DAMAGED:
        return "random bytes", noise
    if kind == _DAMAGED + 1:
        return f"{name!r} and then random bytes", data[:cut] + noise
    other = chance.choice(names)
    end = target.seeds[other]
    return f"{name!r} and then {other!r}", data[:cut] + end[chance.randrange(len(end) + 1) :]
