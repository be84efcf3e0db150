"""A streamed download by sets of blocks (Q-Block2, RFC 9177 section 4.4).

A confirmable request for one block has shown that the peer knows Q-Block2. Now the rest of the set is asked for, and
the next set whenever one is complete ("Continue"). What is missing is asked for by number, in one request: when a block
of a later set comes, and when nothing came for NON_RECEIVE_TIMEOUT.

Blocks that can be known beforehand, but for message id, number and payload, are taken by comparing bytes; the others
are decoded. Both ways lead to the same state.
"""

from math import inf
from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import MAX_NUM, MIN_BLOCK_BYTES, pack_block, unpack_block
from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.call import Phase
from lwm2m_fota.coap.message import Message, pack_uint, sort_options
from lwm2m_fota.coap.numbers import NON, Option
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qorder import Order
from lwm2m_fota.coap.qreading import BlockReader
from lwm2m_fota.coap.reliability import frame, is_reset, stamp
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import UpdateResult

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.client import Client

LATE_TOKENS: Final = 8
"""Requests whose answers are still taken: the first one, the one that answers come under, and the newest ones."""

_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_BLOCK2: Final = int(Option.BLOCK2)
_ETAG: Final = int(Option.ETAG)
_SIZE2: Final = int(Option.SIZE2)
_CONTENT: Final = int(Code.CONTENT)
_BAD_OPTION: Final = int(Code.BAD_OPTION)
_MORE: Final = 8
_ANSWER: Final = Phase.ANSWER


def is_of_set(answer: Message) -> bool:
    """Whether an answer brings a block as RFC 9177 wants it: with Q-Block2, ETag and Size2 (sections 4.4 and 4.6)."""
    numbers = {number for number, _ in answer.options}
    return is_success(answer.code) and numbers.issuperset((_Q_BLOCK2, _ETAG, _SIZE2))


def is_possible(answer: Message, download: Block2Receiver) -> bool:
    """Whether the rest of a body can be fetched by sets.

    Args:
        answer: see `is_of_set`.
        download: has taken it. A body that is too large is left to the ordinary way, which says so.
    """
    size2, size = answer.uint(_SIZE2) or 0, MIN_BLOCK_BYTES << (download.szx or 0)
    largest = min(download.max_body_bytes, (MAX_NUM + 1) * size)
    return download.offset < size2 <= largest and not download.offset % size


