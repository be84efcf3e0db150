from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import MAX_NUM, Block, pack_block, renegotiate, split, szx_for, unpack_block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver, Block1Sender, Finished, NextBlock, Repeated
from lwm2m_fota.coap.block2 import Block2Receiver, Received, Restart, Whole, block2_answer, block2_options
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import BlockwiseError

exponents = st.integers(0, 6)
bodies = st.binary(max_size=400) | st.integers(0, 5000).map(lambda size: bytes(i * 7 & 0xFF for i in range(size)))


@given(st.integers(0, MAX_NUM), st.booleans(), exponents)
def test_decode_undoes_encode(num, more, szx):
    block = Block(num, more, szx)
    wire = block.encode()
    assert len(wire) <= 3
    assert not wire.startswith(b"\0")
    assert Block.decode(wire) == block


@given(st.binary(max_size=5))
def test_random_bytes_are_a_block_or_our_error(value):
    try:
        num, more, szx = unpack_block(value)
    except BlockwiseError as error:
        assert error.code in {0x80, 0x82}  # noqa: PT017 - either outcome is right
        return
    assert int.from_bytes(pack_block(num, more, szx), "big") == int.from_bytes(value, "big")


@given(bodies, exponents)
def test_the_blocks_are_the_body(body, szx):
    size = 16 << szx
    parts = list(split(len(body), szx))
    assert b"".join(body[part.offset : part.offset + part.length] for part in parts) == body
    assert [part.num for part in parts] == list(range(len(parts)))
    assert all(part.more and part.length == size for part in parts[:-1])
    assert not parts[-1].more
    assert parts[-1].length <= size


@given(st.integers(0, 1000), exponents, exponents)
def test_what_ends_a_block_starts_a_smaller_one(num, szx, other):
    offset = num << szx + 4
    smaller = min(szx, other)
    assert renegotiate(offset, smaller) << smaller + 4 == offset


@given(st.integers(16, 5000))
def test_the_largest_block_that_fits(size):
    szx = szx_for(size)
    assert 16 << szx <= size
    assert szx == 6 or 32 << szx > size


@given(bodies, exponents, st.lists(exponents, max_size=8), st.data())
def test_push_through_duplicates_and_shrinking_blocks(body, szx, wishes, data):
    """Answers get lost, so that blocks come twice; the server asks for smaller blocks at random."""
    sender = Block1Sender(len(body), szx, always=True)
    receiver = Block1Receiver(len(body))
    stored = bytearray()
    wish = iter(wishes)
    for _ in range(2000):
        part = sender.current()
        block = Block.decode(dict(sender.options())[27])
        assert (block.num, block.more, block.szx) == (part.num, part.more, part.szx)
        payload = body[part.offset : part.offset + part.length]
        answer_lost = data.draw(st.booleans()) if len(body) < 100 else part.num % 3 == 1
        for _ in range(2 if answer_lost else 1):
            taken = receiver.accept(block, payload, len(body))
            if isinstance(taken, Accepted):
                assert taken.first == (taken.offset == 0)
                del stored[taken.offset :]
                stored[taken.offset :] = taken.payload
            else:
                assert taken == Repeated(not part.more)
        preferred = min(block.szx, next(wish, 6))
        value = pack_block(block.num, block.more, preferred)
        outcome = sender.accept(Message(2, 0x5F if block.more else 0x44, 1, options=((27, value),)))
        if isinstance(outcome, Finished):
            break
        assert outcome == NextBlock()
    assert stored == body
    assert receiver.offset is None


@given(bodies, exponents, st.lists(exponents, max_size=8), st.none() | exponents, st.integers(0, 5000))
def test_pull_with_shrinking_blocks_from_any_offset(body, max_szx, limits, szx, offset):
    offset = min(offset, max(len(body) - 1, 0))
    receiver = Block2Receiver(max_body_bytes=len(body), offset=offset, etag=b"\1" if offset else None, szx=szx)
    stored = bytearray(body[:offset])
    limit = iter(limits)
    for _ in range(2000):
        options = dict(receiver.options())
        requested = Block.decode(options[23]) if 23 in options else None
        max_szx = min(max_szx, next(limit, 6))
        part = block2_answer(requested, len(body), max_szx=max_szx)
        if part is None:
            outcome = receiver.accept(Message(2, 0x45, 1, payload=body))
            assert isinstance(outcome, Whole)
            stored[:] = outcome.message.payload
            break
        message = Message(
            2,
            0x45,
            1,
            options=block2_options(part, len(body), b"\1", want_size2=28 in options),
            payload=body[part.offset : part.offset + part.length],
        )
        outcome = receiver.accept(message)
        assert isinstance(outcome, Received)
        assert outcome.offset == len(stored)
        stored += outcome.payload
        if outcome.last:
            break
    assert stored == body


@given(st.lists(st.tuples(st.binary(max_size=5), st.integers(0, 70), st.sampled_from([0x45, 0x80, 0x84, 0x43]))))
def test_a_peer_that_answers_anything_raises_only_our_error(answers):
    receiver = Block2Receiver(max_body_bytes=1000, szx=1, max_restarts=1)
    have = 0
    for value, length, code in answers:
        try:
            receiver.options()
            outcome = receiver.accept(Message(2, code, 1, options=((4, value[:1]), (23, value)), payload=bytes(length)))
        except BlockwiseError:
            continue
        match outcome:
            case Received():
                assert outcome.offset == have
                have += len(outcome.payload)
                if outcome.last:
                    return
            case Restart():
                have = 0
        assert receiver.offset == have


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.booleans(),
            st.integers(0, 1),
            st.integers(0, 40),
            st.none() | st.integers(0, 120),
        )
    )
)
def test_a_client_that_sends_anything_never_passes_the_limit(requests):
    receiver = Block1Receiver(100)
    have = None
    for num, more, szx, length, size1 in requests:
        try:
            taken = receiver.accept(Block(num, more, szx), bytes(length), size1)
        except BlockwiseError as error:
            assert error.code in {0x80, 0x88, 0x8D}  # noqa: PT017 - either outcome is right
            continue
        if isinstance(taken, Accepted):
            assert taken.offset in {0, have}
            assert taken.offset + length <= 100
            have = None if taken.final else taken.offset + length
        assert receiver.offset == have
