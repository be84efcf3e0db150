"""The client side: calls, from the request to the whole answer (RFC 7252 section 5.3, RFC 7641, RFC 7959).

A call is a chain of requests: the blocks of the body up, then the blocks of the answer down, each under a token of its
own, so that a late answer is never taken for another block. An observation keeps the token of its registration.
"""

from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.coap.batch import Pace
from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.block1 import Block1Sender, Finished, NextBlock
from lwm2m_fota.coap.call import DEREGISTER, Call, Phase, as_block2, checked, next_options, next_payload
from lwm2m_fota.coap.calls import Collect, Request, Stream
from lwm2m_fota.coap.events import (
    BlockWanted,
    BodyRestarted,
    CallFailed,
    Event,
    FailureReason,
    Notified,
    Peer,
    ResponseReceived,
    failure,
)
from lwm2m_fota.coap.gathering import Gathering
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, Options, sort_options
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import ACK, Option
from lwm2m_fota.coap.observe import Freshness
from lwm2m_fota.coap.peers import AskingLane, PeerState
from lwm2m_fota.coap.pulling_wide import WidePullLane
from lwm2m_fota.coap.pushing import PushLane
from lwm2m_fota.coap.qcalling import SetCalling
from lwm2m_fota.coap.qpulling import QPull
from lwm2m_fota.coap.qpushing import QPush
from lwm2m_fota.coap.reliability import Entropy, Outgoing, Purpose
from lwm2m_fota.coap.strangers import with_echo
from lwm2m_fota.coap.template import TokenRun
from lwm2m_fota.errors import BlockwiseError, FotaError, UsageError
from lwm2m_fota.model.codes import Code, is_success

_TOKEN_TRIES: Final = 16
_OBSERVE: Final = int(Option.OBSERVE)
# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_ANSWER: Final = Phase.ANSWER
_SUPPLY: Final = Phase.SUPPLY
_PROCEED: Final = Phase.PROCEED
_REQUEST: Final = Purpose.REQUEST


