r"""What is fuzzed: a function that takes bytes, and examples of what it takes well.

    @target({"empty": b"\xa0", "nested": bytes.fromhex("81820102")})
    def cbor_loader(data: bytes) -> None:
        cbor.loads(data)

The function may raise a `FotaError` that is no `UsageError`; everything else that leaves it is a finding, and so is an
assertion of its own that does not hold.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

Check: TypeAlias = Callable[[bytes], object]

TARGETS: Final[dict[str, "Target"]] = {}
"""All of them by name, once `fuzz.targets` is imported."""


@attrs.frozen
class Target:
    """Something that takes bytes.

    Attributes:
        name: in lower case, with dashes.
        check: takes an input.
        seeds: good inputs by name; damaged, they get further in than random ones.
    """

    name: str
    check: Check
    seeds: Mapping[str, bytes]


def add(name: str, check: Check, seeds: Mapping[str, bytes]) -> None:
    """Make it a target.

    Raises:
        ValueError: the name is taken, or there is no seed.
    """
    if name in TARGETS or not seeds:
        raise ValueError(name)
    TARGETS[name] = Target(name, check, dict(seeds))


def target(seeds: Mapping[str, bytes]) -> Callable[[Check], Check]:
    """Make the decorated function a target of its own name."""

    def decorate(check: Check) -> Check:
        add(getattr(check, "__name__", "").replace("_", "-"), check, seeds)
        return check

    return decorate


def chunks(data: bytes) -> list[bytes]:
    """Several pieces in one input: each has its length in two bytes before it; the last one is as long as it is."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : end])
        at = end
    return found


def joined(*pieces: bytes) -> bytes:
    """What `chunks` takes apart."""
    return b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)
