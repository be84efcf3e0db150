import pytest

from lwm2m_fota.coap.block import Block, Slice
from lwm2m_fota.coap.block2 import Block2Receiver, Received, Refused, Restart, Whole, block2_answer, block2_options
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import BlockwiseError, UsageError


def content(block2, payload, *, etag=b"\x01\x02", size2=None, code=0x45):
    options = []
    if etag is not None:
        options.append((4, etag))
    if block2 is not None:
        options.append((23, bytes.fromhex(block2)))
    if size2 is not None:
        options.append((28, size2))
    return Message(2, code, 1, b"\xb0", tuple(options), payload)


def fetch(**changes):
    return Block2Receiver(**{"max_body_bytes": 100_000, **changes})


# --- receiver ---


def test_40_bytes_in_blocks_of_16():
    receiver = fetch()
    assert receiver.options() == ((23, b"\x06"), (28, b""))
    first = receiver.accept(content("08", b"a" * 16, size2=b"\x28"))
    assert first == Received(0, b"a" * 16, last=False, size2=40, etag=b"\x01\x02")
    assert (receiver.offset, receiver.szx, receiver.etag) == (16, 0, b"\x01\x02")
    assert receiver.options() == ((23, b"\x10"),)
    assert receiver.accept(content("18", b"b" * 16)) == Received(16, b"b" * 16, False, None, b"\x01\x02")
    assert receiver.options() == ((23, b"\x20"),)
    assert receiver.accept(content("20", b"c" * 8)) == Received(32, b"c" * 8, True, None, b"\x01\x02")


def test_after_the_end_there_is_nothing_to_do():
    receiver = fetch()
    receiver.accept(content("06", b"abc"))
    with pytest.raises(UsageError):
        receiver.options()
    with pytest.raises(UsageError):
        receiver.accept(content("06", b"abc"))


def test_no_size_is_suggested():
    receiver = fetch(szx=None)
    assert receiver.szx is None
    assert receiver.options() == ((28, b""),)
    receiver.accept(content("0a", bytes(64)))
    assert receiver.options() == ((23, b"\x12"),)


def test_the_whole_body_in_one_answer():
    receiver = fetch()
    message = content(None, b"abc")
    assert receiver.accept(message) == Whole(message)
    with pytest.raises(UsageError):
        receiver.options()


def test_a_body_of_no_bytes():
    assert fetch().accept(content("", b"")) == Received(0, b"", True, None, b"\x01\x02")
    message = content(None, b"")
    assert fetch(max_body_bytes=0).accept(message) == Whole(message)


def test_the_whole_body_is_too_large():
    with pytest.raises(BlockwiseError) as caught:
        fetch(max_body_bytes=2).accept(content(None, b"abc"))
    assert (caught.value.code, caught.value.result) == (0x8D, 2)


def test_the_limit_holds_block_by_block_whatever_size2_says():
    receiver = fetch(max_body_bytes=20, szx=0)
    assert receiver.accept(content("08", bytes(16), size2=b"\x11")).size2 == 17
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(content("10", bytes(5)))
    assert (caught.value.code, caught.value.result) == (0x8D, 2)
    assert receiver.offset == 16


def test_size2_above_the_limit_is_only_an_estimate():
    assert fetch(max_body_bytes=16, szx=0).accept(content("00", bytes(16), size2=b"\xff")).last


def test_blocks_may_shrink_on_the_way():
    receiver = fetch(szx=2)
    receiver.accept(content("0a", bytes(64)))
    assert receiver.options() == ((23, b"\x12"),)  # asks for number 1 of 64
    assert receiver.accept(content("29", bytes(32))).offset == 64  # number 2 of 32
    assert receiver.options() == ((23, b"\x31"),)


def test_a_larger_block_is_taken_but_not_asked_for():
    receiver = fetch(szx=0)
    assert receiver.accept(content("0a", bytes(64))).payload == bytes(64)
    assert receiver.szx == 0
    assert receiver.options() == ((23, b"\x40"),)


@pytest.mark.parametrize(
    ("block2", "length"),
    [
        ("18", 16),  # another block
        ("08", 15),  # too short to go on
        ("08", 17),
        ("00", 17),  # too long
    ],
)
def test_blocks_that_do_not_fit(block2, length):
    with pytest.raises(BlockwiseError) as caught:
        fetch(szx=0).accept(content(block2, bytes(length)))
    assert caught.value.result == 4


@pytest.mark.parametrize("block2", ["0f", "01020304"])
def test_broken_options(block2):
    with pytest.raises(BlockwiseError):
        fetch().accept(content(block2, bytes(16)))


def test_an_answer_without_block2_to_a_later_block():
    receiver = fetch(szx=0)
    receiver.accept(content("08", bytes(16)))
    with pytest.raises(BlockwiseError):
        receiver.accept(content(None, bytes(16)))


