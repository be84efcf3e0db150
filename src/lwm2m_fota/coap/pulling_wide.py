"""The hot path of a streamed download with several requests under way (RFC 7959 section 2.4); see `pulling`.

Several requests under way need an NSTART above 1, and an origin that tells the size (Size2), so that nothing beyond
the end is asked for; see `Window`. A request goes out again at its time-out, or once `REORDER_THRESHOLD` later ones
were answered.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import MAX_NUM, MIN_BLOCK_BYTES
from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.message import HEADER_BYTES, Message
from lwm2m_fota.coap.numbers import ACK, CON, Option
from lwm2m_fota.coap.reliability import Outgoing, Purpose
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of
from lwm2m_fota.coap.window import Window

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.client import Client

REORDER_THRESHOLD: Final = 3
"""Later answers after which a request counts as lost, not late."""

_BLOCK2: Final = int(Option.BLOCK2)
_SIZE2: Final = int(Option.SIZE2)
_MORE: Final = 8


@final
class _Asked:
    """A request under way.

    Attributes:
        num: the block that it asks for.
        outgoing: its message.
        expected: what its answer has between message id and payload.
        overtaken: later requests that were answered before it.
    """

    __slots__ = ("expected", "num", "outgoing", "overtaken")

    def __init__(self, outgoing: Outgoing) -> None:
        self.num = 0
        self.outgoing = outgoing
        self.expected = b""
        self.overtaken = 0


@final
class WidePullLane:
    """The blocks of one call in one block size, from the offset of its download on."""

    __slots__ = (
        "_answer", "_answer_head", "_asked", "_batch", "_call", "_client", "_download", "_early", "_end", "_limit",
        "_messages", "_next_in", "_next_out", "_request", "_request_head", "_size", "_state", "_szx", "_tokens",
        "_window",
    )  # fmt: skip

    def __init__(
        self,
        client: "Client",
        call: "Call",
        download: Block2Receiver,
        szx: int,
        answer: Message,
        tokens: TokenRun,
        most: int,
    ) -> None:
        """Begin; `ask` sends the first request.

        Args:
            client: whose call it is.
            call: a confirmable request without a body, whose answer is streamed.
            download: of the call; its offset starts a block.
            szx: the block size, as exponent.
            answer: the acknowledgement that brought the block before.
            tokens: for its requests.
            most: how many may be under way, at least 2.
        """
        size = MIN_BLOCK_BYTES << szx
        size2 = answer.uint(_SIZE2)
        self._client = client
        self._messages = client.messages
        self._call = call
        self._state = call.state
        self._download = download
        self._batch = call.batch
        self._szx = szx
        self._size = size
        self._tokens = tokens
        self._request_head = head_of(CON, call.request.code, tokens.size_bytes)
        self._request = BlockTemplate(call.request.options, _BLOCK2, payload=False)
        self._answer_head = head_of(ACK, answer.code, tokens.size_bytes)
        self._answer = BlockTemplate(answer.options, _BLOCK2, payload=True)
        self._next_in = self._next_out = download.offset // size
        self._asked: dict[bytes, _Asked] = {}  # by message id
        self._early: dict[int, bytes] = {}
        self._window = Window(most)
        self._limit = min(download.max_body_bytes // size, MAX_NUM)  # beyond it the ordinary way says what is wrong
        self._end = 0 if size2 is None else -(-size2 // size) - 1  # the last block is asked for when it is alone

    # -- answers

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is an answer as expected.

        Returns:
            Nothing: what it led to is in the outbox; None leaves it to the ordinary way.
        """
        mid_bytes = data[2:HEADER_BYTES]
        asked = self._asked.get(mid_bytes)
        if asked is None:
            return None
        expected = asked.expected
        payload = data[HEADER_BYTES + len(expected) :]
        if (
            len(payload) != self._size
            or not data.startswith(expected, HEADER_BYTES)
            or not data.startswith(self._answer_head)
        ):
            return None
        outgoing, state = asked.outgoing, self._state
        del self._asked[mid_bytes]
        del state.in_flight[outgoing.mid]
        del state.tokens[outgoing.token]
        if state.queue:
            self._messages.pump(state, now)
        self._judge(asked, now)
        repeated = outgoing.retransmits_left != state.parameters.max_retransmit
        if (repeated or self._call.losses) and self._call.note_block(repeated=repeated):
            self._limit = 0  # no more of this size are asked for
        if asked.num != self._next_in:
            self._early[asked.num] = payload
        elif self._take(payload, now):
            return b""
        if self._asked or self._next_out >= self._limit or not self._send(asked, now):
            self.ask(now, asked)
        return b""

    def _take(self, payload: bytes, now: float) -> bool:
        """Hand on a block, and those that came before it was their turn; True if the caller has a batch now."""
        self._next_in = next_in = self._next_in + 1
        self._download.advance(self._size)
        full = self._batch.add(payload, now)
        early = self._early
        while early and (following := early.pop(next_in, None)) is not None:
            self._next_in = next_in = next_in + 1
            self._download.advance(self._size)
            full = self._batch.add(following, now)
        return full and self._client.bodies.offer(self._call, now)

    def _judge(self, asked: _Asked, now: float) -> None:
        """What an answer says about the network: the window grows or shrinks, and what was lost goes out again."""
        window = self._window
        if asked.outgoing.retransmits_left == self._state.parameters.max_retransmit:
            window.answered()
        elif asked.overtaken < REORDER_THRESHOLD:  # it timed out
            window.lost(asked.num, self._next_out)
        for each in self._asked.values():
            if each.num > asked.num:
                break
            each.overtaken += 1
            if each.overtaken == REORDER_THRESHOLD:
                window.lost(each.num, self._next_out)
                again = each.outgoing.relaunch(now)
                if again is not None:
                    self._messages.send(again, self._state.address)

    # -- requests

    def ask(self, now: float, spare: _Asked | None = None) -> None:
        """Send the next requests, as far as window, NSTART and message ids allow; if none can, the ordinary way does.

        Args:
            now: monotonic seconds.
            spare: one that was answered, to be used again.
        """
        while self._may_ask() and self._send(spare or self._new_request(), now):
            spare = None
        if not self._asked:
            self.close(now)
            self._client.ask_slowly(self._call, now)

    def _new_request(self) -> _Asked:
        return _Asked(
            Outgoing(confirmable=True, framed=b"", token=b"", purpose=Purpose.REQUEST, call=self._call.number)
        )

    def _may_ask(self) -> bool:
        next_out = self._next_out
        if not self._asked:
            return next_out < self._limit
        window = self._window
        return len(self._asked) < window.width and next_out < self._end and next_out - self._next_in < window.most

    def _send(self, asked: _Asked, now: float) -> bool:
        state, in_flight = self._state, self._state.in_flight
        if state.queue or len(in_flight) >= state.parameters.nstart:
            return False
        mid = state.ids.take(now, state.lifetime_s, in_flight)
        token = self._tokens.take()
        if mid is None or token in state.tokens:
            return False
        state.tokens[token] = self._call
        asked.outgoing.token = token
        num = self._next_out
        self._next_out = num + 1
        mid_bytes = mid.to_bytes(2, "big")
        value = num << 4 | self._szx  # more than one byte, or the same length with M: num is above 0
        length = value.bit_length() + 7 >> 3
        request, answer = self._request, self._answer
        asked.num = num
        asked.overtaken = 0
        asked.expected = b"".join((token, answer.lead[length], (value | _MORE).to_bytes(length, "big"), answer.after))
        self._asked[mid_bytes] = asked
        datagram = b"".join(
            (self._request_head, mid_bytes, token, request.lead[length], value.to_bytes(length, "big"), request.after)
        )
        self._messages.depart_next(state, asked.outgoing, datagram, mid, now)
        self._messages.send(datagram, state.address)
        return True

    # -- the way back

    def give_back(self, token: bytes, now: float) -> bool:
        """Something unexpected came: end the lane.

        Args:
            token: of the request that it is about.
            now: monotonic seconds.

        Returns:
            True if that request is the ordinary way's now. False if it was for a block out of turn: then all are
            withdrawn, and the next block is asked for the ordinary way.
        """
        call, asked = self._call, tuple(self._asked.values())
        mine = next((each for each in asked if each.outgoing.token == token), None)
        if mine is not None and mine.num == self._next_in:
            self._asked = {mid: each for mid, each in self._asked.items() if each is not mine}
            self.close(now)
            call.token, call.outgoing = mine.outgoing.token, mine.outgoing
            return True
        self.close(now)
        self._client.ask_slowly(call, now)
        return False

    def close(self, now: float) -> None:
        """Withdraw what is under way, and forget what came out of turn."""
        self._client.leave(self._call)
        self._early.clear()
        asked, self._asked = self._asked, {}
        for each in asked.values():
            del self._state.tokens[each.outgoing.token]
            self._messages.withdraw(self._state, each.outgoing, now)
