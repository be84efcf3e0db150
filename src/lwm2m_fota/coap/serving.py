"""The server side: requests that wait for their response, and notifications (RFC 7252 section 5.2, RFC 7641 4.5)."""

from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.coap.batch import Batch, Pace
from lwm2m_fota.coap.bert import Widened, answered, in_blocks
from lwm2m_fota.coap.block import BERT_SZX, MAX_OPTION_BYTES, MAX_SZX, Block, pack_block, unpack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import BodyWanted, Event, FailureReason, ObserverLost, Peer, RequestReceived
from lwm2m_fota.coap.giving import GiveLane
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, Options, sort_options
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import ACK, CON, NON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qgiving import QGive
from lwm2m_fota.coap.qrequests import Asked, in_sets
from lwm2m_fota.coap.qserving import SetServing
from lwm2m_fota.coap.qtaking import QTake
from lwm2m_fota.coap.reliability import Entropy, Outgoing, Purpose, empty_ack, frame, stamp
from lwm2m_fota.coap.strangers import bounded
from lwm2m_fota.coap.stream_frames import Parted
from lwm2m_fota.coap.taking import TakeLane
from lwm2m_fota.errors import BlockwiseError, UsageError
from lwm2m_fota.model.codes import Code, describe_code, is_response

_BLOCK1: Final = int(Option.BLOCK1)
_OBSERVE: Final = int(Option.OBSERVE)
_CANCEL: Final = b"\x01"
"""Of Observe (RFC 7641 section 2)."""

_BLOCK2: Final = int(Option.BLOCK2)
_CONTINUE: Final = int(Code.CONTINUE)


