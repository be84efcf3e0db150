"""Q-Block for those who answer requests without knowing of it (RFC 9177).

A request with Q-Block2 is reported as one with Block2, and its answer goes out with Q-Block2; the blocks behind it come
from `Response.body`. Without one the answer is 4.02, so that the peer falls back to Block2. A body that comes with
Q-Block1 is reported set by set, as one that comes with Block1.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.batch import Pace
from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import Event
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import NON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qgiving import QGive, for_sets
from lwm2m_fota.coap.qrequests import Asked, read_asked, read_brought, unmixed
from lwm2m_fota.coap.qtaking import QTake
from lwm2m_fota.coap.reliability import Entropy
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code

if TYPE_CHECKING:
    from lwm2m_fota.coap.serving import Exchange, Serving

_Q_BLOCK1: Final = int(Option.Q_BLOCK1)
_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_BLOCK2: Final = int(Option.BLOCK2)
_BAD_OPTION: Final = int(Code.BAD_OPTION)


@final
class SetServing:
    """The requests in sets of one endpoint's peers."""

    __slots__ = ("_entropy", "_events", "_limits", "_messages", "_q", "_serving")

    def __init__(
        self,
        serving: "Serving",
        messages: MessageLayer,
        entropy: Entropy,
        events: list[Event],
        q: QBlock,
        limits: EndpointLimits,
    ) -> None:
        self._serving = serving
        self._messages = messages
        self._entropy = entropy
        self._events = events
        self._q = q
        self._limits = limits

    def arrived(self, state: PeerState, message: Message, entry: Entry, now: float) -> None:
        """Take a request with Q-Block options."""
        state.knows_q_block = True  # whoever knows one of the options knows both
        try:
            unmixed(message)
            if message.first(_Q_BLOCK1) is not None:
                self._take(state, message, entry, now)
            else:
                self._asked(state, message, read_asked(message), entry, now)
        except BlockwiseError as error:
            self._serving.refuse(state, message, entry, error, now)

    def _take(self, state: PeerState, message: Message, entry: Entry, now: float) -> None:
        """Take a block of a body; it is lost if there is no room for a new one.

        Raises:
            BlockwiseError: it is none.
        """
        brought, serving, bodies = read_brought(message), self._serving, state.bodies
        body = bodies.get(brought.body)
        if body is not None and body.szx != brought.szx:
            serving.drop(state, body)
            body = None
        if body is None:
            if len(bodies) >= self._limits.bodies_per_peer:
                serving.drop(state, next(iter(bodies.values())))
            elif serving.bodies >= self._limits.bodies:
                return
            body = QTake(serving, state, self._q, self._waits(state, now), message, brought)
            serving.bodies += 1
        bodies.pop(brought.body, None)
        bodies[brought.body] = body  # the one heard of last is the last
        serving.take_over(state, body, now)
        body.take(message, brought, entry, now)

    def _asked(self, state: PeerState, message: Message, asked: Asked, entry: Entry, now: float) -> None:
        lane = state.answering
        if message.type == NON and isinstance(lane, QGive) and lane.is_of(message) and lane.szx == asked.szx:
            lane.serve(asked, message.token, now)
            return
        block2 = (_BLOCK2, pack_block(asked.first, False, asked.szx))  # noqa: FBT003 - M is 0 in requests
        options = sort_options((*(option for option in message.options if option[0] != _Q_BLOCK2), block2))
        reported = Message(message.type, message.code, message.mid, message.token, options, message.payload)
        self._serving.requested(state, reported, entry, now, asked=asked)

    def _waits(self, state: PeerState, now: float) -> Waits:
        return Waits(self._q, self._entropy.uniform(1.0, self._q.ack_random_factor), now, state.round_trip_s)

    def respond(self, exchange: "Exchange", asked: Asked, response: Response, now: float) -> None:
        """Answer a request that was reported; strangers get bodies block by block alone, see `strangers`."""
        is_stranger = self._limits.strangers is not None and not exchange.state.is_known
        converted = None if is_stranger and response.body is not None else for_sets(response)
        if converted is None:
            self._serving.answer(exchange, Response(_BAD_OPTION), now)
            return
        value = next((value for number, value in converted.options if number == _Q_BLOCK2), None)
        if value is None or converted.body is None:
            self._serving.answer(exchange, converted, now)
            return
        state, given = exchange.state, Block.decode(value)
        pace = Pace(self._q.ahead_bytes, self._limits.batch_s)
        request, waits = exchange.message, self._waits(state, now)
        lane = QGive(self._messages, self._events, state, self._q, waits, request, converted, given, pace=pace)
        self._serving.take_over(state, lane, now)
        if given.szx != asked.szx:  # numbers mean something else
            asked = Asked(((given.num, asked.values[0][1]),), given.szx)
        alone = asked.values == ((given.num, False),)
        if exchange.confirmable or alone:
            self._serving.answer(exchange, converted, now)
        if not alone:
            lane.serve(asked, exchange.message.token, now, confirmable=exchange.confirmable)
