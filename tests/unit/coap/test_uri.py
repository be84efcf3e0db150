import pytest

from lwm2m_fota.coap.uri import CoapUri, check_uri_length, parse_uri, scheme_of, shown
from lwm2m_fota.errors import InvalidUriError, UnsupportedProtocolError


@pytest.mark.parametrize(
    ("text", "parts", "again"),
    [
        ("coap://h", ("coap", "h", 5683, (), ()), "coap://h"),
        ("coap://h/", ("coap", "h", 5683, (), ()), "coap://h"),
        ("coap://h:/fw", ("coap", "h", 5683, ("fw",), ()), "coap://h/fw"),
        ("COAP://Files.Example:5683/fw", ("coap", "files.example", 5683, ("fw",), ()), "coap://files.example/fw"),
        ("coaps://h/a/b", ("coaps", "h", 5684, ("a", "b"), ()), "coaps://h/a/b"),
        ("coaps://h:5683/a", ("coaps", "h", 5683, ("a",), ()), "coaps://h:5683/a"),
        ("coap+tcp://h/a", ("coap+tcp", "h", 5683, ("a",), ()), "coap+tcp://h/a"),
        ("coaps+tcp://h/a", ("coaps+tcp", "h", 5684, ("a",), ()), "coaps+tcp://h/a"),
        ("coap://192.0.2.1:1/a", ("coap", "192.0.2.1", 1, ("a",), ()), "coap://192.0.2.1:1/a"),
        ("coap://[2001:DB8:0::1]/a", ("coap", "2001:db8::1", 5683, ("a",), ()), "coap://[2001:db8::1]/a"),
        ("coaps://[::1]:65535", ("coaps", "::1", 65535, (), ()), "coaps://[::1]:65535"),
        ("coap://h/a/", ("coap", "h", 5683, ("a", ""), ()), "coap://h/a/"),
        ("coap://h//", ("coap", "h", 5683, ("", ""), ()), "coap://h//"),
        ("coap://h?a=1&b", ("coap", "h", 5683, (), ("a=1", "b")), "coap://h?a=1&b"),
        ("coap://h/?", ("coap", "h", 5683, (), ("",)), "coap://h?"),
        ("coap://h/%7Efw%2Fx%C3%BC", ("coap", "h", 5683, ("~fw/x\u00fc",), ()), "coap://h/~fw%2Fx%C3%BC"),
        ("coap://h/a?x=%26/?:@", ("coap", "h", 5683, ("a",), ("x=&/?:@",)), "coap://h/a?x=%26/?:@"),
        ("coap://h/a+b;v=1,2", ("coap", "h", 5683, ("a+b;v=1,2",), ()), "coap://h/a+b;v=1,2"),
        ("coap://%48%C3%9C/", ("coap", "h\u00fc", 5683, (), ()), "coap://h%C3%BC"),
    ],
)
def test_reading_and_writing(text, parts, again):
    uri = parse_uri(text)
    assert (uri.scheme, uri.host, uri.port, uri.path, uri.query) == parts
    assert str(uri) == again
    assert parse_uri(again) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fw.bin",
        "/fw.bin",
        "//h/fw",
        "1coap://h",
        "coap:",
        "coap:h/fw",
        "coap://",
        "coap:///fw",
        "coap://:5683/fw",
        "coap://h/fw#part",
        "coap://h/fw#",
        "coap://user@h/fw",
        "coap://@h/fw",
        "coap://user@/fw",
        "coap://a@b@c/",
        "coap://h:0/",
        "coap://h:65536/",
        "coap://h:123456/",
        "coap://h:12a/",
        "coap://h:-1/",
        "coap://h:1:2/",
        "coap://::1/",
        "coap://[::1/",
        "coap://[::1]x/",
        "coap://[]/",
        "coap://[:::]/",
        "coap://[192.0.2.1]/",
        "coap://[fe80::1%25eth0]/",
        "coap://[v1.x]/",
        "coap://h/a b",
        "coap://h/a\n",
        "coap://h/\u00fc",
        "coap://h/%",
        "coap://h/%2",
        "coap://h/%zz",
        "coap://h/%ff",
        "coap://h/[a]",
        "coap://h?%ff",
        "coap://%ff/",
        "coap://a%3Ab/",
        "coap://a%2Fb/",
        "coap://a%00/",
        "coap://%20/",
        "coap://h/a/../b",
        "coap://h/./b",
        "coap://h/%2e%2E/b",
        "coap://h/<a>",
        "coap://" + "h" * 256,
        "coap://h/" + "a" * 256,
        "coap://h?" + "a" * 256,
        "coap://h/\ud800",
    ],
)
def test_uris_that_cannot_be_fetched(text):
    with pytest.raises(InvalidUriError) as caught:
        parse_uri(text)
    assert caught.value.result == 7
    assert caught.value.code == 0x80