@final
class Exchange:
    """A request that waits for its response.

    Attributes:
        number: its name above.
        state: who asks.
        entry: where its reply is remembered for duplicates.
        message: the request as it was reported.
        lane: the hot path that it came on, or None.
        asked: what it asks for by sets; None if it does not.
        streamed: the request as it came over a stream; None over datagrams.
        ack_at: monotonic seconds at which it is acknowledged without a response; None if it has been, or need not be.
        expires: monotonic seconds at which it is forgotten.
    """

    __slots__ = ("ack_at", "asked", "entry", "expires", "lane", "message", "number", "state", "streamed")

    def __init__(
        self,
        number: int,
        state: PeerState,
        message: Message,
        entry: Entry,
        lane: TakeLane | QTake | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.number = number
        self.state = state
        self.message = message
        self.entry = entry
        self.lane = lane
        self.asked = asked
        self.streamed: Message | None = None
        self.ack_at: float | None = None
        self.expires = inf

    @property
    def confirmable(self) -> bool:
        """It must be acknowledged."""
        return self.message.type == CON


@final
class Serving:
    """The exchanges of one endpoint with all its peers.

    Attributes:
        messages: the message layer of the endpoint.
        bodies: how many bodies its peers send by sets.
    """

    __slots__ = (
        "_entropy",
        "_events",
        "_exchanges",
        "_last_exchange",
        "_last_notification",
        "_limits",
        "_sets",
        "bodies",
        "messages",
    )

    def __init__(self, messages: MessageLayer, entropy: Entropy, limits: EndpointLimits, events: list[Event]) -> None:
        self.messages = messages
        q = limits.q_block
        self._sets = None if q is None else SetServing(self, messages, entropy, events, q, limits)
        self.bodies = 0
        self._entropy = entropy
        self._limits = limits
        self._events = events
        self._exchanges: dict[int, Exchange] = {}
        self._last_exchange = 0
        self._last_notification = 0

    def __len__(self) -> int:
        return len(self._exchanges)

    def arrived(self, state: PeerState, message: Message, entry: Entry, now: float) -> None:
        """Take a request that came the ordinary way."""
        if self.messages.is_reliable:
            self.requested(state, in_blocks(message), entry, now).streamed = message
            return
        lane = state.answering
        if self._sets is not None and in_sets(message):
            self._sets.arrived(state, message, entry, now)
            return
        if isinstance(lane, TakeLane):
            message = lane.join(message, now)
        self.requested(state, message, entry, now)

    def requested(
        self,
        state: PeerState,
        message: Message,
        entry: Entry,
        now: float,
        lane: TakeLane | QTake | None = None,
        asked: Asked | None = None,
    ) -> Exchange:
        """Report a request, and wait for its response."""
        if message.first(_OBSERVE) == _CANCEL:
            self.messages.silence(state, message.token)
        limits = self._limits
        self._last_exchange = number = self._last_exchange + 1
        exchange = Exchange(number, state, message, entry, lane, asked)
        if message.type == CON:
            delay_s = limits.ack_delay_s
            exchange.ack_at = now + (state.parameters.ack_timeout_s / 2 if delay_s is None else delay_s)
        exchange.expires = now + (state.lifetime_s if limits.exchange_wait_s is None else limits.exchange_wait_s)
        self._exchanges[number] = state.exchanges[number] = exchange
        self._alarm(exchange)
        self._events.append(RequestReceived(number, state.address, message, entry.again))
        return exchange

    def announce(self, state: PeerState, message: Message) -> None:
        """Report a request that was answered already: what is responded to it goes nowhere."""
        self._last_exchange += 1
        self._events.append(RequestReceived(self._last_exchange, state.address, message, False))  # noqa: FBT003 - repeated

    def _alarm(self, exchange: Exchange) -> None:
        at = exchange.expires if exchange.ack_at is None else min(exchange.ack_at, exchange.expires)
        self.messages.peers.alarm(exchange.state, at)

    def respond(self, number: int, response: Response, now: float) -> None:
        """Answer a request; see `Endpoint.respond`."""
        if not is_response(response.code):
            raise UsageError(f"{describe_code(response.code)} is not a response code")
        exchange = self._exchanges.get(number)
        if exchange is None:
            if not 0 < number <= self._last_exchange:
                raise UsageError(f"there never was an exchange {number}")
            return
        if exchange.streamed is not None:
            units = self.messages.units(exchange.state.address)
            self._answer_streamed(exchange, answered(exchange.streamed, response, units), now)
            self._forget(exchange)
            return
        if isinstance(exchange.lane, QTake):
            exchange.lane.answered(exchange, response, now)
            self._forget(exchange)
            return
        response = self._bounded(exchange.state, exchange.message, _echoing(response, exchange))
        if self._sets is not None and exchange.asked is not None:
            self._sets.respond(exchange, exchange.asked, response, now)
        elif self.answer(exchange, response, now):
            self._lead_on(exchange, response, now)
        self._forget(exchange)

    def answer(self, exchange: Exchange, response: Response, now: float) -> bool:
        """Send a response; True if it is an acknowledgement too."""
        if exchange.ack_at is not None:
            self._piggyback(exchange, response)
            return True
        self._answer_separately(exchange, response, now)
        return False

    def refuse(self, state: PeerState, message: Message, entry: Entry, error: BlockwiseError, now: float) -> None:
        """Answer a request that is not reported."""
        code = Code.BAD_REQUEST if error.code is None else error.code
        response = self._bounded(state, message, Response(code, (), str(error).encode()))
        self.answer_last(state, message, entry, response, now)

    def _bounded(self, state: PeerState, message: Message, response: Response) -> Response:
        strangers = self._limits.strangers
        if strangers is None or state.is_known or self.messages.is_reliable:
            return response
        return bounded(strangers, state, message, response, self._entropy)

    def answer_last(self, state: PeerState, message: Message, entry: Entry, response: Response, now: float) -> None:
        """Give the last answer once more, to a request that is not reported."""
        exchange = Exchange(0, state, message, entry)
        exchange.ack_at = now if exchange.confirmable else None
        self.answer(exchange, response, now)

    def acknowledge(self, exchange: Exchange) -> None:
        """Acknowledge a request without a response."""
        exchange.ack_at = None
        reply = empty_ack(exchange.message.mid)
        self.messages.peers.budget.keep(exchange.entry, reply)
        self.messages.send(reply, exchange.state.address)

    def acknowledge_at_once(self, state: PeerState, message: Message, entry: Entry) -> None:
        """Acknowledge a request that is not reported."""
        self.acknowledge(Exchange(0, state, message, entry))

    def drop(self, state: PeerState, body: QTake) -> None:
        """Forget a body that came by sets."""
        if state.bodies.get(body.body) is body:
            del state.bodies[body.body]
            self.bodies -= 1
        if state.answering is body:
            state.answering = None

    def take_over(self, state: PeerState, lane: TakeLane | GiveLane | QGive | QTake, now: float) -> None:
        """From now on a lane looks first at what a peer sends."""
        former, state.answering = state.answering, lane
        if isinstance(former, TakeLane):
            former.flush(now)

    def _answer_streamed(self, exchange: Exchange, answer: Response | Widened, now: float) -> None:
        """Answer at once, or once more of the body is there."""
        if isinstance(answer, Widened):
            lane = _Widening(self, exchange, answer)
            self._events.append(BodyWanted(lane, answer.body, answer.offset, answer.length))
        else:
            self.answer(exchange, self.messages.fit(exchange.state.address, exchange.streamed, answer), now)

    def _lead_on(self, exchange: Exchange, response: Response, now: float) -> None:
        """Take the hot path for the blocks that follow, where they can be known beforehand."""
        state, lane = exchange.state, exchange.lane
        if isinstance(lane, TakeLane) and lane is state.answering:
            if lane.goes_on(response):
                lane.begin(now)
            else:
                state.answering = None
            return
        lead = self._lead(exchange, response, now)
        if lead is not None:
            self.take_over(state, lead, now)

    def _lead(self, exchange: Exchange, response: Response, now: float) -> TakeLane | GiveLane | None:
        request, state, limits = exchange.message, exchange.state, self._limits
        body = response.body
        if body is not None:
            given = _unfinished(response.options, _BLOCK2)
            if given is None or request.payload or len(response.payload) != given.size:
                return None
            pace = Pace(limits.ahead_of(len(self.messages.peers)), limits.batch_s)
            return GiveLane(self.messages, self._events, state, request, response, given, pace)
        taken = _unfinished(response.options, _BLOCK1)
        if taken is None or not limits.batch_bytes or response.code != _CONTINUE or response.payload:
            return None
        if taken != _unfinished(request.options, _BLOCK1) or len(request.payload) != taken.size:
            return None
        batch = Batch(limits.batch_bytes, limits.batch_s)
        batch.begin(now)
        return TakeLane(self, state, request, response.options, taken, batch)

    def _forget(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.number]
        del exchange.state.exchanges[exchange.number]

    def _piggyback(self, exchange: Exchange, response: Response) -> None:
        framed = frame(ACK, response.code, exchange.message.token, sort_options(response.options), response.payload)
        datagram = stamp(framed, exchange.message.mid)
        entry = exchange.entry
        entry.again = response.idempotent
        if not response.idempotent:
            self.messages.peers.budget.keep(entry, datagram)
        self.messages.send(datagram, exchange.state.address)

    def _answer_separately(self, exchange: Exchange, response: Response, now: float) -> None:
        outgoing = _outgoing(response, exchange.message.token, Purpose.RESPONSE, confirmable=exchange.confirmable)
        if exchange.confirmable:
            self.messages.submit(exchange.state, outgoing, now)
        else:
            self.messages.send_once(exchange.state, outgoing, now)

    def notify(self, peer: Peer, token: bytes, response: Response, now: float, *, confirmable: bool) -> int:
        """Send a notification; see `Endpoint.notify`."""
        if not is_response(response.code):
            raise UsageError(f"{describe_code(response.code)} is not a response code")
        response = self.messages.fit(peer, None, response)
        outgoing = _outgoing(response, token, Purpose.NOTIFICATION, confirmable=confirmable)
        self._last_notification += 1
        state = self.messages.peers.admit(peer, now)
        if state is None or not self._send_notification(state, outgoing, now):
            self._events.append(ObserverLost(peer, token, FailureReason.EXHAUSTED))
        return self._last_notification

    def _send_notification(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        if not outgoing.confirmable:
            if self.messages.send_once(state, outgoing, now):
                self.messages.note(state, outgoing)
            return True
        for at, waiting in enumerate(state.queue):
            if waiting.purpose is Purpose.NOTIFICATION and waiting.token == outgoing.token:
                state.queue[at] = outgoing  # an observer needs the newest state only (RFC 7641 section 4.5.2)
                return True
        return self.messages.submit(state, outgoing, now)

    def lost(self, state: PeerState, token: bytes, reason: FailureReason) -> None:
        """The peer refused a notification or left it unacknowledged."""
        self._events.append(ObserverLost(state.address, token, reason))

    def ended(self, state: PeerState) -> None:
        """Forget what this peer has asked, and lose the observers that it is being notified of."""
        for exchange in list(state.exchanges.values()):
            self._forget(exchange)
        for body in tuple(state.bodies.values()):
            self.drop(state, body)
        waiting = (*state.in_flight.values(), *state.queue)
        tokens = dict.fromkeys(each.token for each in waiting if each.purpose is Purpose.NOTIFICATION)
        state.in_flight.clear()
        state.queue.clear()
        for token in tokens:
            self.lost(state, token, FailureReason.UNREACHABLE)

    def expire(self, state: PeerState, now: float) -> None:
        """Acknowledge what has waited long enough, forget what has waited too long, and set the next alarm."""
        for exchange in list(state.exchanges.values()):
            if exchange.ack_at is not None and exchange.ack_at <= now:
                self.acknowledge(exchange)
            if exchange.expires <= now:
                self._forget(exchange)
                if isinstance(exchange.lane, QTake):
                    self.drop(state, exchange.lane)
            else:
                self._alarm(exchange)
        if isinstance(state.answering, QGive):
            state.answering.expire(now)
        for body in tuple(state.bodies.values()):
            body.expire(now)


@final
class _Widening:
    """An answer of BERT that waits for more of its body."""

    __slots__ = ("_exchange", "_serving", "_widened")

    def __init__(self, serving: Serving, exchange: Exchange, widened: Widened) -> None:
        self._serving = serving
        self._exchange = exchange
        self._widened = widened

    def give(self, given: bytes | Response, now: float) -> None:
        serving, exchange = self._serving, self._exchange
        if isinstance(given, Response):
            serving.answer(exchange, serving.messages.fit(exchange.state.address, exchange.streamed, given), now)
            return
        response, token = self._widened.head(given), exchange.message.token
        head = frame(NON, response.code, token, sort_options(response.options), b"")
        outgoing = Outgoing(confirmable=False, framed=Parted.of(head, given), token=token, purpose=Purpose.RESPONSE)
        serving.messages.send_once(exchange.state, outgoing, now)


def _unfinished(options: Options, number: int) -> Block | None:
    """The block that a message brings or acknowledges, if more follow it."""
    value = next((value for have, value in options if have == number), None)
    if value is None or len(value) > MAX_OPTION_BYTES:
        return None
    num, more, szx = unpack_block(value, BERT_SZX)
    return Block(num, more, szx) if more and szx <= MAX_SZX else None


def _echoing(response: Response, exchange: Exchange) -> Response:
    """The response to a request of several blocks: its Block1 names the last of them (RFC 7959 section 2.3)."""
    if exchange.message.blocks == 1:
        return response
    value = next((value for number, value in response.options if number == _BLOCK1), None)
    first = exchange.message.first(_BLOCK1)
    if value is None or first is None:
        return response
    num, more, szx = unpack_block(value)
    block1 = pack_block(num + exchange.message.blocks - 1, more, szx)
    options = tuple((number, block1 if number == _BLOCK1 else each) for number, each in response.options)
    return attrs.evolve(response, options=options)


def _outgoing(response: Response, token: bytes, purpose: Purpose, *, confirmable: bool) -> Outgoing:
    return Outgoing.of(
        confirmable=confirmable,
        code=response.code,
        token=token,
        options=sort_options(response.options),
        payload=response.payload,
        purpose=purpose,
    )
