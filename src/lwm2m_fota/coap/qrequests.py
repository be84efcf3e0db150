"""What a request asks for with Q-Block2, or brings with Q-Block1 (RFC 9177 sections 4.3 and 4.4)."""

from typing import Final, final

import attrs

from lwm2m_fota.coap.block import MAX_NUM, MIN_BLOCK_BYTES, unpack_block
from lwm2m_fota.coap.message import Message, Options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code

_Q_BLOCK1: Final = int(Option.Q_BLOCK1)
_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_Q_BLOCKS: Final = frozenset({_Q_BLOCK1, _Q_BLOCK2})
_BLOCKS: Final = frozenset({int(Option.BLOCK1), int(Option.BLOCK2)})
_SIZE1: Final = int(Option.SIZE1)
_REQUEST_TAG: Final = int(Option.REQUEST_TAG)

Body = tuple[int, Options]
"""What all blocks of a body have in common: method and options, Request-Tag and Size1 among them."""


@final
@attrs.frozen(slots=True)
class Asked:
    """The blocks of a body that a request is for.

    Attributes:
        values: number, and whether the rest of its set is wanted too; ascending.
        szx: the block size, as exponent.
    """

    values: tuple[tuple[int, bool], ...]
    szx: int

    @property
    def first(self) -> int:
        """The lowest block."""
        return self.values[0][0]

    @property
    def rest(self) -> bool:
        """It asks for a block and the rest of its set, and for nothing else: the body is being transferred."""
        return len(self.values) == 1 and self.values[0][1]

    def continues(self, q: QBlock) -> bool:
        """It asks for a whole set: the first one, or the next one ("Continue")."""
        return self.rest and not self.first % q.max_payloads

    def numbers(self, q: QBlock, count: int) -> list[int]:
        """The blocks to send, ascending, each once, at most a set of them; what is more has to be asked for again.

        Args:
            q: how large a set is.
            count: of how many blocks the body is; those behind are left out.
        """
        found: list[int] = []
        for num, more in self.values:
            begin = max(num, found[-1] + 1 if found else 0)
            end = q.set_end(num, count) if more else min(num + 1, count)
            found += range(begin, end)
            if len(found) >= q.max_payloads:
                return found[: q.max_payloads]
        return found


def in_sets(message: Message) -> bool:
    """The request has a Q-Block option."""
    return any(number in _Q_BLOCKS for number, _ in message.options)


def unmixed(message: Message) -> None:
    """Refuse a request that has Block beside Q-Block options (RFC 9177 section 4.1).

    Raises:
        BlockwiseError: 4.02.
    """
    if any(number in _BLOCKS for number, _ in message.options):
        raise BlockwiseError("Block and Q-Block do not go together", code=Code.BAD_OPTION)


def read_asked(message: Message) -> Asked:
    """What a request with Q-Block2 asks for.

    Raises:
        BlockwiseError: an option that is too long (4.02); a reserved size, or options that differ in size or do not
            ascend (4.00).
    """
    values: list[tuple[int, bool]] = []
    szxs: set[int] = set()
    for option in message.every(_Q_BLOCK2):
        num, more, szx = unpack_block(option)
        if values and num <= values[-1][0]:
            raise BlockwiseError("missing blocks are asked for in ascending order", code=Code.BAD_REQUEST)
        values.append((num, more))
        szxs.add(szx)
    if len(szxs) > 1:
        raise BlockwiseError("missing blocks have one size", code=Code.BAD_REQUEST)
    return Asked(tuple(values), szxs.pop())


@final
@attrs.frozen(slots=True)
class Brought:
    """A block of a body.

    Attributes:
        body: of which.
        num: its number.
        szx: the block size, as exponent.
        count: of how many blocks the body is.
    """

    body: Body
    num: int
    szx: int
    count: int


def read_brought(message: Message) -> Brought:
    """What a request with Q-Block1 brings.

    Raises:
        BlockwiseError: several such options, or one that is too long (4.02); a reserved size, no Request-Tag or Size1,
            or a block that cannot be of a body of this size (4.00).
    """
    value, *more_values = message.every(_Q_BLOCK1)
    if more_values:
        raise BlockwiseError("a request brings one block", code=Code.BAD_OPTION)
    num, more, szx = unpack_block(value)
    size1 = message.uint(_SIZE1)
    if size1 is None or message.first(_REQUEST_TAG) is None:
        raise BlockwiseError("blocks of a set come with Request-Tag and Size1", code=Code.BAD_REQUEST)
    size = MIN_BLOCK_BYTES << szx
    count = max(-(-size1 // size), 1)
    length = size if num < count - 1 else size1 - (count - 1) * size
    if num >= count or count > MAX_NUM + 1 or more != (num < count - 1) or len(message.payload) != length:
        raise BlockwiseError(
            f"block {num} with {len(message.payload)} bytes is none of a body of {size1}", code=Code.BAD_REQUEST
        )
    options = tuple(option for option in message.options if option[0] != _Q_BLOCK1)
    return Brought((message.code, options), num, szx, count)
