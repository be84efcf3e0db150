import math

import pytest

from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import UsageError


def test_defaults_and_the_times_that_follow():
    params = TransmissionParameters()
    assert params.ack_timeout_s == 2
    assert params.ack_random_factor == 1.5
    assert params.max_retransmit == 4
    assert params.nstart == 1
    assert params.default_leisure_s == 5
    assert params.probing_rate_bytes_per_s == 1
    assert params.max_latency_s == 100
    assert params.max_transmit_span_s == 45
    assert params.max_transmit_wait_s == 93
    assert params.processing_delay_s == 2
    assert params.max_rtt_s == 202
    assert params.exchange_lifetime_s == 247
    assert params.non_lifetime_s == 145


def test_a_slow_network_changes_every_derived_time():
    params = TransmissionParameters(ack_timeout_s=10, max_retransmit=2, max_latency_s=150)
    assert params.max_transmit_span_s == 45  # 10 * 3 * 1.5
    assert params.max_transmit_wait_s == 105  # 10 * 7 * 1.5
    assert params.processing_delay_s == 10
    assert params.max_rtt_s == 310
    assert params.exchange_lifetime_s == 355
    assert params.non_lifetime_s == 195


def test_the_least_that_is_allowed():
    params = TransmissionParameters(
        ack_timeout_s=0.001,
        ack_random_factor=1,
        max_retransmit=0,
        nstart=1,
        default_leisure_s=0,
        probing_rate_bytes_per_s=0.1,
        max_latency_s=0,
    )
    assert params.max_transmit_span_s == 0
    assert params.max_transmit_wait_s == 0.001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ack_timeout_s", 0),
        ("ack_timeout_s", -1),
        ("ack_timeout_s", math.inf),
        ("ack_random_factor", 0.99),
        ("ack_random_factor", math.nan),
        ("max_retransmit", -1),
        ("nstart", 0),
        ("default_leisure_s", -1),
        ("probing_rate_bytes_per_s", 0),
        ("max_latency_s", -0.1),
        ("max_latency_s", math.inf),
    ],
)
def test_values_out_of_range(name, value):
    with pytest.raises(UsageError, match=name):
        TransmissionParameters(**{name: value})
