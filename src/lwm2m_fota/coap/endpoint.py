"""The endpoint: client and server at once, for many peers, without I/O.

Datagrams and time go in; datagrams, events and the next deadline come out. The caller's turn has four steps: feed what
arrived, take the events and act on them, send the datagrams, and call `handle_timeout` at the deadline.

Policies, where the documents leave a choice:

- A request that found an empty acknowledgement waits for its separate response for `EndpointLimits.response_wait_s`.
- A non-confirmable request counts for NSTART until it is answered or one acknowledgement time-out has passed.
- A separate response has the type of its request: confirmable, and then retransmitted, or not.
- A duplicate is the same message id with the same bytes from the same peer; see `dedup`.
- Message ids ascend; see `MidExhaustion` for what happens when they come round too soon.
- A confirmable notification that still waits for its turn gives way to a newer one to the same observer.
- A response to no request of ours is reset if it is confirmable, or if it is a notification; otherwise it is ignored.
- Datagrams that cannot be read are reset if they are confirmable CoAP messages by their first bytes, else ignored.
"""

from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.coap.calls import Collect, Request, Response, Stream
from lwm2m_fota.coap.client import Client
from lwm2m_fota.coap.events import BodyWanted, Event, FailureReason, Malformed, Peer
from lwm2m_fota.coap.limits import EndpointLimits, MidExhaustion
from lwm2m_fota.coap.messaging import ArrivalKind, MessageLayer
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qpulling import QPull
from lwm2m_fota.coap.qtaking import QTake
from lwm2m_fota.coap.reliability import Entropy, Outgoing, Purpose
from lwm2m_fota.coap.serving import Serving
from lwm2m_fota.coap.stream_signals import Capabilities
from lwm2m_fota.coap.streaming import StreamLayer
from lwm2m_fota.errors import UsageError

__all__ = [
    "Collect",
    "Endpoint",
    "EndpointLimits",
    "Entropy",
    "Event",
    "FailureReason",
    "MidExhaustion",
    "Peer",
    "Request",
    "Response",
    "Stream",
]

_DEFAULT_PARAMETERS: Final = TransmissionParameters()
_DEFAULT_LIMITS: Final = EndpointLimits()
_DEFAULT_BODY: Final = Collect()

# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_RESPONSE: Final = ArrivalKind.RESPONSE
_MALFORMED: Final = ArrivalKind.MALFORMED
_NO_ANSWER: Final = b""


