"""A peer whose address may be forged gets at most three times what it sent (RFC 7252 11.3), until it has shown itself.

The request 41020020c0 with Uri-Path 5, 0, 2 has 11 bytes; three times that is 33.
"""

import pytest

from lwm2m_fota.coap.endpoint import EndpointLimits, Request, Response
from lwm2m_fota.coap.events import RequestReceived, ResponseReceived
from lwm2m_fota.coap.limits import Strangers
from lwm2m_fota.errors import UsageError

ASK = "41010020c0b13501300132"
CONTENT, UNAUTHORIZED, NOT_FOUND = 0x45, 0x81, 0x84


def endpoint_of(coap, **policy):
    return coap.make("c0", limits=EndpointLimits(strangers=Strangers(**policy)))


def answer(coap, endpoint, response, wire=ASK):
    """What the peer gets for a request, in hex."""
    (received,) = coap.feed(endpoint, wire)
    assert isinstance(received, RequestReceived)
    endpoint.respond(received.exchange, response, 0.0)
    (data,) = coap.sent(endpoint)
    return data


@pytest.mark.parametrize(("payload_bytes", "is_whole"), [(0, True), (27, True), (28, False), (1000, False)])
def test_a_stranger_gets_three_times_its_bytes(coap, payload_bytes, is_whole):
    """4 bytes of header, 1 of token and 1 of marker come to the payload."""
    data = answer(coap, endpoint_of(coap), Response(CONTENT, (), b"x" * payload_bytes))
    marked = "ff" + "78" * payload_bytes if payload_bytes else ""
    assert data == ("61450020c0" + marked if is_whole else "61810020c0")


def test_the_factor_is_a_policy(coap):
    assert answer(coap, endpoint_of(coap, factor=2), Response(CONTENT, (), b"x" * 17)) == "61810020c0"
    assert answer(coap, endpoint_of(coap, factor=4), Response(CONTENT, (), b"x" * 28)) == "61450020c0ff" + "78" * 28
    with pytest.raises(UsageError, match="0 times"):
        Strangers(factor=0)


def test_an_error_loses_its_diagnostic_only(coap):
    assert answer(coap, endpoint_of(coap), Response(NOT_FOUND, (), b"x" * 50)) == "61840020c0"
    assert answer(coap, endpoint_of(coap), Response(NOT_FOUND, (), b"x" * 20)) == "61840020c0ff" + "78" * 20


def test_what_is_refused_by_the_endpoint_itself_is_bounded_too(coap):
    """Q-Block2 and Block2 in one request: 4.02, with a diagnostic that is longer than the rest."""
    wire = "41010020c0" + "b135" + "c0" + "80"  # Uri-Path, Block2 (23), Q-Block2 (31)
    endpoint = endpoint_of(coap, factor=1)
    assert coap.feed(endpoint, wire) == []
    assert coap.sent(endpoint) == ["61820020c0"]


def test_without_the_policy_everybody_is_answered_alike(coap):
    assert answer(coap, coap.make("c0"), Response(CONTENT, (), b"x" * 1000)).endswith("78" * 1000)


def test_who_asks_for_what_only_it_was_told_is_known_from_then_on(coap):
    endpoint = endpoint_of(coap)
    assert len(answer(coap, endpoint, Response(CONTENT, (), b"x" * 1000, is_for_known=True))) == 2 * 1006
    again = "41010021c0b13501300132"
    assert len(answer(coap, endpoint, Response(CONTENT, (), b"x" * 1000), again)) == 2 * 1006


def test_who_answers_a_request_of_ours_is_known(coap):
    endpoint = coap.make("c9", "c8", mid=0x30, limits=EndpointLimits(strangers=Strangers()))
    endpoint.request("peer", Request(1, ((11, b"3"),)), 0.0)
    coap.sent(endpoint)
    (event,) = coap.feed(endpoint, "61450030c9")
    assert isinstance(event, ResponseReceived)
    assert len(answer(coap, endpoint, Response(CONTENT, (), b"x" * 1000))) == 2 * 1006


def test_an_acknowledgement_alone_shows_nothing(coap):
    """Message ids are short, and can be guessed."""
    endpoint = coap.make("c9", mid=0x30, limits=EndpointLimits(strangers=Strangers()))
    endpoint.request("peer", Request(1, ((11, b"3"),)), 0.0)
    coap.sent(endpoint)
    assert coap.feed(endpoint, "60000030") == []
    assert answer(coap, endpoint, Response(CONTENT, (), b"x" * 1000)) == "61810020c0"


# -- Echo (RFC 9175 section 2)


def test_a_stranger_shows_itself_with_the_echo_that_it_was_given(coap):
    endpoint = coap.make("e1e2e3e4e5e6e7e8", limits=EndpointLimits(strangers=Strangers(echo=True)))
    big = Response(CONTENT, (), b"x" * 1000)
    challenge = "d8efe1e2e3e4e5e6e7e8"  # option 252 = 13 + 239, 8 bytes
    assert answer(coap, endpoint, big) == "61810020c0" + challenge
    assert answer(coap, endpoint, big, "41010021c1b13501300132") == "61810021c1" + challenge  # it may ask once more
    wrong = "41010022c2b13501300132" + "d8e4" + "00" * 8
    assert answer(coap, endpoint, big, wrong) == "61810022c2" + challenge
    right = "41010023c3b13501300132" + "d8e4" + "e1e2e3e4e5e6e7e8"  # 252 behind Uri-Path: 11 + 13 + 228
    assert len(answer(coap, endpoint, big, right)) == 2 * 1006


def test_an_echo_that_nobody_was_given_shows_nothing(coap):
    empty = "41010023c3b13501300132" + "d0e4"
    assert answer(coap, endpoint_of(coap), Response(CONTENT, (), b"x" * 1000), empty) == "61810023c3"


def test_a_request_is_sent_again_with_the_echo_that_its_answer_asks_for(coap):
    endpoint = coap.make("c0", "c1", mid=0x20)
    endpoint.request("peer", Request(1, ((11, b"3"),)), 0.0)
    assert coap.sent(endpoint) == ["41010020c0b133"]
    assert coap.feed(endpoint, "61810020c0d2ef0102") == []
    assert coap.sent(endpoint) == ["41010021c1b133d2e40102"]
    (event,) = coap.feed(endpoint, "61810021c1d2ef0304")  # once is enough
    assert isinstance(event, ResponseReceived)
    assert event.message.code == UNAUTHORIZED


def test_a_refusal_without_an_echo_is_the_answer(coap):
    endpoint = coap.make("c0", mid=0x20)
    endpoint.request("peer", Request(1, ((11, b"3"),)), 0.0)
    coap.sent(endpoint)
    (event,) = coap.feed(endpoint, "61810020c0")
    assert event.message.code == UNAUTHORIZED


def test_both_ends_agree(coap):
    """Our client and our server, with the policy on: one round more, then the answer."""
    client = coap.make("c0", "c1", mid=0x20)
    server = coap.make("e1e2e3e4e5e6e7e8", limits=EndpointLimits(strangers=Strangers(echo=True)))
    answers = []

    def serve(end, event, now):
        end.respond(event.exchange, Response(CONTENT, (), b"x" * 500), now)

    client.request("server", Request(1, ((11, b"3"),)), 0.0)
    coap.Pair(client, server, serve).settle(answers.append)
    assert [event.message.payload for event in answers] == [b"x" * 500]
