"""Requests made ready ahead, with what acknowledges them."""

import pytest

from lwm2m_fota.coap.limits import MidExhaustion
from lwm2m_fota.coap.reliability import MessageIds
from lwm2m_fota.coap.succession import RUN_S, Succession
from lwm2m_fota.coap.template import BlockTemplate, TokenRun

REQUEST = BlockTemplate(((11, b"fw"),), 23, payload=False)
ANSWER = BlockTemplate(((4, b"\x01"),), 23, payload=True)


@pytest.fixture
def state(coap):
    return coap.make(mid=0x0102)._messages.peers.admit("peer", 0.0)


def succession(state, first="a0"):
    return Succession(state, TokenRun(bytes.fromhex(first)), REQUEST, 1, ANSWER, 0x45)


def test_requests_and_their_answers(state):
    ahead = succession(state)
    assert ahead.prepare(0x16, 2, 5.0)
    assert ahead.until == 5.0 + RUN_S
    assert [each.hex() for each in ahead.requests] == ["41010102a0b26677c116", "41010103a1b26677c126"]
    assert [each.hex() for each in ahead.answers] == ["61450102a04101d1061eff", "61450103a14101d1062eff"]
    assert bytes.fromhex("41010102a0b26677c116")[ahead.token].hex() == "a0"


@pytest.mark.parametrize(
    ("value", "most", "first", "count"),
    [(0x16, 200, "a0", 15), (0x106, 200, "00", 64), (0x106, 200, "fe", 2), (0x106, 7, "00", 7)],
)
def test_how_many_are_made_ready(state, value, most, first, count):
    ahead = succession(state, first)
    assert ahead.prepare(value, most, 0.0)
    assert len(list(ahead.requests)) == len(list(ahead.answers)) == count


def test_what_is_not_used_costs_no_message_ids(state):
    ahead = succession(state)
    ahead.prepare(0x106, 64, 0.0)
    for number in range(3):
        assert next(ahead.requests)[2:4] == (0x0102 + number).to_bytes(2, "big")
    ahead.abandon()
    assert next(ahead.requests, None) is next(ahead.answers, None) is None
    assert state.ids.take(0.0, 247.0, ()) == 0x0105
    ahead.abandon()
    assert state.ids.take(0.0, 247.0, ()) == 0x0106


def test_tokens_are_not_used_twice(state):
    ahead = succession(state)
    ahead.prepare(0x106, 4, 0.0)
    ahead.prepare(0x106, 4, 0.0)
    assert next(ahead.requests)[ahead.token].hex() == "a4"


def test_without_message_ids_nothing_is_made_ready(state):
    state.ids = MessageIds(0, MidExhaustion.WAIT)
    for _ in range(65536):
        state.ids.take(0.0, 247.0, ())
    ahead = succession(state)
    assert not ahead.prepare(0x16, 2, 5.0)
    assert next(ahead.requests, None) is None
