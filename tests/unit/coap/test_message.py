import re
from pathlib import Path

import pytest

from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option, is_critical
from lwm2m_fota.errors import MessageFormatError

VECTORS = Path(__file__).parents[2] / "vectors" / "coap_vectors.txt"

# The messages of the vectors, by hand: type, code, message id, token, options, payload.
EXPECTED = {
    1: (0, 0x03, 1, "a1", ((11, "35"), (11, "30"), (11, "30"), (12, "2a"), (27, "0a"), (60, "c8")), bytes(range(64))),
    2: (2, 0x5F, 1, "a1", ((27, "0a"),), b""),
    3: (0, 0x03, 4, "a4", ((11, "35"), (11, "30"), (11, "30"), (12, "2a"), (27, "32")), bytes(8)),
    4: (2, 0x44, 4, "a4", ((27, "32"),), b""),
    5: (2, 0x88, 3, "a3", (), b""),
    6: (2, 0x8D, 1, "a1", ((27, "09"), (60, "010000")), b""),
    7: (0, 0x01, 0x10, "b0", ((11, "6677"), (23, "06"), (28, "")), b""),
    8: (2, 0x45, 0x10, "b0", ((4, "0102"), (23, "08"), (28, "28")), b"\xab" * 16),
    9: (0, 0x02, 0x20, "c0", ((11, "35"), (11, "30"), (11, "32")), b""),
    10: (0, 0x03, 0x21, "c1", ((11, "35"), (11, "30"), (11, "31"), (12, "")), b""),
    11: (0, 0x03, 0x22, "c2", ((11, "35"), (11, "30"), (11, "30"), (12, "2a")), b"\0"),
    12: (
        0,
        0x02,
        0x23,
        "c3",
        ((11, "3333363239"), (11, "30"), (11, "32"), (12, "")),
        b"0='</33629/1>,</33629/2>'",
    ),
    13: (
        1,
        0x03,
        0x30,
        "d0",
        ((11, "35"), (11, "30"), (11, "30"), (12, "2a"), (19, "08"), (60, "28"), (292, "01")),
        bytes(16),
    ),
    15: (1, 0x88, 0x31, "d9", ((12, "0110"),), bytes((2, 5, 7))),
}


def vectors():
    found = {}
    for line in VECTORS.read_text().splitlines():
        match = re.match(r"V(\d+) .*? ([0-9a-f]{8,})(?: \||$)", line)
        if match:
            found[int(match[1])] = bytes.fromhex(match[2])
    return found


def test_the_vector_file_is_read_completely():
    assert sorted(vectors()) == list(range(1, 16))


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_vector(number):
    kind, code, mid, token, options, payload = EXPECTED[number]
    message = Message(
        kind, code, mid, bytes.fromhex(token), tuple((n, bytes.fromhex(value)) for n, value in options), payload
    )
    wire = vectors()[number]
    assert encode(message) == wire
    assert decode(wire) == message


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_a_cut_vector_is_another_message_or_an_error(number):
    wire = vectors()[number]
    whole = decode(wire)
    for end in range(len(wire)):
        try:
            assert decode(wire[:end]) != whole
        except MessageFormatError as error:
            assert error.code == 0x80  # noqa: PT017 - either outcome is right


def test_trailing_bytes_belong_to_the_payload():
    assert decode(vectors()[11] + b"\xff\x01").payload == b"\0\xff\x01"


def test_reading_options():
    message = decode(bytes.fromhex("41030001a1b13501300130112ad1020ad114c8"))
    assert message.path() == ("5", "0", "0")
    assert message.first(12) == b"\x2a"
    assert message.first(13) is None
    assert message.first(258) is None
    assert message.uint(60) == 200
    assert message.uint(28) is None
    assert message.every(11) == [b"5", b"0", b"0"]


def test_queries_are_text():
    message = Message(0, 1, 1, options=((15, b"lt=60"), (15, "b=\u00fc".encode())))
    assert message.queries() == ("lt=60", "b=\u00fc")


@pytest.mark.parametrize("read", [Message.path, Message.queries])
def test_text_options_must_be_utf8(read):
    with pytest.raises(MessageFormatError):
        read(Message(0, 1, 1, options=((11, b"\xff"), (15, b"\xff"))))


def test_messages_show_themselves():
    message = Message(0, 0x45, 7, b"\xa1", ((12, b""), (23, b"\x06")), b"abc")
    assert str(message) == "CON 2.05 CONTENT mid=7 token=a1 [12=- 23=06] 3 B"
    assert str(Message(2, 0xE0, 7)) == "ACK 7.00 mid=7 token=- [] 0 B"


