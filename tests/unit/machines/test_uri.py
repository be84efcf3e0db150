"""A Package URI by its text: 7 is invalid, 9 is an unsupported scheme."""

import pytest

from lwm2m_fota.machines.uri import authority_of, host_of, judge_uri

SCHEMES = frozenset({"coap", "https"})


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("coap://host.example/fw", "host.example"),
        ("COAP://Host.Example", "host.example"),
        ("https://user:pw@host:8443/a/b?c=d#e", "host"),
        ("coap://[2001:db8::1]:5683/fw", "2001:db8::1"),
        ("coap://192.0.2.1:/fw", "192.0.2.1"),
        ("coap://host?fw", "host"),
        ("coap://host:65535/%20", "host"),
        ("coap://h/" + "a" * 246, "h"),
    ],
)
def test_usable(uri, host):
    assert judge_uri(uri, SCHEMES) is None
    assert host_of(uri) == host


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "host/fw",
            "coap:fw",
            "coap:/fw",
            "coap://",
            "coap:///fw",
            "coap://:5683/fw",
            "1coap://host/",
            "://host/",
        ),
        *("coap://host:65536/", "coap://host:123456/", "coap://host:x/", "coap://[::1/fw", "coap://ho st/fw"),
        *(
            "coap://host/f w",
            "coap://host/fw\n",
            "coap://höst/fw",
            "coap://host/\x00",
            "coap://host/\u0661",
            " coap://h/",
        ),
        *("coap://host:\u0661/", "coap://h/" + "a" * 247),
    ],
)
def test_invalid(uri):
    assert judge_uri(uri, SCHEMES) == 7
    assert host_of(uri) == ""


@pytest.mark.parametrize("uri", ["http://host/fw", "coaps://host/fw", "coap+tcp://host/fw", "x-y.z+1://host"])
def test_unsupported(uri):
    assert judge_uri(uri, SCHEMES) == 9


def test_the_parts_of_an_authority():
    assert authority_of("coaps+tcp://Host.Example:5684/a?b#c") == ("coaps+tcp", "host.example", 5684)
    assert authority_of(f"HTTPS://[::1]/{'a' * 400}") == ("https", "[::1]", None)
    assert authority_of("coap://user@host:/") == ("coap", "host", None)
    for uri in ("", "host", "coap://", "coap:host", "http://evil\\@host/"):
        assert authority_of(uri) is None
