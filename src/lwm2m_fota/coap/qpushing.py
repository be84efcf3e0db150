"""An upload by sets of blocks (Q-Block1, RFC 9177 section 4.3), to a peer that is known to understand it.

All messages are non-confirmable. A set goes out at once; the next one follows when the peer has acknowledged it
("Continue"), or after NON_TIMEOUT_RANDOM, a few times. What the peer misses it names, and that is sent again. When
everything was sent and nothing is heard, the last block goes out again, so that the peer says what it lacks.
"""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import unpack_block
from lwm2m_fota.coap.call import Phase
from lwm2m_fota.coap.message import MAX_MID, Message, pack_uint, sort_options
from lwm2m_fota.coap.missing import MISSING_BLOCKS_FORMAT, unpack_missing
from lwm2m_fota.coap.numbers import NON, Option
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qsending import Sending
from lwm2m_fota.coap.reliability import is_reset
from lwm2m_fota.coap.template import TokenRun, head_of
from lwm2m_fota.errors import BlockwiseError, CborError
from lwm2m_fota.model.codes import Code

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.client import Client
    from lwm2m_fota.coap.qcalling import SetCalling

REQUEST_TAG_BYTES: Final = 8
LATE_BURSTS: Final = 32
"""Bursts whose tokens are still known; an answer may have that of any block (RFC 9177 section 4.3)."""

_Q_BLOCK1: Final = int(Option.Q_BLOCK1)
_SIZE1: Final = int(Option.SIZE1)
_REQUEST_TAG: Final = int(Option.REQUEST_TAG)
_CONTENT_FORMAT: Final = int(Option.CONTENT_FORMAT)
_CONTINUE: Final = int(Code.CONTINUE)
_INCOMPLETE: Final = int(Code.REQUEST_ENTITY_INCOMPLETE)
_BAD_OPTION: Final = int(Code.BAD_OPTION)
_MORE: Final = 8
_SUPPLY: Final = Phase.SUPPLY


