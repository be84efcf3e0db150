"""Transmission parameters and the times that follow from them (RFC 7252 sections 4.8 and 4.8.2).

Peers on slow networks change ACK_TIMEOUT, and then every derived time changes with it: the derived times are computed,
never configured.
"""

import math
from typing import final

import attrs

from lwm2m_fota.errors import UsageError


@final
@attrs.frozen(kw_only=True, slots=True)
class TransmissionParameters:
    """The knobs of the message layer; both peers should use the same.

    Attributes:
        ack_timeout_s: ACK_TIMEOUT, the shortest first wait for an acknowledgement, above 0.
        ack_random_factor: ACK_RANDOM_FACTOR, at least 1; the first wait is up to this many times ACK_TIMEOUT.
        max_retransmit: MAX_RETRANSMIT, how often a confirmable message is sent again.
        nstart: NSTART, how many interactions with one peer may be outstanding.
        default_leisure_s: DEFAULT_LEISURE, over which answers to a multicast request are spread.
        probing_rate_bytes_per_s: PROBING_RATE, the most that is sent to a peer that does not answer.
        max_latency_s: MAX_LATENCY, the longest a datagram is assumed to stay in the network.

    Raises:
        UsageError: a value is out of range or not finite.
    """

    ack_timeout_s: float = 2.0
    ack_random_factor: float = 1.5
    max_retransmit: int = 4
    nstart: int = 1
    default_leisure_s: float = 5.0
    probing_rate_bytes_per_s: float = 1.0
    max_latency_s: float = 100.0

    def __attrs_post_init__(self) -> None:
        for name, lowest in (
            ("ack_random_factor", 1.0),
            ("max_retransmit", 0),
            ("nstart", 1),
            ("default_leisure_s", 0.0),
            ("max_latency_s", 0.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= lowest):
                raise UsageError(f"{name} must be finite and at least {lowest}, not {value}")
        for name in ("ack_timeout_s", "probing_rate_bytes_per_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be finite and above 0, not {value}")

    @property
    def max_transmit_span_s(self) -> float:
        """MAX_TRANSMIT_SPAN: from the first transmission of a confirmable message to its last retransmission."""
        return self.ack_timeout_s * ((1 << self.max_retransmit) - 1) * self.ack_random_factor

    @property
    def max_transmit_wait_s(self) -> float:
        """MAX_TRANSMIT_WAIT: from the first transmission of a confirmable message until the sender gives up."""
        return self.ack_timeout_s * ((2 << self.max_retransmit) - 1) * self.ack_random_factor

    @property
    def processing_delay_s(self) -> float:
        """PROCESSING_DELAY: how long a peer takes to acknowledge; the document sets it to ACK_TIMEOUT."""
        return self.ack_timeout_s

    @property
    def max_rtt_s(self) -> float:
        """MAX_RTT: the longest round trip."""
        return 2 * self.max_latency_s + self.processing_delay_s

    @property
    def exchange_lifetime_s(self) -> float:
        """EXCHANGE_LIFETIME: how long the message id of a confirmable message stays taken."""
        return self.max_transmit_span_s + self.max_rtt_s

    @property
    def non_lifetime_s(self) -> float:
        """NON_LIFETIME: how long the message id of a non-confirmable message stays taken."""
        return self.max_transmit_span_s + self.max_latency_s
