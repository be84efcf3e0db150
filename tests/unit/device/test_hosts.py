"""Where packages come from: which hosts an allow-list means, and which it does not."""

import pytest

from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.errors import HostNotAllowedError, UriError, UsageError


def is_allowed(hosts, uri):
    try:
        AllowedHosts(hosts).check(uri)
    except HostNotAllowedError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "uri"),
    [
        ("packages.example", "coap://packages.example/fw"),
        ("packages.example", "https://PACKAGES.example:8443/fw?a=b"),
        ("Packages.Example", "coaps+tcp://packages.example"),
        ("packages.example:5683", "coap://packages.example/fw"),  # the port of the scheme
        ("packages.example:5684", "coaps+tcp://packages.example:5684/fw"),
        ("packages.example:80", "http://packages.example/"),
        ("packages.example:443", "https://packages.example/"),
        ("10.0.0.1", "coap://10.0.0.1:5690/fw"),
        ("2001:db8::1", "coap://[2001:DB8:0::1]/fw"),
        ("[2001:db8::1]", "coap://[2001:db8::1]:99/fw"),
        ("[2001:db8:0::1]:99", "coap://[2001:db8::1]:99/fw"),
        ("packages.example:443", "https://packages.example:0443/"),
        ("192.0.2.1", "coap://[::ffff:192.0.2.1]/fw"),
        ("192.0.2.1:80", "http://[::FFFF:c000:201]/fw"),
        ("[::ffff:192.0.2.1]", "coap://192.0.2.1/fw"),
        ("7.updates_1.example.", "coap://7.updates_1.example./fw"),
        ("packages.example", f"https://packages.example/{'a' * 400}"),  # a redirect may be long
    ],
)
def test_a_host_that_is_allowed(host, uri):
    assert is_allowed([host], uri)
    assert is_allowed(["other.example", host], uri)
    assert not is_allowed(["other.example"], uri)
    assert not is_allowed([], uri)


@pytest.mark.parametrize(
    ("host", "uri"),
    [
        ("packages.example", "coap://example/fw"),
        ("example", "coap://packages.example/fw"),
        ("packages.example", "coap://packages.example.evil.test/fw"),
        ("packages.example", "coap://evil.test/packages.example"),
        ("packages.example", "coap://packages.example@evil.test/fw"),
        ("packages.example", "coap://packages.example:x@evil.test/fw"),
        ("packages.example", "coap://evil.test?packages.example"),
        ("packages.example", "coap://evil.test#@packages.example/"),
        ("packages.example", "http://evil.test\\@packages.example/"),
        ("packages.example", "coap://packages.example./fw"),
        ("packages.example", "coap://%70ackages.example/fw"),
        ("packages.example:5683", "coap://packages.example:5684/fw"),
        ("packages.example:5683", "coaps://packages.example/fw"),
        ("packages.example:443", "https://packages.example:0/"),
        ("packages.example:1", "gopher://packages.example/fw"),
        ("10.0.0.1", "coap://10.0.0.10/fw"),
        ("10.0.0.1", "http://167772161/fw"),
        ("127.0.0.1", "http://localhost/fw"),
        ("192.0.2.1", "coap://[::192.0.2.1]/fw"),
        ("192.0.2.1", "coap://192.0.513/fw"),
        ("192.0.2.1", "coap://192.0.2.01/fw"),
        ("192.0.2.1", "coap://0xc0.0.2.1/fw"),
        ("fe80::1", "coap://[fe80::1%25eth0]/fw"),
        ("::1", "coap://[::2]/fw"),
        ("packages.example", "packages.example"),
        ("packages.example", "file:///packages.example"),
        ("packages.example", ""),
        ("packages.example", "#app"),
    ],
)
def test_a_host_that_is_not(host, uri):
    assert not is_allowed([host], uri)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "coap://host",
        "host:",
        "host:0",
        "host:65536",
        "host:port",
        "a b",
        "*.example",
        "user@host",
        "[host]:1",
        "[abc]",
        "[abc]:80",
        "a:b:c",
        "::12345",
        "fe80::1%eth0",
        "10.0.0.256",
        "10.0.0",
        "010.0.0.1",
        "1",
        "packages..example",
        ".example",
        ".",
        "h\u00f6st.example",
        "host:\u0661",
        "host\n",
        "host/fw",
    ],
)
def test_what_names_no_host(text):
    with pytest.raises(UsageError, match="is no HOST or HOST:PORT"):
        AllowedHosts([text])


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("coap://Host.example/fw?secret", "host.example is allowed, but not at port 5683"),
        ("https://host.example:8443/", "host.example is allowed, but not at port 8443"),
        ("gopher://host.example/", "host.example is allowed, but not at any port"),
        ("http://[2001:db8::1]/", "[2001:db8::1] is allowed, but not at port 80"),
        ("http://other.example:81/", "other.example is not among the allowed hosts"),
        ("/fw", "a URI that names no host leads to none that is allowed"),
    ],
)
def test_the_diagnosis_names_what_is_wrong(uri, words):
    with pytest.raises(HostNotAllowedError) as caught:
        AllowedHosts(["host.example:1", "host.example:2", "[2001:db8:0::1]:1"]).check(uri)
    assert str(caught.value) == words


def test_several_texts_are_asked_for():
    with pytest.raises(UsageError, match="several texts"):
        AllowedHosts("host")


def test_the_host_of_a_server():
    hosts = AllowedHosts.of_server("coaps://lwm2m.example:5684")
    hosts.check("https://lwm2m.example/fw")
    with pytest.raises(UriError, match=r"other\.example is not among the allowed hosts") as caught:
        hosts.check("coaps://other.example/fw")
    assert caught.value.result == 7
    assert hosts == AllowedHosts(["LWM2M.example"])
    AllowedHosts.of_server("coap://[::1]:5683").check("coap://[::1]/fw")
    with pytest.raises(UsageError, match="names no host"):
        AllowedHosts.of_server("lwm2m.example")
