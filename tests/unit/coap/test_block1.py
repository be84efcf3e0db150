import pytest

from lwm2m_fota.coap.block import Block, Slice
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver, Block1Sender, Finished, NextBlock, Repeated, Restarted
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import BlockwiseError, UsageError


def answer(code, *, block1=None, size1=None):
    options = []
    if block1 is not None:
        options.append((27, bytes.fromhex(block1)))
    if size1 is not None:
        options.append((60, bytes.fromhex(size1)))
    return Message(2, code, 1, b"\xa1", tuple(options))


# --- sender ---


def test_200_bytes_in_blocks_of_64():
    sender = Block1Sender(200, 2)
    assert sender.current() == Slice(0, True, 0, 64, 2)
    assert sender.options() == ((27, b"\x0a"), (60, b"\xc8"))
    assert sender.accept(answer(0x5F, block1="0a")) == NextBlock()
    assert sender.offset == 64
    assert sender.current() == Slice(1, True, 64, 64, 2)
    assert sender.options() == ((27, b"\x1a"),)
    sender.accept(answer(0x5F, block1="1a"))
    sender.accept(answer(0x5F, block1="2a"))
    assert sender.current() == Slice(3, False, 192, 8, 2)
    assert sender.options() == ((27, b"\x32"),)
    last = answer(0x44, block1="32")
    assert sender.accept(last) == Finished(last)


def test_after_the_end_there_is_nothing_to_do():
    sender = Block1Sender(1)
    sender.accept(answer(0x44))
    with pytest.raises(UsageError):
        sender.current()
    with pytest.raises(UsageError):
        sender.options()
    with pytest.raises(UsageError):
        sender.accept(answer(0x44))


@pytest.mark.parametrize("size", [0, 1, 1024])
def test_what_fits_one_block_goes_without_block1(size):
    sender = Block1Sender(size)
    assert sender.current() == Slice(0, False, 0, size, 6)
    assert sender.options() == ()
    assert sender.accept(answer(0x44)) == Finished(answer(0x44))


def test_block1_on_demand():
    assert Block1Sender(8, always=True).options() == ((27, b"\x06"), (60, b"\x08"))
    assert Block1Sender(0, 0, always=True).options() == ((27, b""), (60, b""))


def test_size1_is_optional():
    assert Block1Sender(2048, send_size1=False).options() == ((27, b"\x0e"),)


def test_smaller_blocks_are_numbered_from_the_acknowledged_offset():
    sender = Block1Sender(2048)
    sender.accept(answer(0x5F, block1="0a"))  # number 0, blocks of 64 from now on
    assert sender.szx == 2
    assert sender.current() == Slice(16, True, 1024, 64, 2)
    assert sender.options() == ((27, bytes.fromhex("010a")),)


def test_blocks_may_shrink_on_the_way():
    sender = Block1Sender(4096)
    sender.accept(answer(0x5F, block1="0e"))
    sender.accept(answer(0x5F, block1="1d"))  # number 1 of 1024, blocks of 512 from now on
    assert sender.current() == Slice(4, True, 2048, 512, 5)


def test_blocks_never_grow():
    sender = Block1Sender(200, 2)
    sender.accept(answer(0x5F, block1="0e"))
    assert sender.current() == Slice(1, True, 64, 64, 2)


def test_a_stateless_server_answers_every_block():
    sender = Block1Sender(100, 2)
    assert sender.accept(answer(0x44, block1="02")) == NextBlock()
    assert sender.current().offset == 64


def test_one_block_taken_for_the_whole_body():
    sender = Block1Sender(100, 2)
    with pytest.raises(BlockwiseError):
        sender.accept(answer(0x44))
    assert sender.offset == 0


def test_continue_without_block1_acknowledges():
    assert Block1Sender(100, 2).accept(answer(0x5F)) == NextBlock()


def test_continue_after_the_last_block():
    with pytest.raises(BlockwiseError):
        Block1Sender(8, always=True).accept(answer(0x5F, block1="0e"))


@pytest.mark.parametrize("value", ["1e", "0f", "01020304"])
def test_an_answer_about_another_block_or_none_at_all(value):
    sender = Block1Sender(4096)
    with pytest.raises(BlockwiseError):
        sender.accept(answer(0x5F, block1=value))
    assert sender.offset == 0


def test_the_last_answer_must_echo_as_well():
    with pytest.raises(BlockwiseError):
        Block1Sender(8, always=True).accept(answer(0x44, block1="16"))


