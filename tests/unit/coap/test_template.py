import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import pack_block
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of
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
