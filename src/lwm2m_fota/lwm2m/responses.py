"""How errors and values become CoAP responses."""

import math
import zlib
from typing import Final

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.errors import BlockwiseError, BusyError, FotaError
from lwm2m_fota.model.codes import Code

MAX_DIAGNOSTIC_BYTES: Final = 256
"""Of the text for people that goes into an error response (RFC 7252 section 5.5.2)."""


RETRY_AFTER_S: Final = 60.0
"""When to ask again for what there may be room for some time; what Max-Age is by default, too."""


def diagnostic_payload(text: str) -> bytes:
    """A line for people as a payload: UTF-8, cut between characters."""
    return text.encode("utf-8", "replace")[:MAX_DIAGNOSTIC_BYTES].decode("utf-8", "ignore").encode()


def error_response(error: FotaError) -> Response:
    """The response that tells an error: its code, its text for people, and what may help (Size1, Max-Age)."""
    options: Options = ()
    if isinstance(error, BlockwiseError) and error.size1 is not None:
        options = ((int(Option.SIZE1), pack_uint(error.size1)),)
    elif isinstance(error, BusyError):
        options = (retry_option(error.retry_after_s),)
    elif error.code == Code.SERVICE_UNAVAILABLE:
        options = (retry_option(),)
    code = Code.INTERNAL_SERVER_ERROR if error.code is None else error.code
    return Response(code, options, diagnostic_payload(str(error)))


def repeated(answer: Response, block1: tuple[int, bytes]) -> Response:
    """An answer once more, to a block that came again: it may have been given to several blocks together."""
    number, _ = block1
    options = tuple(block1 if each[0] == number else each for each in answer.options)
    return Response(answer.code, options, answer.payload)


def retry_option(wait_s: float = RETRY_AFTER_S) -> tuple[int, bytes]:
    """Max-Age of a 5.03: when to ask again, whole seconds (RFC 7252 section 5.9.3.4)."""
    return int(Option.MAX_AGE), pack_uint(max(math.ceil(wait_s), 1))


def content_format_option(number: int) -> tuple[int, bytes]:
    """The Content-Format option."""
    return int(Option.CONTENT_FORMAT), pack_uint(number)


def cut(message: Message | None, body: bytes, options: Options, max_szx: int) -> Response:
    """A 2.05 with the block of `body` that a request asks for; a small body goes whole.

    Args:
        message: the request; None for a notification.
        body: the whole body.
        options: of the response, beside those of the block.
        max_szx: the largest block, as exponent.

    Raises:
        BlockwiseError: a block behind the end, or a reserved size.
    """
    block = None if message is None else block_option(message, Option.BLOCK2)
    part = block2_answer(block, len(body), max_szx=max_szx)
    if part is None:
        return Response(Code.CONTENT, sort_options(options), body)
    want_size2 = message is not None and message.first(Option.SIZE2) is not None
    block_options = block2_options(part, len(body), _etag(body), want_size2=want_size2)
    payload = body[part.offset : part.offset + part.length]
    return Response(Code.CONTENT, sort_options((*options, *block_options)), payload)


def block_option(message: Message, number: int) -> Block | None:
    """Block1 or Block2 of a request.

    Raises:
        BlockwiseError: a reserved size, or too many bytes.
    """
    value = message.first(number)
    return None if value is None else Block.decode(value)


def _etag(body: bytes) -> bytes:
    """Names a rendered value for as long as it stays the same: the client compares it across blocks."""
    return zlib.crc32(body).to_bytes(4, "big")
