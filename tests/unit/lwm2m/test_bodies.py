"""Request bodies that a server gathers: in order, repeated, bounded (RFC 7959 section 2.5)."""

import pytest

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import BlockwiseError, BusyError, UsageError
from lwm2m_fota.lwm2m.bodies import BodyLimits, RequestBodies
from lwm2m_fota.lwm2m.places import TransferLimits

POST, CONTINUE, CREATED, INCOMPLETE, TOO_LARGE = 2, 0x5F, 0x41, 0x88, 0x8D


def ask(block1=None, path=b"rd", size1=None):
    options = ((11, path), *(((27, bytes([block1])),) if block1 is not None else ()))
    return lambda payload: Message(0, POST, 1, b"", options + (((60, bytes([size1])),) if size1 else ()), payload)


def take(bodies, payload, block1=None, *, peer="p", now=0.0, **more):
    return bodies.take(ask(block1, **more)(payload), peer, now)


def test_an_answer_to_blocks_together_names_the_one_that_comes_again():
    bodies = RequestBodies(BodyLimits())
    whole = Message(0, POST, 1, b"", ((11, b"rd"), (27, b"")), b"a" * 16 + b"b", 2)
    assert bodies.take(whole, "p", 0.0) == b"a" * 16 + b"b"
    assert bodies.answered(whole, "p", Response(CREATED)).options == ((27, b""),)
    assert take(bodies, b"b", 0x10) == Response(CREATED, ((27, b"\x10"),))


def test_a_body_is_gathered_and_its_answer_kept():
    bodies = RequestBodies(BodyLimits())
    assert take(bodies, b"a" * 16, 0x08) == Response(CONTINUE, ((27, b"\x08"),))
    assert take(bodies, b"b" * 16, 0x18) == Response(CONTINUE, ((27, b"\x18"),))
    assert take(bodies, b"b" * 16, 0x18) == Response(CONTINUE, ((27, b"\x18"),))  # once more: stored once
    assert take(bodies, b"c", 0x20) == b"a" * 16 + b"b" * 16 + b"c"
    answer = bodies.answered(ask(0x20)(b"c"), "p", Response(CREATED))
    assert answer == Response(CREATED, ((27, b"\x20"),))
    assert take(bodies, b"c", 0x20) == answer


def test_a_body_in_one_piece_needs_no_place():
    bodies = RequestBodies(BodyLimits(transfers=TransferLimits(in_all=1)))
    take(bodies, b"a" * 16, 0x08, peer="other")
    assert take(bodies, b"whole") == b"whole"
    assert bodies.answered(ask()(b"whole"), "p", Response(CREATED)) == Response(CREATED)


def test_one_body_too_many_is_told_to_come_back():
    bodies = RequestBodies(BodyLimits(transfers=TransferLimits(in_all=1, idle_s=30.0)))
    take(bodies, b"a" * 16, 0x08)
    with pytest.raises(BusyError) as caught:
        take(bodies, b"a" * 16, 0x08, peer="q", now=12.0)
    assert caught.value.retry_after_s == 18.0
    assert take(bodies, b"b", 0x10, now=29.0) == b"a" * 16 + b"b"


def test_a_body_over_the_limit_is_refused_with_the_limit():
    bodies = RequestBodies(BodyLimits(max_body_bytes=40))
    for payload, block1, size1 in ((b"a" * 16, 0x08, 41), (b"a" * 64, 0x0A, None)):
        with pytest.raises(BlockwiseError) as caught:
            take(bodies, payload, block1, size1=size1)
        assert (caught.value.code, caught.value.size1) == (TOO_LARGE, 40)


def test_more_than_is_held_in_all_begins_anew_later():
    bodies = RequestBodies(BodyLimits(gathered_bytes=40))
    for peer in "pq":
        take(bodies, b"a" * 16, 0x08, peer=peer)
    with pytest.raises(BusyError):
        take(bodies, b"a" * 16, 0x18, peer="q")
    with pytest.raises(BlockwiseError) as caught:
        take(bodies, b"a" * 16, 0x18, peer="q")
    assert caught.value.code == INCOMPLETE
    assert take(bodies, b"b", 0x10) == b"a" * 16 + b"b"


@pytest.mark.parametrize("limits", [{"max_body_bytes": -1}, {"gathered_bytes": -1}])
def test_limits_that_make_no_sense(limits):
    with pytest.raises(UsageError):
        BodyLimits(**limits)
