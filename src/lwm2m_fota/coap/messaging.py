"""The message layer: types, message ids, acknowledgements, resets, retransmission, duplicates (RFC 7252 section 4).

Datagrams come in and `Arrival`s go out, for the request layer above to act on; messages go in and datagrams come out.
"""

from enum import Enum
from typing import ClassVar, Final, TypeAlias, final

from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import Peer
from lwm2m_fota.coap.fitting import ONE_BLOCK, Steps
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import HEADER_BYTES, Message, Options, decode
from lwm2m_fota.coap.numbers import ACK, CON, RST, Option
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.peers import PeerState, PeerTable
from lwm2m_fota.coap.reliability import Entropy, Outgoing, Purpose, empty_ack, reset, stamp
from lwm2m_fota.errors import MessageFormatError
from lwm2m_fota.model.codes import is_request, is_response

_CON_VERSION_1 = 0x40


Burst: TypeAlias = tuple[bytes, ...]
"""Datagrams that leave together: all have the same length, but the last may be shorter."""


@final
class ArrivalKind(Enum):
    """What a datagram turned out to be."""

    REQUEST = "request"
    """A new request, or one whose idempotent answer is to be given again."""

    RESPONSE = "response"
    """A response or notification whose token is ours."""

    ACKNOWLEDGED = "acknowledged"
    """An empty acknowledgement of a message of ours."""

    RESET = "reset"
    """The refusal of a message of ours."""

    MALFORMED = "malformed"
    """No message, over a stream: the connection cannot be gone on with."""


# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_REQUEST: Final = ArrivalKind.REQUEST
_RESPONSE: Final = ArrivalKind.RESPONSE
_OURS: Final = Purpose.REQUEST


@final
class Arrival:
    """A datagram after the message layer.

    Attributes:
        kind: what it is.
        state: whose it is.
        message: the message.
        entry: for a request, where its reply is remembered.
        outgoing: the message of ours that it answers, where the message id told; None for a non-confirmable
            notification, whose token `token` is.
        token: the token of `message`, or of the notification that was refused.
    """

    __slots__ = ("entry", "kind", "message", "outgoing", "state", "token")

    def __init__(
        self,
        kind: ArrivalKind,
        state: PeerState,
        message: Message,
        *,
        token: bytes = b"",
        entry: Entry | None = None,
        outgoing: Outgoing | None = None,
    ) -> None:
        self.kind = kind
        self.state = state
        self.message = message
        self.token = token
        self.entry = entry
        self.outgoing = outgoing


