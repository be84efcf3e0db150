import pytest

from lwm2m_fota.coap.events import FailureReason, failure
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.errors import BlockwiseError, PeerResetError, PeerTimeoutError, TransportError, UsageError


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        (FailureReason.TIMEOUT, PeerTimeoutError, None),
        (FailureReason.RESET, PeerResetError, None),
        (FailureReason.UNREACHABLE, TransportError, None),
        (FailureReason.EXHAUSTED, TransportError, None),
        (FailureReason.PROTOCOL, BlockwiseError, 0x88),
        (FailureReason.TOO_LARGE, BlockwiseError, 0x8D),
    ],
)
def test_every_reason_has_its_error(reason, kind, code):
    error = failure(reason, "so it is")
    assert type(error) is kind
    assert error.code == code
    assert str(error) == "so it is"


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": 0},
        {"calls_per_peer": 0},
        {"queued_per_peer": 0},
        {"exchanges_per_peer": 0},
        {"remembered_per_peer": 0},
        {"noted_notifications_per_peer": 0},
        {"cached_reply_bytes": -1},
        {"body_restarts": -1},
        {"ack_delay_s": -0.1},
        {"response_wait_s": -1.0},
        {"exchange_wait_s": -1.0},
        {"token_bytes": 0},
        {"token_bytes": 9},
    ],
)
def test_limits_out_of_range(wrong):
    with pytest.raises(UsageError):
        EndpointLimits(**wrong)


def test_the_smallest_limits():
    EndpointLimits(
        peers=1,
        calls_per_peer=1,
        queued_per_peer=1,
        exchanges_per_peer=1,
        remembered_per_peer=1,
        cached_reply_bytes=0,
        noted_notifications_per_peer=1,
        token_bytes=1,
        ack_delay_s=0.0,
        response_wait_s=0.0,
        exchange_wait_s=0.0,
        body_restarts=0,
    )
