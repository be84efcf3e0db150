"""Request bodies that come in blocks: the object list of a client with many objects exceeds one datagram."""

from collections.abc import Hashable
from typing import Final, final

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.lwm2m.transfers import Transfer, TransferTable
from lwm2m_fota.model.codes import Code

MAX_BODY_BYTES: Final = 65536
MAX_BODIES: Final = 64


@final
class RequestBodies:
    """Gathers the bodies of requests.

    Blocks belong together by peer, path and query; block 0 begins anew.

    Args:
        max_body_bytes: the largest body.
        max_bodies: bodies at a time; the one that was not heard of for longest gives way.
    """

    __slots__ = ("_max_body_bytes", "_table")

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES, max_bodies: int = MAX_BODIES) -> None:
        self._max_body_bytes = max_body_bytes
        self._table = TransferTable(max_bodies)

    def take(self, message: Message, peer: Hashable) -> bytes | Response:
        """The whole body; or the response to a block that does not complete one.

        Raises:
            BlockwiseError: the block does not fit (4.00, 4.02, 4.08), or the body is too large (4.13).
        """
        key, value = _key(message), message.first(Option.BLOCK1)
        if value is None:
            self._table.drop(peer, key)
            return message.payload
        block = Block.decode(value)
        transfer = self._table.get(peer, key) if block.num else None
        if transfer is None:
            transfer = Transfer(Block1Receiver(self._max_body_bytes), (message.code, None), streamed=False)
        accepted = transfer.receiver.accept(block, message.payload, message.uint(Option.SIZE1), message.blocks)
        self._table.heard(peer, key, transfer)
        if isinstance(accepted, Accepted):
            transfer.body += accepted.payload
            if accepted.final:
                return bytes(transfer.body)
        return transfer.answer or Response(Code.CONTINUE, (_control(value),))

    def answered(self, message: Message, peer: Hashable, response: Response) -> Response:
        """The response to a whole body as it goes out; it is kept for a peer that sends the last block again."""
        value, transfer = message.first(Option.BLOCK1), self._table.get(peer, _key(message))
        if value is None or transfer is None:
            return response
        transfer.body.clear()
        transfer.answer = Response(response.code, sort_options((*response.options, _control(value))), response.payload)
        return transfer.answer


def _key(message: Message) -> Hashable:
    return message.code, tuple(message.every(Option.URI_PATH)), tuple(message.every(Option.URI_QUERY))


def _control(block1: bytes) -> tuple[int, bytes]:
    """Every size is taken: the answer repeats the block."""
    return int(Option.BLOCK1), block1
