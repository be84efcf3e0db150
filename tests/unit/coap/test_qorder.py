"""Blocks that come in any order."""

from lwm2m_fota.coap.qorder import Order


def order(first=0, count=10, *, max_early=4, max_missing=3):
    return Order(first, count, max_early=max_early, max_missing=max_missing)


def test_blocks_wait_for_their_turn():
    blocks = order()
    assert blocks.keep(1, b"b")
    assert blocks.take(10, 10) == []
    assert blocks.keep(0, b"a")
    assert blocks.keep(3, b"d")
    assert blocks.take(10, 10) == [b"a", b"b"]
    assert (blocks.next, blocks.early) == (2, {3: b"d"})


def test_a_block_counts_once():
    blocks = order(2)
    assert not blocks.keep(1, b"x")
    assert blocks.keep(4, b"e")
    assert not blocks.keep(4, b"x")
    assert blocks.early == {4: b"e"}


def test_there_is_room_for_the_next_block_always():
    blocks = order(max_early=2)
    assert blocks.keep(2, b"c")
    assert blocks.keep(3, b"d")
    assert not blocks.keep(4, b"e")
    assert blocks.keep(0, b"a")
    assert not blocks.keep(1, b"b")
    assert blocks.take(10, 10) == [b"a"]
    assert blocks.keep(1, b"b")
    assert blocks.take(10, 10) == [b"b", b"c", b"d"]


def test_no_more_is_taken_than_there_is_room_for_or_before_an_end():
    blocks = order()
    for num in range(4):
        blocks.keep(num, bytes((num,)))
    assert blocks.take(10, 1) == [b"\x00"]
    assert blocks.take(2, 5) == [b"\x01"]
    assert blocks.take(1, 5) == []
    assert blocks.take(10, 0) == []
    assert blocks.next == 2


def test_the_first_of_what_is_missing_is_named():
    blocks = order(1)
    blocks.keep(2, b"c")
    assert blocks.missing(0, 10) == (1, 3, 4)
    assert blocks.missing(4, 6) == (4, 5)
    assert blocks.missing(2, 3) == ()
