"""The block option value, and how a body is cut (RFC 7959 section 2.2).

A value is `NUM << 4 | M << 3 | SZX` as an unsigned integer of at most 3 bytes in its shortest form; zero is the empty
value, which is not the same as no option. A block has `2 ** (SZX + 4)` bytes.
"""

from collections.abc import Iterator
from typing import Final, final

import attrs

from lwm2m_fota.errors import BlockwiseError, UsageError
from lwm2m_fota.model.codes import Code

MAX_NUM: Final = 0xFFFFF  # the highest block number
MAX_SZX: Final = 6  # blocks of 1024 bytes, the largest over datagrams
BERT_SZX: Final = 7  # over reliable transports only (RFC 8323 section 6): several blocks of 1024 bytes at once
MIN_BLOCK_BYTES: Final = 16
MAX_BLOCK_BYTES: Final = 1024
MAX_OPTION_BYTES: Final = 3

_SIZE_SHIFT: Final = 4


def pack_block(num: int, more: bool, szx: int) -> bytes:  # noqa: FBT001 - the three fields of the option, in its order
    """The shortest option value of a block; SZX 7 packs as well, for reliable transports.

    Raises:
        UsageError: the number is not in 0..MAX_NUM, or SZX not in 0..7.
    """
    if not 0 <= num <= MAX_NUM or not 0 <= szx <= BERT_SZX:
        raise UsageError(f"block number {num} or size exponent {szx} out of range")
    value = num << 4 | szx
    if more:
        value |= 8
    return value.to_bytes((value.bit_length() + 7) >> 3, "big")


def unpack_block(value: bytes, max_szx: int = MAX_SZX) -> tuple[int, bool, int]:
    """Number, more and SZX of an option value; values that are not in their shortest form are read as well.

    Args:
        value: the option value.
        max_szx: the largest SZX that the transport knows: 6 over datagrams, 7 over reliable transports.

    Raises:
        BlockwiseError: more than 3 bytes (4.02: such an option counts as unknown, RFC 7252 section 5.4.3), or a
            reserved SZX (4.00, RFC 7959 section 2.2).
    """
    if len(value) > MAX_OPTION_BYTES:
        raise BlockwiseError("a block option has at most 3 bytes", code=Code.BAD_OPTION)
    number = int.from_bytes(value, "big")
    szx = number & 7
    if szx > max_szx:
        raise BlockwiseError("reserved block size", code=Code.BAD_REQUEST)
    return number >> 4, number & 8 != 0, szx


@final
@attrs.frozen(slots=True)
class Block:
    """The value of a Block1 or Block2 option over datagrams.

    Attributes:
        num: the block number, 0..MAX_NUM, counted in blocks of this size.
        more: whether more blocks follow; what it means in answers differs, see `block1` and `block2`.
        szx: the size exponent, 0..6.

    Raises:
        UsageError: a field is out of range.
    """

    num: int
    more: bool
    szx: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.num <= MAX_NUM or not 0 <= self.szx <= MAX_SZX:
            raise UsageError(f"block number {self.num} or size exponent {self.szx} out of range")

    @property
    def size(self) -> int:
        """The block size in bytes."""
        return MIN_BLOCK_BYTES << self.szx

    @property
    def offset(self) -> int:
        """Where the block starts in the body, in bytes."""
        return self.num << self.szx + _SIZE_SHIFT

    def encode(self) -> bytes:
        """The option value in its shortest form."""
        return pack_block(self.num, self.more, self.szx)

    @classmethod
    def decode(cls, value: bytes) -> "Block":
        """Read an option value.

        Raises:
            BlockwiseError: more than 3 bytes (4.02), or the reserved SZX 7 (4.00).
        """
        return cls(*unpack_block(value))


@final
@attrs.frozen(slots=True)
class Slice:
    """One block of a body: which bytes, and how they are numbered.

    Attributes:
        num: the block number, in blocks of this size.
        more: whether bytes of the body follow this block.
        offset: where the block starts in the body, in bytes.
        length: how many bytes it has; 0 only for a body of no bytes.
        szx: the size exponent; 7 for several blocks of 1024 bytes.
    """

    num: int
    more: bool
    offset: int
    length: int
    szx: int

    def encode(self) -> bytes:
        """The value of the block option that describes the block."""
        return pack_block(self.num, self.more, self.szx)


def szx_for(size_bytes: int) -> int:
    """The size exponent of the largest block that is not larger than `size_bytes`.

    Raises:
        UsageError: less than 16 bytes.
    """
    if size_bytes < MIN_BLOCK_BYTES:
        raise UsageError(f"a block has at least {MIN_BLOCK_BYTES} bytes, not {size_bytes}")
    return min(size_bytes.bit_length() - 1 - _SIZE_SHIFT, MAX_SZX)


def size_of(szx: int) -> int:
    """The block size in bytes of a size exponent 0..6.

    Raises:
        UsageError: SZX is out of range.
    """
    if not 0 <= szx <= MAX_SZX:
        raise UsageError(f"size exponent {szx} out of range")
    return MIN_BLOCK_BYTES << szx


def check_numbers(total_bytes: int, szx: int) -> None:
    """Make sure that every block of a body has a number.

    Raises:
        UsageError: a negative size, or SZX out of range.
        BlockwiseError: the body needs numbers above MAX_NUM in blocks of this size (4.13).
    """
    size = size_of(szx)
    if total_bytes < 0:
        raise UsageError("a body has at least 0 bytes")
    if total_bytes > (MAX_NUM + 1) * size:
        raise BlockwiseError(
            f"{total_bytes} bytes are too many for blocks of {size}", code=Code.REQUEST_ENTITY_TOO_LARGE
        )


def slice_at(offset: int, total_bytes: int, szx: int, units: int = 1) -> Slice:
    """The block that starts at `offset`, which is a multiple of the block size and inside the body.

    With several `units` it is that many blocks of 1024 bytes at once, and goes under SZX 7 (BERT, RFC 8323 section 6).
    """
    size = units * (MIN_BLOCK_BYTES << szx)
    length = total_bytes - offset
    num = offset >> szx + _SIZE_SHIFT
    if units > 1:
        szx = BERT_SZX
    if length > size:
        return Slice(num, True, offset, size, szx)  # noqa: FBT003 - more
    return Slice(num, False, offset, length, szx)  # noqa: FBT003 - more


def split(total_bytes: int, szx: int) -> Iterator[Slice]:
    """All blocks of a body, in order; a body of no bytes is one block of no bytes.

    Raises:
        UsageError: a negative size, or SZX out of range.
        BlockwiseError: the body needs numbers above MAX_NUM in blocks of this size (4.13).
    """
    check_numbers(total_bytes, szx)
    starts = range(0, total_bytes or 1, MIN_BLOCK_BYTES << szx)
    return (slice_at(offset, total_bytes, szx) for offset in starts)


def renegotiate(offset: int, szx: int) -> int:
    """The number of the block at `offset` in blocks of another size.

    After block 0 of 1024 bytes, the next block of 64 bytes is number 16: sizes are powers of two, so whatever ends a
    larger block starts a smaller one.

    Raises:
        UsageError: SZX is out of range, or the offset is no multiple of the block size.
        BlockwiseError: the number is above MAX_NUM (4.13).
    """
    size = size_of(szx)
    num, rest = divmod(offset, size)
    if rest or offset < 0:
        raise UsageError(f"offset {offset} does not start a block of {size} bytes")
    if num > MAX_NUM:
        raise BlockwiseError(
            f"offset {offset} has no number in blocks of {size} bytes", code=Code.REQUEST_ENTITY_TOO_LARGE
        )
    return num
