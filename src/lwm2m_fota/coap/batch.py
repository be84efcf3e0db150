"""How many bytes of a body travel together between the endpoint and its caller.

One block at first, so that what is wrong with a body shows at once. Then twice as many each time a batch was quick:
what costs once for each batch (a write, a digest, a step of a machine) stops to matter where blocks come fast, and a
slow peer is still heard of with every block.
"""

from typing import final


@final
class Pace:
    """The size of the next batch.

    Attributes:
        target_bytes: how many bytes it is to have; 0 means one block.
        due_at: monotonic seconds at which it is handed over whatever it has.
    """

    __slots__ = ("_batch_s", "_max_bytes", "due_at", "target_bytes")

    def __init__(self, max_bytes: int, batch_s: float) -> None:
        """Begin with one block.

        Args:
            max_bytes: the largest batch.
            batch_s: seconds; a batch that took less was quick.
        """
        self._max_bytes = max_bytes
        self._batch_s = batch_s
        self.target_bytes = 0
        self.due_at = 0.0

    def begin(self, now: float) -> None:
        """The caller is ready for a batch."""
        self.due_at = now + self._batch_s

    def end(self, size_bytes: int, now: float) -> None:
        """A batch of so many bytes is complete."""
        quick = now < self.due_at
        self.target_bytes = min(2 * max(size_bytes, self.target_bytes), self._max_bytes) if quick else 0


@final
class Batch:
    """Blocks of a body that are on their way to the caller.

    Attributes:
        offset: of the first of them in the body, bytes.
        size_bytes: how many bytes they are.
    """

    __slots__ = ("_pace", "_parts", "offset", "size_bytes")

    def __init__(self, max_bytes: int, batch_s: float) -> None:
        """Begin empty; see `Pace`."""
        self._pace = Pace(max_bytes, batch_s)
        self._parts: list[bytes] = []
        self.offset = 0
        self.size_bytes = 0

    def begin(self, now: float) -> None:
        """The caller has stored what it was given."""
        self._pace.begin(now)

    def add(self, payload: bytes, now: float) -> bool:
        """Take the next block; True if the batch is to be handed over."""
        self._parts.append(payload)
        self.size_bytes = size_bytes = self.size_bytes + len(payload)
        pace = self._pace
        return size_bytes >= pace.target_bytes or now >= pace.due_at

    def extend(self, payloads: list[bytes], size_bytes: int) -> None:
        """Take the next blocks, which are so many bytes together."""
        self._parts += payloads
        self.size_bytes += size_bytes

    def is_due(self, now: float) -> bool:
        """There are bytes to be handed over."""
        return self.size_bytes > 0 and (self.size_bytes >= self._pace.target_bytes or now >= self._pace.due_at)

    def take(self, now: float) -> bytes:
        """The bytes from `offset` on; the next batch begins behind them."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._pace.end(self.size_bytes, now)
        self.clear(self.offset + self.size_bytes)
        return data

    def clear(self, offset: int) -> None:
        """Drop what is here; the next block begins at `offset`."""
        self._parts.clear()
        self.offset = offset
        self.size_bytes = 0