@final
class Client:
    """The calls of one endpoint to all its peers.

    Attributes:
        bodies: what gathers the bodies of the answers.
        limits: of the endpoint.
        messages: its message layer.
        windows: how many calls may have several requests under way.
    """

    __slots__ = ("_calls", "_entropy", "_events", "_last_call", "_sets", "bodies", "limits", "messages", "windows")

    def __init__(self, messages: MessageLayer, entropy: Entropy, limits: EndpointLimits, events: list[Event]) -> None:
        self.messages = messages
        self.limits = limits
        self._entropy = entropy
        self._events = events
        self._sets = SetCalling(self, entropy)
        self.bodies = Gathering(self, self._sets, events)
        self._calls: dict[int, Call] = {}
        self._last_call = 0
        self.windows = 0

    def __len__(self) -> int:
        return len(self._calls)

    # -- what the caller does

    def request(self, peer: Peer, request: Request, body: Collect | Stream, now: float) -> int:
        """Begin a call; see `Endpoint.request`."""
        request = checked(request, body)
        number = self._last_call + 1
        state = self.messages.peers.admit(peer, now)
        if state is None:
            self._fail_early(number, peer, "too many peers")
        else:
            call = self._new_call(number, state, request, body)
            if len(state.calls) >= self.limits.calls_per_peer:
                self._fail_early(number, peer, "too many calls to this peer")
            else:
                self._calls[number] = state.calls[number] = call
                self.ask(call, now)
        self._last_call = number
        return number

    def _new_call(self, number: int, state: PeerState, request: Request, body: Collect | Stream) -> Call:
        messages = self.messages
        size_bytes = len(request.payload) if request.source_bytes is None else request.source_bytes
        steps = messages.steps(state.address, request.options, size_bytes)
        if steps.szx < request.szx:
            request = attrs.evolve(request, szx=steps.szx)
        units = (steps.units, messages.units(state.address))
        return Call(number, state, request, body, self.limits, self.ahead_pace(), units, bert=messages.is_reliable)

    def ahead_pace(self) -> Pace:
        """How much of a body up is asked for at a time."""
        return Pace(self.limits.ahead_of(len(self.messages.peers)), self.limits.batch_s)

    def _fail_early(self, number: int, peer: Peer, message: str) -> None:
        reason = FailureReason.EXHAUSTED
        self._events.append(CallFailed(number, peer, reason, failure(reason, message)))

    def supply(self, number: int, data: bytes, now: float) -> None:
        """Give the bytes of a BlockWanted; see `Endpoint.supply`."""
        call = self._running(number)
        if call is None:
            return
        if call.phase is not _SUPPLY or call.upload is None:
            raise UsageError(f"call {number} wants no bytes now")
        if len(data) != call.wanted_bytes:
            raise UsageError(f"call {number} wants {call.wanted_bytes} bytes, not {len(data)}")
        call.ahead, call.ahead_at = data, call.wanted_at
        call.ahead_pace.begin(now)
        self.go_on(call, now)

    def proceed(self, number: int, now: float) -> None:
        """Ask for the next block; see `Endpoint.proceed`."""
        call = self._running(number)
        if call is None:
            return
        if call.phase is not _PROCEED:
            raise UsageError(f"call {number} has no block to be stored now")
        call.batch.begin(now)
        if call.batch.is_due(now):  # what was under way has come meanwhile
            if self.messages.is_reliable:
                call.phase = _ANSWER
                self.ask_ahead(call, now)
                if call.batch.size_bytes:
                    self.bodies.offer(call, now)
            else:
                self.bodies.hand_over(call, now)
        elif call.token is not None:  # asked ahead
            call.phase = _ANSWER
        else:
            self.go_on(call, now)

    def cancel(self, number: int, now: float, *, forget: bool) -> None:
        """End a call; see `Endpoint.cancel`."""
        call = self._running(number)
        if call is None:
            return
        token = call.observed
        self._forget(call, now)
        if token is not None and not forget:
            self._deregister(call, token, now)

    def _deregister(self, call: Call, token: bytes, now: float) -> None:
        """Tell the peer, and forget: a notification that is still under way is answered with a Reset."""
        request = call.request
        options = sort_options((*request.options, DEREGISTER))
        payload = request.payload if request.code == Code.FETCH else b""
        self.messages.submit(call.state, _outgoing(call, token, options, payload), now)

    def _running(self, number: int) -> Call | None:
        call = self._calls.get(number)
        if call is None and not 0 < number <= self._last_call:
            raise UsageError(f"there never was a call {number}")
        return call

    # -- requests

    def ask(self, call: Call, now: float) -> None:
        """Send the next request, or ask the caller for its bytes first."""
        upload = call.upload
        if upload is not None and call.q_up is not None:
            self._sets.push(call, upload, call.q_up, now)
            return
        if upload is not None:
            part = upload.current()
            if not call.ahead_at <= part.offset <= part.offset + part.length <= call.ahead_at + len(call.ahead):
                self.want(call, now)
                return
        self._send(call, next_payload(call), now)

    def ask_ahead(self, call: Call, now: float) -> None:
        """Over a stream: have the next blocks come while the caller stores these, unless it is busy with earlier ones.

        Nothing is lost on a stream, so whatever comes can be held until the caller is ready. If there is nothing more
        to be asked for, the call ends here, and the caller gets the blocks at hand before it hears of that.
        """
        if call.phase is _ANSWER:
            self.ask(call, now)

    def want(self, call: Call, now: float) -> None:
        """Let the caller be asked for the next bytes of the body up: whole blocks, and all that is left at the end."""
        upload = call.upload
        if upload is None:
            raise AssertionError("there is no body to be asked for")
        part = upload.current()
        call.ahead_pace.end(len(call.ahead), now)
        steps = max(call.ahead_pace.target_bytes // upload.step_bytes, 1)
        length = min(steps * upload.step_bytes, upload.left_bytes)
        self.want_bytes(call, part.offset, length, part.offset)

    def want_bytes(self, call: Call, offset: int, length: int, acknowledged: int) -> None:
        """Let the caller be asked for bytes of the body up."""
        call.wanted_at, call.wanted_bytes = offset, length
        call.phase = _SUPPLY
        self._events.append(BlockWanted(call.number, offset, length, acknowledged))

    def go_on(self, call: Call, now: float) -> None:
        """Ask on, on the hot path if the call is on it."""
        call.phase = _ANSWER
        if call.lane is None:
            self.ask(call, now)
        else:
            call.lane.ask(now)

    def _send(self, call: Call, payload: bytes, now: float) -> None:
        state = call.state
        try:
            options = next_options(call)
        except BlockwiseError as error:
            self.fail_protocol(call, error, now)
            return
        token = self.new_token(state)
        if token is None:
            self.fail(call, FailureReason.EXHAUSTED, "no token is free for this peer", now)
            return
        outgoing = _outgoing(call, token, options, payload)
        _expect(call)
        call.token = token
        call.outgoing = outgoing
        state.tokens[token] = call
        if not outgoing.confirmable or self.messages.is_reliable:  # there will be no acknowledgement to wait from
            self._await(call, now)
        if not self.messages.submit(state, outgoing, now):
            self.fail(call, FailureReason.EXHAUSTED, "too many messages wait for this peer", now)

    def new_token(self, state: PeerState) -> bytes | None:
        """A token that no request to this peer has; None if none is found."""
        for _ in range(_TOKEN_TRIES):
            token = self._entropy.token(self.limits.token_bytes)
            if token not in state.tokens:
                return token
        return None

    def _await(self, call: Call, now: float) -> None:
        """The answer may now take as long as a separate response may."""
        wait_s = self.limits.response_wait_s
        if wait_s is None:
            wait_s = call.state.parameters.max_transmit_wait_s
        call.expires = now + wait_s
        self.messages.peers.alarm(call.state, call.expires)

    def acknowledged(self, outgoing: Outgoing, now: float) -> None:
        """A request was acknowledged without its response: it will come separately."""
        call = self._calls.get(outgoing.call)
        lane = None if call is None else call.lane
        if call is not None and (
            lane is None or isinstance(lane, QPull | QPush) or lane.give_back(outgoing.token, now)
        ):
            self._await(call, now)

    # -- answers

    def responded(self, state: PeerState, message: Message, now: float) -> None:
        """Take a response or notification."""
        call = state.tokens.get(message.token)
        if call is None:
            return
        state.is_known = True
        lane = call.lane
        if isinstance(lane, QPull | QPush):
            lane.take(message, now)
            return
        if lane is not None and not lane.give_back(message.token, now):
            return
        if message.token == call.token:
            call.repeated = call.outgoing is not None and call.outgoing.was_repeated(state.parameters.max_retransmit)
            self._close_request(call, now)
            self._answer(call, message, now)
        else:
            self._notification(call, message, now)

    def _close_request(self, call: Call, now: float) -> None:
        """Nothing more is expected under the token of the last request."""
        if call.lane is not None:
            call.lane.close(now)
        if call.token is not None:
            del call.state.tokens[call.token]
            call.token = None
        if call.outgoing is not None:
            self.messages.withdraw(call.state, call.outgoing, now)
            call.outgoing = None
        call.expires = inf

    def _answer(self, call: Call, message: Message, now: float) -> None:
        upload = call.upload
        if upload is None and (options := with_echo(call.request.options, message)) is not None:
            call.request = attrs.evolve(call.request, options=options)
            self.ask(call, now)
            return
        if upload is not None:
            try:
                sent = upload.accept(message)
            except BlockwiseError as error:
                self.fail_protocol(call, error, now)
                return
            if not isinstance(sent, Finished):
                if isinstance(sent, NextBlock):
                    call.note_block(repeated=call.repeated)
                    self._take_push_lane(call, upload, message)
                    self.go_on(call, now)
                else:
                    self.begin_anew(call, sent.reason, now)
                return
            call.upload = None
        if call.registering:
            self._register(call, message, now)
        if call.q_down is None or self._sets.accepts(call, message, now):
            self.bodies.take(call, as_block2(message), now)

    def _register(self, call: Call, message: Message, now: float) -> None:
        call.registering = False
        value = message.uint(_OBSERVE)
        if value is not None and is_success(message.code):
            call.observed = message.token
            call.freshness = Freshness(value, now)
            call.state.tokens[message.token] = call

    def _notification(self, call: Call, message: Message, now: float) -> None:
        value = message.uint(_OBSERVE)
        if value is None or not is_success(message.code):
            self.end_observation(call)
        elif not self.messages.is_reliable and (call.freshness is None or not call.freshness.accept(value, now)):
            return  # over a stream they come in order, and the value says nothing (RFC 8323 section 7.1)
        self._close_request(call, now)
        call.drop_body()
        self.bodies.take(call, message, now)

    def end_observation(self, call: Call) -> None:
        """Expect no notification any more."""
        if call.observed is not None:
            del call.state.tokens[call.observed]
            call.observed = None

    # -- the hot path

    def _take_push_lane(self, call: Call, upload: Block1Sender, message: Message) -> None:
        """The blocks that follow may be acknowledged as this one was."""
        if (
            message.type == ACK
            and message.code == Code.CONTINUE
            and not message.payload
            and upload.left_bytes > MIN_BLOCK_BYTES << upload.szx
        ):
            self.enter(call, PushLane(self, call, upload, message, self.tokens()))

    def tokens(self) -> TokenRun:
        """Tokens for the requests of one transfer."""
        return TokenRun(self._entropy.token(self.limits.token_bytes))

    def begin_anew(self, call: Call, reason: str, now: float) -> None:
        """The body goes up from its first byte again."""
        if call.request.source_bytes is not None:
            call.ahead = b""
            self._events.append(BodyRestarted(call.number, reason))
        self.ask_slowly(call, now)

    def take_slowly(self, call: Call, message: Message, now: float) -> None:
        """The call has left the hot path: take an answer on the ordinary way."""
        _expect(call)
        self.bodies.take(call, message, now)

    def ask_slowly(self, call: Call, now: float) -> None:
        """The call has left the hot path: ask on the ordinary way."""
        _expect(call)
        self.ask(call, now)

    def enter(self, call: Call, lane: AskingLane) -> None:
        """The call takes the hot path."""
        call.lane = call.state.asking = lane
        if isinstance(lane, WidePullLane):
            self.windows += 1

    def leave(self, call: Call) -> None:
        """The call leaves the hot path."""
        lane, call.lane = call.lane, None
        if call.state.asking is lane:
            call.state.asking = None
        if isinstance(lane, WidePullLane):
            self.windows -= 1

    # -- ends

    def deliver(self, call: Call, message: Message, now: float) -> None:
        """Hand out the whole answer: the call ends, unless it is an observation."""
        peer = call.state.address
        if call.observed is None:
            self._forget(call, now)
            self._events.append(ResponseReceived(call.number, peer, message))
            return
        call.drop_body()
        call.phase = Phase.NOTIFICATION
        if call.announced:
            self._events.append(Notified(call.number, peer, message))
        else:
            call.announced = True
            self._events.append(ResponseReceived(call.number, peer, message, observing=True))

    def lost(self, outgoing: Outgoing, reason: FailureReason, now: float) -> None:
        """A request was refused, or went unanswered after all retransmissions."""
        call = self._calls.get(outgoing.call)
        if call is not None and call.q_down is not None and reason is FailureReason.RESET:
            self._close_request(call, now)
            self._sets.fall_back(call, now)
        elif call is not None and reason is FailureReason.TIMEOUT and call.note_timeout():
            self._close_request(call, now)
            self.ask(call, now)
        elif call is not None:
            message = "the peer refused the request" if reason is FailureReason.RESET else "the peer does not answer"
            self.fail(call, reason, message, now)

    def unreachable(self, state: PeerState, now: float) -> None:
        """Fail what waits for this peer."""
        for call in list(state.calls.values()):
            if call.outgoing is not None or call.lane is not None:
                self.fail(call, FailureReason.UNREACHABLE, "the peer is unreachable", now)

    def ended(self, state: PeerState, now: float) -> None:
        """Fail all calls to this peer, observations included."""
        for call in list(state.calls.values()):
            self.fail(call, FailureReason.UNREACHABLE, "the session with the peer has ended", now)

    def expire(self, state: PeerState, now: float) -> None:
        """Fail what has waited too long, and set the next alarm."""
        for call in list(state.calls.values()):
            if isinstance(call.lane, QPull | QPush):
                call.lane.expire(now)
            elif call.expires <= now:
                self.fail(call, FailureReason.TIMEOUT, "no response came after the acknowledgement", now)
            elif call.expires < inf:
                self.messages.peers.alarm(state, call.expires)

    def fail_quiet(self, call: Call, now: float) -> None:
        """Nothing was heard of the peer for too long."""
        self.fail(call, FailureReason.TIMEOUT, "the peer does not answer", now)

    def fail_protocol(self, call: Call, error: BlockwiseError, now: float) -> None:
        """The peer broke the rules."""
        too_large = error.code == Code.REQUEST_ENTITY_TOO_LARGE
        reason = FailureReason.TOO_LARGE if too_large else FailureReason.PROTOCOL
        self._end(call, reason, error, now)

    def fail(self, call: Call, reason: FailureReason, message: str, now: float) -> None:
        """End a call; what was gathered of its body is handed over before."""
        self._end(call, reason, failure(reason, message), now)

    def _end(self, call: Call, reason: FailureReason, error: FotaError, now: float) -> None:
        self._forget(call, now)
        if call.batch.size_bytes:
            self.bodies.hand_over(call, now)  # what came is the caller's
        self._events.append(CallFailed(call.number, call.state.address, reason, error))

    def _forget(self, call: Call, now: float) -> None:
        del self._calls[call.number]
        del call.state.calls[call.number]
        self.end_observation(call)
        self._close_request(call, now)


def _expect(call: Call) -> None:
    """An answer is awaited; a caller that has blocks to store still is busy as before."""
    if call.phase is not _PROCEED:
        call.phase = _ANSWER


def _outgoing(call: Call, token: bytes, options: Options, payload: bytes) -> Outgoing:
    return Outgoing.of(
        confirmable=call.request.confirmable,
        code=call.request.code,
        token=token,
        options=options,
        payload=payload,
        purpose=_REQUEST,
        call=call.number,
    )