@final
class QPull:
    """The blocks of one call behind one that came the ordinary way, to the end of the body."""

    __slots__ = (
        "_asked_at", "_asked_end", "_asked_from", "_call", "_client", "_complained", "_download", "_etag", "_last",
        "_last_mid", "_messages", "_options", "_order", "_q", "_reader", "_request", "_request_head", "_room_bytes",
        "_size", "_size2", "_state", "_szx", "_token", "_tokens", "_used", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        client: "Client",
        call: "Call",
        q: QBlock,
        waits: Waits,
        download: Block2Receiver,
        answer: Message,
        tokens: TokenRun,
    ) -> None:
        """Begin; `ask` sends the first request.

        Args:
            client: whose call it is.
            call: without a body of its own.
            q: the parameters.
            waits: how long to wait.
            download: of the call; its offset starts a block.
            answer: brought the block before, with Block2 in place of Q-Block2; see `is_possible`.
            tokens: for its requests.
        """
        size2, etag, szx = answer.uint(_SIZE2), answer.first(_ETAG), download.szx
        if size2 is None or etag is None or szx is None:
            raise AssertionError("that is no part of a known body")
        self._client = client
        self._messages = client.messages
        self._call = call
        self._state = call.state
        self._q = q
        self._waits = waits
        self._download = download
        self._etag = etag
        self._szx = szx
        self._size = size = MIN_BLOCK_BYTES << szx
        self._size2 = size2
        begin, count = download.offset // size, -(-size2 // size)
        self._order = Order(begin, count, max_early=q.early_bytes // size, max_missing=q.max_payloads)
        self._last = count - 1
        self._asked_from = self._asked_end = self._complained = begin
        self._room_bytes = client.limits.batch_bytes + q.max_payloads * size
        self._request_head = head_of(NON, call.request.code, tokens.size_bytes)
        self._request = BlockTemplate(call.request.options, _Q_BLOCK2, payload=False)
        self._tokens = tokens
        self._used: list[bytes] = []
        self._token = b""
        self._last_mid = -1
        self._asked_at = inf
        self._reader = BlockReader(_Q_BLOCK2, szx, count)
        self._options = tuple(option for option in answer.options if option[0] != _BLOCK2)

    def _expect(self, token: bytes) -> None:
        """The next block is like the last one, under this token."""
        if token != self._token and self._token in self._used[1:]:  # most answers come under one: it counts as new
            self._used.remove(self._token)
            self._used.append(self._token)
        self._token = token
        self._reader.expect(_CONTENT, token, self._options, self._order.next)

    # -- what comes

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it is a block as expected; False leaves it to the ordinary way."""
        if self.receive_burst(data, 0, len(data), now):
            return b""
        if is_reset(data) and data[2] << 8 | data[3] == self._last_mid:
            self._fall_back(now)
            return b""
        return None

    def receive_burst(self, data: bytes, at: int, segment_bytes: int, now: float) -> int:
        """Take the blocks at the front of several datagrams.

        Args:
            data: datagrams behind one another.
            at: where the first of them begins.
            segment_bytes: how long each of them is; the last may be shorter.
            now: monotonic seconds.

        Returns:
            Where the first datagram begins that was not taken: it is the ordinary way's.
        """
        nums, payloads, at = self._reader.read(data, at, segment_bytes)
        parts, kept = self._order.put(nums, payloads, self._last, self._room())
        if parts:
            self._gather(parts)
        if kept:
            self._progress(now)
        return at

    def take(self, message: Message, now: float) -> None:
        """Take an answer that was decoded."""
        value = message.first(_Q_BLOCK2)
        if message.code != _CONTENT or value is None:
            if message.code == _BAD_OPTION:
                self._fall_back(now)
            else:
                self.close(now)
                self._client.take_slowly(self._call, message, now)
            return
        try:
            num, more, szx = unpack_block(value)
            kept = self._judge(message, num, more, szx, now)
        except BlockwiseError as error:
            self._client.fail_protocol(self._call, error, now)
            return
        if kept:
            self._progress(now)

    def _judge(self, message: Message, num: int, more: bool, szx: int, now: float) -> bool:  # noqa: FBT001 - as in the option
        """Look at a block; True if it is one that was missing.

        Raises:
            BlockwiseError: it contradicts what came before, or the body changed too often.
        """
        if message.first(_ETAG) != self._etag:
            self._restart("another ETag: the body is another one", now)
            return False
        if szx != self._szx:  # numbers mean something else now: find out again, from what is in hand
            self.close(now)
            self._client.ask_slowly(self._call, now)
            return False
        last = self._last
        length = self._size if more else self._size2 - last * self._size
        if message.uint(_SIZE2) != self._size2 or more != (num < last) or len(message.payload) != length or num > last:
            raise BlockwiseError(
                f"block {num} with {len(message.payload)} bytes is none of a body of {self._size2}",
                result=UpdateResult.CONNECTION_LOST,
            )
        kept = self._order.keep(num, message.payload)
        self._options = tuple(option for option in message.options if option[0] != _Q_BLOCK2)
        self._expect(message.token)
        return kept

    # -- blocks

    def _room(self) -> int:
        """How many blocks may be put behind those that wait for the caller."""
        if self._call.phase is _ANSWER:
            return MAX_NUM
        return max(self._room_bytes - self._call.batch.size_bytes, 0) // self._size

    def _gather(self, parts: list[bytes]) -> None:
        """The next blocks have had their turn, none of them the last of the body."""
        size_bytes = len(parts) * self._size
        self._download.advance(size_bytes)
        self._call.batch.extend(parts, size_bytes)

    def _drain(self) -> None:
        """It is the turn of what came early; the last block of the body waits."""
        if self._order.early:
            parts = self._order.take(self._last, self._room())
            if parts:
                self._gather(parts)

    def _progress(self, now: float) -> None:
        """Something that was missing has come."""
        self._drain()
        self._waits.heard(now)
        if self._asked_at < inf and self._order.next > self._asked_from:
            self._waits.measured(now - self._asked_at)
            self._asked_at = inf
        if self._order.next > self._asked_end:  # the peer goes on unasked
            self._asked_end = self._q.set_end(self._order.next - 1, self._order.count)
        call = self._call
        if call.phase is _ANSWER:
            self._go_on(now)
            if call.lane is self and call.batch.is_due(now):
                self._client.bodies.offer(call, now)

    # -- requests

    def ask(self, now: float) -> None:
        """The caller has stored what it had: ask for what comes next, if nothing is under way."""
        self._drain()
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """End the call if all is there, ask for the next set if one is complete, or for what a complete one lacks."""
        order = self._order
        if order.next == self._last and self._last in order.early:
            self._finish(now)
            return
        if order.next >= self._asked_end:
            begin = order.next
            self._asked_from, self._asked_end = begin, self._q.set_end(begin, order.count)
            self._asked_at = now
            self._send((begin << 4 | _MORE | self._szx,), now)
        elif order.early:
            self._complain(now)
        self._messages.peers.alarm(self._state, self._waits.wait(now))

    def _complain(self, now: float) -> None:
        """The first block of a new set asks for whatever is missing before it."""
        order = self._order
        newest = max(order.early)
        begin = newest - newest % self._q.max_payloads
        if begin <= self._complained:
            return
        self._complained = begin
        self._asked_end = max(self._asked_end, self._q.set_end(newest, order.count))
        missing = order.missing(0, begin)
        if missing:
            self._asked_at = inf
            self._send(tuple(num << 4 | self._szx for num in missing), now)

    def _send(self, values: tuple[int, ...], now: float) -> None:
        """Send a request with these values of Q-Block2; if that cannot be, it is as if it were lost."""
        state = self._state
        mid = state.ids.take(now, state.lifetime_s, state.in_flight)
        token = self._tokens.take()
        if mid is None or token in state.tokens:
            return
        state.tokens[token] = self._call
        self._used.append(token)
        if len(self._used) > LATE_TOKENS:
            oldest = self._used[1] if self._used[1] != self._token else self._used[2]
            self._used.remove(oldest)
            del state.tokens[oldest]
        if not self._token:
            self._expect(token)
        self._last_mid = mid
        if len(values) == 1:
            rest = self._request.encode(values[0])
            datagram = b"".join((self._request_head, mid.to_bytes(2, "big"), token, rest))
        else:
            every = ((_Q_BLOCK2, pack_uint(value)) for value in values)
            options = sort_options((*self._call.request.options, *every))
            datagram = stamp(frame(NON, self._call.request.code, token, options, b""), mid)
        self._messages.send(datagram, state.address)
        self._messages.peers.touch(state, now)

    # -- time

    def expire(self, now: float) -> None:
        """Ask again if it is time to, or give up; set the next alarm."""
        waits, order, peers = self._waits, self._order, self._messages.peers
        if now < waits.expires:
            peers.alarm(self._state, waits.expires)
            return
        missing = order.missing(0, self._asked_end)
        if not missing:  # the caller is at work
            waits.rest()
            return
        if waits.over(now):
            self._client.fail_quiet(self._call, now)
            return
        self._asked_at = inf
        self._state.ids.unsettled(self._last_mid, now)
        begin = missing[0]
        if begin + len(missing) == self._q.set_end(begin, order.count):  # this one and all behind it in the set
            self._send((begin << 4 | _MORE | self._szx,), now)
        else:
            self._send(tuple(num << 4 | self._szx for num in missing), now)
        peers.alarm(self._state, waits.wait(now, again=True))

    # -- the way back

    def _finish(self, now: float) -> None:
        """Hand the last block to the ordinary way, which ends the call."""
        last = self._last
        block2 = (_BLOCK2, pack_block(last, False, self._szx))  # noqa: FBT003 - it is the last
        options = sort_options((*self._options, block2))
        message = Message(NON, _CONTENT, 0, self._token, options, self._order.early[last])
        self.close(now)
        self._client.take_slowly(self._call, message, now)

    def _restart(self, reason: str, now: float) -> None:
        self._download.restart(reason)
        self.close(now)
        self._client.bodies.restart(self._call, reason, now)

    def _fall_back(self, now: float) -> None:
        """The peer does not know Q-Block2 any more: go on with Block2, from what is in hand."""
        self.close(now)
        self._call.q_down = None
        self._client.ask_slowly(self._call, now)

    def close(self, now: float) -> None:
        """Expect no answer any more, and forget what came out of turn."""
        del now
        self._client.leave(self._call)
        self._order.early.clear()
        self._waits.rest()
        for token in self._used:
            del self._state.tokens[token]
        self._used.clear()
