import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import pack_block
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of, values_left
from lwm2m_fota.errors import MessageFormatError


def test_v1_is_its_template_with_a_block():
    options = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"), (60, b"\xc8"))
    template = BlockTemplate(options, 27, payload=True)
    assert head_of(0, 3, 1).hex() == "4103"
    assert template.encode(0x0A).hex() == "b13501300130112ad1020ad114c8ff"


@given(
    st.lists(st.tuples(st.integers(1, 400), st.binary(max_size=20)), max_size=5),
    st.sampled_from([23, 27]),
    st.integers(0, 0xFFFFF),
    st.booleans(),
    st.integers(0, 6),
    st.booleans(),
)
def test_the_bytes_are_those_of_the_codec(options, number, num, more, szx, payload):
    options = sort_options([option for option in options if option[0] != number])
    value = num << 4 | more << 3 | szx
    whole = sort_options((*options, (number, pack_block(num, more, szx))))
    data = encode(Message(0, 1, 0, b"", whole, b"x" if payload else b""))
    template = BlockTemplate((*options[:1], *options[1:]), number, payload=payload)
    assert template.encode(value) == (data[4:-1] if payload else data[4:])
    assert decode(head_of(0, 1, 0) + bytes(2) + template.encode(value) + (b"x" if payload else b"")).options == whole


def test_the_block_option_itself_is_left_out():
    assert BlockTemplate(((11, b"a"), (23, b"\x06"), (28, b"")), 23, payload=False).encode(0x16).hex() == "b161c11650"


def test_options_out_of_order_are_refused():
    with pytest.raises(MessageFormatError):
        BlockTemplate(((12, b""), (11, b"")), 23, payload=False)


def test_tokens_count_up_and_wrap():
    tokens = TokenRun(bytes.fromhex("fffe"))
    assert tokens.size_bytes == 2
    assert [tokens.take().hex() for _ in range(4)] == ["fffe", "ffff", "0000", "0001"]


def test_a_run_of_tokens_ends_before_they_wrap():
    tokens = TokenRun(bytes.fromhex("fd"))
    assert tokens.left == 3
    assert tokens.take_run(3).hex() == "fd"
    assert (tokens.left, tokens.take().hex()) == (256, "00")


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (0, 1),
        (0x10, 15),
        (0x16, 15),
        (0x1E, 15),
        (0xF6, 1),
        (0x100, 4080),
        (0xFFFE, 1),
        (0x10006, 1044480),
        (0xFFFFF6, 1),
    ],
)
def test_how_many_values_follow_in_the_same_length(value, left):
    assert values_left(value) == left
    assert len({(value + 16 * number).bit_length() + 7 >> 3 for number in range(left)}) == 1
    assert (value + 16 * left).bit_length() + 7 >> 3 > value.bit_length() + 7 >> 3


def test_messages_that_follow_one_another():
    template = BlockTemplate(((11, b"fw"), (23, b""), (28, b"\x20")), 23, payload=True)
    messages = template.messages(head_of(0, 1, 2), 0x1234, bytes.fromhex("aa01"), 0x16, 3)
    assert list(messages) == [
        bytes.fromhex("4201 1234 aa01 b26677 c116 5120 ff"),
        bytes.fromhex("4201 1235 aa02 b26677 c126 5120 ff"),
        bytes.fromhex("4201 1236 aa03 b26677 c136 5120 ff"),
    ]


def test_options_that_follow_one_another():
    template = BlockTemplate(((4, b"\x01"), (23, b"")), 23, payload=True)
    assert [each.hex() for each in template.options(0xEE, 2)] == ["4101d106eeff", "4101d106feff"]
