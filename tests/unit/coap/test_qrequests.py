"""What a request asks for with Q-Block2 (RFC 9177 section 4.4)."""

import pytest

from lwm2m_fota.coap.block import pack_block
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.qrequests import Asked, read_asked, unmixed
from lwm2m_fota.errors import BlockwiseError

Q = QBlock(max_payloads=4)


def request(*options):
    return Message(1, 1, 7, b"\xa1", options)


def asking(*blocks, szx=0):
    return request(*((31, pack_block(num, more, szx)) for num, more in blocks))


@pytest.mark.parametrize("number", [23, 27])
def test_block_and_q_block_do_not_go_together(number):
    with pytest.raises(BlockwiseError) as raised:
        unmixed(request((number, b""), (31, b"")))
    assert raised.value.code == 0x82
    unmixed(request((11, b"fw"), (19, b""), (31, b"")))


@pytest.mark.parametrize(
    ("blocks", "first", "rest", "continues", "numbers"),
    [
        ([(0, False)], 0, False, False, [0]),
        ([(0, True)], 0, True, True, [0, 1, 2, 3]),
        ([(1, True)], 1, True, False, [1, 2, 3]),
        ([(4, True)], 4, True, True, [4, 5, 6, 7]),
        ([(8, True)], 8, True, True, [8, 9]),
        ([(9, False)], 9, False, False, [9]),
        ([(10, False)], 10, False, False, []),
        ([(12, True)], 12, True, True, []),
        ([(1, False), (9, False)], 1, False, False, [1, 9]),
        ([(1, True), (2, False), (9, False)], 1, False, False, [1, 2, 3, 9]),  # block 2 once
        ([(1, True), (2, True), (6, True)], 1, False, False, [1, 2, 3, 6]),  # no more than a set
        ([(0, False), (1, False), (2, False), (3, False), (4, False)], 0, False, False, [0, 1, 2, 3]),
    ],
)
def test_the_blocks_that_a_request_is_for(blocks, first, rest, continues, numbers):
    asked = read_asked(asking(*blocks, szx=2))
    assert asked == Asked(tuple(blocks), 2)
    assert (asked.first, asked.rest, asked.continues(Q)) == (first, rest, continues)
    assert asked.numbers(Q, 10) == numbers


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (((31, b"\x20"), (31, b"\x10")), 0x80),  # descending
        (((31, b"\x20"), (31, b"\x20")), 0x80),  # twice
        (((31, b"\x20"), (31, b"\x31")), 0x80),  # two sizes
        (((31, b"\x07"),), 0x80),  # the reserved size
        (((31, b"\x00\x00\x00\x00"),), 0x82),  # too long
    ],
)
def test_what_is_malformed_is_refused(options, code):
    with pytest.raises(BlockwiseError) as raised:
        read_asked(request(*options))
    assert raised.value.code == code
