"""The hot path of an upload: block after block, without decoding what is known beforehand (RFC 7959 section 2.3).

After a block was acknowledged the ordinary way, the next acknowledgement is known to the last byte. The lane sends
block after block as long as they come so, and gives everything else back to the ordinary way, the last block included.
What it does, the ordinary way would have done.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.block1 import Block1Sender
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import ACK, CON, Option
from lwm2m_fota.coap.reliability import Outgoing, Purpose
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of

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
        "_answer", "_answer_head", "_call", "_client", "_expected", "_outgoing", "_request", "_request_head", "_size",
        "_state", "_szx", "_tokens", "_upload",
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
        self._tokens = tokens
        self._request_head = head_of(CON, call.request.code, tokens.size_bytes)
        self._request = BlockTemplate(call.request.options, _BLOCK1, payload=True)
        self._answer_head = head_of(ACK, answer.code, tokens.size_bytes)
        self._answer = BlockTemplate(answer.options, _BLOCK1, payload=False)
        self._outgoing = Outgoing(confirmable=True, framed=b"", token=b"", purpose=Purpose.REQUEST, call=call.number)
        self._expected = _NOTHING

    def receive(self, data: bytes, now: float) -> bool:
        """Take a datagram of the peer if it is the acknowledgement as expected; else leave it to the ordinary way."""
        if data != self._expected:
            return False
        state, outgoing = self._state, self._outgoing
        del state.in_flight[outgoing.mid]
        del state.tokens[outgoing.token]
        if state.queue:
            self._client.messages.pump(state, now)
        self._expected = _NOTHING
        self._upload.advance()
        self.ask(now)
        return True

    def ask(self, now: float) -> None:
        """Send the next block, or let its bytes be asked for; the last one goes the ordinary way."""
        upload, call = self._upload, self._call
        start = upload.offset - call.ahead_at
        payload = call.ahead[start : start + self._size]
        if upload.left_bytes <= self._size or (len(payload) == self._size and not self._send(payload, now)):
            self.close(now)
            self._client.ask_slowly(call, now)
        elif not self._expected:
            self._client.want(call, now)

    def _send(self, payload: bytes, now: float) -> bool:
        state = self._state
        if state.queue or len(state.in_flight) >= state.parameters.nstart:
            return False
        mid = state.ids.take(now, state.lifetime_s, state.in_flight)
        token = self._tokens.take()
        if mid is None or token in state.tokens:
            return False
        state.tokens[token] = self._call
        self._outgoing.token = token
        mid_bytes = mid.to_bytes(2, "big")
        value = self._upload.offset >> self._szx + 4 << 4 | _MORE | self._szx
        length = value.bit_length() + 7 >> 3
        packed = value.to_bytes(length, "big")
        request, answer = self._request, self._answer
        self._expected = b"".join((self._answer_head, mid_bytes, token, answer.lead[length], packed, answer.after))
        datagram = b"".join(
            (self._request_head, mid_bytes, token, request.lead[length], packed, request.after, payload)
        )
        self._client.messages.launch_next(state, self._outgoing, datagram, mid, now)
        return True

    def give_back(self, token: bytes, now: float) -> bool:
        """Something unexpected came: end the lane; the request under way is the ordinary way's now."""
        del now
        call = self._call
        self._client.leave(call)
        call.token, call.outgoing = token, self._outgoing
        return True

    def close(self, now: float) -> None:
        """Withdraw what is under way."""
        self._client.leave(self._call)
        if self._expected:
            del self._state.tokens[self._outgoing.token]
            self._client.messages.withdraw(self._state, self._outgoing, now)
