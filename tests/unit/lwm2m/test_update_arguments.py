"""The argument of Update on Object 33629 (SPEC 4.2)."""

import pytest

from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.lwm2m.update_arguments import format_update, parse_update

GOOD = [
    (b"", None),
    (b"0", ()),
    (b"0=''", ()),
    (b"0='</33629/1>'", (1,)),
    (b"0='</33629/1>,</33629/2>'", (1, 2)),
    (b"0='</33629/2>,</33629/0>,</33629/2>'", (2, 0, 2)),
]


@pytest.mark.parametrize(("payload", "others"), GOOD)
@pytest.mark.parametrize("accept", [False, True])
def test_read(payload, others, accept):
    assert parse_update(payload, accept_unquoted=accept) == others


@pytest.mark.parametrize(
    "payload",
    [
        b"1",
        b"1='</33629/1>'",
        b"0,1",
        b"00",
        b"0,",
        b"x",
        b"\xff",
        b"0='</5/0>'",
        b"0='</33629>'",
        b"0='</33629/1/2>'",
        b"0='</33629/x>'",
        b"0='</33629/01>'",
        b"0='</33629/65535>'",
        b"0='<33629/1>'",
        b"0='</33629/1>;x'",
        b"0='</33629/1>,'",
        b"0='</33629/1>, </33629/2>'",
        b"0='33629:1'",
        b"0='</33629/1>',",
    ],
)
@pytest.mark.parametrize("accept", [False, True])
def test_what_is_refused(payload, accept):
    with pytest.raises(ContentError):
        parse_update(payload, accept_unquoted=accept)


@pytest.mark.parametrize(("payload", "others"), [(b"0=</33629/1>,</33629/2>", (1, 2)), (b"0=</33629/1>", (1,))])
def test_list_without_quotes_is_a_choice(payload, others):
    assert parse_update(payload, accept_unquoted=True) == others
    with pytest.raises(ContentError):
        parse_update(payload)


@pytest.mark.parametrize("payload", [b"0=<", b"0=</5/0>", b"0=</33629/1>,", b"0=</33629/1>'"])
def test_list_without_quotes_that_is_none(payload):
    with pytest.raises(ContentError):
        parse_update(payload, accept_unquoted=True)


@pytest.mark.parametrize(
    ("others", "payload"),
    [(None, b""), ((), b"0"), ((1,), b"0='</33629/1>'"), ((2, 1), b"0='</33629/2>,</33629/1>'")],
)
def test_written_with_quotes(others, payload):
    assert format_update(others) == payload
    assert parse_update(payload) == others


@pytest.mark.parametrize("others", [("a b",), ("<",)])
def test_what_cannot_be_written(others):
    with pytest.raises(UsageError):
        format_update(others)
