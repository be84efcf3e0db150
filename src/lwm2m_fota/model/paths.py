"""LwM2M paths: `/object/instance/resource/resource-instance`, each part 0..65534 (65535 is reserved)."""

from functools import lru_cache
from typing import Final, final

import attrs

MAX_ID: Final = 65534
MAX_PARTS: Final = 4
_REMEMBERED: Final = 256  # of the paths parsed last: every block of a transfer names the same one


@final
@attrs.frozen(order=True)
class Path:
    """A path of 0 to 4 ids; `Path(())` is the root.

    Raises:
        ValueError: an id is out of range or there are more than four.
    """

    ids: tuple[int, ...]

    def __attrs_post_init__(self) -> None:
        if len(self.ids) > MAX_PARTS or any(not 0 <= part <= MAX_ID for part in self.ids):
            raise ValueError(f"not an LwM2M path: {self.ids!r}")

    @classmethod
    def of(cls, *ids: int) -> "Path":
        """`Path.of(5, 0, 3)` is `/5/0/3`."""
        return cls(ids)

    @staticmethod
    def parse(text: str) -> "Path":
        """Read `/5/0/3`; the root is `/`.

        Raises:
            ValueError: a part is not a decimal id, or has leading zeros.
        """
        return _parse(text)

    @property
    def object_id(self) -> int | None:
        """The first id, or None for the root."""
        return self.ids[0] if self.ids else None

    @property
    def instance_id(self) -> int | None:
        """The second id, or None."""
        return self.ids[1] if len(self.ids) > 1 else None

    @property
    def resource_id(self) -> int | None:
        """The third id, or None."""
        return self.ids[2] if len(self.ids) > 2 else None  # noqa: PLR2004 - third of four

    def __truediv__(self, part: int) -> "Path":
        return Path((*self.ids, part))

    def contains(self, other: "Path") -> bool:
        """True if `other` is this path or lies below it."""
        return other.ids[: len(self.ids)] == self.ids

    def __str__(self) -> str:
        return "/" + "/".join(map(str, self.ids))


@lru_cache(_REMEMBERED)
def _parse(text: str) -> Path:
    stripped = text.removeprefix("/")
    if not stripped:
        return Path(())
    return Path(tuple(_parse_id(part) for part in stripped.split("/")))


def _parse_id(part: str) -> int:
    if not (part.isascii() and part.isdigit()) or (part[0] == "0" and part != "0"):
        raise ValueError(f"not an LwM2M id: {part!r}")
    return int(part)
