"""The blocks of a body that come in any order, and what is missing of them."""

from collections.abc import Sequence
from itertools import islice
from typing import final


@final
class Order:
    """Which blocks have had their turn, which wait for it, and which are missing.

    Attributes:
        next: the block whose turn is next: all before it have gone on.
        count: of how many blocks the body is.
        early: the blocks that wait, by number.
    """

    __slots__ = ("_max_early", "_max_missing", "count", "early", "next")

    def __init__(self, first: int, count: int, *, max_early: int, max_missing: int) -> None:
        """Begin at a block.

        Args:
            first: its number.
            count: of how many blocks the body is.
            max_early: how many blocks may wait; the one whose turn is next may always.
            max_missing: how many missing blocks are named at a time.
        """
        self.next = first
        self.count = count
        self.early: dict[int, bytes] = {}
        self._max_early = max_early
        self._max_missing = max_missing

    def keep(self, num: int, payload: bytes) -> bool:
        """Let a block wait for its turn, which may be now; False if it has come before, or there is no room."""
        early = self.early
        if num < self.next or num in early or (num != self.next and len(early) >= self._max_early):
            return False
        early[num] = payload
        return True

    def put(self, nums: list[int], payloads: list[bytes], end: int, room: int) -> tuple[list[bytes], bool]:
        """Blocks have come.

        Args:
            nums: their numbers.
            payloads: their bytes.
            end: the turn does not get to this block.
            room: how many blocks may have their turn.

        Returns:
            Those whose turn it is, and whether any of them was missing.
        """
        begin, count = self.next, len(nums)
        if not self.early and count <= room and begin + count <= end and nums == list(range(begin, begin + count)):
            self.next = begin + count
            return payloads, count > 0
        kept = [self.keep(num, payload) for num, payload in zip(nums, payloads, strict=True)]
        return self.take(end, room), any(kept)

    def take(self, end: int, room: int) -> list[bytes]:
        """The blocks whose turn it is: those before `end`, at most `room` of them."""
        early, begin = self.early, self.next
        stop = min(begin, end)
        while stop < end and stop - begin < room and stop in early:
            stop += 1
        self.next = max(begin, stop)
        return [early.pop(num) for num in range(begin, stop)]

    def missing(self, begin: int, end: int) -> Sequence[int]:
        """Of the blocks from `begin` to before `end`, those that have not come: the first of them."""
        early = self.early
        absent = (num for num in range(max(begin, self.next), end) if num not in early)
        return tuple(islice(absent, self._max_missing))