@final
class QPush:
    """The body of one call, under one Request-Tag."""

    __slots__ = (
        "_acked", "_again", "_call", "_client", "_head", "_heard", "_heard_mid", "_listed", "_mid", "_mids", "_next_at",
        "_q", "_sending", "_sent_at", "_sent_bytes", "_sent_end", "_sets", "_state", "_tokens", "_unheard", "_used",
        "_waits",
    )  # fmt: skip

    def __init__(
        self,
        client: "Client",
        sets: "SetCalling",
        call: "Call",
        q: QBlock,
        waits: Waits,
        szx: int,
        tag: bytes,
        tokens: TokenRun,
    ) -> None:
        """Begin; `ask` sends the first set.

        Args:
            client: whose call it is.
            sets: takes it back.
            call: a request whose body has several blocks.
            q: the parameters.
            waits: how long to wait.
            szx: the block size, as exponent.
            tag: a Request-Tag that no other body has.
            tokens: for its messages.
        """
        request = call.request
        total = len(request.payload) if request.source_bytes is None else request.source_bytes
        extra = ((_SIZE1, pack_uint(total)), (_REQUEST_TAG, tag))
        self._client = client
        self._sets = sets
        self._call = call
        self._state = call.state
        self._q = q
        self._waits = waits
        self._tokens = tokens
        self._head = head_of(NON, request.code, tokens.size_bytes)
        self._sending = Sending(sort_options((*request.options, *extra)), _Q_BLOCK1, szx, total)
        self._used: list[list[bytes]] = []  # the tokens of each burst
        self._again: Sequence[int] = ()
        self._listed: Sequence[int] = ()
        self._sent_end = self._acked = 0
        self._sent_at = self._next_at = inf
        self._sent_bytes = 0
        self._unheard = 0
        self._heard = False
        self._heard_mid = -1
        self._mid = self._mids = 0

    # -- what goes out

    def ask(self, now: float) -> None:
        """Send what is to be sent now, as far as its bytes are at hand; else let them be asked for."""
        call, sending = self._call, self._sending
        if call.phase is _SUPPLY:
            return
        if not sending.numbers:
            sending.begin(self._next_go(now))
            self._again = ()
        if not sending.numbers:
            return
        if sending.cut(call.ahead, call.ahead_at):
            self._burst(now)
            self._pause(now)
        else:
            call.ahead_pace.end(len(call.ahead), now)
            follow = sending.numbers[0] >= self._sent_end
            offset, length = sending.wanted(call.ahead_pace.target_bytes if follow else 0)
            self._client.want_bytes(call, offset, length, self._acked * sending.size)

    def _next_go(self, now: float) -> Sequence[int]:
        """The blocks to send now: those that the peer misses, else the next set if it may go."""
        if self._again:
            return self._again
        begin = self._sent_end
        if begin < self._sending.count and (self._acked >= begin or now >= self._next_at):
            if self._acked < begin:
                self._unheard += 1
            return range(begin, self._q.set_end(begin, self._sending.count))
        return ()

    def _burst(self, now: float) -> None:
        state, sending, messages = self._state, self._sending, self._client.messages
        count = len(sending.numbers)
        if self._acked < self._sent_end:
            state.ids.unsettled(self._mid, now)
        self._sent_end = max(self._sent_end, sending.numbers[-1] + 1)
        mid = state.ids.take_run(count, now, state.lifetime_s, state.in_flight)
        if mid is None:
            sending.begin(())  # as if they were lost
            return
        self._mid, self._mids = mid, count
        datagrams = sending.datagrams(self._head, mid, self._take_tokens(count))
        self._sent_bytes += sum(map(len, datagrams))
        messages.send_burst(datagrams, state.address)
        messages.peers.touch(state, now)

    def _take_tokens(self, count: int) -> list[bytes]:
        """New tokens; the oldest ones are forgotten."""
        known, call = self._state.tokens, self._call
        tokens: list[bytes] = []
        while len(tokens) < count:
            token = self._tokens.take()
            if token not in known:
                known[token] = call
                tokens.append(token)
        self._used.append(tokens)
        if len(self._used) > LATE_BURSTS:
            self._forget(self._used.pop(0))
        return tokens

    def _forget(self, tokens: list[bytes]) -> None:
        for token in tokens:
            del self._state.tokens[token]

    def _pause(self, now: float) -> None:
        """What goes out next waits: for an answer, or the pause between two sets."""
        peers = self._client.messages.peers
        self._sent_at = now
        if self._sent_end < self._sending.count and self._unheard < self._q.unheard_sets:
            self._waits.rest()
            self._next_at = now + self._waits.between_sets_s
            peers.alarm(self._state, self._next_at)
        else:
            self._next_at = inf
            peers.alarm(self._state, self._waits.wait(now))

    # -- what comes

    def receive(self, data: bytes, now: float) -> bytes | None:
        """Take a datagram of the peer if it refuses a block; answers are the ordinary way's."""
        if is_reset(data) and (data[2] << 8 | data[3]) - self._mid & MAX_MID < self._mids:
            self.close(now)
            self._sets.push_otherwise(self._call, now)
            return b""
        return None

    def take(self, message: Message, now: float) -> None:
        """Take an answer."""
        if message.mid == self._heard_mid:
            return  # a copy
        self._heard_mid, self._heard = message.mid, True
        self._release(message.token)
        if message.code == _CONTINUE:
            self._continued(message, now)
        elif message.code == _INCOMPLETE and message.uint(_CONTENT_FORMAT) == MISSING_BLOCKS_FORMAT:
            self._incomplete(message, now)
        elif message.code == _BAD_OPTION:
            self.close(now)
            self._sets.push_otherwise(self._call, now)
        else:
            complete = self._sent_end == self._sending.count
            self.close(now)
            self._sets.pushed(self._call, message, now, complete=complete)

    def _continued(self, message: Message, now: float) -> None:
        """The peer has all blocks up to one; without saying which, those that were sent."""
        value = message.first(_Q_BLOCK1)
        try:
            end = self._sent_end if value is None else unpack_block(value)[0] + 1
        except BlockwiseError as error:
            self._client.fail_protocol(self._call, error, now)
            return
        if self._acked < end <= self._sent_end:
            self._progress(end, now)

    def _incomplete(self, message: Message, now: float) -> None:
        """The peer names what it misses; a list that is none is dropped (RFC 9177 section 5)."""
        try:
            numbers = unpack_missing(message.payload, self._q.lists)
        except CborError:
            return
        sent_end = self._sent_end
        missing = tuple(num for num in numbers if num < sent_end)[: self._q.max_payloads]
        self._again = missing
        end = min(numbers[0], sent_end)
        if end > self._acked or missing != self._listed:
            self._listed = missing
            self._progress(max(end, self._acked), now)
        else:
            self.ask(now)

    def _progress(self, end: int, now: float) -> None:
        """The peer has shown a sign, and has all blocks before `end`."""
        if end == self._sent_end and self._sent_at < inf:
            self._waits.measured(now - self._sent_at)
        self._acked = end
        self._unheard = 0
        self._waits.heard(now)
        if self._sent_end == self._sending.count or self._waits.expires < inf:
            self._client.messages.peers.alarm(self._state, self._waits.wait(now))
        self.ask(now)

    def _release(self, token: bytes) -> None:
        """Answers come under the newest tokens that the peer has: forget older ones."""
        used = self._used
        while len(used) > 1 and token not in used[0]:
            self._forget(used.pop(0))

    # -- time

    def expire(self, now: float) -> None:
        """Send what is due, or give up; set the next alarm."""
        if self._call.phase is _SUPPLY:
            return  # the caller is at work
        waits = self._waits
        due = min(self._next_at, waits.expires)
        if now < due:
            self._client.messages.peers.alarm(self._state, due)
        elif now >= self._next_at:
            self.ask(now)
        elif waits.over(now):
            if not self._heard:
                self._state.probing_until = now + self._probing_wait_s()
            self._client.fail_quiet(self._call, now)
        else:
            waits.wait(now, again=True)
            self._again = (self._sent_end - 1,)
            self._sent_at = inf
            self.ask(now)

    def _probing_wait_s(self) -> float:
        """How long no other body may go to a peer that answered nothing (RFC 9177 section 7.2)."""
        wait_s = self._sent_bytes / self._state.parameters.probing_rate_bytes_per_s
        return min(wait_s, self._q.non_probing_wait_s(self._waits.between_sets_s))

    # -- the way back

    def close(self, now: float) -> None:
        """Send nothing more, and expect no answer any more."""
        del now
        self._client.leave(self._call)
        self._waits.rest()
        self._next_at = inf
        for tokens in self._used:
            self._forget(tokens)
        self._used.clear()
