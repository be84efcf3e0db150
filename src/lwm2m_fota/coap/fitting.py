"""Messages that are no larger than the other end of a stream takes (Max-Message-Size, RFC 8323 section 5.3.1)."""

from typing import Final, final

import attrs

from lwm2m_fota.coap.block import (
    BERT_SZX,
    MAX_NUM,
    MAX_OPTION_BYTES,
    MAX_SZX,
    MIN_BLOCK_BYTES,
    slice_at,
    szx_for,
    unpack_block,
)
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.message import MAX_TOKEN_BYTES, Message, Options, encode_options, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.stream_frames import MAX_HEAD_BYTES
from lwm2m_fota.coap.stream_signals import UNIT_BYTES, Capabilities
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code, is_success

_BLOCK2: Final = int(Option.BLOCK2)

_FRAME_BYTES: Final = MAX_HEAD_BYTES + MAX_TOKEN_BYTES + 1
"""What is around the options: head and token, and the payload marker."""

_ADDED_BYTES: Final = 24
"""What comes to the options of a request with a body: Block1, Size1, Block2, Size2 and Observe."""

_BLOCK2_BYTES: Final = 6
_OPTION_HEAD_BYTES: Final = 5


@final
@attrs.frozen
class Steps:
    """How much of a body goes up in a message.

    Attributes:
        szx: the largest size of blocks, as exponent 0..6.
        units: how many blocks of 1024 bytes a message carries, where `szx` is 6.
    """

    szx: int = MAX_SZX
    units: int = 1


ONE_BLOCK: Final = Steps()
"""Of 1024 bytes, or less."""


def steps_of(can: Capabilities, options: Options, size_bytes: int) -> Steps:
    """The steps of a body.

    Args:
        can: what the other end takes.
        options: of the request, sorted, without those of its blocks.
        size_bytes: of the body; 0 is none.

    Raises:
        BlockwiseError: not even the smallest block fits a message that the other end takes, or it takes no blocks and
            the body does not fit whole (4.13).
    """
    encoded = bytearray()
    encode_options(encoded, options)
    room = can.max_message_bytes - _FRAME_BYTES - _ADDED_BYTES - len(encoded)
    if size_bytes > room and not (can.block_wise and room >= MIN_BLOCK_BYTES):
        takes = "" if can.block_wise else "no blocks, and "
        raise BlockwiseError(
            f"the peer takes {takes}messages of {can.max_message_bytes} bytes at most",
            code=Code.REQUEST_ENTITY_TOO_LARGE,
        )
    if not can.block_wise:
        return Steps(units=max(-(-size_bytes // UNIT_BYTES), 1))  # it goes whole
    if size_bytes <= room:
        return Steps(units=can.units)
    return Steps(szx_for(room), min(can.units, max(room // UNIT_BYTES, 1)))


def fitted(can: Capabilities, asked: Message | None, response: Response) -> Response:
    """A response; where it is too large, with a smaller block of its body, or with less of what it says to people.

    Args:
        can: what the other end takes.
        asked: the request; None for a notification.
        response: what is to be sent.
    """
    most = can.max_message_bytes - _FRAME_BYTES - len(response.payload)
    if sum(len(value) + _OPTION_HEAD_BYTES for _, value in response.options) <= most:
        return response
    encoded = bytearray()
    encode_options(encoded, sort_options(response.options))
    if len(encoded) <= most:
        return response
    room = most + len(response.payload) - len(encoded)
    if not is_success(response.code):
        return attrs.evolve(response, payload=response.payload[: max(room, 0)])
    if not can.block_wise or room < MIN_BLOCK_BYTES + _BLOCK2_BYTES:
        return Response(Code.INTERNAL_SERVER_ERROR)
    return _narrowed(asked, response, szx_for(room - _BLOCK2_BYTES))


def _narrowed(asked: Message | None, response: Response, szx: int) -> Response:
    """A response with a block of this size, or a smaller one if that was asked for."""
    given, more = _block(response.options), False
    begins = begin = 0
    if given is not None:
        begins, more, _ = given
        begin = begins
    elif asked is not None and (wanted := _block(asked.options)) is not None:
        begin, _, largest = wanted
        szx = min(szx, largest)
    total = begins + len(response.payload)
    if begin >= total or begin >> szx + 4 > MAX_NUM:
        return Response(Code.BAD_REQUEST)
    part = slice_at(begin, total, szx)
    others = tuple((number, value) for number, value in response.options if number != _BLOCK2)
    block2 = attrs.evolve(part, more=part.more or more).encode()
    payload = response.payload[begin - begins :][: part.length]
    return attrs.evolve(response, options=sort_options((*others, (_BLOCK2, block2))), payload=payload)


def _block(options: Options) -> tuple[int, bool, int] | None:
    """Where the block of Block2 begins, whether more follow, and its size; None if there is none."""
    value = next((value for number, value in options if number == _BLOCK2), None)
    if value is None or len(value) > MAX_OPTION_BYTES:
        return None
    num, more, szx = unpack_block(value, BERT_SZX)
    szx = min(szx, MAX_SZX)
    return num << szx + 4, more, szx