@pytest.mark.parametrize("code", [0x84, 0x88, 0xA3, 0x43, 0x5F, 0x60, 0x80, 0x82])
def test_a_refusal_leaves_everything_as_it_is(code):
    receiver = fetch()
    message = content(None, b"", etag=None, code=code)
    assert receiver.accept(message) == Refused(message)
    assert receiver.options() == ((23, b"\x06"), (28, b""))


def test_any_other_success_may_carry_a_body():
    assert isinstance(fetch().accept(content("06", b"x", code=0x44)), Received)


def test_another_etag_is_another_body():
    receiver = fetch(szx=0, max_restarts=1)
    receiver.accept(content("08", bytes(16)))
    outcome = receiver.accept(content("18", bytes(16), etag=b"\x03"))
    assert isinstance(outcome, Restart)
    assert outcome.reason
    assert (receiver.offset, receiver.etag, receiver.restarts) == (0, None, 1)
    assert receiver.options() == ((23, b""), (28, b""))
    receiver.accept(content("08", bytes(16), etag=b"\x03"))
    with pytest.raises(BlockwiseError) as caught:
        receiver.accept(content("18", bytes(16), etag=b"\x04"))
    assert caught.value.result == 4


def test_no_etag_says_nothing():
    receiver = fetch(szx=0)
    assert receiver.accept(content("08", bytes(16), etag=None)).etag is None
    assert receiver.accept(content("18", bytes(16), etag=b"\x03")).etag == b"\x03"
    assert receiver.accept(content("28", bytes(16), etag=None)).etag == b"\x03"
    assert isinstance(receiver.accept(content("30", b"", etag=b"\x04")), Restart)


@pytest.mark.parametrize("code", [0x80, 0x82])
def test_a_body_that_became_shorter(code):
    receiver = fetch(szx=0)
    receiver.accept(content("08", bytes(16)))
    assert isinstance(receiver.accept(content(None, b"", code=code)), Restart)
    assert receiver.offset == 0


def test_resume_at_the_start_of_a_block():
    receiver = fetch(offset=2048, etag=b"\x01\x02")
    assert receiver.options() == ((23, b"\x26"), (28, b""))
    assert receiver.accept(content("26", b"abc")) == Received(2048, b"abc", True, None, b"\x01\x02")


def test_resume_within_a_block_drops_the_overlap():
    receiver = fetch(offset=20, etag=b"\x01\x02", szx=0)
    assert receiver.options() == ((23, b"\x10"), (28, b""))
    assert receiver.accept(content("18", b"abcdefghijklmnop")) == Received(
        20, b"efghijklmnop", False, None, b"\x01\x02"
    )
    assert receiver.options() == ((23, b"\x20"),)


def test_resume_without_a_suggested_size():
    assert fetch(offset=2050, szx=None).options() == ((23, b"\x26"), (28, b""))


def test_resume_from_a_server_with_smaller_blocks():
    receiver = fetch(offset=3500, etag=b"\x01\x02")
    assert receiver.options() == ((23, b"\x36"), (28, b""))
    assert receiver.accept(content("030a", bytes(64))) == Received(3500, b"", False, None, b"\x01\x02")
    assert receiver.options() == ((23, bytes.fromhex("0362")),)  # number 54 of 64, at 3456
    assert receiver.accept(content("036a", bytes(64))) == Received(3500, bytes(20), False, None, b"\x01\x02")
    assert receiver.offset == 3520


def test_resume_at_the_end_finds_nothing_more():
    receiver = fetch(offset=20, szx=0)
    assert receiver.accept(content("10", bytes(4))) == Received(20, b"", True, None, b"\x01\x02")


def test_resume_of_a_body_that_became_shorter():
    assert isinstance(fetch(offset=20, szx=0).accept(content("10", bytes(3))), Restart)


@pytest.mark.parametrize("etag", [b"\x09", None])
def test_resume_needs_the_etag_confirmed(etag):
    receiver = fetch(offset=16, etag=b"\x01\x02", szx=0)
    assert isinstance(receiver.accept(content("18", bytes(16), etag=etag)), Restart)
    assert receiver.accept(content("08", bytes(16), etag=etag)).etag == etag


def test_one_confirmation_is_enough():
    receiver = fetch(offset=16, etag=b"\x01\x02", szx=0)
    receiver.accept(content("18", bytes(16)))
    assert receiver.accept(content("28", bytes(16), etag=None)).etag == b"\x01\x02"


def test_resume_without_an_etag_takes_the_first():
    assert fetch(offset=16, szx=0).accept(content("18", bytes(16))).etag == b"\x01\x02"


def test_an_etag_without_bytes_in_hand_binds_nobody():
    assert fetch(etag=b"\x09", szx=0).accept(content("08", bytes(16))).etag == b"\x01\x02"


def test_the_whole_body_may_answer_a_resume_of_block_0():
    message = content(None, b"abc", etag=b"\x09")
    assert fetch(offset=2, etag=b"\x01\x02").accept(message) == Whole(message)


def test_no_number_is_left():
    receiver = fetch(offset=2**24, szx=0)
    with pytest.raises(BlockwiseError) as caught:
        receiver.options()
    assert caught.value.result == 4


