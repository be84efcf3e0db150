"""Which options a request may carry (RFC 7252 sections 5.4, 5.7.2 and 5.10)."""

import pytest

from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import RefusedError
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options

BAD_OPTION, NO_PROXY = 0x82, 0xA5
UNDERSTOOD = ADDRESSING | {17, 27}


def refusal(*options):
    try:
        check_options(Message(0, 1, 1, b"", options), UNDERSTOOD)
    except RefusedError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    "options",
    [
        ((3, b"h"), (7, b"\x16\x33"), (11, b""), (11, b"x" * 255), (15, b""), (15, b"x" * 255), (17, b"\x2d\x16")),
        ((7, b""), (17, b""), (27, b"\x08")),
        ((4, b"123456789"), (12, b"\0\0\0"), (14, b"\0" * 9), (258, b"\0\0")),  # elective, whatever they hold
    ],
)
def test_what_may_be_there(options):
    assert refusal(*options) is None


@pytest.mark.parametrize("option", [(1, b""), (5, b""), (9, b""), (23, b""), (2049, b"")])
def test_a_critical_option_that_is_not_understood(option):
    assert refusal((3, b"h"), option) == BAD_OPTION


@pytest.mark.parametrize("option", [(3, b"h"), (7, b"\x01"), (17, b""), (27, b"")])
def test_one_that_comes_twice(option):
    assert refusal(option, option) == BAD_OPTION


@pytest.mark.parametrize(
    "option", [(3, b""), (3, b"h" * 256), (7, b"\0\0\1"), (11, b"x" * 256), (15, b"x" * 256), (17, b"\0\0\0")]
)
def test_one_of_a_length_that_it_cannot_have_is_like_one_that_is_not_understood(option):
    """RFC 7252 section 5.4.3."""
    assert refusal(option) == BAD_OPTION


@pytest.mark.parametrize("option", [(35, b"coap://h/5/0/3"), (39, b"coap")])
def test_nothing_is_fetched_for_others(option):
    """RFC 7252 section 5.10.2."""
    assert refusal((3, b"h"), option) == NO_PROXY
