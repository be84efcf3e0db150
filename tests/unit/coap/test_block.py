import re
from pathlib import Path

import pytest

from lwm2m_fota.coap.block import Block, Slice, pack_block, renegotiate, split, szx_for, unpack_block
from lwm2m_fota.errors import BlockwiseError, UsageError

VECTORS = Path(__file__).parents[2] / "vectors" / "coap_vectors.txt"

# number, more, SZX, bytes of a block, value: by hand
VALUES = [
    (0, 0, 0, 16, ""),
    (0, 1, 0, 16, "08"),
    (0, 1, 2, 64, "0a"),
    (0, 1, 6, 1024, "0e"),
    (1, 1, 6, 1024, "1e"),
    (15, 1, 6, 1024, "fe"),
    (16, 1, 6, 1024, "010e"),
    (2, 0, 1, 32, "21"),
    (3, 1, 3, 128, "3b"),
    (639, 0, 3, 128, "27f3"),
    (4095, 1, 6, 1024, "fffe"),
    (4096, 1, 6, 1024, "01000e"),
    (65535, 1, 6, 1024, "0ffffe"),
    (1048575, 0, 6, 1024, "fffff6"),
    (10, 1, 2, 64, "aa"),
]


def test_the_vector_file_agrees():
    found = re.findall(r"^\((\d+), (\d), (\d)\) (\S+)", VECTORS.read_text(), re.MULTILINE)
    assert len(found) == 17
    for num, more, szx, value in found:
        wire = b"" if value == "(empty)" else bytes.fromhex(value)
        assert pack_block(int(num), more == "1", int(szx)) == wire
        assert unpack_block(wire, max_szx=7) == (int(num), more == "1", int(szx))


@pytest.mark.parametrize(("num", "more", "szx", "size", "value"), VALUES)
def test_values(num, more, szx, size, value):
    block = Block(num, bool(more), szx)
    assert block.encode() == bytes.fromhex(value)
    assert Block.decode(bytes.fromhex(value)) == block
    assert block.size == size
    assert block.offset == num * size


@pytest.mark.parametrize("value", ["00000000", "010000000e"])
def test_a_value_of_more_than_three_bytes_is_a_bad_option(value):
    with pytest.raises(BlockwiseError) as caught:
        Block.decode(bytes.fromhex(value))
    assert caught.value.code == 0x82


@pytest.mark.parametrize("value", ["07", "0f", "fffff7"])
def test_the_reserved_size_is_a_bad_request(value):
    with pytest.raises(BlockwiseError) as caught:
        Block.decode(bytes.fromhex(value))
    assert caught.value.code == 0x80


def test_long_forms_are_read():
    assert Block.decode(b"\0\0\x0e") == Block(0, True, 6)


@pytest.mark.parametrize(("num", "szx"), [(-1, 0), (1048576, 0), (0, -1), (0, 8)])
def test_fields_out_of_range(num, szx):
    with pytest.raises(UsageError):
        pack_block(num, False, szx)
    with pytest.raises(UsageError):
        Block(num, False, szx)


def test_a_block_over_datagrams_has_no_size_seven():
    with pytest.raises(UsageError):
        Block(0, False, 7)


@pytest.mark.parametrize(
    ("size", "szx"),
    [(16, 0), (31, 0), (32, 1), (63, 1), (64, 2), (128, 3), (256, 4), (512, 5), (1023, 5), (1024, 6), (65536, 6)],
)
def test_the_largest_block_that_fits(size, szx):
    assert szx_for(size) == szx


def test_no_block_is_smaller_than_16_bytes():
    with pytest.raises(UsageError):
        szx_for(15)


def test_split_200_bytes_in_64():
    assert list(split(200, 2)) == [
        Slice(0, True, 0, 64, 2),
        Slice(1, True, 64, 64, 2),
        Slice(2, True, 128, 64, 2),
        Slice(3, False, 192, 8, 2),
    ]


def test_split_ends_with_a_full_block():
    assert list(split(32, 0)) == [Slice(0, True, 0, 16, 0), Slice(1, False, 16, 16, 0)]


def test_no_bytes_are_one_block():
    assert list(split(0, 6)) == [Slice(0, False, 0, 0, 6)]


def test_a_slice_has_its_option_value():
    assert Slice(3, True, 384, 128, 3).encode() == b"\x3b"


def test_the_last_number_is_used():
    *_, last = split(2**24, 0)  # 2 ** 20 blocks of 16
    assert last == Slice(1048575, False, 16777200, 16, 0)


def test_a_body_with_too_many_blocks():
    with pytest.raises(BlockwiseError) as caught:
        split(2**24 + 1, 0)
    assert caught.value.code == 0x8D


@pytest.mark.parametrize(("total", "szx"), [(-1, 0), (0, 7), (0, -1)])
def test_split_arguments(total, szx):
    with pytest.raises(UsageError):
        split(total, szx)


@pytest.mark.parametrize(
    ("offset", "szx", "num"), [(0, 0, 0), (1024, 2, 16), (1024, 6, 1), (3072, 0, 192), (2**24 - 16, 0, 1048575)]
)
def test_renegotiate(offset, szx, num):
    assert renegotiate(offset, szx) == num


@pytest.mark.parametrize(("offset", "szx"), [(64, 3), (1, 0), (-16, 0), (0, 7)])
def test_renegotiate_needs_the_start_of_a_block(offset, szx):
    with pytest.raises(UsageError):
        renegotiate(offset, szx)


def test_renegotiate_past_the_last_number():
    with pytest.raises(BlockwiseError) as caught:
        renegotiate(2**24, 0)
    assert caught.value.code == 0x8D
