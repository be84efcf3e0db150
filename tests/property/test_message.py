from hypothesis import example, given
from hypothesis import strategies as st

from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.errors import MessageFormatError

options = st.lists(
    st.tuples(st.integers(0, 65535), st.binary(max_size=300)),
    max_size=6,
).map(sort_options)
messages = st.builds(
    Message,
    st.integers(0, 3),
    st.integers(1, 255),
    st.integers(0, 65535),
    st.binary(max_size=8),
    options,
    st.binary(max_size=64),
    blocks=st.just(1),  # not a part of the datagram
)


@given(messages)
def test_decode_undoes_encode(message):
    assert decode(encode(message)) == message


@given(st.binary(max_size=80))
@example(b"\x40\x01\x00\x01\xff")
def test_random_bytes_are_a_message_or_our_error(data):
    try:
        message = decode(data)
    except MessageFormatError:
        return
    assert decode(encode(message)) == message
    assert str(message)


@given(messages, st.data())
def test_damaged_messages_are_a_message_or_our_error(message, data):
    wire = bytearray(encode(message))
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(wire))
    except MessageFormatError as error:
        assert error.code == 0x80  # noqa: PT017 - either outcome is right


@given(st.integers(0, 2**64))
def test_uints_are_minimal(value):
    packed = pack_uint(value)
    assert int.from_bytes(packed, "big") == value
    assert not packed.startswith(b"\0")