@pytest.mark.parametrize("changes", [{"offset": -1}, {"max_body_bytes": -1}, {"szx": 7}, {"szx": -1}])
def test_receiver_arguments(changes):
    with pytest.raises(UsageError):
        fetch(**changes)


# --- receiver, several blocks at once (RFC 8323 section 6) ---


def test_bert_counts_in_blocks_of_1024():
    """The exchange of RFC 8323, figure 15: 3072, 5120 and 4711 bytes."""
    receiver = fetch(szx=7, bert=True)
    assert receiver.options() == ((23, b"\x07"), (28, b""))
    got = [receiver.accept(content("0f", bytes(3072)))]
    assert receiver.options() == ((23, b"\x37"),)
    got.append(receiver.accept(content("3f", bytes(5120))))
    assert receiver.options() == ((23, bytes.fromhex("87")),)
    got.append(receiver.accept(content("87", bytes(4711))))
    assert [(each.offset, len(each.payload), each.last) for each in got] == [
        (0, 3072, False),
        (3072, 5120, False),
        (8192, 4711, True),
    ]


def test_bert_may_end_with_no_bytes():
    receiver = fetch(szx=7, bert=True)
    receiver.accept(content("0f", bytes(2048)))
    assert receiver.accept(content("27", b"")).last


def test_smaller_blocks_end_bert():
    receiver = fetch(szx=7, bert=True)
    receiver.accept(content("0e", bytes(1024)))
    assert receiver.options() == ((23, b"\x16"),)
    with pytest.raises(BlockwiseError):
        receiver.accept(content("1f", bytes(2048)))


def test_bert_goes_on_from_an_offset():
    receiver = fetch(szx=7, bert=True, offset=3000, etag=b"\x01\x02")
    assert receiver.options() == ((23, b"\x27"), (28, b""))
    assert receiver.accept(content("2f", bytes(2048))).offset == 3000


def test_bert_may_come_without_being_asked_for():
    receiver = fetch(szx=None, bert=True)
    assert receiver.options() == ((28, b""),)
    receiver.accept(content("0f", bytes(2048)))
    assert receiver.options() == ((23, b"\x27"),)
    with pytest.raises(UsageError):
        fetch(szx=7)


def test_a_size_that_is_suggested_is_not_bert():
    assert fetch(szx=6, bert=True).options()[0] == (23, b"\x06")


@pytest.mark.parametrize("length", [0, 1, 1023, 1025, 3000])
def test_bert_with_more_to_come_brings_whole_blocks(length):
    with pytest.raises(BlockwiseError):
        fetch(szx=7, bert=True).accept(content("0f", bytes(length)))


# --- server ---


@pytest.mark.parametrize(
    ("requested", "size", "max_szx", "expected"),
    [
        (None, 1024, 6, None),
        (None, 0, 6, None),
        (None, 1025, 6, Slice(0, True, 0, 1024, 6)),
        (None, 65, 2, Slice(0, True, 0, 64, 2)),
        (Block(0, False, 0), 40, 6, Slice(0, True, 0, 16, 0)),
        (Block(2, False, 0), 40, 6, Slice(2, False, 32, 8, 0)),
        (Block(2, True, 0), 40, 6, Slice(2, False, 32, 8, 0)),  # M is ignored
        (Block(0, False, 6), 40, 6, Slice(0, False, 0, 40, 6)),
        (Block(0, False, 6), 0, 6, Slice(0, False, 0, 0, 6)),
        (Block(1, False, 6), 5000, 2, Slice(16, True, 1024, 64, 2)),
    ],
)
def test_which_block_answers(requested, size, max_szx, expected):
    assert block2_answer(requested, size, max_szx=max_szx) == expected


@pytest.mark.parametrize(("requested", "size"), [(Block(1, False, 0), 16), (Block(1, False, 0), 0)])
def test_a_block_behind_the_end(requested, size):
    with pytest.raises(BlockwiseError) as caught:
        block2_answer(requested, size)
    assert caught.value.code == 0x80


def test_a_body_with_too_many_blocks():
    with pytest.raises(BlockwiseError) as caught:
        block2_answer(Block(0, False, 0), 2**24 + 1)
    assert caught.value.code == 0x82


@pytest.mark.parametrize(("size", "max_szx"), [(-1, 6), (1, 7)])
def test_server_arguments(size, max_szx):
    with pytest.raises(UsageError):
        block2_answer(None, size, max_szx=max_szx)


def test_options_of_an_answer():
    part = Slice(0, True, 0, 16, 0)
    assert block2_options(part, 40, b"\x01\x02", want_size2=True) == ((4, b"\x01\x02"), (23, b"\x08"), (28, b"\x28"))
    assert block2_options(part, 40, None, want_size2=False) == ((23, b"\x08"),)


@pytest.mark.parametrize("etag", [b"", bytes(9)])
def test_etags_have_1_to_8_bytes(etag):
    with pytest.raises(UsageError):
        block2_options(Slice(0, False, 0, 0, 6), 0, etag, want_size2=True)
