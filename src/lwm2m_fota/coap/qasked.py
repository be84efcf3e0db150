"""What a request asks for with Q-Block2 (RFC 9177 section 4.4)."""

from typing import Final, final

import attrs

from lwm2m_fota.coap.block import unpack_block
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code

_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_BLOCKS: Final = frozenset({int(Option.BLOCK1), int(Option.BLOCK2)})


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
