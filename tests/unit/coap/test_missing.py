"""The list of missing blocks, byte by byte (RFC 9177 section 5; RFC 8949 section 3)."""

import pytest

from lwm2m_fota.coap.missing import ListForm, pack_missing, unpack_missing
from lwm2m_fota.errors import CborError

LISTS = [
    ((0,), "00"),
    ((2, 5, 7), "020507"),  # V15
    ((2, 5, 7, 24, 300), "020507181819012c"),  # V14
    ((23, 24, 255, 256, 65535), "17181818ff190100" + "19ffff"),
    ((65536, 1048575), "1a00010000" + "1a000fffff"),
]


@pytest.mark.parametrize(("numbers", "data"), LISTS)
def test_numbers_are_written_in_their_shortest_form(numbers, data):
    assert pack_missing(numbers).hex() == data
    for form in ListForm:
        assert unpack_missing(bytes.fromhex(data), form) == numbers


def test_a_list_ends_where_its_message_does():
    assert pack_missing(range(300, 310), 7).hex() == "19012c" + "19012d"
    assert len(pack_missing(range(1000))) == 24 + 2 * 232 + 3 * 178  # 1022 bytes: no other item fits into 1024
    assert pack_missing(()) == b""


@pytest.mark.parametrize(
    "data",
    ["1800", "190005", "1a00000005", "1b0000000000000005"],
)
def test_longer_forms_are_read(data):
    assert unpack_missing(bytes.fromhex(data), ListForm.STRICT) in {(0,), (5,)}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "names none"),
        ("0202", "block 2 after block 2"),
        ("0502", "block 2 after block 5"),
        ("1a00100000", "block 1048576"),
        ("1bffffffffffffffff", "block 18446744073709551615"),
        ("20", "unsigned"),  # -1
        ("8102", "unsigned"),  # an array
        ("4102", "unsigned"),
        ("c102", "unsigned"),
        ("f4", "unsigned"),
        ("1c", "unsigned"),
        ("1f", "unsigned"),
        ("ff", "unsigned"),
        ("18", "cut off"),
        ("1901", "cut off"),
        ("1a0001", "cut off"),
        ("1b00000000", "cut off"),
        ("02051800" + "07", "block 0"),
    ],
)
def test_what_is_no_list_is_refused(data, why):
    for form in ListForm:
        with pytest.raises(CborError, match=why):
            unpack_missing(bytes.fromhex(data), form)


def test_three_bytes_behind_the_head_of_four_are_read_if_that_is_wanted():
    data = bytes.fromhex("02" + "1a010000" + "1a0fffff")
    assert unpack_missing(data) == (2, 65536, 1048575)
    with pytest.raises(CborError):
        unpack_missing(data, ListForm.STRICT)
    assert unpack_missing(bytes.fromhex("1a010000")) == (65536,)
    with pytest.raises(CborError, match="cut off"):
        unpack_missing(bytes.fromhex("1a0100"))
    with pytest.raises(CborError, match="block 1048576"):
        unpack_missing(bytes.fromhex("1a100000"))


def test_a_list_byte_by_byte_and_with_bytes_behind():
    data = bytes.fromhex("020507181819012c")
    whole = (2, 5, 7, 24, 300)
    for end in range(len(data)):
        try:
            assert unpack_missing(data[:end]) == whole[: len(unpack_missing(data[:end]))]
        except CborError:
            assert end in {0, 4, 6, 7}
    with pytest.raises(CborError):
        unpack_missing(data + b"\x00")
