"""What an endpoint reports: frozen values, drained with `Endpoint.take_events`."""

from collections.abc import Hashable
from enum import Enum
from typing import Protocol, final

import attrs

from lwm2m_fota.coap.calls import BlockBody, Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import (
    BlockwiseError,
    FotaError,
    PeerResetError,
    PeerTimeoutError,
    TransportError,
)
from lwm2m_fota.model.codes import Code

Peer = Hashable
"""Whatever the transport names a peer by: an address, a session, a string."""


@final
class FailureReason(Enum):
    """Why a call or an observer ended without an answer."""

    TIMEOUT = "timeout"
    """All retransmissions, or the wait for a separate response, ran out (RFC 7252 sections 4.2 and 5.2.2)."""

    RESET = "reset"
    """The peer answered with a Reset message."""

    UNREACHABLE = "unreachable"
    """The network says that nobody is there, and the limits say to believe it."""

    EXHAUSTED = "exhausted"
    """A limit of our own endpoint was reached."""

    PROTOCOL = "protocol"
    """The peer's blocks contradict each other or our request (RFC 7959)."""

    TOO_LARGE = "too_large"
    """The body does not fit: ours to the peer, or the peer's to `max_body_bytes`."""


def failure(reason: FailureReason, message: str) -> FotaError:
    """The error of our tree that says the same as a reason."""
    if reason is FailureReason.TIMEOUT:
        return PeerTimeoutError(message)
    if reason is FailureReason.RESET:
        return PeerResetError(message)
    if reason is FailureReason.PROTOCOL:
        return BlockwiseError(message)
    if reason is FailureReason.TOO_LARGE:
        return BlockwiseError(message, code=Code.REQUEST_ENTITY_TOO_LARGE)
    return TransportError(message)


@final
@attrs.frozen(slots=True)
class RequestReceived:
    """A request to be answered with `Endpoint.respond`.

    Attributes:
        exchange: what `respond` names.
        peer: who asks.
        message: the request; several blocks of one body may have been put together, see `Message.blocks`.
        repeated: the same request was already reported and answered with an idempotent response (RFC 7252
            section 4.5): answer it again without acting again.
    """

    exchange: int
    peer: Peer
    message: Message
    repeated: bool


class Waiting(Protocol):
    """An answer that waits for bytes of its body."""

    def give(self, given: bytes | Response, now: float, /) -> None:
        """The bytes; or a response that says why there are none."""
        ...


@final
@attrs.frozen(slots=True)
class BodyWanted:
    """The next blocks of a body are being fetched from us: `Endpoint.give` their bytes.

    Attributes:
        lane: what waits for them.
        body: what `Response.body` was.
        offset: of the first of them in the body, bytes.
        length: how many bytes they are.
    """

    lane: Waiting
    body: BlockBody
    offset: int
    length: int


@final
@attrs.frozen(slots=True)
class ResponseReceived:
    """The answer to a call.

    Attributes:
        call: the call, which ends here unless `observing`.
        peer: who answers.
        message: the answer of any response code. Its body is whole, whatever blocks it came in; it is empty if the
            blocks were handed out with BlockArrived.
        observing: the peer has taken the observation: Notified events follow. False on an observation means that the
            peer did not take it, or has just ended it.
    """

    call: int
    peer: Peer
    message: Message
    observing: bool = False


@final
@attrs.frozen(slots=True)
class Notified:
    """A notification that is newer than all before it (RFC 7641 section 3.4), with its whole body."""

    call: int
    peer: Peer
    message: Message


@final
@attrs.frozen(slots=True)
class BlockWanted:
    """An upload needs `length` bytes from `offset`: `Endpoint.supply` them.

    Attributes:
        call: the call.
        offset: of the first of them in the body; with sets of blocks, what the peer misses is wanted once more.
        length: how many bytes they are.
        acknowledged: how many bytes of the body the peer is known to have.
    """

    call: int
    offset: int
    length: int
    acknowledged: int


@final
@attrs.frozen(slots=True)
class BlockArrived:
    """A block of a streamed answer, in order; `Endpoint.proceed` asks for the next one.

    Attributes:
        call: the call.
        offset: bytes before this block.
        payload: the bytes.
        last: no block follows; ResponseReceived does.
        size2: the peer's estimate of the whole, bytes, if it gave one.
        etag: the version that the block belongs to, if the peer names it.
        code: the response code, 2.xx.
    """

    call: int
    offset: int
    payload: bytes
    last: bool
    size2: int | None
    etag: bytes | None
    code: int


@final
@attrs.frozen(slots=True)
class BodyRestarted:
    """A body begins anew at offset 0: what was handed out, or supplied, is void."""

    call: int
    reason: str


@final
@attrs.frozen(slots=True)
class CallFailed:
    """A call ended without an answer; `error` is the reason as an exception to raise."""

    call: int
    peer: Peer
    reason: FailureReason
    error: FotaError


@final
@attrs.frozen(slots=True)
class Malformed:
    """A peer at the other end of a stream has sent what is no message: its connection is to be ended."""

    peer: Peer


@final
@attrs.frozen(slots=True)
class ObserverLost:
    """A notification of ours was reset, went unacknowledged or found no room: the observer is to be removed."""

    peer: Peer
    token: bytes
    reason: FailureReason


Event = (
    RequestReceived
    | BodyWanted
    | ResponseReceived
    | Notified
    | BlockWanted
    | BlockArrived
    | BodyRestarted
    | CallFailed
    | ObserverLost
    | Malformed
)
