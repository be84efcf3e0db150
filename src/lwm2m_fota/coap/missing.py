"""The list of missing blocks: content format 272, `application/missing-blocks+cbor-seq` (RFC 9177 section 5).

A CBOR sequence of unsigned integers: block numbers, ascending, each once.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, final

from lwm2m_fota.coap.block import MAX_NUM
from lwm2m_fota.errors import CborError

MISSING_BLOCKS_FORMAT: Final = 272
MAX_LIST_BYTES: Final = 1024
"""A list goes into one message (RFC 7252 section 4.6)."""

_DIRECT: Final = 24  # numbers below it are their own head
_FOUR_BYTES: Final = 0x1A
_WIDTHS: Final = {0x18: 1, 0x19: 2, _FOUR_BYTES: 4, 0x1B: 8}


@final
class ListForm(Enum):
    """Which lists are read."""

    STRICT = "strict"
    """Unsigned integers of CBOR, and nothing else."""

    LENIENT = "lenient"
    """Also three bytes behind the head 0x1a, where CBOR has four: versions of libcoap write numbers above 65535 so.
    The two cannot be confused, since the first of four bytes would be zero."""


def pack_missing(numbers: Iterable[int], max_bytes: int = MAX_LIST_BYTES) -> bytes:
    """As many block numbers as fit, in their shortest form.

    Args:
        numbers: ascending, each once.
        max_bytes: the longest list.
    """
    out = bytearray()
    for number in numbers:
        item = _pack(number)
        if len(out) + len(item) > max_bytes:
            break
        out += item
    return bytes(out)


def _pack(number: int) -> bytes:
    if number < _DIRECT:
        return bytes((number,))
    head, width = next((head, width) for head, width in _WIDTHS.items() if number < 1 << 8 * width)
    return bytes((head,)) + number.to_bytes(width, "big")


def unpack_missing(data: bytes, form: ListForm = ListForm.LENIENT) -> tuple[int, ...]:
    """Read a list of any length; numbers need not be in their shortest form.

    Raises:
        CborError: it is empty, cut off, not of unsigned integers, not strictly ascending, or names a block that cannot
            be.
    """
    numbers: list[int] = []
    last, at, end = -1, 0, len(data)
    while at < end:
        head = data[at]
        at += 1
        number = head
        if head >= _DIRECT:
            width = _WIDTHS.get(head)
            if width is None:
                raise CborError("a list of missing blocks has unsigned integers only")
            if head == _FOUR_BYTES and form is ListForm.LENIENT and data[at : at + 1] > b"\x00":
                width = 3
            if at + width > end:
                raise CborError("a list of missing blocks is cut off")
            number = int.from_bytes(data[at : at + width], "big")
            at += width
        if not last < number <= MAX_NUM:
            raise CborError(f"block {number} after block {last} in a list of missing blocks")
        numbers.append(number)
        last = number
    if not numbers:
        raise CborError("a list of missing blocks names none")
    return tuple(numbers)