def test_blocks_too_small_to_be_numbered():
    sender = Block1Sender(2**24 + 1)
    with pytest.raises(BlockwiseError) as caught:
        sender.accept(answer(0x5F, block1="08"))
    assert caught.value.code == 0x8D
    assert sender.offset == 0
    assert sender.szx == 6


def test_incomplete_starts_again_a_few_times():
    sender = Block1Sender(200, 2, max_restarts=2)
    for restarts in (1, 2):
        sender.accept(answer(0x5F, block1="0a"))
        outcome = sender.accept(answer(0x88, block1="7a"))  # the number has no meaning here
        assert isinstance(outcome, Restarted)
        assert outcome.reason
        assert sender.offset == 0
        assert sender.restarts == restarts
        assert sender.options() == ((27, b"\x0a"), (60, b"\xc8"))
    sender.accept(answer(0x5F, block1="0a"))
    over = sender.accept(answer(0x88))
    assert over == Finished(answer(0x88), "started again too often")


def test_a_server_error_is_the_end_by_default():
    sender = Block1Sender(200, 2)
    sender.accept(answer(0x5F, block1="0a"))
    assert sender.accept(answer(0xA0)) == Finished(answer(0xA0))


def test_a_server_error_after_block_0_may_start_again():
    sender = Block1Sender(200, 2, restart_on_server_error=True, max_restarts=1)
    sender.accept(answer(0x5F, block1="0a"))
    assert isinstance(sender.accept(answer(0xA0)), Restarted)
    assert sender.accept(answer(0xA0)) == Finished(answer(0xA0))  # to block 0


@pytest.mark.parametrize("code", [0x80, 0x85, 0x82, 0xA3, 0x9D, 0x60])
def test_other_errors_are_the_end(code):
    assert Block1Sender(200, 2).accept(answer(code)) == Finished(answer(code))


def test_too_large_asks_for_smaller_blocks():
    sender = Block1Sender(200, 2)
    assert isinstance(sender.accept(answer(0x8D, block1="09", size1="010000")), Restarted)
    assert sender.current() == Slice(0, True, 0, 32, 1)
    assert sender.options() == ((27, b"\x09"), (60, b"\xc8"))
    assert sender.restarts == 0


def test_too_large_for_good():
    sender = Block1Sender(200, 2)
    outcome = sender.accept(answer(0x8D, size1="c7"))
    assert isinstance(outcome, Finished)
    assert "199" in outcome.reason


@pytest.mark.parametrize(("block1", "size1"), [(None, None), ("0a", "c8"), ("0e", "ff")])
def test_too_large_without_a_hint_halves_once(block1, size1):
    sender = Block1Sender(200, 2)
    assert isinstance(sender.accept(answer(0x8D, block1=block1, size1=size1)), Restarted)
    assert sender.current() == Slice(0, True, 0, 32, 1)
    outcome = sender.accept(answer(0x8D, size1=size1))
    assert isinstance(outcome, Finished)
    assert outcome.reason


def test_too_large_with_the_smallest_blocks():
    assert isinstance(Block1Sender(200, 0).accept(answer(0x8D)), Finished)


def test_too_large_for_one_message_brings_block1():
    sender = Block1Sender(10)
    assert isinstance(sender.accept(answer(0x8D)), Restarted)
    assert sender.options() == ((27, b"\x05"), (60, b"\x0a"))


def test_too_large_and_too_many_smaller_blocks():
    sender = Block1Sender(2**24 + 1)
    outcome = sender.accept(answer(0x8D, block1="08"))
    assert isinstance(outcome, Finished)
    assert "16" in outcome.reason


def test_too_large_with_a_broken_hint():
    with pytest.raises(BlockwiseError):
        Block1Sender(200, 2).accept(answer(0x8D, block1="0f"))


@pytest.mark.parametrize(("size", "szx"), [(-1, 6), (1, 7), (1, -1)])
def test_sender_arguments(size, szx):
    with pytest.raises(UsageError):
        Block1Sender(size, szx)


def test_a_body_without_numbers_is_refused_at_once():
    with pytest.raises(BlockwiseError):
        Block1Sender(2**24 + 1, 0)


# --- sender, several blocks at once (RFC 8323 section 6) ---


