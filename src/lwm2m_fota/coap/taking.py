"""The hot path of a body that is sent to us: block after block, without decoding (RFC 7959 section 2.3).

After a block was acknowledged the ordinary way, the next request is known but for message id, token and payload. The
lane acknowledges the blocks of a batch and gathers them; the last request of a batch goes up with the bytes of all, and
is acknowledged by whoever takes them. So an error is told with the batch in which it came up.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.batch import Batch
from lwm2m_fota.coap.block import MAX_NUM, Block, pack_block, unpack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.message import HEADER_BYTES, Message, Options, sort_options
from lwm2m_fota.coap.numbers import ACK, CON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.template import BlockTemplate, head_of, values_left
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lwm2m_fota.coap.serving import Serving

_BLOCK1: Final = int(Option.BLOCK1)
_SIZE1: Final = int(Option.SIZE1)
_MORE: Final = 8
_NONE: Final[tuple[bytes, ...]] = ()
_CONTINUE: Final = int(Code.CONTINUE)
_OF_BLOCKS: Final = frozenset({_BLOCK1, _SIZE1})


@final
class TakeLane:
    """The blocks of one body from one peer in one block size, behind one that was acknowledged."""

    __slots__ = (
        "_answer", "_answer_head", "_answers", "_batch", "_code", "_expected", "_first_num", "_length", "_num",
        "_options", "_request", "_request_head", "_requests", "_serving", "_size", "_state", "_szx", "_token_end",
    )  # fmt: skip

    def __init__(
        self, serving: "Serving", state: PeerState, request: Message, answer: Options, taken: Block, batch: Batch
    ) -> None:
        """Wait for the next block.

        Args:
            serving: takes the batches.
            state: the peer.
            request: a confirmable request with a block that is not the last.
            answer: the options of the 2.31 that acknowledged it.
            taken: the block, as request and answer have it.
            batch: empty.
        """
        self._serving = serving
        self._state = state
        self._batch = batch
        self._szx = taken.szx
        self._size = taken.size
        self._options = tuple(
            option for option in request.options if option[0] != _BLOCK1 and (taken.num or option[0] != _SIZE1)
        )
        self._request = BlockTemplate(self._options, _BLOCK1, payload=True)
        self._token_end = HEADER_BYTES + len(request.token)
        self._request_head = head_of(CON, request.code, len(request.token))
        self._answer = BlockTemplate(answer, _BLOCK1, payload=False)
        self._answer_head = head_of(ACK, _CONTINUE, len(request.token))
        self._code = request.code
        self._num = taken.num + 1
        self._first_num = self._num
        self._requests: Iterator[bytes] = iter(_NONE)
        self._answers: Iterator[bytes] = iter(_NONE)
        self._expected = b""
        self._length = 0
        self._expect(self._count_on())

    def _count_on(self) -> bytes:
        """What the request expected next has behind its token, the first of those for which numbers are made ready."""
        if self._num > MAX_NUM:
            return b""
        value = self._num << 4 | _MORE | self._szx
        count = values_left(value)
        self._requests = self._request.options(value, count)
        self._answers = self._answer.options(value, count)
        return next(self._requests)

    def _expect(self, expected: bytes) -> None:
        self._expected = expected
        self._length = self._token_end + len(expected) + self._size if expected else 0  # 0 is of no datagram

    def goes_on(self, response: Response) -> bool:
        """True if a response to a batch asks for the next block of the same size."""
        if response.code != _CONTINUE or response.payload:
            return False
        return any(number == _BLOCK1 and value and value[-1] & 7 == self._szx for number, value in response.options)

    def begin(self, now: float) -> None:
        """The batch before is stored."""
        self._batch.begin(now)

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is the next block.

        Returns:
            What acknowledges it, empty if nothing does yet; None leaves it to the ordinary way.
        """
        token_end = self._token_end
        if (
            len(data) != self._length
            or not data.startswith(self._expected, token_end)
            or not data.startswith(self._request_head)
        ):
            return None
        state = self._state
        mid = data[2] << 8 | data[3]
        digest = hash(data)
        if state.recalled.find(mid, digest, now) is not None:
            return None
        state.idle_at = expires = now + state.lifetime_s
        entry = state.recalled.add(mid, digest, expires, now)
        full = self._batch.add(data[-self._size :], now)
        options = next(self._answers)
        self._num += 1
        self._expect(next(self._requests, None) or self._count_on())
        if full:
            message = self._gathered(mid, data[HEADER_BYTES:token_end], now)
            self._serving.requested(state, message, entry, now, self)
            return b""
        entry.reply = acknowledgement = b"".join((self._answer_head, data[2:token_end], options))
        return acknowledgement

    # -- on the ordinary way

    def _gathered(self, mid: int, token: bytes, now: float) -> Message:
        """What was gathered, as one request."""
        block1 = (_BLOCK1, pack_block(self._first_num, True, self._szx))  # noqa: FBT003 - more
        options = sort_options((*self._options, block1))
        first, self._first_num = self._first_num, self._num
        return Message(CON, self._code, mid, token, options, self._batch.take(now), self._num - first)

    def join(self, message: Message, now: float) -> Message:
        """A request that came the ordinary way, with what was gathered before it, if it goes on with that.

        A body that begins anew makes it void; before anything else of this body it goes up by itself.
        """
        if not self._batch.size_bytes or not self._is_of_body(message):
            return message
        try:
            num, more, szx = unpack_block(message.first(_BLOCK1) or b"")
        except BlockwiseError:
            return message
        length = len(message.payload)
        if num == self._num and szx == self._szx and (length == self._size or (length < self._size and not more)):
            before = self._gathered(0, b"", now)
            block1 = (_BLOCK1, pack_block(unpack_block(before.first(_BLOCK1) or b"")[0], more, szx))
            options = tuple(block1 if option[0] == _BLOCK1 else option for option in message.options)
            return message._replace(options=options, payload=before.payload + message.payload, blocks=before.blocks + 1)
        if num:
            self.flush(now)
        else:
            self._batch.clear(0)
        return message

    def _is_of_body(self, message: Message) -> bool:
        rest = tuple(option for option in message.options if option[0] not in _OF_BLOCKS)
        return message.code == self._code and rest == tuple(option for option in self._options if option[0] != _SIZE1)

    def flush(self, now: float) -> None:
        """Hand up what was gathered by itself: it was acknowledged already."""
        if self._batch.size_bytes:
            self._serving.announce(self._state, self._gathered(0, b"", now))
