import pytest

from lwm2m_fota.content.execute import format_arguments, parse_arguments
from lwm2m_fota.errors import ContentError, UsageError


@pytest.mark.parametrize(
    ("payload", "arguments"),
    [
        (b"", ()),
        (b"0", ((0, None),)),
        (b"0=''", ((0, ""),)),
        (b"0='</33629/1>,</33629/2>'", ((0, "</33629/1>,</33629/2>"),)),
        (b"9,0='=',5='a,b'", ((9, None), (0, "="), (5, "a,b"))),
        (b"1='!#&([]~'", ((1, "!#&([]~"),)),
    ],
)
def test_arguments_both_ways(payload, arguments):
    assert parse_arguments(payload) == arguments
    assert format_arguments(arguments) == payload


@pytest.mark.parametrize(
    "payload",
    [
        b",", b"0,", b",0", b"0,,1", b"a", b"10", b"0=", b"0='", b"0='a", b"0=a", b"0=</33629/1>", b"0 ", b" 0",
        b"0='a b'", b"0='\"'", b"0='\\'", b"0='a'b'", b"0='\x7f'", b"0='\xc3\xbc'", b"0='\x00'", b"0='a'1",
        b"0,0", b"0,1,0='a'", b"0\n", b"\xb2",
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar(payload):
    with pytest.raises(ContentError):
        parse_arguments(payload)


@pytest.mark.parametrize(
    "arguments",
    [((10, None),), ((-1, None),), ((0, "a b"),), ((0, "'"),), ((0, "ü"),), ((0, None), (0, "")), ((0, "1',2='"),)],
)
def test_what_would_not_be_read_back(arguments):
    with pytest.raises(UsageError):
        format_arguments(arguments)
