"""How many requests of one transfer may be under way: additive increase, multiplicative decrease."""

from typing import final


@final
class Window:
    """A window in requests. It begins at 1, grows by 1 for each window that was answered, and is halved at a loss.

    Attributes:
        width: how many requests may be under way now.
        most: how many ever may.
    """

    __slots__ = ("_size", "_unharmed_from", "most", "width")

    def __init__(self, most: int) -> None:
        self.most = most
        self.width = 1
        self._size = 1.0
        self._unharmed_from = 0

    def answered(self) -> None:
        """A request was answered without having been sent again."""
        if self.width < self.most:
            self._size += 1.0 / self._size
            self.width = min(int(self._size), self.most)

    def lost(self, num: int, next_num: int) -> None:
        """The request for block `num` had to be sent again; what was under way beside it counts as the same loss.

        Args:
            num: its block.
            next_num: the block that is asked for next.
        """
        if num >= self._unharmed_from:
            self._size = max(1.0, self._size / 2)
            self.width = int(self._size)
            self._unharmed_from = next_num
