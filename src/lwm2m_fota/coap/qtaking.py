"""A body that is sent to us by sets of blocks (Q-Block1, RFC 9177 section 4.3).

The blocks of a set are gathered in any order. A complete set goes up as one request with Block1, see `Message.blocks`,
and is acknowledged ("Continue") when whoever takes it has answered; so is the end of the body. What is missing is asked
for by number: when a block of a later set comes, and when nothing came for NON_RECEIVE_TIMEOUT.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, final

import attrs

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES, pack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.message import HEADER_BYTES, Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.missing import MISSING_BLOCKS_FORMAT, pack_missing
from lwm2m_fota.coap.numbers import CON, NON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qorder import Order
from lwm2m_fota.coap.qreading import BlockReader
from lwm2m_fota.coap.qrequests import Body, Brought
from lwm2m_fota.coap.reliability import Outgoing, Purpose, is_reset
from lwm2m_fota.model.codes import Code

if TYPE_CHECKING:
    from lwm2m_fota.coap.serving import Exchange, Serving

_Q_BLOCK1: Final = int(Option.Q_BLOCK1)
_BLOCK1: Final = int(Option.BLOCK1)
_REQUEST_TAG: Final = int(Option.REQUEST_TAG)
_CONTENT_FORMAT: Final = int(Option.CONTENT_FORMAT)
_CONTINUE: Final = int(Code.CONTINUE)
_INCOMPLETE: Final = int(Code.REQUEST_ENTITY_INCOMPLETE)
_LIST: Final = (_CONTENT_FORMAT, pack_uint(MISSING_BLOCKS_FORMAT))
_SETS_WAITING: Final = 2  # complete blocks that may wait for whoever takes them


@final
class QTake:
    """One body from one peer in one block size."""

    __slots__ = (
        "_answer", "_answered", "_body", "_busy", "_complained", "_entry", "_handed", "_last", "_options", "_order",
        "_parts", "_q", "_reader", "_room", "_sent_mid", "_serving", "_state", "_szx", "_waits",
    )  # fmt: skip

    def __init__(
        self, serving: "Serving", state: PeerState, q: QBlock, waits: Waits, message: Message, brought: Brought
    ) -> None:
        """Wait for blocks; `take` gives them.

        Args:
            serving: takes the sets.
            state: the peer.
            q: the parameters.
            waits: how long to wait.
            message: brings any block of the body.
            brought: which one.
        """
        size = MIN_BLOCK_BYTES << brought.szx
        self._serving = serving
        self._state = state
        self._q = q
        self._waits = waits
        self._body = brought.body
        self._options = tuple(option for option in brought.body[1] if option[0] != _REQUEST_TAG)
        self._szx = brought.szx
        self._order = Order(0, brought.count, max_early=q.early_bytes // size, max_missing=q.max_payloads)
        self._reader = BlockReader(_Q_BLOCK1, brought.szx, brought.count)
        self._room = _SETS_WAITING * q.max_payloads
        self._parts: list[bytes] = []
        self._handed = 0
        self._busy = False
        self._answer: Response | None = None
        self._complained = 0
        self._last = message
        self._entry = Entry(0, 0.0)
        self._answered = False
        self._sent_mid = -1

    @property
    def szx(self) -> int:
        """The block size, as exponent."""
        return self._szx

    @property
    def body(self) -> Body:
        """What all its blocks have in common."""
        return self._body

    # -- what comes

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is a block as expected; False leaves it to the ordinary way."""
        if self.receive_burst(data, 0, len(data), now):
            return b""
        if is_reset(data) and data[2] << 8 | data[3] == self._sent_mid:
            self._serving.drop(self._state, self)  # the peer sends this body no longer
            return b""
        return None

    def receive_burst(self, data: bytes, at: int, segment_bytes: int, now: float) -> int:
        """Take the blocks at the front of several datagrams; see `QPull.receive_burst`."""
        nums, payloads, at = self._reader.read(data, at, segment_bytes)
        if nums:
            begin = at - segment_bytes  # of the last one: all of them are as long
            token_end = begin + HEADER_BYTES + len(self._last.token)
            mid, token = data[begin + 2] << 8 | data[begin + 3], data[begin + HEADER_BYTES : token_end]
            self._last = Message(NON, self._body[0], mid, token)
            self._entry = Entry(0, 0.0)
            self._brought(nums, payloads, now)
        return at

    def take(self, message: Message, brought: Brought, entry: Entry, now: float) -> None:
        """Take a block that was decoded."""
        self._last, self._entry, self._answered = message, entry, False
        if message.type != CON:
            self._reader.expect(message.code, len(message.token), message.options, self._order.next)
        self._brought([brought.num], [message.payload], now)
        if message.type == CON and not self._answered:
            self._serving.acknowledge_at_once(self._state, message, entry)

    def _brought(self, nums: list[int], payloads: list[bytes], now: float) -> None:
        parts, kept = self._order.put(nums, payloads, self._order.count, self._free())
        self._parts += parts
        if self._answer is not None or not kept:
            self._again(nums[-1], now)
            return
        self._waits.heard(now)
        self._go_on(now)

    def _free(self) -> int:
        """How many blocks may still wait for whoever takes them."""
        return max(self._room - len(self._parts), 0)

    def _again(self, num: int, now: float) -> None:
        """Nothing new has come: the peer has not heard the last answer."""
        order = self._order
        if self._answer is not None:
            if num == order.count - 1 or not (num + 1) % self._q.max_payloads:
                self._answered = True
                self._serving.answer_last(self._state, self._last, self._entry, self._answer, now)
        elif not self._busy and self._last.type != CON:
            if order.next == self._handed == num + 1:
                self._continue(now)
            else:
                self._ask(order.missing(0, num), now)

    # -- what goes up

    def _go_on(self, now: float) -> None:
        """Hand up a set that is complete; or ask for what a complete one lacks, and wait for it."""
        if self._busy:
            return
        order, set_blocks = self._order, self._q.max_payloads
        if order.next == order.count or order.next // set_blocks > self._handed // set_blocks:
            self._hand_up(now)
            return
        if order.early:
            newest = max(order.early)
            begin = newest - newest % set_blocks
            if begin > self._complained and self._last.type != CON:
                self._complained = begin
                self._ask(order.missing(0, begin), now)
        self._wait(now)

    def _hand_up(self, now: float) -> None:
        """Report what has come since the last time as one request."""
        order, last = self._order, self._last
        first, self._handed = self._handed, order.next
        block1 = (_BLOCK1, pack_block(first, order.next < order.count, self._szx))
        options = sort_options((*self._options, block1))
        payload, blocks = b"".join(self._parts), order.next - first
        self._parts.clear()
        self._busy = self._answered = True
        self._waits.rest()
        reported = Message(last.type, last.code, last.mid, last.token, options, payload, blocks)
        self._serving.requested(self._state, reported, self._entry, now, lane=self)

    def answered(self, exchange: "Exchange", response: Response, now: float) -> None:
        """Whoever takes the body has answered: go on, or end."""
        self._busy = False
        if response.code == _CONTINUE and self._handed < self._order.count:
            if exchange.ack_at is not None:
                self._serving.acknowledge(exchange)
            elif not exchange.confirmable:
                self._continue(now)
            self._parts += self._order.take(self._order.count, self._free())
            self._go_on(now)
            return
        options = tuple(option for option in response.options if option[0] != _BLOCK1)
        self._answer = attrs.evolve(response, options=options)
        self._parts.clear()
        self._order.early.clear()
        self._serving.answer(exchange, self._answer, now)
        self._keep_until(now + self._q.non_partial_timeout_s)

    # -- answers

    def _continue(self, now: float) -> None:
        """All blocks that went up have been taken."""
        value = pack_block(self._handed - 1, True, self._szx)  # noqa: FBT003 - more
        self._send(_CONTINUE, ((_Q_BLOCK1, value),), b"", now)

    def _ask(self, missing: Sequence[int], now: float) -> None:
        if missing:
            self._send(_INCOMPLETE, (_LIST,), pack_missing(missing), now)

    def _send(self, code: int, options: Options, payload: bytes, now: float) -> None:
        outgoing = Outgoing.of(
            confirmable=False,
            code=code,
            token=self._last.token,
            options=options,
            payload=payload,
            purpose=Purpose.RESPONSE,
        )
        if self._serving.messages.send_once(self._state, outgoing, now):
            self._sent_mid = outgoing.mid

    # -- time

    def _wait(self, now: float) -> None:
        if self._last.type == CON:  # the peer repeats what is not acknowledged
            self._keep_until(now + self._q.non_partial_timeout_s)
        else:
            self._serving.messages.peers.alarm(self._state, self._waits.wait(now))

    def _keep_until(self, when: float) -> None:
        self._waits.expires = when
        self._serving.messages.peers.alarm(self._state, when)

    def expire(self, now: float) -> None:
        """Ask again if it is time to, or drop the body; set the next alarm."""
        waits, order, peers = self._waits, self._order, self._serving.messages.peers
        if now < waits.expires:
            peers.alarm(self._state, waits.expires)
        elif self._answer is not None or self._last.type == CON or waits.over(now):
            self._serving.drop(self._state, self)
        else:
            newest = max(order.early, default=order.next)
            self._ask(order.missing(0, self._q.set_end(newest, order.count)), now)
            peers.alarm(self._state, waits.wait(now, again=True))
