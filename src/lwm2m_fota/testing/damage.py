"""Bytes made wrong in every small way, and in random ways from a seed."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

Damage: TypeAlias = Callable[[bytearray, int, int, random.Random], None]

_MOST_DAMAGES: Final = 4
_LONG: Final = 64
_EDGES: Final = (b"\0", b"\xff", b"\x7f", b"\x80")


def truncated(data: bytes) -> Iterator[bytes]:
    """All beginnings of the bytes, the empty one first, without the whole."""
    for size in range(len(data)):
        yield data[:size]


def flipped(data: bytes) -> Iterator[bytes]:
    """The bytes with each bit of them flipped in turn."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes after some damage: parts cut out, doubled, changed, or put into noise."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, _MOST_DAMAGES)):
        start, size = chance.randrange(len(changed) + 1), chance.choice((1, 1, 2, 4, 8, chance.randrange(_LONG)))
        chance.choice(_DAMAGES)(changed, start, start + size, chance)
    return bytes(changed)


def _cut(data: bytearray, start: int, stop: int, _chance: random.Random) -> None:
    del data[start:stop]


def _double(data: bytearray, start: int, stop: int, _chance: random.Random) -> None:
    data[start:start] = data[start:stop]


def _noise(data: bytearray, start: int, stop: int, chance: random.Random) -> None:
    data[start:stop] = chance.randbytes(len(data[start:stop]))


def _put(data: bytearray, start: int, stop: int, chance: random.Random) -> None:
    data[start:start] = chance.randbytes(stop - start)


def _edge(data: bytearray, start: int, stop: int, chance: random.Random) -> None:
    data[start:stop] = chance.choice(_EDGES) * len(data[start:stop])


def _step(data: bytearray, start: int, _stop: int, chance: random.Random) -> None:
    if start < len(data):
        data[start] = (data[start] + chance.choice((-1, 1))) % 256


def _flip(data: bytearray, start: int, _stop: int, chance: random.Random) -> None:
    if start < len(data):
        data[start] ^= 1 << chance.randrange(8)


def _end(data: bytearray, start: int, _stop: int, _chance: random.Random) -> None:
    del data[start:]


_DAMAGES: Final[Sequence[Damage]] = (_cut, _double, _noise, _put, _edge, _step, _flip, _flip, _end)