@pytest.mark.parametrize("text", ["http://h/fw", "https://h/fw#x", "ftp://u@h/fw", "urn:x:y", "coap+ws://h/", "a:"])
def test_other_schemes(text):
    with pytest.raises(UnsupportedProtocolError) as caught:
        parse_uri(text)
    assert caught.value.result == 9


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("HTTP://h/fw", "http"),
        ("https://user:x@h:8443/fw?a#b", "https"),
        ("coaps+tcp://[::1]/", "coaps+tcp"),
        ("file:///fw", "file"),
        ("urn:oma:lwm2m:oma:5", "urn"),
        ("x-1.y+z:", "x-1.y+z"),
    ],
)
def test_schemes(text, scheme):
    assert scheme_of(text) == scheme


@pytest.mark.parametrize(
    "text", ["", "http", "http:", "http:/h/fw", "http:///fw", "https://u@/", "http://h:x/", "ftp://[z]/", "h/a b:"]
)
def test_no_scheme_without_a_uri(text):
    with pytest.raises(InvalidUriError):
        scheme_of(text)


def test_the_longest_parts():
    uri = parse_uri("coap://" + "h" * 255 + "/" + "a" * 255 + "?" + "b" * 255)
    assert (len(uri.host), len(uri.path[0]), len(uri.query[0])) == (255, 255, 255)


def test_the_length_of_a_package_uri():
    check_uri_length("coap://h/" + "a" * 246)
    with pytest.raises(InvalidUriError):
        check_uri_length("coap://h/" + "a" * 247)
    with pytest.raises(InvalidUriError):
        check_uri_length("\u00fc" * 128)
    with pytest.raises(InvalidUriError):
        check_uri_length("\ud800", max_bytes=2)
    check_uri_length("12345", max_bytes=5)


def test_a_name_goes_along_as_uri_host():
    options = parse_uri("coap://files.example:7000/fw/\u0041?v=1&w").request_options()
    assert options == ((3, b"files.example"), (11, b"fw"), (11, b"A"), (15, b"v=1"), (15, b"w"))


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]"])
def test_an_address_goes_along_only_on_demand(host):
    uri = parse_uri(f"coap://{host}/fw")
    assert uri.is_address
    assert uri.request_options() == ((11, b"fw"),)
    assert uri.request_options(literal_host=True) == ((3, host.strip("[]").encode()), (11, b"fw"))


def test_something_like_an_address_is_a_name():
    assert not parse_uri("coap://192.0.2/").is_address
    assert not parse_uri("coap://1.2.3.256/").is_address


@pytest.mark.parametrize(
    ("scheme", "secure", "stream"),
    [("coap", False, False), ("coaps", True, False), ("coap+tcp", False, True), ("coaps+tcp", True, True)],
)
def test_what_a_scheme_means(scheme, secure, stream):
    uri = CoapUri(scheme, "h", 1)
    assert uri.is_secure is secure
    assert uri.is_stream is stream


@pytest.mark.parametrize(
    ("host", "port", "path"),
    [("", 1, ()), ("h", 0, ()), ("h", 65536, ()), ("h", 1, ("",)), ("fe80::1%eth0", 1, ()), ("a:b", 1, ())],
)
def test_parts_that_make_no_uri(host, port, path):
    with pytest.raises(InvalidUriError):
        CoapUri("coap", host, port, path)
    with pytest.raises(UnsupportedProtocolError):
        CoapUri("http", host, port, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("coap://h/fw/secret", "coap://h"),
        ("coaps://user:secret@[2001:db8::1]:7/fw?key=secret", "coaps://[2001:db8::1]:7"),
        ("https://secret@at@h:1?secret", "https://h:1"),
        ("https://h#secret", "https://h"),
        ("urn:secret", "a URI"),
        ("", "a URI"),
    ],
)
def test_what_is_said_of_a_uri_is_no_secret(text, said):
    assert shown(text) == said