@pytest.mark.parametrize(
    ("value", "packed"), [(0, ""), (1, "01"), (255, "ff"), (256, "0100"), (65536, "010000"), (2**32 - 1, "ffffffff")]
)
def test_uint_values_are_as_short_as_can_be(value, packed):
    assert pack_uint(value) == bytes.fromhex(packed)


@pytest.mark.parametrize(
    ("number", "length", "head"),
    [
        (12, 12, "cc"),
        (13, 0, "d000"),
        (0, 13, "0d00"),
        (268, 0, "d0ff"),
        (269, 0, "e00000"),
        (65535, 0, "e0fef2"),
        (0, 268, "0dff"),
        (0, 269, "0e0000"),
        (13, 269, "de000000"),
    ],
)
def test_option_headers_grow_by_one_and_by_two_bytes(number, length, head):
    wire = bytes.fromhex("40010001" + head) + bytes(length)
    message = Message(0, 1, 1, options=((number, bytes(length)),))
    assert encode(message) == wire
    assert decode(wire) == message


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "400100",  # shorter than a header
        "00010001",  # version 0
        "80010001",  # version 2
        "49010001000000000000000000",  # token length 9
        "4f01000100000000000000000000000000000000",
        "4201000101",  # token cut
        "4100000101",  # Empty with a token
        "4000000110",  # Empty with an option
        "40010001ff",  # marker without payload
        "40010001f0",  # delta nibble 15 that is no marker
        "400100010f",  # length nibble 15
        "40010001d0",  # extended delta cut
        "40010001e000",
        "400100010d",
        "4001000111",  # value cut
        "40010001e0ffff",  # number 65804
        "40010001e0fef210",  # number 65536 by addition
    ],
)
def test_broken_messages(wire):
    with pytest.raises(MessageFormatError) as caught:
        decode(bytes.fromhex(wire))
    assert caught.value.code == 0x80


@pytest.mark.parametrize(
    "message",
    [
        Message(0, 1, 1, bytes(9)),
        Message(0, 1, 65536),
        Message(0, 1, -1),
        Message(0, 256, 1),
        Message(0, -1, 1),
        Message(4, 1, 1),
        Message(-1, 1, 1),
        Message(2, 0, 1, b"\1"),
        Message(2, 0, 1, payload=b"\1"),
        Message(2, 0, 1, options=((1, b""),)),
        Message(0, 1, 1, options=((2, b""), (1, b""))),
        Message(0, 1, 1, options=((65536, b""),)),
        Message(0, 1, 1, options=((65535, b""), (65536, b""))),
        Message(0, 1, 1, options=((1, bytes(65536)),)),
    ],
)
def test_what_cannot_be_sent(message):
    with pytest.raises(MessageFormatError):
        encode(message)


def test_edges_that_can_be_sent():
    message = Message(3, 255, 65535, bytes(8), ((65535, bytes(65535)),), b"\xff")
    assert decode(encode(message)) == message
    assert encode(Message(3, 0, 0)) == bytes.fromhex("70000000")


def test_sorting_keeps_the_order_of_equal_numbers():
    assert sort_options([(27, b"x"), (11, b"5"), (4, b""), (11, b"0")]) == (
        (4, b""),
        (11, b"5"),
        (11, b"0"),
        (27, b"x"),
    )


def test_path_options():
    assert list(path_options(("5", "\u00fc"))) == [(11, b"5"), (11, b"\xc3\xbc")]


def test_registered_numbers():
    assert {member.name: int(member) for member in Option} == {
        "IF_MATCH": 1,
        "URI_HOST": 3,
        "ETAG": 4,
        "IF_NONE_MATCH": 5,
        "OBSERVE": 6,
        "URI_PORT": 7,
        "LOCATION_PATH": 8,
        "URI_PATH": 11,
        "CONTENT_FORMAT": 12,
        "MAX_AGE": 14,
        "URI_QUERY": 15,
        "ACCEPT": 17,
        "Q_BLOCK1": 19,
        "LOCATION_QUERY": 20,
        "BLOCK2": 23,
        "BLOCK1": 27,
        "SIZE2": 28,
        "Q_BLOCK2": 31,
        "PROXY_URI": 35,
        "PROXY_SCHEME": 39,
        "SIZE1": 60,
        "ECHO": 252,
        "NO_RESPONSE": 258,
        "REQUEST_TAG": 292,
    }
    assert {int(member) for member in ContentFormat} == {0, 40, 42, 60, 110, 112, 320, 322, 11542, 11543, 11544}


def test_odd_options_are_critical():
    assert is_critical(27)
    assert not is_critical(60)
