"""A body that is fetched from us by sets of blocks (Q-Block2, RFC 9177 section 4.4).

The first block was answered by whoever has the body; the blocks behind it come from `Response.body`. A set goes out at
once. The next one follows when the peer asks for it ("Continue"), or after NON_TIMEOUT_RANDOM, a few times.
What the peer misses is given again: it is read anew if it is no longer at hand.
"""

from itertools import repeat
from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.coap.batch import Pace
from lwm2m_fota.coap.block import Block, unpack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.events import BodyWanted, Event
from lwm2m_fota.coap.message import HEADER_BYTES, MAX_MID, Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import CON, NON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qrequests import Asked
from lwm2m_fota.coap.qsending import Sending
from lwm2m_fota.coap.reliability import Outgoing, Purpose, is_reset
from lwm2m_fota.coap.template import BlockTemplate, head_of
from lwm2m_fota.model.codes import Code

_BLOCK2: Final = int(Option.BLOCK2)
_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_SIZE2: Final = int(Option.SIZE2)
_ETAG: Final = int(Option.ETAG)
_ASKING: Final = frozenset({_BLOCK2, _Q_BLOCK2, _SIZE2})
_MORE: Final = 8
_BAD_REQUEST: Final = int(Code.BAD_REQUEST)


def for_sets(response: Response) -> Response | None:
    """A response to one block, for a peer that asked with Q-Block2; None if it has to ask with Block2 instead.

    Block2 becomes Q-Block2, and the exact size of the body goes along (RFC 9177 section 4.6). A response without Block2
    stays as it is.

    Raises:
        BlockwiseError: its Block2 is none.
    """
    value = next((value for number, value in response.options if number == _BLOCK2), None)
    if value is None:
        return response
    num, more, _ = unpack_block(value)
    body = response.body
    if body is None and (num or more):
        return None  # it cannot be had again
    etag = any(number == _ETAG for number, _ in response.options)
    if not etag and more:
        return None
    size_bytes = len(response.payload) if body is None else body.size_bytes
    kept = (option for option in response.options if option[0] not in _ASKING)
    options = sort_options((*kept, (_Q_BLOCK2, value), (_SIZE2, pack_uint(size_bytes))))
    return attrs.evolve(response, options=options)