@final
class Endpoint:
    """One CoAP endpoint over datagrams (RFC 7252), or over streams (RFC 8323).

    Times are monotonic seconds and never go back.

    Attributes:
        alarms: a heap whose entries begin with what `next_deadline` will say; a caller may look whether it changed.
        events: what `take_events` will hand out.
        outbox: what `take_datagrams` will hand out, bursts as tuples; a caller may send from it and clear it instead.
    """

    __slots__ = ("_client", "_limits", "_messages", "_peers", "_serving", "_states", "alarms", "events", "outbox")

    def __init__(
        self,
        *,
        entropy: Entropy,
        parameters: TransmissionParameters = _DEFAULT_PARAMETERS,
        limits: EndpointLimits = _DEFAULT_LIMITS,
        capabilities: Callable[[Peer], Capabilities] | None = None,
    ) -> None:
        """Begin without peers.

        Args:
            entropy: where tokens, first message ids and jitter come from.
            parameters: transmission parameters of peers for which `set_parameters` names no others.
            limits: bounds and policies.
            capabilities: what a peer can take, over streams: each datagram is then a message without type and id. None
                if messages go in datagrams.
        """
        self._limits = limits
        self.events: list[Event] = []
        self._messages = (
            MessageLayer(entropy, parameters, limits)
            if capabilities is None
            else StreamLayer(entropy, parameters, limits, capabilities)
        )
        self.outbox = self._messages.outbox
        self._peers = self._messages.peers
        self._states = self._peers.states
        self.alarms = self._peers.alarms
        self._client = Client(self._messages, entropy, limits, self.events)
        self._serving = Serving(self._messages, entropy, limits, self.events)

    # -- the network's side

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        """Take one datagram. Never raises, whatever the bytes."""
        answer = self.answer(data, peer, now)
        if answer:
            self.outbox.append((answer, peer))

    def answer(self, data: bytes, peer: Peer, now: float) -> bytes:
        """As `receive`, for a caller that sends what answers a datagram itself.

        Returns:
            A datagram for this peer, to be sent behind those in the outbox; empty if there is none.
        """
        state = self._states.get(peer) if data else None  # what expects nothing must not take nothing for it
        if state is not None:
            if state.asking is not None and (answer := state.asking.receive(data, now)) is not None:
                return answer
            if state.answering is not None and (answer := state.answering.receive(data, now)) is not None:
                return answer
        self._receive(data, peer, now)
        return _NO_ANSWER

    def _receive(self, data: bytes, peer: Peer, now: float) -> None:
        arrival = self._messages.receive(data, peer, now)
        if arrival is None:
            return
        kind = arrival.kind
        if kind is _RESPONSE:
            self._client.responded(arrival.state, arrival.message, now)
        elif arrival.entry is not None:
            self._serving.arrived(arrival.state, arrival.message, arrival.entry, now)
        elif kind is _MALFORMED:
            self.events.append(Malformed(peer))
        elif arrival.outgoing is None:  # a Reset to a notification that was sent once
            self._serving.lost(arrival.state, arrival.token, FailureReason.RESET)
        elif kind is ArrivalKind.RESET:
            self._lost(arrival.state, arrival.outgoing, FailureReason.RESET, now)
        else:
            self._client.acknowledged(arrival.outgoing, now)

    @property
    def gathers(self) -> bool:
        """Several answers are awaited: what one leads to is better sent with what the others lead to."""
        return self._client.windows > 0

    def receive_burst(self, data: bytes, size: int, peer: Peer, now: float) -> None:
        """Take several datagrams behind one another: each has `size` bytes, the last one may be shorter."""
        at, end = 0, len(data)
        while at < end:
            state = self._states.get(peer)
            begin = at
            if state is not None and isinstance(state.asking, QPull):
                at = state.asking.receive_burst(data, at, size, now)
            elif state is not None and isinstance(state.answering, QTake):
                at = state.answering.receive_burst(data, at, size, now)
            if at == begin:
                self.receive(data[at : at + size], peer, now)
                at += size

    def unreachable(self, peer: Peer, now: float) -> None:
        """The network says that nobody is there; see `EndpointLimits.fail_on_unreachable`."""
        state = self._peers.get(peer)
        if state is not None and self._limits.fail_on_unreachable:
            self._client.unreachable(state, now)

    def ended(self, peer: Peer, now: float) -> None:
        """The session that this peer was has ended: all that waits for it fails, and it is forgotten."""
        state = self._messages.peers.get(peer)
        if state is not None:
            self._serving.ended(state)
            self._client.ended(state, now)
            self._messages.peers.forget(state)

    def take_datagrams(self) -> list[tuple[bytes, Peer]]:
        """The datagrams to send, oldest first; each is handed out once."""
        taken = [(each, peer) for data, peer in self.outbox for each in (data if isinstance(data, tuple) else (data,))]
        self.outbox.clear()
        return taken

    def take_events(self) -> list[Event]:
        """What happened, oldest first; each event is handed out once."""
        taken = self.events[:]
        self.events.clear()
        return taken

    # -- the client's side

    def request(self, peer: Peer, request: Request, now: float, *, body: Collect | Stream = _DEFAULT_BODY) -> int:
        """Send a request, and its body block by block if it exceeds one.

        The call ends with ResponseReceived (without `observing`) or CallFailed; a limit that is reached is a
        CallFailed too.

        Args:
            peer: whom to ask.
            request: what to ask.
            now: monotonic seconds.
            body: how the body of the answer is to be taken.

        Returns:
            The number of the call, that its events carry.

        Raises:
            UsageError: the request contradicts itself.
            MessageFormatError: an option is out of range.
            BlockwiseError: the body has more blocks of this size than there are numbers (4.13).
        """
        return self._client.request(peer, request, body, now)

    def knows_q_block(self, peer: Peer) -> bool | None:
        """Whether a peer understands Q-Block, as its requests and answers have shown; None if they have not."""
        state = self._states.get(peer)
        return None if state is None else state.knows_q_block

    def supply(self, call: int, data: bytes, now: float) -> None:
        """Give exactly the bytes that a BlockWanted asks for; nothing happens if the call has ended meanwhile.

        Raises:
            UsageError: no such call, no block is wanted, or the length is another.
        """
        self._client.supply(call, data, now)

    def proceed(self, call: int, now: float) -> None:
        """The block of a BlockArrived is stored: ask for the next; nothing happens if the call has ended meanwhile.

        Raises:
            UsageError: no such call, or no block is to be stored.
        """
        self._client.proceed(call, now)

    def cancel(self, call: int, now: float, *, forget: bool = False) -> None:
        """End a call without an event; nothing happens if it has ended already.

        An observation is cancelled at the peer (GET with Observe 1, RFC 7641 section 3.6) unless `forget`; either way
        later notifications are reset.

        Raises:
            UsageError: no such call.
        """
        self._client.cancel(call, now, forget=forget)

    # -- the server's side

    def respond(self, exchange: int, response: Response, now: float) -> None:
        """Answer a RequestReceived: in its acknowledgement if that is still due, else in a message of its own.

        Nothing happens if the exchange was answered or forgotten meanwhile.

        Raises:
            UsageError: no such exchange, or the code is no response code.
            MessageFormatError: an option is out of range.
        """
        self._serving.respond(exchange, response, now)

    def give(self, wanted: BodyWanted, given: bytes | Response, now: float) -> None:
        """Give the bytes of a BodyWanted, exactly as many as it wants; or a response that says why there are none.

        Raises:
            UsageError: another number of bytes.
        """
        if not isinstance(given, Response) and len(given) != wanted.length:
            raise UsageError(f"{wanted.length} bytes are wanted, not {len(given)}")
        wanted.lane.give(given, now)

    def notify(self, peer: Peer, token: bytes, response: Response, now: float, *, confirmable: bool) -> int:
        """Notify an observer (RFC 7641 section 4.2).

        The endpoint keeps no table of observers: the caller puts the Observe option into the response, with a value
        that ascends, and forgets the observer at ObserverLost.

        Returns:
            A number that ascends with every notification of this endpoint.

        Raises:
            UsageError: the code is no response code.
            MessageFormatError: the token or an option is out of range.
        """
        return self._serving.notify(peer, token, response, now, confirmable=confirmable)

    # -- time

    def set_parameters(self, peer: Peer, parameters: TransmissionParameters | None) -> None:
        """Use these parameters for one peer from the next message on; None goes back to those of the endpoint."""
        self._peers.set_parameters(peer, parameters)

    def next_deadline(self) -> float | None:
        """When to call `handle_timeout`, monotonic seconds; None if there is nothing to wait for.

        It may be too early, and then nothing happens; it is never too late.
        """
        return self._peers.next_deadline()

    def handle_timeout(self, now: float) -> None:
        """Do what is due: retransmit, acknowledge, give up, forget."""
        peers = self._peers
        for state in peers.due(now):
            for outgoing in self._messages.retransmit(state, now):
                self._lost(state, outgoing, FailureReason.TIMEOUT, now)
            self._client.expire(state, now)
            self._serving.expire(state, now)
            self._messages.next_alarm(state)
            peers.retire(state, now)

    def _lost(self, state: PeerState, outgoing: Outgoing, reason: FailureReason, now: float) -> None:
        if outgoing.purpose is Purpose.REQUEST:
            self._client.lost(outgoing, reason, now)
        elif outgoing.purpose is Purpose.NOTIFICATION:
            self._serving.lost(state, outgoing.token, reason)