class MessageLayer:
    """The messages of one endpoint with all its peers, over datagrams; `StreamLayer` is the one over streams.

    Attributes:
        outbox: the datagrams and bursts to send, in order; whoever sends them clears it.
        peers: whom it knows.
    """

    __slots__ = ("_entropy", "_limits", "outbox", "peers")

    is_reliable: ClassVar[bool] = False
    """Whether messages are neither lost nor reordered below."""

    def __init__(self, entropy: Entropy, parameters: TransmissionParameters, limits: EndpointLimits) -> None:
        self._entropy = entropy
        self._limits = limits
        self.outbox: list[tuple[bytes | Burst, Peer]] = []
        self.peers = PeerTable(entropy, parameters, limits)

    def send(self, datagram: bytes, peer: Peer) -> None:
        """Send bytes as they are."""
        self.outbox.append((datagram, peer))

    def send_burst(self, datagrams: list[bytes], peer: Peer) -> None:
        """Send several datagrams at once: in bursts of one length, whose last datagram may be shorter."""
        begin, lengths = 0, [len(each) for each in datagrams]
        if lengths.count(lengths[0]) < len(lengths) - (lengths[-1] < lengths[0]):
            for at in range(1, len(datagrams)):
                if lengths[at] > lengths[begin] or lengths[at - 1] < lengths[begin]:
                    self.outbox.append((tuple(datagrams[begin:at]), peer))
                    begin = at
        self.outbox.append((tuple(datagrams[begin:]), peer))

    def units(self, peer: Peer) -> int:
        """How many blocks of 1024 bytes a message to a peer may carry: one over datagrams."""
        del peer
        return 1

    def steps(self, peer: Peer, options: Options, size_bytes: int) -> Steps:
        """How much of the body of a request with these options goes to a peer in a message: over datagrams a block."""
        del peer, options, size_bytes
        return ONE_BLOCK

    def fit(self, peer: Peer, asked: Message | None, response: Response) -> Response:
        """What a peer can take of a response: over datagrams all of it."""
        del peer, asked
        return response

    # -- incoming

    def receive(self, data: bytes, peer: Peer, now: float) -> Arrival | None:
        """Take one datagram; None if it ends here. Never raises, whatever the bytes."""
        try:
            message = decode(data)
        except MessageFormatError:
            self._refuse_malformed(data, peer)
            return None
        kind = message.type
        if kind == ACK:
            return self._acknowledgement(message, peer, now)
        if kind == RST:
            return self._refusal(message, peer, now)
        if is_request(message.code):
            return self._request(message, data, peer, now)
        if is_response(message.code):
            return self._response(message, data, peer, now)
        if kind == CON:  # a ping, or a reserved code class (RFC 7252 section 4.2)
            self.send(reset(message.mid), peer)
        return None

    def _refuse_malformed(self, data: bytes, peer: Peer) -> None:
        if len(data) >= HEADER_BYTES and data[0] & 0xF0 == _CON_VERSION_1:
            self.send(reset(data[2] << 8 | data[3]), peer)

    def _request(self, message: Message, data: bytes, peer: Peer, now: float) -> Arrival | None:
        state = self.peers.admit(peer, now)
        if state is None:
            return None
        confirmable = message.type == CON
        digest = hash(data)
        entry = state.recalled.find(message.mid, digest, now)
        if entry is not None and entry.reply is not None:
            self.send(entry.reply, peer)
            return None
        if (entry is not None and not entry.again) or len(state.exchanges) >= self._limits.exchanges_per_peer:
            return None
        if entry is None:
            lifetime_s = state.lifetime_s if confirmable else state.parameters.non_lifetime_s
            entry = state.recalled.add(message.mid, digest, now + lifetime_s, now)
        return Arrival(_REQUEST, state, message, token=message.token, entry=entry)

    def _response(self, message: Message, data: bytes, peer: Peer, now: float) -> Arrival | None:
        state = self.peers.get(peer)
        if message.type == CON and state is not None and self._came_before(state, message, data, now):
            return None
        call = None if state is None else state.tokens.get(message.token)
        if state is None or call is None:
            # RFC 7641 section 3.6: a Reset also ends non-confirmable notifications.
            if message.type == CON or message.first(Option.OBSERVE) is not None:
                self.send(reset(message.mid), peer)
            return None
        if message.type == CON:
            self._acknowledge(state, message, data, now)
        outgoing = call.outgoing
        if outgoing is not None and outgoing.token == message.token:
            self._settle(state, outgoing, now)
        return Arrival(_RESPONSE, state, message, token=message.token)

    def _came_before(self, state: PeerState, message: Message, data: bytes, now: float) -> bool:
        entry = state.recalled.find(message.mid, hash(data), now)
        if entry is None:
            return False
        if entry.reply is not None:
            self.send(entry.reply, state.address)
        return True

    def _acknowledge(self, state: PeerState, message: Message, data: bytes, now: float) -> None:
        reply = empty_ack(message.mid)
        self.send(reply, state.address)
        self.peers.touch(state, now)
        entry = state.recalled.add(message.mid, hash(data), now + state.lifetime_s, now)
        self.peers.budget.keep(entry, reply)

    def _acknowledgement(self, message: Message, peer: Peer, now: float) -> Arrival | None:
        state = self.peers.get(peer)
        outgoing = None if state is None else state.in_flight.get(message.mid)
        if state is None or outgoing is None or not outgoing.confirmable:
            return None
        if message.code == 0:
            self._acknowledged(state, outgoing, now)
            return Arrival(ArrivalKind.ACKNOWLEDGED, state, message, token=outgoing.token, outgoing=outgoing)
        if not is_response(message.code) or outgoing.purpose is not _OURS:
            return None
        if message.token != outgoing.token:
            self._send_under_new_id(state, outgoing, now)
            return None
        self._acknowledged(state, outgoing, now)
        return Arrival(_RESPONSE, state, message, token=message.token)

    def _acknowledged(self, state: PeerState, outgoing: Outgoing, now: float) -> None:
        """Which of several copies was acknowledged is not known: then nothing is measured (RFC 6298 section 3)."""
        if not outgoing.was_repeated(state.parameters.max_retransmit):
            state.round_trip_s = now - outgoing.deadline + outgoing.timeout_s
        self._settle(state, outgoing, now)

    def _send_under_new_id(self, state: PeerState, outgoing: Outgoing, now: float) -> None:
        """The peer answers from its memory of an older use of this message id: it has not seen this request."""
        state.ids.distrust()
        del state.in_flight[outgoing.mid]
        state.queue.insert(0, outgoing)
        self.pump(state, now)

    def _refusal(self, message: Message, peer: Peer, now: float) -> Arrival | None:
        state = self.peers.get(peer)
        if state is None or message.code != 0:
            return None
        outgoing = state.in_flight.get(message.mid)
        if outgoing is not None:
            if outgoing.purpose is Purpose.NOTIFICATION:
                _drop_notifications(state, outgoing.token)
            self._settle(state, outgoing, now)
            return Arrival(ArrivalKind.RESET, state, message, token=outgoing.token, outgoing=outgoing)
        token = state.noted.pop(message.mid, None)
        if token is None:
            return None
        _drop_notifications(state, token)
        return Arrival(ArrivalKind.RESET, state, message, token=token)

    # -- outgoing

    def submit(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        """Send a message that counts for NSTART, now or in its turn; False if too many wait."""
        if state.queue or not self._launch(state, outgoing, now):
            if len(state.queue) >= self._limits.queued_per_peer:
                return False
            state.queue.append(outgoing)
        return True

    def send_once(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        """Send a non-confirmable message that expects no answer; False if no message id is free: it is lost."""
        mid = state.ids.take(now, state.lifetime_s, state.in_flight)
        if mid is None:
            return False
        self.peers.touch(state, now)
        state.ids.unsettled(mid, now)
        outgoing.begin(stamp(outgoing.datagram, mid), mid, 0.0, 0, now)
        self.send(outgoing.datagram, state.address)
        return True

    def note(self, state: PeerState, outgoing: Outgoing) -> None:
        """Remember a notification sent once, so that a Reset can refer to it."""
        state.noted[outgoing.mid] = outgoing.token
        state.noted.move_to_end(outgoing.mid)
        if len(state.noted) > self._limits.noted_notifications_per_peer:
            state.noted.popitem(last=False)

    def silence(self, state: PeerState, token: bytes) -> None:
        """Send no notification that waits for its turn: the peer has cancelled, and would reject it."""
        _drop_notifications(state, token)

    def pump(self, state: PeerState, now: float) -> None:
        """Send what waits, as far as NSTART and message ids allow."""
        while state.queue and self._launch(state, state.queue[0], now):
            del state.queue[0]

    def _launch(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        parameters = state.parameters
        if len(state.in_flight) >= parameters.nstart:
            return False
        mid = state.ids.take(now, state.lifetime_s, state.in_flight)
        if mid is None:
            self.peers.alarm(state, state.ids.free_at)
            return False
        datagram = stamp(outgoing.datagram, mid)
        self.depart(state, outgoing, datagram, mid, now)
        self.send(datagram, state.address)
        return True

    def depart(self, state: PeerState, outgoing: Outgoing, datagram: bytes, mid: int, now: float) -> None:
        """A message that counts for NSTART is sent now, as these bytes: the caller sees to that."""
        parameters = state.parameters
        timeout_s = parameters.ack_timeout_s * self._entropy.uniform(1.0, parameters.ack_random_factor)
        outgoing.begin(datagram, mid, timeout_s, parameters.max_retransmit if outgoing.confirmable else 0, now)
        state.in_flight[mid] = outgoing
        self.peers.touch(state, now)
        self.peers.alarm(state, outgoing.deadline)

    def depart_next(self, state: PeerState, outgoing: Outgoing, datagram: bytes, mid: int, now: float) -> None:
        """As `depart`, for a message that follows a settled one under the same `outgoing`, with the same wait."""
        if outgoing.retransmits_left != state.parameters.max_retransmit:  # the first one, or one that was sent again
            self.depart(state, outgoing, datagram, mid, now)
            return
        outgoing.datagram = datagram
        outgoing.mid = mid
        outgoing.deadline = deadline = now + outgoing.timeout_s
        state.in_flight[mid] = outgoing
        state.idle_at = now + state.lifetime_s
        if deadline < state.alarms[-1]:
            self.peers.alarm(state, deadline)

    def _settle(self, state: PeerState, outgoing: Outgoing, now: float) -> None:
        """The peer is known to have had the message."""
        if state.in_flight.get(outgoing.mid) is outgoing:
            del state.in_flight[outgoing.mid]
            self.pump(state, now)

    def withdraw(self, state: PeerState, outgoing: Outgoing, now: float) -> None:
        """Stop sending a message whose fate no longer matters."""
        if outgoing in state.queue:
            state.queue.remove(outgoing)
        elif state.in_flight.get(outgoing.mid) is outgoing:
            del state.in_flight[outgoing.mid]
            state.ids.unsettled(outgoing.mid, now)
            self.pump(state, now)

    # -- time

    def retransmit(self, state: PeerState, now: float) -> list[Outgoing]:
        """Send again what is due; returns the confirmable messages that were given up."""
        given_up: list[Outgoing] = []
        for outgoing in list(state.in_flight.values()):
            if outgoing.deadline > now:
                continue
            datagram = outgoing.relaunch(now)
            if datagram is not None:
                self.send(datagram, state.address)
                continue
            del state.in_flight[outgoing.mid]
            state.ids.unsettled(outgoing.mid, now)
            if outgoing.purpose is Purpose.NOTIFICATION:
                _drop_notifications(state, outgoing.token)
            if outgoing.confirmable:
                given_up.append(outgoing)
        self.pump(state, now)
        return given_up

    def next_alarm(self, state: PeerState) -> None:
        """Set the alarm for what is in flight; `pump` has set the one for the message id that the queue waits for."""
        for outgoing in state.in_flight.values():
            self.peers.alarm(state, outgoing.deadline)


def _drop_notifications(state: PeerState, token: bytes) -> None:
    """An observer is lost: nothing more is sent to it."""
    state.queue[:] = [
        waiting for waiting in state.queue if waiting.purpose is not Purpose.NOTIFICATION or waiting.token != token
    ]
