"""The blocks of one body that go out at a time: from their numbers to their datagrams."""

from collections.abc import Iterable, Sequence
from typing import Final, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.message import MAX_MID, Options
from lwm2m_fota.coap.template import BlockTemplate

_MORE: Final = 8


@final
class Sending:
    """Cuts the blocks that are to go out from the bytes at hand, and frames them.

    Attributes:
        count: of how many blocks the body is.
        size: bytes of a block.
        numbers: the blocks that are to go out, ascending; empty while none are.
    """

    __slots__ = ("_parts", "_szx", "_template", "_total", "count", "numbers", "size")

    def __init__(self, options: Options, number: int, szx: int, size_bytes: int) -> None:
        """Have nothing to send.

        Args:
            options: of all blocks, sorted; those with this number are left out.
            number: Q-Block1 or Q-Block2.
            szx: the block size, as exponent.
            size_bytes: of the body.
        """
        self._template = BlockTemplate(options, number, payload=True)
        self._szx = szx
        self._total = size_bytes
        self.size = size = MIN_BLOCK_BYTES << szx
        self.count = -(-size_bytes // size)
        self.numbers: Sequence[int] = ()
        self._parts: list[bytes] = []

    def begin(self, numbers: Sequence[int]) -> None:
        """These blocks are to go out; what was to go out before is forgotten."""
        self.numbers = numbers
        self._parts = []

    def cut(self, data: bytes, offset: int) -> bool:
        """Take from bytes of the body, which begin at `offset`, what can be had; True if all blocks are complete."""
        size, parts = self.size, self._parts
        end = min(offset + len(data), self._total)
        for num in self.numbers[len(parts) :]:
            begin = num * size
            stop = begin + size
            if begin < offset or stop > end < self._total or begin >= end:
                return False
            parts.append(data[begin - offset : stop - offset])
        return True

    def wanted(self, ahead_bytes: int = 0) -> tuple[int, int]:
        """Where the next bytes are that are lacking, and how many follow each other.

        Args:
            ahead_bytes: how many are wanted, also of the blocks behind, if all that are lacking follow each other.
        """
        numbers = self.numbers[len(self._parts) :]
        begin = numbers[0]
        end = next((begin + at for at, num in enumerate(numbers) if num != begin + at), numbers[-1] + 1)
        if end == numbers[-1] + 1:
            end = max(end, begin + ahead_bytes // self.size)
        return begin * self.size, min(end * self.size, self._total) - begin * self.size

    def datagrams(self, head: bytes, mid: int, tokens: Iterable[bytes]) -> list[bytes]:
        """The blocks, which are complete, as messages; there is nothing to send then.

        Args:
            head: the first bytes of each, see `head_of`.
            mid: the message id of the first one; they ascend.
            tokens: one for each block.
        """
        template, last, szx = self._template, self.count - 1, self._szx
        lead, after, head_number = template.lead, template.after, int.from_bytes(head, "big") << 16
        datagrams: list[bytes] = []
        for num, part, token in zip(self.numbers, self._parts, tokens, strict=False):
            value = num << 4 | (_MORE if num < last else 0) | szx
            length = value.bit_length() + 7 >> 3
            begin, packed = (head_number | mid).to_bytes(4, "big"), value.to_bytes(length, "big")
            datagrams.append(b"".join((begin, token, lead[length], packed, after, part)))
            mid = mid + 1 & MAX_MID
        self.begin(())
        return datagrams
