"""The server side: requests that wait for their response, and notifications (RFC 7252 section 5.2, RFC 7641 4.5)."""

from typing import final

from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import Event, FailureReason, ObserverLost, Peer, RequestReceived
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import sort_options
from lwm2m_fota.coap.messaging import Arrival, MessageLayer
from lwm2m_fota.coap.numbers import ACK, CON
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.reliability import Outgoing, Purpose, empty_ack, frame, stamp
from lwm2m_fota.errors import UsageError
from lwm2m_fota.model.codes import describe_code, is_response


@final
class Exchange:
    """A request that waits for its response.

    Attributes:
        number: its name above.
        state: who asks.
        entry: where its reply is remembered for duplicates.
        mid: its message id.
        token: its token.
        confirmable: it must be acknowledged.
        ack_at: monotonic seconds at which it is acknowledged without a response; None if it has been, or need not be.
        expires: monotonic seconds at which it is forgotten.
    """

    __slots__ = ("ack_at", "confirmable", "entry", "expires", "mid", "number", "state", "token")

    def __init__(
        self, number: int, arrival: Arrival, entry: Entry, ack_delay_s: float, wait_s: float, now: float
    ) -> None:
        message = arrival.message
        self.number = number
        self.state = arrival.state
        self.entry = entry
        self.mid = message.mid
        self.token = message.token
        self.confirmable = message.type == CON
        self.ack_at: float | None = now + ack_delay_s if self.confirmable else None
        self.expires = now + wait_s


@final
class Serving:
    """The exchanges of one endpoint with all its peers."""

    __slots__ = ("_events", "_exchanges", "_last_exchange", "_last_notification", "_limits", "_messages")

    def __init__(self, messages: MessageLayer, limits: EndpointLimits, events: list[Event]) -> None:
        self._messages = messages
        self._limits = limits
        self._events = events
        self._exchanges: dict[int, Exchange] = {}
        self._last_exchange = 0
        self._last_notification = 0

    def __len__(self) -> int:
        return len(self._exchanges)

    def requested(self, arrival: Arrival, entry: Entry, now: float) -> None:
        """Report a request, and wait for its response."""
        state = arrival.state
        limits = self._limits
        delay_s = limits.ack_delay_s
        wait_s = limits.exchange_wait_s
        self._last_exchange = number = self._last_exchange + 1
        exchange = Exchange(
            number,
            arrival,
            entry,
            state.parameters.ack_timeout_s / 2 if delay_s is None else delay_s,
            state.lifetime_s if wait_s is None else wait_s,
            now,
        )
        self._exchanges[number] = state.exchanges[number] = exchange
        self._alarm(exchange)
        self._events.append(RequestReceived(number, state.address, arrival.message, entry.again))

    def _alarm(self, exchange: Exchange) -> None:
        at = exchange.expires if exchange.ack_at is None else min(exchange.ack_at, exchange.expires)
        self._messages.peers.alarm(exchange.state, at)

    def respond(self, number: int, response: Response, now: float) -> None:
        """Answer a request; see `Endpoint.respond`."""
        if not is_response(response.code):
            raise UsageError(f"{describe_code(response.code)} is not a response code")
        exchange = self._exchanges.get(number)
        if exchange is None:
            if not 0 < number <= self._last_exchange:
                raise UsageError(f"there never was an exchange {number}")
            return
        if exchange.ack_at is not None:
            self._piggyback(exchange, response)
        else:
            self._answer_separately(exchange, response, now)
        self._forget(exchange)

    def _forget(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.number]
        del exchange.state.exchanges[exchange.number]

    def _piggyback(self, exchange: Exchange, response: Response) -> None:
        framed = frame(ACK, response.code, exchange.token, sort_options(response.options), response.payload)
        datagram = stamp(framed, exchange.mid)
        entry = exchange.entry
        entry.again = response.idempotent
        if not response.idempotent:
            self._messages.peers.budget.keep(entry, datagram)
        self._messages.send(datagram, exchange.state.address)

    def _answer_separately(self, exchange: Exchange, response: Response, now: float) -> None:
        outgoing = _outgoing(response, exchange.token, Purpose.RESPONSE, confirmable=exchange.confirmable)
        if exchange.confirmable:
            self._messages.submit(exchange.state, outgoing, now)
        else:
            self._messages.send_once(exchange.state, outgoing, now)

    def notify(self, peer: Peer, token: bytes, response: Response, now: float, *, confirmable: bool) -> int:
        """Send a notification; see `Endpoint.notify`."""
        if not is_response(response.code):
            raise UsageError(f"{describe_code(response.code)} is not a response code")
        outgoing = _outgoing(response, token, Purpose.NOTIFICATION, confirmable=confirmable)
        self._last_notification += 1
        state = self._messages.peers.admit(peer, now)
        if state is None or not self._send_notification(state, outgoing, now):
            self._events.append(ObserverLost(peer, token, FailureReason.EXHAUSTED))
        return self._last_notification

    def _send_notification(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        if not outgoing.confirmable:
            if self._messages.send_once(state, outgoing, now):
                self._messages.note(state, outgoing)
            return True
        for at, waiting in enumerate(state.queue):
            if waiting.purpose is Purpose.NOTIFICATION and waiting.token == outgoing.token:
                state.queue[at] = outgoing  # an observer needs the newest state only (RFC 7641 section 4.5.2)
                return True
        return self._messages.submit(state, outgoing, now)

    def lost(self, state: PeerState, token: bytes, reason: FailureReason) -> None:
        """The peer refused a notification or left it unacknowledged."""
        self._events.append(ObserverLost(state.address, token, reason))

    def ended(self, state: PeerState) -> None:
        """Forget what this peer has asked, and lose the observers that it is being notified of."""
        for exchange in list(state.exchanges.values()):
            self._forget(exchange)
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
                self._acknowledge(exchange)
            if exchange.expires <= now:
                self._forget(exchange)
            else:
                self._alarm(exchange)

    def _acknowledge(self, exchange: Exchange) -> None:
        exchange.ack_at = None
        reply = empty_ack(exchange.mid)
        self._messages.peers.budget.keep(exchange.entry, reply)
        self._messages.send(reply, exchange.state.address)


def _outgoing(response: Response, token: bytes, purpose: Purpose, *, confirmable: bool) -> Outgoing:
    return Outgoing(
        confirmable=confirmable,
        code=response.code,
        token=token,
        options=sort_options(response.options),
        payload=response.payload,
        purpose=purpose,
    )
