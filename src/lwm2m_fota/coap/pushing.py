"""The hot path of an upload: block after block, without decoding what is known beforehand (RFC 7959 section 2.3).

After a block was acknowledged the ordinary way, the next acknowledgement is known to the last byte. The lane sends
block after block as long as they come so, and gives everything else back to the ordinary way, the last block included.
What it does, the ordinary way would have done.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.block1 import Block1Sender
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.reliability import Outgoing, Purpose
from lwm2m_fota.coap.succession import Succession
from lwm2m_fota.coap.template import BlockTemplate, TokenRun

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.client import Client

_BLOCK1: Final = int(Option.BLOCK1)
_MORE: Final = 8
_NOTHING: Final = b""
"""Nothing is under way: no datagram that comes here is empty."""


@final
class PushLane:
    """The blocks of one call in one block size, from the offset of its upload on."""

    __slots__ = (
        "_ahead", "_call", "_client", "_expected", "_outgoing", "_size", "_state", "_szx", "_upload",
    )  # fmt: skip

    def __init__(self, client: "Client", call: "Call", upload: Block1Sender, answer: Message, tokens: TokenRun) -> None:
        """Begin; `ask` sends the first block.

        Args:
            client: whose call it is.
            call: a confirmable request.
            upload: its body.
            answer: the acknowledgement of the block before; it has no payload.
            tokens: for its requests.
        """
        self._client = client
        self._call = call
        self._state = call.state
        self._upload = upload
        self._szx = upload.szx
        self._size = MIN_BLOCK_BYTES << upload.szx
        self._ahead = Succession(
            call.state,
            tokens,
            BlockTemplate(call.request.options, _BLOCK1, payload=True),
            call.request.code,
            BlockTemplate(answer.options, _BLOCK1, payload=False),
            answer.code,
        )
        self._outgoing = Outgoing(confirmable=True, framed=b"", token=b"", purpose=Purpose.REQUEST, call=call.number)
        self._expected = _NOTHING

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is the acknowledgement as expected.

        Returns:
            What answers it, empty if nothing does yet; None leaves it to the ordinary way.
        """
        if data != self._expected:
            return None
        state, outgoing = self._state, self._outgoing
        del state.in_flight[outgoing.mid]
        del state.tokens[outgoing.token]
        if state.queue:
            self._client.messages.pump(state, now)
        self._expected = _NOTHING
        self._upload.advance(self._size)
        repeated = outgoing.retransmits_left != state.parameters.max_retransmit
        if (repeated or self._call.losses) and self._call.note_block(repeated=repeated):
            return self._slowly(now)
        return self._send(now)

    def ask(self, now: float) -> None:
        """Send the next block, or let its bytes be asked for; the last one goes the ordinary way."""
        datagram = self._send(now)
        if datagram:
            self._client.messages.send(datagram, self._state.address)

    def _send(self, now: float) -> bytes:
        """The next block; empty if it went the ordinary way, or is not there yet."""
        state, ahead, call = self._state, self._ahead, self._call
        start = self._upload.offset - call.ahead_at
        payload = call.ahead[start : start + self._size]
        if len(payload) < self._size and self._upload.left_bytes > self._size:
            self._client.want(call, now)
            return _NOTHING
        if state.queue or len(state.in_flight) >= state.parameters.nstart:
            return self._slowly(now)
        head = next(ahead.requests, None) if now < ahead.until else None
        if head is None:
            if not self._prepare(now):
                return self._slowly(now)
            head = next(ahead.requests)
        token = head[ahead.token]
        if token in state.tokens:
            return self._slowly(now)
        self._expected = next(ahead.answers)
        datagram = head + payload
        outgoing = self._outgoing
        outgoing.token = token
        state.tokens[token] = call
        self._client.messages.depart_next(state, outgoing, datagram, head[2] << 8 | head[3], now)
        return datagram

    def _prepare(self, now: float) -> bool:
        upload, size = self._upload, self._size
        before_last = (upload.left_bytes - 1) // size
        return before_last > 0 and self._ahead.prepare(upload.offset // size << 4 | _MORE | self._szx, before_last, now)

    def _slowly(self, now: float) -> bytes:
        self.close(now)
        self._client.ask_slowly(self._call, now)
        return _NOTHING

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
        if self._expected:
            self._expected = _NOTHING
            del self._state.tokens[self._outgoing.token]
            self._client.messages.withdraw(self._state, self._outgoing, now)

    def _leave(self) -> None:
        self._ahead.abandon()
        self._client.leave(self._call)
