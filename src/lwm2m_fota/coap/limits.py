"""What an endpoint may hold, and what it does when that is used up: configuration, never the peer, sizes memory."""

from enum import Enum
from typing import Final, final

import attrs

from lwm2m_fota.coap.message import MAX_TOKEN_BYTES
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import UsageError

MIN_AHEAD_BYTES: Final = 1 << 12
"""Of each body that goes out: a few blocks, so that not each is an event of its own."""


@final
class MidExhaustion(Enum):
    """What to do when the next message id was used less than EXCHANGE_LIFETIME ago (RFC 7252 section 4.4).

    An id comes round again after 65536 messages: at more than 265 messages a second that is too early.
    """

    WAIT = "wait"
    """Hold new messages until the id is free: to the letter, and no faster than 265 messages a second in the end."""

    REUSE_COMPLETED = "reuse_completed"
    """Reuse an id whose own exchange was acknowledged, and wait for all others.

    A peer that answers a reused id from its memory (the token of the answer is an old one) is waited for from then on.
    """


@final
@attrs.frozen(kw_only=True)
class Strangers:
    """How much strangers are answered.

    Attributes:
        factor: times the bytes of its request that a stranger is answered, at the most. What is longer loses its
            diagnostic payload, and becomes 4.01 if it is a success.
        echo: let 4.01 carry an Echo option (RFC 9175), so that a peer that knows it can show where it is, and ask
            again. Few devices in the field know it.

    Raises:
        UsageError: the factor is below 1.
    """

    factor: int = 3
    echo: bool = False

    def __attrs_post_init__(self) -> None:
        if self.factor < 1:
            raise UsageError(f"a stranger is answered with as many bytes as it sent, or more: not {self.factor} times")


@final
@attrs.frozen(kw_only=True)
class EndpointLimits:
    """Bounds and policies of an endpoint.

    Attributes:
        peers: peers with any state; when full, the least recently active idle peer is forgotten, and if none of the
            oldest is idle, the newcomer's datagram is dropped.
        calls_per_peer: running calls, observations included; more fail with EXHAUSTED.
        queued_per_peer: messages that wait for NSTART; more fail with EXHAUSTED.
        exchanges_per_peer: requests of one peer that wait for `respond`; more are dropped unseen, so that a
            retransmission may find room.
        remembered_per_peer: message ids of one peer kept to recognise duplicates; the oldest goes first.
        cached_reply_bytes: answers kept for duplicates, all peers together; the oldest goes first, and its request
            is then neither answered again nor carried out again.
        noted_notifications_per_peer: non-confirmable notifications that a Reset can still refer to.
        token_bytes: length of the tokens of our requests, 1..8 (RFC 7252 section 5.3.1).
        ack_delay_s: seconds that `respond` may take before a confirmable request is acknowledged with an empty
            message; None is half of ACK_TIMEOUT.
        response_wait_s: seconds that a separate response may take after the empty acknowledgement, or the response
            to a non-confirmable request; None is MAX_TRANSMIT_WAIT.
        exchange_wait_s: seconds after which a request that was never responded to is forgotten; None is
            EXCHANGE_LIFETIME.
        body_restarts: times that one body may begin anew before the call fails with PROTOCOL.
        batch_bytes: the most of a body that comes in that is handed over at once; 0 hands over each block by itself.
        ahead_bytes: the most of the bodies that go out that is asked for at once, shared by the peers that are known,
            but `MIN_AHEAD_BYTES` for each of them; 0 asks for each block by itself.
        batch_s: seconds; where blocks take longer than this, none waits for the next one.
        fail_on_unreachable: whether an ICMP error fails the calls to that peer at once. Such errors can be forged,
            and a rebooting device is unreachable for a while: by default they count as a lost datagram.
        mid_exhaustion: what to do when message ids run out.
        bodies: bodies that all peers send by sets of blocks at a time; the first block of one more is lost, and comes
            again.
        bodies_per_peer: bodies that one peer sends by sets of blocks at a time; the one not heard of for longest gives
            way.
        q_block: how bodies are given and taken by sets (Q-Block, RFC 9177), if a peer asks for that; None does not know
            those options.
        strangers: how much is answered to peers whose address may be forged; None answers everybody alike.

    Raises:
        UsageError: a count below 1, a negative time, or a token length out of range.
    """

    peers: int = 16_384
    calls_per_peer: int = 64
    queued_per_peer: int = 64
    exchanges_per_peer: int = 16
    remembered_per_peer: int = 256
    cached_reply_bytes: int = 4 << 20
    noted_notifications_per_peer: int = 16
    token_bytes: int = 4
    ack_delay_s: float | None = None
    response_wait_s: float | None = None
    exchange_wait_s: float | None = None
    body_restarts: int = 3
    batch_bytes: int = 1 << 16
    ahead_bytes: int = 1 << 16
    batch_s: float = 0.25
    fail_on_unreachable: bool = False
    mid_exhaustion: MidExhaustion = MidExhaustion.REUSE_COMPLETED
    bodies: int = 1024
    bodies_per_peer: int = 2
    q_block: QBlock | None = attrs.field(factory=QBlock)
    strangers: Strangers | None = None

    def __attrs_post_init__(self) -> None:
        counts = (
            self.peers,
            self.calls_per_peer,
            self.queued_per_peer,
            self.exchanges_per_peer,
            self.remembered_per_peer,
            self.noted_notifications_per_peer,
            self.bodies,
            self.bodies_per_peer,
        )
        times = (self.ack_delay_s, self.response_wait_s, self.exchange_wait_s, self.batch_s)
        if min(counts) < 1 or min(self.cached_reply_bytes, self.body_restarts, self.batch_bytes, self.ahead_bytes) < 0:
            raise UsageError("an endpoint needs room for at least one of everything")
        if any(time is not None and time < 0 for time in times):
            raise UsageError("a wait is not negative")
        if not 1 <= self.token_bytes <= MAX_TOKEN_BYTES:
            raise UsageError(f"a token has 1 to {MAX_TOKEN_BYTES} bytes, not {self.token_bytes}")

    def ahead_of(self, peers: int) -> int:
        """The most that is asked for at once of a body that goes out to one of so many peers."""
        return max(self.ahead_bytes // max(peers, 1), min(self.ahead_bytes, MIN_AHEAD_BYTES))
