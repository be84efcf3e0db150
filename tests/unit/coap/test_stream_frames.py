"""Frames in a stream, by hand from RFC 8323 section 3.2: whole, byte by byte, together, and cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.message import decode
from lwm2m_fota.coap.stream_frames import FrameReader, Parted, Rooms, frame_of, pieces_of
from lwm2m_fota.errors import MessageFormatError, UsageError

LARGE = 1 << 20

# (frame, the same message as a non-confirmable datagram with id 0), in hex
VECTORS = [
    ("01437f", "514300007f"),  # 2.03 with token 7f and nothing more
    ("01e242", "51e2000042"),  # Ping with token 42
    ("40e122090020", "50e1000022090020"),  # CSM: 2304 bytes, block-wise
    ("0000", "50000000"),  # an empty message
    ("230141b5ff00", None),
    ("c045" + "ff" + "61" * 11, "50450000" + "ff" + "61" * 11),  # 12 bytes
    ("d00045" + "ff" + "61" * 12, "50450000" + "ff" + "61" * 12),  # 13
    ("d0ff45" + "ff" + "61" * 267, "50450000" + "ff" + "61" * 267),  # 268
    ("e0000045" + "ff" + "61" * 268, "50450000" + "ff" + "61" * 268),  # 269
    ("e0ffff45" + "ff" + "61" * 65803, "50450000" + "ff" + "61" * 65803),  # 65804
    ("f00000000045" + "ff" + "61" * 65804, "50450000" + "ff" + "61" * 65804),  # 65805
    ("d8024568" * 1 + "00010203040506" + "ff" + "61" * 14, "58450000" + "6800010203040506" + "ff" + "61" * 14),
]
WHOLE = [(bytes.fromhex(frame), bytes.fromhex(datagram)) for frame, datagram in VECTORS if datagram]


def whole(message):
    """A message, also one in two parts."""
    return message.whole() if isinstance(message, Parted) else message


@pytest.mark.parametrize(("frame", "datagram"), WHOLE, ids=lambda value: value[:6].hex())
def test_frames_and_datagrams(frame, datagram):
    assert frame_of(datagram) == frame
    assert FrameReader(LARGE).feed(frame) == [datagram]
    decode(datagram)


def test_type_and_id_of_a_datagram_do_not_go_into_a_stream():
    assert frame_of(bytes.fromhex("41021234" + "c0" + "b135")) == bytes.fromhex("2102c0b135")


def test_frames_one_after_the_other_come_in_any_pieces():
    stream = b"".join(frame for frame, _ in WHOLE)
    expected = [datagram for _, datagram in WHOLE]
    assert FrameReader(LARGE).feed(stream) == expected
    for size in (1, 2, 3, 7, 1000):
        reader = FrameReader(LARGE)
        found = [each for at in range(0, len(stream), size) for each in reader.feed(stream[at : at + size])]
        assert [whole(each) for each in found] == expected
        assert reader.waiting_bytes == 0


@pytest.mark.parametrize(("frame", "datagram"), WHOLE[:8], ids=lambda value: value[:6].hex())
def test_a_frame_that_is_cut_at_any_byte_waits_for_its_rest(frame, datagram):
    for cut in range(len(frame)):
        reader = FrameReader(LARGE)
        assert reader.feed(frame[:cut]) == []
        assert reader.waiting_bytes == cut
        assert reader.feed(frame[cut:]) == [datagram]


@pytest.mark.parametrize("head", ["09", "0f", "d9"])
def test_a_token_length_that_is_none_ends_the_stream(head):
    with pytest.raises(MessageFormatError):
        FrameReader(LARGE).feed(bytes.fromhex(head))


@pytest.mark.parametrize(
    ("head", "bytes_needed"),
    [("d0", 2), ("e0", 3), ("f0", 5)],
)
def test_a_frame_that_is_too_large_is_refused_by_its_length_alone(head, bytes_needed):
    data = bytes.fromhex(head) + b"\xff" * (bytes_needed - 1)
    reader = FrameReader(200)
    assert reader.feed(data[:-1]) == []
    with pytest.raises(MessageFormatError, match="at most 200"):
        reader.feed(data[-1:])


def test_the_largest_frame_is_taken():
    frame = frame_of(bytes.fromhex("50450000ff") + bytes(100))
    assert len(FrameReader(len(frame)).feed(frame)) == 1
    with pytest.raises(MessageFormatError):
        FrameReader(len(frame) - 1).feed(frame)


@given(st.lists(st.binary(max_size=60), max_size=10), st.integers(20, 400))
def test_any_bytes_in_any_pieces_are_messages_or_refused(pieces, most):
    reader, held = FrameReader(most), 0
    try:
        for piece in pieces:
            for message in reader.feed(piece):
                assert 4 <= len(message) <= most + 3
                assert FrameReader(most).feed(frame_of(message)) == [message]
            held = max(held, reader.waiting_bytes)
    except MessageFormatError:
        pass
    assert held < most


@given(st.binary(max_size=8), st.binary(max_size=2000), st.integers(0, 255))
def test_a_message_comes_back_from_its_frame(token, rest, code):
    datagram = bytes((0x50 | len(token), code, 0, 0)) + token + rest
    assert FrameReader(LARGE).feed(frame_of(datagram)) == [datagram]


# -- large messages

# 2.05 with token 07 and ETag aa, and a payload of 70000 bytes: they are 70003 bytes behind the token, 65805 + 0x1066
HEAD = bytes.fromhex("51450000" + "07" + "41aa")
PAYLOAD = bytes(range(250)) * 280
FRAME = bytes.fromhex("f1" + "00001066" + "45" + "07" + "41aa" + "ff") + PAYLOAD


def fed(reader, stream, size):
    """What a reader finds in a stream, read as a connection does: into the room that is there, or fed."""
    found, at = [], 0
    while at < len(stream):
        room = reader.room
        piece = stream[at : at + size]
        if room is None:
            found += reader.feed(piece)
        else:
            piece = piece[: len(room)]
            room[: len(piece)] = piece
            found += reader.filled(len(piece))
        at += len(piece)
    return found


def test_a_message_in_two_parts_is_framed_as_the_same_in_one():
    parted = Parted.of(HEAD, PAYLOAD)
    assert parted.whole() == HEAD + b"\xff" + PAYLOAD
    assert pieces_of(parted) == (FRAME[:-70000], PAYLOAD)
    assert pieces_of(parted)[1] is PAYLOAD
    assert frame_of(parted) == frame_of(parted.whole()) == FRAME
    assert pieces_of(parted.whole()) == (FRAME,)


@pytest.mark.parametrize("size", [1000, 4096, 65536, 70_000])
def test_a_large_message_comes_in_two_parts_and_what_follows_it_is_read(size):
    reader = FrameReader(LARGE)
    found = fed(reader, FRAME + bytes.fromhex("01437f") + FRAME, size)
    assert [whole(each) for each in found] == [
        HEAD + b"\xff" + PAYLOAD,
        bytes.fromhex("514300007f"),
        HEAD + b"\xff" + PAYLOAD,
    ]
    assert found[0] == HEAD
    assert found[0].payload == PAYLOAD
    assert (reader.waiting_bytes, reader.room) == (0, None)


@pytest.mark.parametrize(
    "body",
    [
        "f0" + "61" * 5000,  # an option that is none
        "d0ff" + "61" * 5000,  # options beyond what is looked at
        "41aa" * 2500,  # options and no payload
    ],
)
def test_a_large_message_without_a_payload_that_could_be_told_comes_as_it_is(body):
    datagram = bytes.fromhex("50450000" + body)
    (found,) = fed(FrameReader(LARGE), frame_of(datagram), 1000)
    assert whole(found) == datagram


def test_a_large_message_waits_wherever_it_is_cut():
    for cut in (*range(30), 4095, 4096, len(FRAME) - 1):
        reader = FrameReader(LARGE)
        assert fed(reader, FRAME[:cut], 1 << 20) == []
        assert reader.waiting_bytes == cut + (0 if reader.room is None else 4 - 6)  # as a datagram: another head
        assert [whole(each) for each in fed(reader, FRAME[cut:], 1 << 20)] == [HEAD + b"\xff" + PAYLOAD]


def test_room_is_for_what_it_was_given_for():
    reader = FrameReader(LARGE)
    with pytest.raises(UsageError):
        reader.filled(1)
    fed(reader, FRAME[:-10], 1 << 20)
    with pytest.raises(UsageError):
        reader.filled(11)


def test_connections_share_memory_for_large_messages_and_keep_one_piece_of_it():
    rooms = Rooms(100_000)
    first, second = FrameReader(LARGE, rooms), FrameReader(LARGE, rooms)
    fed(first, FRAME[:1000], 1000)
    assert rooms.held_bytes == 70_008
    with pytest.raises(MessageFormatError, match="more than 100000 bytes are under way"):
        fed(second, FRAME[:1000], 1000)
    fed(first, FRAME[1000:], 1 << 20)
    assert rooms.held_bytes == 0
    kept = rooms.take(70_000)
    rooms.give_back(kept)
    assert rooms.take(5000) is kept
    rooms.give_back(kept)
    rooms.give_back(bytearray(0))
    third = FrameReader(LARGE, rooms)
    fed(third, FRAME[:1000], 1000)
    third.close()
    third.close()
    assert rooms.held_bytes == 0
    assert rooms.take(70_000) is kept
