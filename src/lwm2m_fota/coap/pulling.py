"""The hot path of a streamed download: block after block, without decoding what is known beforehand (RFC 7959 2.4).

After a block has come the ordinary way, the next answers are known but for their payload. The lane asks for them one
after the other, takes those that are as expected, and gives everything else back to the ordinary way, which goes on
from the last block in order. What it does, the ordinary way would have done. `pulling_wide` has several under way.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import MAX_NUM, MIN_BLOCK_BYTES
from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.reliability import Outgoing, Purpose
from lwm2m_fota.coap.succession import Succession
from lwm2m_fota.coap.template import BlockTemplate, TokenRun

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.client import Client

_BLOCK2: Final = int(Option.BLOCK2)
_NOTHING_EXPECTED: Final = -1


@final
class PullLane:
    """The blocks of one call in one block size, from the offset of its download on, one at a time."""

    __slots__ = (
        "_ahead", "_batch", "_call", "_client", "_download", "_expected", "_length", "_limit", "_outgoing", "_size",
        "_state", "_szx",
    )  # fmt: skip

    def __init__(
        self, client: "Client", call: "Call", download: Block2Receiver, szx: int, answer: Message, tokens: TokenRun
    ) -> None:
        """Begin; `ask` sends the first request.

        Args:
            client: whose call it is.
            call: a confirmable request without a body, whose answer is streamed.
            download: of the call; its offset starts a block.
            szx: the block size, as exponent.
            answer: the acknowledgement that brought the block before.
            tokens: for its requests.
        """
        self._client = client
        self._call = call
        self._state = call.state
        self._download = download
        self._batch = call.batch
        self._szx = szx
        self._size = MIN_BLOCK_BYTES << szx
        self._ahead = Succession(
            call.state,
            tokens,
            BlockTemplate(call.request.options, _BLOCK2, payload=False),
            call.request.code,
            BlockTemplate(answer.options, _BLOCK2, payload=True),
            answer.code,
        )
        self._limit = min(download.max_body_bytes // self._size, MAX_NUM)  # the ordinary way says what is wrong beyond
        self._outgoing = Outgoing(confirmable=True, framed=b"", token=b"", purpose=Purpose.REQUEST, call=call.number)
        self._expected = b""
        self._length = _NOTHING_EXPECTED

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is the answer as expected.

        Returns:
            What answers it, empty if nothing does yet; None leaves it to the ordinary way.
        """
        expected = self._expected
        if len(data) != self._length or not data.startswith(expected):
            return None
        state, outgoing, call = self._state, self._outgoing, self._call
        self._length = _NOTHING_EXPECTED
        del state.in_flight[outgoing.mid]
        del state.tokens[outgoing.token]
        if state.queue:
            self._client.messages.pump(state, now)
        repeated = outgoing.retransmits_left != state.parameters.max_retransmit
        if (repeated or call.losses) and call.note_block(repeated=repeated):
            self._limit = 0  # no more of this size are asked for
            self._ahead.abandon()
        self._download.advance(self._size)
        if self._batch.add(data[len(expected) :], now) and self._client.bodies.offer(call, now):
            return b""
        return self._send(now)

    def ask(self, now: float) -> None:
        """Send the next request, or let the ordinary way do it."""
        datagram = self._send(now)
        if datagram:
            self._client.messages.send(datagram, self._state.address)

    def _send(self, now: float) -> bytes:
        """The next request; empty if it went the ordinary way."""
        state, ahead = self._state, self._ahead
        if state.queue or len(state.in_flight) >= state.parameters.nstart:
            return self._slowly(now)
        datagram = next(ahead.requests, None) if now < ahead.until else None
        if datagram is None:
            if not self._prepare(now):
                return self._slowly(now)
            datagram = next(ahead.requests)
        token = datagram[ahead.token]
        if token in state.tokens:
            return self._slowly(now)
        self._expected = expected = next(ahead.answers)
        self._length = len(expected) + self._size
        outgoing = self._outgoing
        outgoing.token = token
        state.tokens[token] = self._call
        self._client.messages.depart_next(state, outgoing, datagram, datagram[2] << 8 | datagram[3], now)
        return datagram

    def _prepare(self, now: float) -> bool:
        num = self._download.offset // self._size
        return num < self._limit and self._ahead.prepare(num << 4 | self._szx, self._limit - num, now)

    def _slowly(self, now: float) -> bytes:
        self.close(now)
        self._client.ask_slowly(self._call, now)
        return b""

    def give_back(self, token: bytes, now: float) -> bool:
        """Something unexpected came: end the lane; the request under way is the ordinary way's now."""
        del now
        call = self._call
        self._leave()
        call.token, call.outgoing = token, self._outgoing
        return True

    def close(self, now: float) -> None:
        """Withdraw what is under way."""
        self._leave()
        if self._length != _NOTHING_EXPECTED:
            self._length = _NOTHING_EXPECTED
            del self._state.tokens[self._outgoing.token]
            self._client.messages.withdraw(self._state, self._outgoing, now)

    def _leave(self) -> None:
        self._ahead.abandon()
        self._client.leave(self._call)