def test_bert_counts_in_blocks_of_1024():
    """The exchange of RFC 8323, figure 16: 8192, 16384 and 5683 bytes; the sender takes 16 blocks each time."""
    sender = Block1Sender(2 * 16384 + 5683, units=16)
    assert (sender.step_bytes, sender.current()) == (16384, Slice(0, True, 0, 16384, 7))
    assert sender.options() == ((27, b"\x0f"), (60, bytes.fromhex("9633")))
    assert sender.accept(answer(0x5F, block1="0f")) == NextBlock()
    assert sender.current() == Slice(16, True, 16384, 16384, 7)
    assert sender.accept(answer(0x5F, block1="010f")) == NextBlock()
    assert sender.current() == Slice(32, False, 32768, 5683, 7)
    assert sender.options() == ((27, bytes.fromhex("0207")),)
    last = answer(0x44, block1="0207")
    assert sender.accept(last) == Finished(last)


def test_bert_is_for_blocks_of_1024_only():
    sender = Block1Sender(200, 2, units=16)
    assert (sender.step_bytes, sender.current().szx) == (64, 2)
    assert Block1Sender(1000, units=16).options() == ()


def test_smaller_blocks_end_bert():
    sender = Block1Sender(40_000, units=16)
    assert sender.accept(answer(0x5F, block1="0e")) == NextBlock()
    assert sender.current() == Slice(16, True, 16384, 1024, 6)
    sender = Block1Sender(40_000, units=16)
    assert sender.accept(answer(0x5F, block1="0a")) == NextBlock()
    assert sender.current() == Slice(256, True, 16384, 64, 2)


def test_continue_without_block1_acknowledges_bert_too():
    sender = Block1Sender(40_000, units=16)
    assert sender.accept(answer(0x5F)) == NextBlock()
    assert sender.current() == Slice(16, True, 16384, 16384, 7)


def test_too_large_for_bert_means_single_blocks_then_smaller_ones():
    sender = Block1Sender(40_000, units=16)
    assert isinstance(sender.accept(answer(0x8D)), Restarted)
    assert sender.current() == Slice(0, True, 0, 1024, 6)
    assert isinstance(sender.accept(answer(0x8D)), Restarted)
    assert sender.current() == Slice(0, True, 0, 512, 5)


@pytest.mark.parametrize(("hint", "szx"), [("0e", 6), ("0a", 2)])
def test_too_large_for_bert_with_a_hint(hint, szx):
    sender = Block1Sender(40_000, units=16)
    assert isinstance(sender.accept(answer(0x8D, block1=hint)), Restarted)
    assert sender.current() == Slice(0, True, 0, 16 << szx, szx)


def test_without_bert_nobody_answers_with_it():
    with pytest.raises(BlockwiseError):
        Block1Sender(4096).accept(answer(0x5F, block1="0f"))


# --- receiver ---


def test_a_body_in_three_blocks():
    receiver = Block1Receiver(1000)
    assert receiver.offset is None
    assert receiver.accept(Block(0, True, 0), b"a" * 16) == Accepted(0, b"a" * 16, final=False, first=True, szx=0)
    assert receiver.offset == 16
    assert receiver.accept(Block(1, True, 0), b"b" * 16) == Accepted(16, b"b" * 16, final=False, first=False, szx=0)
    assert receiver.accept(Block(2, False, 0), b"c") == Accepted(32, b"c", final=True, first=False, szx=0)
    assert receiver.offset is None


def test_the_payload_passes_through():
    payload = bytes(range(16))
    accepted = Block1Receiver(1000).accept(Block(0, True, 0), payload)
    assert accepted.payload is payload


def test_a_body_without_block1():
    receiver = Block1Receiver(5)
    receiver.accept(Block(0, False, 0), b"abc")
    assert receiver.accept(None, b"abcde") == Accepted(0, b"abcde", final=True, first=True, szx=6)
    assert receiver.offset is None
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(None, b"abcdef")
    assert (caught.value.code, caught.value.size1) == (0x8D, 5)


def test_a_body_without_block1_ends_the_one_before():
    receiver = Block1Receiver(100)
    receiver.accept(Block(0, True, 0), bytes(16))
    receiver.accept(None, b"x")
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(Block(1, True, 0), bytes(16))
    assert caught.value.code == 0x88


def test_a_body_of_no_bytes():
    assert Block1Receiver(0).accept(None, b"") == Accepted(0, b"", final=True, first=True, szx=6)
    assert Block1Receiver(0).accept(Block(0, False, 2), b"") == Accepted(0, b"", final=True, first=True, szx=2)


def test_an_empty_last_block():
    receiver = Block1Receiver(16)
    receiver.accept(Block(0, True, 0), bytes(16))
    assert receiver.accept(Block(1, False, 0), b"") == Accepted(16, b"", final=True, first=False, szx=0)


