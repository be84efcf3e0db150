"""Frames in a stream, by hand from RFC 8323 section 3.2: whole, byte by byte, together, and cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.message import decode
from lwm2m_fota.coap.stream_frames import FrameReader, frame_of
from lwm2m_fota.errors import MessageFormatError

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
        assert found == expected
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
