"""The JSON of LwM2M 1.0, as devices of that time send it."""

import pytest

from lwm2m_fota.content import oma_json
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

DEFINITIONS = standard_definitions()


def read(text, base):
    entries = oma_json.decode(text.encode(), Path.parse(base), DEFINITIONS)
    return [(str(path), value) for path, value in entries]


@pytest.mark.parametrize(
    ("base", "text", "found"),
    [
        ("/5/0/3", '{"e":[{"v":2}]}', [("/5/0/3", 2)]),
        ("/5/0/3", '{"bn":"/5/0/3","e":[{"n":"","v":2}]}', [("/5/0/3", 2)]),
        ("/5/0", '{"bn":"/5/0/","e":[{"n":"3","v":2},{"n":"5","v":0}]}', [("/5/0/3", 2), ("/5/0/5", 0)]),
        ("/5/0", '{"e":[{"n":"3","v":2},{"n":"1","sv":"coap://h"}]}', [("/5/0/3", 2), ("/5/0/1", "coap://h")]),
        ("/5/0", '{"bn":"/5/0","e":[{"n":"/14","bv":true}]}', [("/5/0/14", True)]),
        ("/5/0/8", '{"bn":"/5/0/8/","e":[{"n":"0","v":1},{"n":"1","v":5}]}', [("/5/0/8/0", 1), ("/5/0/8/1", 5)]),
        ("/5/0/8", '{"e":[{"n":"0","v":1}]}', [("/5/0/8/0", 1)]),
        ("/33629/0", '{"e":[{"n":"16/0","ov":"33629:1"}]}', [("/33629/0/16/0", ObjectLink(33629, 1))]),
        ("/5/0/0", '{"e":[{"sv":"3q2+7w=="}]}', [("/5/0/0", b"\xde\xad\xbe\xef")]),
        ("/5/0/12", '{"e":[{"v":1700000000}]}', [("/5/0/12", 1_700_000_000)]),
        ("/5/0/3", '{"bt":25,"e":[{"v":1,"t":-5},{"v":2,"t":0}]}', [("/5/0/3", 2)]),
        ("/5/0/3", '{"bn":"/5/0/3","bt":25,"e":[{"v":1,"t":-5},{"v":2,"t":-10}]}', [("/5/0/3", 1)]),
        ("/5/0", '{"e":[]}', []),
        ("/", '{"e":[]}', []),
    ],
)
def test_what_is_read(base, text, found):
    assert read(text, base) == found


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "5",
        '{"e":{}}',
        '{"e":[5]}',
        '{"e":[{"n":"3"}]}',
        '{"e":[{"n":"3","v":"2"}]}',
        '{"e":[{"n":"3","v":2,"sv":"2"}]}',
        '{"e":[{"n":"3","vs":"2"}]}',
        '{"e":[{"n":"14","bv":1}]}',
        '{"e":[{"n":"16/0","ov":"x"}]}',
        '{"e":[{"n":"0","sv":"!"}]}',
        '{"e":[{"n":3,"v":1}]}',
        '{"bn":5,"e":[{"n":"3","v":1}]}',
        '{"bn":"/5/1/","e":[{"n":"3","v":1}]}',
        '{"e":[{"n":"3","v":1},{"n":"3","v":1}]}',
        '{"e":[{"n":"3","v":1}]} x',
        '{"e":[{"n":"3","v":1}]',
    ],
)
def test_what_is_refused(text):
    with pytest.raises(ContentError):
        read(text, "/5/0")
