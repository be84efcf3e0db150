"""Several blocks of 1024 bytes in one message (BERT, RFC 8323 section 6), on the side that is asked.

Those above know blocks of a datagram's size, and messages of several of them (`Message.blocks`). So they are given a
request of BERT as such a message, and their answer is made one of BERT again: with the number and size that were asked
with, and with more blocks of the body, if it can be had.
"""

from typing import Final, final

import attrs

from lwm2m_fota.coap.block import BERT_SZX, MAX_OPTION_BYTES, MAX_SZX, Block, pack_block, unpack_block
from lwm2m_fota.coap.calls import BlockBody, Response
from lwm2m_fota.coap.message import Message, Options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.stream_signals import UNIT_BYTES

_BLOCK1: Final = int(Option.BLOCK1)
_BLOCK2: Final = int(Option.BLOCK2)
_BLOCKS: Final = frozenset({_BLOCK1, _BLOCK2})


def _is_bert(number: int, value: bytes) -> bool:
    return number in _BLOCKS and 0 < len(value) <= MAX_OPTION_BYTES and value[-1] & BERT_SZX == BERT_SZX


def in_blocks(message: Message) -> Message:
    """A request of BERT as one of several blocks of 1024 bytes; any other as it is, the same object."""
    if not any(_is_bert(number, value) for number, value in message.options):
        return message
    blocks = 1
    options: list[tuple[int, bytes]] = []
    for number, value in message.options:
        if _is_bert(number, value):
            num, more, _ = unpack_block(value, BERT_SZX)
            options.append((number, pack_block(num, more, MAX_SZX)))
            if number == _BLOCK1:
                blocks = max(-(-len(message.payload) // UNIT_BYTES), 1)
        else:
            options.append((number, value))
    return message._replace(options=tuple(options), blocks=blocks)


@final
@attrs.frozen
class Widened:
    """An answer that is to carry more of its body.

    Attributes:
        response: the answer with its first block.
        body: where all that is to be given can be had.
        offset: where that begins, bytes.
        length: how much it is.
        num: the number of the first block.
    """

    response: Response
    body: BlockBody
    offset: int
    length: int
    num: int

    def head(self, payload: bytes) -> Response:
        """The answer that all blocks belong to, `payload`, without them."""
        goes_on = self.offset + len(payload) < self.body.size_bytes
        options = _replaced(self.response.options, _BLOCK2, pack_block(self.num, goes_on, BERT_SZX))
        return attrs.evolve(self.response, options=options, payload=b"")


def answered(asked: Message, response: Response, units: int) -> Response | Widened:
    """What answers a request that came over a stream.

    A request that names no size of blocks is answered with as many as the peer takes; one that names another size than
    BERT's is answered with that.

    Args:
        asked: the request as it came.
        response: the answer to what `in_blocks` made of it.
        units: how many blocks of 1024 bytes the peer takes in a message.
    """
    block1, block2 = asked.first(_BLOCK1), asked.first(_BLOCK2)
    if block1 is not None and _is_bert(_BLOCK1, block1):
        response = _echoed(response, block1)
    wide = units > 1 if block2 is None else _is_bert(_BLOCK2, block2)
    return _widened(response, units) if wide else response


def _echoed(response: Response, asked: bytes) -> Response:
    """Block1 of an answer: the number that was asked with, and BERT on, unless smaller blocks are wanted."""
    value = _first(response.options, _BLOCK1)
    if value is None:
        return response
    num, _, _ = unpack_block(asked, BERT_SZX)
    _, more, szx = unpack_block(value)
    block1 = pack_block(num, more, BERT_SZX if szx == MAX_SZX else szx)
    return attrs.evolve(response, options=_replaced(response.options, _BLOCK1, block1))


def _widened(response: Response, units: int) -> Response | Widened:
    value = _first(response.options, _BLOCK2)
    given = None if value is None else Block.decode(value)
    if given is None or given.szx != MAX_SZX:
        return response
    body = response.body
    length = 0 if body is None or not given.more else min(units * UNIT_BYTES, body.size_bytes - given.offset)
    if body is not None and length > len(response.payload):
        return Widened(response, body, given.offset, length, given.num)
    block2 = pack_block(given.num, given.more, BERT_SZX)
    return attrs.evolve(response, options=_replaced(response.options, _BLOCK2, block2))


def _first(options: Options, number: int) -> bytes | None:
    return next((value for have, value in options if have == number), None)


def _replaced(options: Options, number: int, value: bytes) -> Options:
    return tuple((have, value if have == number else each) for have, each in options)
