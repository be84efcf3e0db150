import pytest

from lwm2m_fota.content.link import MAX_LINKS, Link, format_links, parse_links
from lwm2m_fota.errors import ContentError, UsageError

REGISTRATION = b'</>;rt="oma.lwm2m";ct=112,</1/0>,</5>;ver=1.1,</5/0>'
LINKS = (
    Link("/", (("rt", "oma.lwm2m"), ("ct", "112"))),
    Link("/1/0"),
    Link("/5", (("ver", "1.1"),)),
    Link("/5/0"),
)


def test_a_registration_both_ways():
    assert parse_links(REGISTRATION) == LINKS
    assert format_links(LINKS) == REGISTRATION


def test_nothing():
    assert parse_links(b"") == ()
    assert format_links([]) == b""


@pytest.mark.parametrize(
    ("payload", "links"),
    [
        (b'</5>;ver="1.1"', (Link("/5", (("ver", "1.1"),)),)),
        (b"</5>;ver=1.1", (Link("/5", (("ver", "1.1"),)),)),
        (b"</>;rt=oma.lwm2m;hb", (Link("/", (("rt", "oma.lwm2m"), ("hb", None))),)),
        (b"</1/0>, </3/0>\t,</5/0> ; pmin=10", (Link("/1/0"), Link("/3/0"), Link("/5/0", (("pmin", "10"),)))),
        (b'</>;ct="0 112";x="a\\"b\\\\c,;<>"', (Link("/", (("ct", "0 112"), ("x", 'a"b\\c,;<>'))),)),
        (b'</a>;x="";y=""', (Link("/a", (("x", ""), ("y", ""))),)),
        ("</ü>;title*=UTF-8''a;t=\"ü\"".encode(), (Link("/ü", (("title*", "UTF-8''a"), ("t", "ü"))),)),
        (b"<>;anchor=/a:b?c=d", (Link("", (("anchor", "/a:b?c=d"),)),)),
        (b"</5/0/3>;gt=-1.5;lt=3", (Link("/5/0/3", (("gt", "-1.5"), ("lt", "3"))),)),
    ],
)
def test_links_are_read(payload, links):
    assert parse_links(payload) == links


@pytest.mark.parametrize(
    "payload",
    [
        b"/5", b"<", b"</5", b"</5>,", b",</5>", b"</5>,,</3>", b"</5></3>", b"</5>;", b"</5>;;a", b"</5>;=1",
        b"</5>;a=", b'</5>;a="', b'</5>;a="b', b'</5>;a="b"c', b'</5>;a=b"c"', b"</5>;a=b c", b"</5> ",
        b" </5>", b"</5>\n,</3>", b"</5 >", b"</\x00>", b'</">', b"<</5>>", b"\xff", b"</5>;\xc3\xbc=1",
        b"</5>;a=\xc3\xbc", b"</5>;a=<b>", b"</5>;a= b", b"</5>;a =b",
    ],
)  # fmt: skip
def test_what_is_not_link_format(payload):
    with pytest.raises(ContentError):
        parse_links(payload)


def test_the_number_of_links_is_bounded():
    assert len(parse_links(b",".join([b"</>"] * MAX_LINKS))) == MAX_LINKS
    with pytest.raises(ContentError, match="more than"):
        parse_links(b",".join([b"</>"] * (MAX_LINKS + 1)))


def test_attributes_by_name():
    link = Link("/5", (("ver", "1.1"), ("ver", "1.2"), ("obs", None)))
    assert link.attribute("ver") == "1.1"
    assert link.attribute("obs") is None
    assert link.attribute("ct") is None


@pytest.mark.parametrize(
    ("link", "payload"),
    [
        (Link("/5", (("obs", None),)), b"</5>;obs"),
        (Link("/5", (("x", ""),)), b'</5>;x=""'),
        (Link("/5", (("x", 'a"\\'),)), b'</5>;x="a\\"\\\\"'),
        (Link("/5", (("gt", "-1.5"),)), b"</5>;gt=-1.5"),
        (Link("/5", (("uri", "coap://h:1"),)), b'</5>;uri="coap://h:1"'),
    ],
)
def test_links_are_written(link, payload):
    assert format_links([link]) == payload
    assert parse_links(payload) == (link,)


@pytest.mark.parametrize(
    "link",
    [
        Link("/a>"),
        Link("/a b"),
        Link("/\ud800"),
        Link("/5", (("a b", None),)),
        Link("/5", (("", "1"),)),
        Link("/5", (("a", "\ud800"),)),
    ],
)
def test_what_cannot_be_written(link):
    with pytest.raises(UsageError):
        format_links([link])
