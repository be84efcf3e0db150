"""Q-Block for those who answer requests without knowing of it (RFC 9177).

A request with Q-Block2 is reported as one with Block2, and its answer goes out with Q-Block2; the blocks behind it come
from `Response.body`. Without one the answer is 4.02, so that the peer falls back to Block2.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import Event
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.messaging import MessageLayer
from lwm2m_fota.coap.numbers import NON, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qasked import Asked, read_asked, unmixed
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qgiving import QGive, for_sets
from lwm2m_fota.coap.reliability import Entropy
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code

if TYPE_CHECKING:
    from lwm2m_fota.coap.serving import Exchange, Serving

_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_BLOCK2: Final = int(Option.BLOCK2)
_BAD_REQUEST: Final = int(Code.BAD_REQUEST)
_BAD_OPTION: Final = int(Code.BAD_OPTION)


@final
class SetServing:
    """The requests in sets of one endpoint's peers."""

    __slots__ = ("_entropy", "_events", "_messages", "_q", "_serving")

    def __init__(
        self, serving: "Serving", messages: MessageLayer, entropy: Entropy, events: list[Event], q: QBlock
    ) -> None:
        self._serving = serving
        self._messages = messages
        self._entropy = entropy
        self._events = events
        self._q = q

    def arrived(self, state: PeerState, message: Message, entry: Entry, now: float) -> None:
        """Take a request with Q-Block options."""
        try:
            unmixed(message)
            asked = read_asked(message)
        except BlockwiseError as error:
            self._serving.refuse(state, message, entry, error, now)
            return
        lane = state.answering
        if message.type == NON and isinstance(lane, QGive) and lane.is_of(message) and lane.szx == asked.szx:
            lane.serve(asked, message.token, now)
            return
        block2 = (_BLOCK2, pack_block(asked.first, False, asked.szx))  # noqa: FBT003 - M is 0 in requests
        options = sort_options((*(option for option in message.options if option[0] != _Q_BLOCK2), block2))
        reported = Message(message.type, message.code, message.mid, message.token, options, message.payload)
        self._serving.requested(state, reported, entry, now, asked=asked)

    def respond(self, exchange: "Exchange", asked: Asked, response: Response, now: float) -> None:
        """Answer a request that was reported."""
        converted = for_sets(response)
        if converted is None:
            self._serving.answer(exchange, Response(_BAD_OPTION), now)
            return
        value = next((value for number, value in converted.options if number == _Q_BLOCK2), None)
        if value is None or converted.body is None:
            self._serving.answer(exchange, converted, now)
            return
        state, given = exchange.state, Block.decode(value)
        waits = Waits(self._q, self._entropy.uniform(1.0, self._q.ack_random_factor), now)
        lane = QGive(self._messages, self._events, state, self._q, waits, exchange.message, converted, given)
        self._serving.take_over(state, lane, now)
        if given.szx != asked.szx:  # numbers mean something else
            asked = Asked(((given.num, asked.values[0][1]),), given.szx)
        alone = asked.values == ((given.num, False),)
        if exchange.confirmable or alone:
            self._serving.answer(exchange, converted, now)
        if not alone:
            lane.serve(asked, exchange.message.token, now, confirmable=exchange.confirmable)
