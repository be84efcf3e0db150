"""The hot path of a body that is fetched from us: block after block, without decoding (RFC 7959 section 2.4).

After a block of a body was answered the ordinary way, the request for the next one is known but for message id and
token. Each block is answered from the body anew and nothing is kept, so a copy of a request is answered like the
request (RFC 7252 section 4.5: the answer is idempotent). The last block goes the ordinary way.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.batch import Pace
from lwm2m_fota.coap.block import MAX_NUM, Block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.events import BodyWanted, Event
from lwm2m_fota.coap.message import HEADER_BYTES, Message
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import ACK, CON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.reliability import frame, stamp
from lwm2m_fota.coap.template import BlockTemplate, head_of, values_left

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK2: Final = int(Option.BLOCK2)
_SIZE2: Final = int(Option.SIZE2)
_MORE: Final = 8
_NONE: Final[tuple[bytes, ...]] = ()


@final
class GiveLane:
    """The blocks of one body to one peer in one block size, behind one that was answered."""

    __slots__ = (
        "_ahead", "_ahead_at", "_answer", "_answer_head", "_answers", "_body", "_events", "_expected", "_length",
        "_messages", "_num", "_pace", "_place", "_request", "_request_head", "_requests", "_size", "_state", "_szx",
        "_token_end", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        messages: MessageLayer,
        events: list[Event],
        state: PeerState,
        request: Message,
        response: Response,
        given: Block,
        pace: Pace,
    ) -> None:
        """Wait for the request for the next block.

        Args:
            messages: sends.
            events: takes what is wanted of the body.
            state: the peer.
            request: a confirmable request for a block, without a payload.
            response: what it was answered with; has a `body`.
            given: the Block2 of that.
            pace: how much is asked of the body at a time.
        """
        body = response.body
        if body is None:
            raise AssertionError("there is more of the body")
        self._messages = messages
        self._events = events
        self._state = state
        self._body = body
        self._pace = pace
        self._szx = given.szx
        self._size = given.size
        self._token_end = HEADER_BYTES + len(request.token)
        options = tuple(option for option in request.options if given.num or option[0] != _SIZE2)
        self._request = BlockTemplate(options, _BLOCK2, payload=False)
        self._request_head = head_of(CON, request.code, len(request.token))
        self._answer = BlockTemplate(response.options, _BLOCK2, payload=True)
        self._answer_head = head_of(ACK, response.code, len(request.token))
        self._num = given.num + 1
        self._requests: Iterator[bytes] = iter(_NONE)
        self._answers: Iterator[bytes] = iter(_NONE)
        self._expected = b""
        self._length = 0
        self._expect(self._count_on())
        self._ahead = b""
        self._ahead_at = 0
        self._place = 0  # in `_ahead`, of the block that is expected next
        self._waits: list[tuple[bytes, bytes]] = []  # message id and token, and the options of the answer

    def _count_on(self) -> bytes:
        """The request expected next, the first of those for which numbers are made ready."""
        if self._num > MAX_NUM:
            return b""
        value = self._num << 4 | self._szx
        count = values_left(value)
        self._requests = self._request.options(value, count)
        self._answers = self._answer.options(value | _MORE, count)
        return next(self._requests)

    def _expect(self, expected: bytes) -> None:
        self._expected = expected
        self._length = self._token_end + len(expected) if expected else 0  # 0 is of no datagram

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it asks for the next block.

        Returns:
            What answers it, empty if nothing does yet; None leaves it to the ordinary way.
        """
        if len(data) != self._length or not data.endswith(self._expected) or not data.startswith(self._request_head):
            return None
        place, size, waits = self._place, self._size, self._waits
        payload = self._ahead[place : place + size]
        is_there = len(payload) == size and not waits
        offset = self._num * size
        if not is_there and offset + size >= self._body.size_bytes:
            return None
        self._state.idle_at = now + self._state.lifetime_s
        self._place = place + size
        self._num += 1
        options = next(self._answers)
        self._expect(next(self._requests, None) or self._count_on())
        request = data[2 : self._token_end]
        if is_there:
            return b"".join((self._answer_head, request, options, payload))
        waits.append((request, options))
        if len(waits) == 1:
            self._pace.end(len(self._ahead), now)
            self._pace.begin(now)
            self._want(offset)
        return b""

    def _want(self, offset: int) -> None:
        """Let the caller be asked for whole blocks, all of them before the last."""
        size = self._size
        blocks = max(self._pace.target_bytes // size, 1)
        length = min(blocks * size, (self._body.size_bytes - 1) // size * size - offset)
        self._ahead, self._ahead_at = b"", offset
        self._events.append(BodyWanted(self, self._body, offset, length))

    def give(self, given: bytes | Response, now: float) -> None:
        """Answer the requests that wait: each with its block, or all with something else."""
        del now
        waits, self._waits = self._waits, []
        address = self._state.address
        if isinstance(given, Response):
            for request, _ in waits:
                framed = frame(ACK, given.code, request[2:], given.options, given.payload)
                self._messages.send(stamp(framed, int.from_bytes(request[:2], "big")), address)
            return
        self._ahead = given
        size, place = self._size, 0
        for number, (request, options) in enumerate(waits):
            payload = given[place : place + size]
            if len(payload) < size:  # more were asked for than was read ahead
                self._waits = waits[number:]
                self._want(self._ahead_at + place)
                return
            place += size
            self._messages.send(b"".join((self._answer_head, request, options, payload)), address)
        self._place = place
