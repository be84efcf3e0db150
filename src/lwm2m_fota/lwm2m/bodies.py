"""Request bodies that come in blocks: the object list of a client with many objects exceeds one datagram."""

from collections.abc import Hashable
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.errors import BusyError, UsageError
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.responses import repeated
from lwm2m_fota.lwm2m.transfers import Transfer, TransferTable
from lwm2m_fota.model.codes import Code

_SERVER_TRANSFERS: Final = TransferLimits(in_all=1024)


@final
@attrs.frozen(kw_only=True)
class BodyLimits:
    """Bounds of the request bodies that a server gathers.

    Attributes:
        max_body_bytes: of one body; a larger one is refused with 4.13, and Size1 says how much is taken.
        gathered_bytes: of all unfinished ones together; what exceeds it is refused with 5.03 and Max-Age.
        transfers: how many at a time.

    Raises:
        UsageError: a size below 0.
    """

    max_body_bytes: int = 65536
    gathered_bytes: int = 4 << 20
    transfers: TransferLimits = _SERVER_TRANSFERS

    def __attrs_post_init__(self) -> None:
        if min(self.max_body_bytes, self.gathered_bytes) < 0:
            raise UsageError("a body has at least 0 bytes")


@final
class RequestBodies:
    """Gathers the bodies of requests.

    Blocks belong together by peer, path and query; block 0 begins anew.

    Args:
        limits: bounds.
    """

    __slots__ = ("_max_body_bytes", "_table")

    def __init__(self, limits: BodyLimits) -> None:
        self._max_body_bytes = limits.max_body_bytes
        self._table = TransferTable(limits.transfers, limits.gathered_bytes)

    def take(self, message: Message, peer: Hashable, now: float) -> bytes | Response:
        """The whole body; or the response to a block that does not complete one.

        Raises:
            BlockwiseError: the block does not fit (4.00, 4.02, 4.08), or the body is too large (4.13).
            BusyError: there is no room for it.
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
        if not isinstance(accepted, Accepted) and transfer.answer is not None:
            return repeated(transfer.answer, _control(value))
        self._table.heard(peer, key, transfer, now)
        if isinstance(accepted, Accepted):
            self._gather(peer, key, transfer, accepted.payload)
            if accepted.final:
                return bytes(transfer.body)
        return Response(Code.CONTINUE, (_control(value),))

    def _gather(self, peer: Hashable, key: Hashable, transfer: Transfer, data: bytes) -> None:
        try:
            self._table.gather(transfer, data)
        except BusyError:
            self._table.drop(peer, key)  # the block was accepted; the body has to begin anew
            raise

    def answered(self, message: Message, peer: Hashable, response: Response) -> Response:
        """The response to a whole body as it goes out; it is kept for a peer that sends the last block again."""
        value, transfer = message.first(Option.BLOCK1), self._table.get(peer, _key(message))
        if value is None or transfer is None:
            return response
        answer = Response(response.code, sort_options((*response.options, _control(value))), response.payload)
        self._table.end(peer, _key(message), transfer, answer)
        return answer


def _key(message: Message) -> Hashable:
    return message.code, tuple(message.every(Option.URI_PATH)), tuple(message.every(Option.URI_QUERY))


def _control(block1: bytes) -> tuple[int, bytes]:
    """Every size is taken: the answer repeats the block."""
    return int(Option.BLOCK1), block1
