"""The message layer over streams: no message ids, nothing is lost, nothing comes twice (RFC 8323 section 2).

What ends a connection is not its business: the transport tells that a session has ended.
"""

from collections.abc import Callable
from math import inf
from typing import Final, final

from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.dedup import Entry
from lwm2m_fota.coap.events import Peer
from lwm2m_fota.coap.fitting import Steps, fitted, steps_of
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, Options, decode
from lwm2m_fota.coap.messaging import Arrival, ArrivalKind, MessageLayer
from lwm2m_fota.coap.numbers import NON, Option
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.reliability import Entropy, Outgoing, frame
from lwm2m_fota.coap.stream_frames import Parted
from lwm2m_fota.coap.stream_signals import Capabilities
from lwm2m_fota.errors import MessageFormatError
from lwm2m_fota.model.codes import Code, is_request, is_response

_BUSY: Final = int(Code.SERVICE_UNAVAILABLE)
_SOON: Final = ((int(Option.MAX_AGE), b"\x01"),)
_NOTHING: Final = Message(NON, 0, 0)


@final
class StreamLayer(MessageLayer):
    """The messages of one endpoint with all its peers, each at the other end of a stream.

    Args:
        entropy: as `MessageLayer`.
        parameters: as `MessageLayer`; the time that an answer may take follows from them.
        limits: bounds.
        capabilities: what a peer can take.
    """

    __slots__ = ("_capabilities",)

    is_reliable = True

    def __init__(
        self,
        entropy: Entropy,
        parameters: TransmissionParameters,
        limits: EndpointLimits,
        capabilities: Callable[[Peer], Capabilities],
    ) -> None:
        super().__init__(entropy, parameters, limits)
        self._capabilities = capabilities

    def receive(self, data: bytes, peer: Peer, now: float) -> Arrival | None:
        """Take one message; None if it ends here. Never raises, whatever the bytes."""
        state = self.peers.admit(peer, now)
        if state is None:
            return None
        try:
            message = decode(data)
        except MessageFormatError:
            return Arrival(ArrivalKind.MALFORMED, state, _NOTHING)
        if isinstance(data, Parted):
            message = message._replace(payload=data.payload)
        if is_request(message.code):
            if len(state.exchanges) >= self._limits.exchanges_per_peer:  # it will not come again
                self.send(frame(NON, _BUSY, message.token, _SOON, b""), peer)
                return None
            return Arrival(ArrivalKind.REQUEST, state, message, entry=Entry(0, inf))
        if is_response(message.code) and message.token in state.tokens:
            return Arrival(ArrivalKind.RESPONSE, state, message, token=message.token)
        return None

    def submit(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        """Send a message: the stream keeps the order, and takes it when it can."""
        return self.send_once(state, outgoing, now)

    def send_once(self, state: PeerState, outgoing: Outgoing, now: float) -> bool:
        """Send a message."""
        self.peers.touch(state, now)
        self.send(outgoing.datagram, state.address)
        return True

    def note(self, state: PeerState, outgoing: Outgoing) -> None:
        """There are no Resets that could refer to a notification."""

    def withdraw(self, state: PeerState, outgoing: Outgoing, now: float) -> None:
        """What was sent cannot be taken back."""

    def units(self, peer: Peer) -> int:
        """How many blocks of 1024 bytes a message to this peer may carry."""
        return self._capabilities(peer).units

    def steps(self, peer: Peer, options: Options, size_bytes: int) -> Steps:
        """How much of a body goes to this peer in a message.

        Raises:
            BlockwiseError: it cannot go there (4.13).
        """
        return steps_of(self._capabilities(peer), options, size_bytes)

    def fit(self, peer: Peer, asked: Message | None, response: Response) -> Response:
        """What this peer can take of a response."""
        return fitted(self._capabilities(peer), asked, response)