@final
class QGive:
    """The blocks of one body to one peer in one block size."""

    __slots__ = (
        "_ahead", "_ahead_at", "_body", "_code", "_confirmable", "_continue_at", "_events", "_expected", "_heard",
        "_messages", "_mid", "_mids", "_next", "_next_at", "_options", "_pace", "_q", "_request", "_request_head",
        "_sending",
        "_sent_at", "_settled", "_state", "_stream", "_streaming", "_szx", "_token", "_unheard", "_waiting", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        messages: MessageLayer,
        events: list[Event],
        state: PeerState,
        q: QBlock,
        waits: Waits,
        request: Message,
        response: Response,
        given: Block,
        *,
        pace: Pace,
    ) -> None:
        """Begin; `serve` sends the first blocks.

        Args:
            messages: sends.
            events: takes what is wanted of the body.
            state: the peer.
            q: the parameters.
            waits: how long to wait.
            request: for a block, without a payload.
            response: what it is answered with, see `for_sets`; has a `body`.
            given: the Q-Block2 of that.
            pace: how much is asked of the body at a time.
        """
        body = response.body
        if body is None:
            raise AssertionError("there is more of the body")
        self._messages = messages
        self._events = events
        self._state = state
        self._q = q
        self._waits = waits
        self._pace = pace
        self._body = body
        self._szx = given.szx
        self._sending = Sending(response.options, _Q_BLOCK2, given.szx, body.size_bytes)
        self._options = (request.code, _rest(request))
        self._code = response.code
        self._request = BlockTemplate(_rest(request), _Q_BLOCK2, payload=False)
        self._request_head = head_of(NON, request.code, len(request.token))
        self._expected = b""  # the request for the set that begins at block `_continue_at`
        self._ahead = response.payload
        self._ahead_at = given.offset
        self._token = self._stream = b""
        self._confirmable = self._streaming = self._waiting = False
        self._next = self._heard = given.num + 1
        self._next_at = self._sent_at = inf
        self._continue_at = self._unheard = self._mid = self._mids = 0
        self._settled = True

    @property
    def szx(self) -> int:
        """The block size, as exponent."""
        return self._szx

    def is_of(self, message: Message) -> bool:
        """The request is for this body: it differs in nothing but its blocks."""
        return self._options == (message.code, _rest(message))

    # -- requests

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it asks for the next set; False leaves it to the ordinary way."""
        expected, state = self._expected, self._state
        if expected and data.endswith(expected) and data.startswith(self._request_head) and not self._waiting:
            token = data[HEADER_BYTES : len(data) - len(expected)]
            mid, digest = data[2] << 8 | data[3], hash(data)
            if len(token) != len(self._token) or state.recalled.find(mid, digest, now) is not None:
                return None
            state.recalled.add(mid, digest, now + state.parameters.non_lifetime_s, now)
            state.idle_at = now + state.lifetime_s
            self._continue(self._continue_at, token, now)
            return b""
        if is_reset(data) and (data[2] << 8 | data[3]) - self._mid & MAX_MID < self._mids:
            self.end(now)
            return b""
        return None

    def serve(self, asked: Asked, token: bytes, now: float, *, confirmable: bool = False) -> None:
        """Send the blocks that a request asks for.

        Args:
            asked: what it asks for, in this block size.
            token: of the request.
            now: monotonic seconds.
            confirmable: whether the answers are.
        """
        if self._waiting:
            return  # it comes again
        numbers = asked.numbers(self._q, self._sending.count)
        self._confirmable = confirmable
        if not numbers:
            self._answer_otherwise(Response(_BAD_REQUEST), token, now)
        elif confirmable:
            self._start(numbers[1:], token, now)
        elif asked.continues(self._q):
            self._continue(numbers[0], token, now)
        else:
            if asked.rest and not self._stream:
                self._stream, self._next = token, numbers[-1] + 1
            self._start(numbers, token, now)

    def _continue(self, num: int, token: bytes, now: float) -> None:
        """The peer has everything before block `num`, and wants the set that begins there.

        Sets go out under the token that the first of them was asked for with (RFC 9177 section 10.3.2), unless one is
        asked for again: who lost it may have lost the token too.
        """
        self._streaming = True
        self._unheard = 0
        heard, self._heard = self._heard, num
        if not self._stream or not num or num == heard:
            self._stream = token
        if heard < num < self._next:  # it was sent already: this has only been late
            return
        self._settled = True
        if num == self._next and self._sent_at < inf:
            self._waits.measured(now - self._sent_at)
        self._send_set(num, now)

    def _send_set(self, num: int, now: float) -> None:
        self._next = self._q.set_end(num, self._sending.count)
        self._start(list(range(num, self._next)), self._stream, now)

    def _start(self, numbers: list[int], token: bytes, now: float) -> None:
        self._sending.begin(numbers)
        self._token = token
        self._next_at = inf
        self._fetch(now)

    # -- the body

    def _fetch(self, now: float) -> None:
        """Let the caller be asked for what is not at hand; send when all is there."""
        sending = self._sending
        if not sending.cut(self._ahead, self._ahead_at):
            self._pace.end(len(self._ahead), now)
            follow = sending.numbers[-1] + 1 == self._next
            offset, length = sending.wanted(self._pace.target_bytes if follow else 0)
            self._ahead, self._ahead_at = b"", offset
            self._waiting = True
            self._events.append(BodyWanted(self, self._body, offset, length))
            return
        if self._confirmable:
            self._submit(now)
        else:
            self._burst(now)

    def give(self, given: bytes | Response, now: float) -> None:
        """Go on with what was wanted; or answer with something else, and end."""
        self._waiting = False
        if isinstance(given, Response):
            self._answer_otherwise(given, self._token, now)
            self.end(now)
            return
        self._ahead = given
        self._pace.begin(now)
        self._fetch(now)

    def _answer_otherwise(self, response: Response, token: bytes, now: float) -> None:
        options = sort_options(response.options)
        outgoing = Outgoing.of(
            confirmable=False,
            code=response.code,
            token=token,
            options=options,
            payload=response.payload,
            purpose=Purpose.RESPONSE,
        )
        self._messages.send_once(self._state, outgoing, now)

    # -- answers

    def _burst(self, now: float) -> None:
        """Send blocks at once."""
        state, sending, token = self._state, self._sending, self._token
        numbers = sending.numbers
        if not self._settled:
            state.ids.unsettled(self._mid, now)
        mid = state.ids.take_run(len(numbers), now, state.lifetime_s, state.in_flight)
        if mid is None:
            return  # the peer asks again
        self._mid, self._mids, self._settled = mid, len(numbers), False
        datagrams = sending.datagrams(head_of(NON, self._code, len(token)), mid, repeat(token))
        self._messages.send_burst(datagrams, state.address)
        if self._next < sending.count and self._stream:
            of_stream = numbers[-1] + 1 == self._next and token == self._stream
            self._sent_at = now if of_stream else inf
            self._continue_at = self._next
            self._expected = self._request.encode(self._next << 4 | _MORE | self._szx)
            if self._streaming:
                self._next_at = now + self._waits.between_sets_s
                self._messages.peers.alarm(state, self._next_at)
        else:
            self._expected = self._ahead = b""

    def _submit(self, now: float) -> None:
        """Send blocks one after the other, as they are acknowledged; what finds no room is asked for again."""
        token = self._token
        for framed in self._sending.datagrams(head_of(CON, self._code, len(token)), 0, repeat(token)):
            outgoing = Outgoing(confirmable=True, framed=framed, token=token, purpose=Purpose.RESPONSE)
            if not self._messages.submit(self._state, outgoing, now):
                return

    # -- time

    def expire(self, now: float) -> None:
        """Send the next set if it is time to, and set the next alarm."""
        if now < self._next_at:
            self._messages.peers.alarm(self._state, self._next_at)
        elif self._unheard < self._q.unheard_sets:
            self._unheard += 1
            self._send_set(self._next, now)
        else:
            self._next_at = inf  # until the peer asks
            self._ahead = b""

    def end(self, now: float) -> None:
        """Send nothing more."""
        self._next_at = inf
        self._state.ids.unsettled(self._mid, now)
        if self._state.answering is self:
            self._state.answering = None


def _rest(message: Message) -> Options:
    """What requests for blocks of one body have in common."""
    return tuple(option for option in message.options if option[0] not in _ASKING)