def test_the_same_block_again():
    receiver = Block1Receiver(100)
    receiver.accept(Block(0, True, 0), bytes(16))
    receiver.accept(Block(1, True, 0), b"b" * 16)
    assert receiver.accept(Block(1, True, 0), b"b" * 16) == Repeated(final=False)
    receiver.accept(Block(2, False, 0), b"c")
    assert receiver.accept(Block(2, False, 0), b"c") == Repeated(final=True)


@pytest.mark.parametrize(
    ("block", "payload"),
    [
        (Block(1, True, 0), b"x" * 16),  # other bytes
        (Block(1, False, 0), b"b" * 16),  # now the last
        (Block(1, False, 0), b"b" * 15),
        (Block(3, True, 0), b"b" * 16),  # ahead
        (Block(2, True, 1), bytes(32)),  # another size, elsewhere
    ],
)
def test_a_gap_changes_nothing(block, payload):
    receiver = Block1Receiver(1000)
    receiver.accept(Block(0, True, 0), bytes(16))
    receiver.accept(Block(1, True, 0), b"b" * 16)
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(block, payload)
    assert caught.value.code == 0x88
    assert receiver.accept(Block(2, True, 0), bytes(16)).offset == 32


@pytest.mark.parametrize("block", [Block(1, True, 0), Block(5, False, 0)])
def test_a_body_nobody_knows(block):
    with pytest.raises(BlockwiseError) as caught:
        Block1Receiver(1000).accept(block, bytes(16))
    assert caught.value.code == 0x88


def test_nothing_follows_the_last_block():
    receiver = Block1Receiver(1000)
    receiver.accept(Block(0, False, 0), bytes(16))
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(Block(1, False, 0), bytes(16))
    assert caught.value.code == 0x88


def test_block_0_starts_anew_even_with_the_same_bytes():
    receiver = Block1Receiver(1000)
    for _ in range(2):
        assert receiver.accept(Block(0, True, 0), bytes(16)).first
    receiver.accept(Block(1, True, 0), bytes(16))
    assert receiver.accept(Block(0, True, 0), b"n" * 16).first
    assert receiver.offset == 16


@pytest.mark.parametrize(
    ("block", "length"),
    [(Block(0, True, 0), 15), (Block(0, True, 0), 17), (Block(0, False, 0), 17), (Block(0, True, 6), 1023)],
)
def test_a_payload_that_does_not_fit_its_block(block, length):
    with pytest.raises(BlockwiseError) as caught:
        Block1Receiver(5000).accept(block, bytes(length))
    assert caught.value.code == 0x80


def test_size1_above_the_limit_is_refused_at_once():
    receiver = Block1Receiver(100)
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(Block(0, True, 0), bytes(16), 101)
    assert (caught.value.code, caught.value.size1) == (0x8D, 100)
    assert receiver.offset is None
    assert receiver.accept(Block(0, True, 0), bytes(16), 100).first


def test_the_limit_holds_without_size1_or_with_a_wrong_one():
    receiver = Block1Receiver(20)
    receiver.accept(Block(0, True, 0), bytes(16), 17)
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(Block(1, False, 0), bytes(5), 17)
    assert (caught.value.code, caught.value.size1) == (0x8D, 20)
    assert receiver.accept(Block(1, False, 0), bytes(4)).final


def test_a_smaller_size_is_asked_for_and_understood():
    receiver = Block1Receiver(10_000, max_szx=2)
    assert receiver.accept(Block(0, True, 6), bytes(1024)).szx == 2
    assert receiver.response_block(Block(0, True, 6)) == b"\x0a"
    assert receiver.accept(Block(16, True, 2), bytes(64)).offset == 1024
    assert receiver.response_block(Block(16, True, 2)) == bytes.fromhex("010a")
    assert receiver.accept(Block(34, False, 1), b"x").offset == 1088  # smaller still
    assert receiver.response_block(Block(34, False, 1)) == bytes.fromhex("0221")


def test_a_client_may_keep_its_size():
    receiver = Block1Receiver(10_000, max_szx=2)
    receiver.accept(Block(0, True, 6), bytes(1024))
    assert receiver.accept(Block(1, True, 6), bytes(1024)).offset == 1024


@pytest.mark.parametrize(("limit", "szx"), [(-1, 6), (1, 7), (1, -1)])
def test_receiver_arguments(limit, szx):
    with pytest.raises(UsageError):
        Block1Receiver(limit, szx)
