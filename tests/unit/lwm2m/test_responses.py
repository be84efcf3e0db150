"""Errors as responses."""

import pytest

from lwm2m_fota.errors import (
    BlockwiseError,
    BusyError,
    ContentError,
    IntegrityError,
    NotAcceptableError,
    PeerTimeoutError,
    RefusedError,
    StorageFullError,
    UnsupportedContentFormatError,
    UsageError,
)
from lwm2m_fota.lwm2m.responses import MAX_DIAGNOSTIC_BYTES, diagnostic_payload, error_response


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("x"), 0x85),
        (RefusedError("x", code=0x84), 0x84),
        (ContentError("x"), 0x80),
        (UnsupportedContentFormatError("x"), 0x8F),
        (NotAcceptableError("x"), 0x86),
        (BlockwiseError("x"), 0x88),
        (IntegrityError("x"), 0x80),
        (StorageFullError("x"), 0x8D),
        (UsageError("x"), 0xA0),
        (PeerTimeoutError("x"), 0xA0),
    ],
)
def test_the_code_is_that_of_the_error(error, code):
    response = error_response(error)
    assert (response.code, response.options, response.payload) == (code, (), b"x")


def test_too_large_tells_what_would_be_taken():
    response = error_response(BlockwiseError("x", code=0x8D, size1=65536))
    assert response.options == ((60, b"\x01\x00\x00"),)
    assert error_response(BlockwiseError("x", code=0x8D, size1=0)).options == ((60, b""),)


@pytest.mark.parametrize(("wait_s", "max_age"), [(0.0, b"\x01"), (0.2, b"\x01"), (30.0, b"\x1e"), (255.1, b"\x01\x00")])
def test_where_there_is_no_room_the_peer_is_told_when_to_come_back(wait_s, max_age):
    response = error_response(BusyError("x", retry_after_s=wait_s))
    assert (response.code, response.options, response.payload) == (0xA3, ((14, max_age),), b"x")


def test_whoever_is_to_come_back_later_is_told_when():
    """Also where nobody knows better than what Max-Age is without the option (RFC 7252 section 5.10.5)."""
    assert error_response(RefusedError("x", code=0xA3)).options == ((14, b"\x3c"),)
    assert error_response(RefusedError("x")).options == ()


def test_the_line_for_people_is_bounded_and_cut_between_characters():
    assert MAX_DIAGNOSTIC_BYTES == 256
    assert diagnostic_payload("x" * 256) == b"x" * 256
    assert diagnostic_payload("x" * 257) == b"x" * 256
    assert diagnostic_payload("x" * 255 + "é") == b"x" * 255
    assert diagnostic_payload("é" * 128) == "é".encode() * 128


def test_the_line_for_people_is_utf_8_whatever_it_was():
    assert diagnostic_payload("a\ud800b") == b"a?b"
