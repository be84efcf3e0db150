"""Packages over HTTP from an origin that answers anything at all: resumed, begun anew, or ended with an error of ours."""

import asyncio
import inspect
import logging
import socket
import ssl

import httpx
import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.keyring import Origin as CredentialOrigin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.device.pull import Pull
from lwm2m_fota.errors import (
    InvalidUriError,
    MissingCredentialError,
    ResponseError,
    StorageFullError,
    TransportError,
    UnsupportedProtocolError,
)
from lwm2m_fota.machines.download import DownloadPolicy
from lwm2m_fota.transport.tls import server_context
from lwm2m_fota.web.fetcher import HttpFetcher, HttpLimits

DATA = bytes(number * 7 % 251 for number in range(200_000))
TAG, FIELD = b"v1", '"v1"'
QUICK = HttpLimits(connect_s=1.0, silence_s=0.2)


def fetch(web, *answers, sink=None, offset=0, etag=None, path="/fw", fetcher=None):
    """Fetch once: the sink, the requests, and the error if there was one."""

    async def main():
        nonlocal sink
        sink = sink or web.Sink(DATA[:offset])
        async with web.Origin(*answers) as origin:
            try:
                await (fetcher or HttpFetcher(limits=QUICK)).fetch(origin.uri(path), sink, offset=offset, etag=etag)
            except Exception as error:  # noqa: BLE001 - looked at below
                return sink, origin.asked, error
            return sink, origin.asked, None

    return web.run(main())


# -- from the beginning


def test_a_package_comes_in_one_stream(web):
    sink, (asked,), error = fetch(web, web.answer(200, DATA, etag=FIELD))
    assert error is None
    assert (bytes(sink.data), sink.lasts, sink.restarts) == (DATA, 1, [])
    assert {(etag, size) for _, etag, size in sink.pieces} == {(TAG, len(DATA))}
    assert asked.line == "GET /fw HTTP/1.1"
    assert asked.fields["accept-encoding"] == "identity"
    assert not {"range", "if-match", "if-range"} & set(asked.fields)


def chunked(web, data, size, **fields):
    head = web.answer(200, length=False, transfer_encoding="chunked", **fields)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("how", ["chunked", "until the end"])
def test_a_package_of_unknown_size_ends_with_its_last_piece(web, how):
    answer = chunked(web, DATA, 7001, etag=FIELD) if how == "chunked" else web.answer(200, DATA, length=False)
    sink, _, error = fetch(web, answer)
    assert error is None
    assert (bytes(sink.data), sink.lasts) == (DATA, 1)
    assert {size for _, _, size in sink.pieces} == {None}


def test_an_empty_package_is_one_block_of_nothing(web):
    for answer in (web.answer(200), chunked(web, b"", 1)):
        sink, _, error = fetch(web, answer)
        assert (error, sink.pieces, sink.lasts) == (None, [(0, None, sink.pieces[0][2])], 1)


@pytest.mark.parametrize("field", ['W/"v1"', "v1", '"' + "v" * 300 + '"'])
def test_an_etag_that_names_no_bytes_counts_for_nothing(web, field):
    sink, _, _ = fetch(web, web.answer(200, DATA, etag=field))
    assert {etag for _, etag, _ in sink.pieces} == {None}


# -- the rest


def part(web, start, data=DATA, size=None, **fields):
    fields = {"etag": FIELD, "content_range": f"bytes {start}-{len(data) - 1}/{size or len(data)}", **fields}
    return web.answer(206, data[start:], **fields)


def test_the_rest_is_asked_for_under_both_conditions(web):
    sink, (asked,), error = fetch(web, part(web, 70_000), offset=70_000, etag=TAG)
    assert error is None
    assert (bytes(sink.data), sink.lasts, sink.restarts) == (DATA, 1, [])
    assert {(etag, size) for _, etag, size in sink.pieces} == {(TAG, len(DATA))}
    assert [asked.fields[name] for name in ("range", "if-match", "if-range")] == ["bytes=70000-", FIELD, FIELD]


@pytest.mark.parametrize("field", ["", 'W/"v1"', 'W/"v2"', '"v2"', "v1"])
def test_a_part_that_is_not_said_to_be_of_the_version_that_is_there_is_not_joined_to_it(web, field):
    sink, _, error = fetch(web, part(web, 70_000, etag=field), offset=70_000, etag=TAG)
    assert isinstance(error, ResponseError)
    assert error.response_code == 0x8C  # 4.12: the machine begins anew
    assert (bytes(sink.data), sink.pieces) == (DATA[:70_000], [])


@pytest.mark.parametrize("end", [70_001, len(DATA) - 1])
def test_a_part_of_a_package_whose_size_is_not_told_is_not_its_end(web, end):
    answer = web.answer(206, DATA[70_000 : end + 1], etag=FIELD, content_range=f"bytes 70000-{end}/*")
    sink, _, error = fetch(web, answer, offset=70_000, etag=TAG)
    assert isinstance(error, ResponseError)
    assert error.response_code == 0x8C
    assert (bytes(sink.data), sink.lasts) == (DATA[:70_000], 0)


def test_a_part_is_as_long_as_it_says(web):
    answer = web.answer(206, DATA[70_000:], etag=FIELD, content_range=f"bytes 70000-70001/{len(DATA)}")
    sink, _, error = fetch(web, answer, offset=70_000, etag=TAG)
    assert isinstance(error, TransportError)
    assert len(sink.data) == 70_000


def test_the_whole_without_a_name_begins_anew(web):
    for field in ("", 'W/"v1"'):
        for etag in (TAG, None):
            sink, _, error = fetch(web, web.answer(200, DATA, etag=field), offset=70_000, etag=etag)
            assert (error, bytes(sink.data), len(sink.restarts)) == (None, DATA, 1)


def test_no_log_names_a_package(web, caplog):
    caplog.set_level(logging.INFO)
    sink, _, error = fetch(web, web.answer(200, DATA), path="/fw/secret-token?key=secret-key")
    assert (error, bytes(sink.data)) == (None, DATA)
    _, _, error = fetch(web, web.answer(404), path="/fw/secret-token?key=secret-key")
    assert "secret" not in caplog.text + str(error)


def test_412_is_for_the_machine_to_begin_anew(web):
    sink, _, error = fetch(web, web.answer(412), offset=70_000, etag=TAG)
    assert isinstance(error, ResponseError)
    assert error.response_code == 0x8C
    assert sink.restarts == []


def test_a_package_that_is_shorter_now_is_another_version(web):
    _, _, error = fetch(web, web.answer(416, content_range="bytes */5"), offset=70_000, etag=TAG)
    assert error.response_code == 0x8C


def test_the_whole_of_another_version_begins_anew(web):
    new = DATA[::-1]
    sink, _, error = fetch(web, web.answer(200, new, etag='"v2"'), offset=70_000, etag=TAG)
    assert error is None
    assert (bytes(sink.data), len(sink.restarts)) == (new, 1)
    assert {etag for _, etag, _ in sink.pieces} == {b"v2"}


def test_the_whole_of_the_same_version_goes_on_where_it_was(web):
    """An origin that knows no ranges: what is there already is passed over."""
    sink, _, error = fetch(web, web.answer(200, DATA, etag=FIELD), offset=70_000, etag=TAG)
    assert error is None
    assert (bytes(sink.data), sink.lasts, sink.restarts) == (DATA, 1, [])
    sink, _, error = fetch(web, web.answer(200, DATA, etag=FIELD), offset=len(DATA), etag=TAG)
    assert (error, bytes(sink.data), sink.lasts) == (None, DATA, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"content_range": f"bytes 70001-{len(DATA) - 1}/{len(DATA)}"},
        {"content_range": ""},
        {"content_range": "bytes 5-4/3"},
        {"etag": '"v2"'},
    ],
)
def test_a_part_that_was_not_asked_for_is_refused(web, fields):
    sink, _, error = fetch(web, part(web, 70_000, **fields), offset=70_000, etag=TAG)
    assert isinstance(error, TransportError | ResponseError)
    assert len(sink.data) == 70_000


def test_a_part_when_the_whole_was_asked_for_is_refused(web):
    sink, _, error = fetch(web, part(web, 0))
    assert isinstance(error, TransportError)
    assert sink.pieces == []


def test_a_part_that_is_less_than_the_rest_is_kept_and_the_rest_asked_for_again(web):
    answer = web.answer(206, DATA[70_000:90_000], etag=FIELD, content_range=f"bytes 70000-89999/{len(DATA)}")
    sink, _, error = fetch(web, answer, offset=70_000, etag=TAG)
    assert isinstance(error, TransportError)
    assert (bytes(sink.data), sink.lasts) == (DATA[:90_000], 0)


# -- what goes wrong


@pytest.mark.parametrize("cut", [0, 1, 1000, 199_999])
def test_a_connection_that_breaks_off_is_resumed_from_there(web, cut):
    answer = web.answer(200, DATA, etag=FIELD)
    head = len(answer) - len(DATA)
    sink, _, error = fetch(web, answer[: head + cut])
    assert isinstance(error, TransportError)
    assert (bytes(sink.data), sink.lasts) == (DATA[:cut], 0)


@pytest.mark.parametrize("end", range(0, 78, 3))
def test_an_answer_that_is_cut_in_its_head_is_a_lost_connection(web, end):
    answer = web.answer(200, b"body", etag=FIELD)
    assert end < len(answer)
    _, _, error = fetch(web, answer[:end])
    assert isinstance(error, TransportError)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 100, b"HTTP/1.1 OK\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000],
)  # fmt: skip
def test_what_is_no_http_is_a_lost_connection(web, garbage):
    sink, _, error = fetch(web, garbage)
    assert isinstance(error, TransportError)
    assert sink.data == b""


@pytest.mark.parametrize(("status", "code"), [(404, 0x84), (403, 0x83), (500, 0xA0), (503, 0xA3), (204, 0x44)])
def test_an_error_is_the_code_of_the_same_digits(web, status, code):
    _, _, error = fetch(web, web.answer(status), path="/fw/secret-token")
    assert isinstance(error, ResponseError)
    assert (error.response_code, error.retry_after_s) == (code, None)
    assert "secret-token" not in str(error)


def test_the_origin_may_say_when_to_come_back(web):
    _, _, error = fetch(web, web.answer(503, retry_after="30"))
    assert error.retry_after_s == 30.0


def test_a_content_coding_that_was_not_asked_for_is_refused(web):
    sink, _, error = fetch(web, web.answer(200, b"zipped", content_encoding="gzip"))
    assert isinstance(error, TransportError)
    assert sink.pieces == []


def test_silence_is_a_lost_connection(web):
    async def silent(reader, _):
        await reader.read()  # until the client has had enough

    _, _, error = fetch(web, silent)
    assert isinstance(error, TransportError)
    assert "ReadTimeout" in str(error)


def test_nobody_there_is_a_lost_connection(web):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/fw"
        with pytest.raises(TransportError):
            web.run(HttpFetcher(limits=QUICK).fetch(uri, web.Sink(), offset=0, etag=None))


def test_an_error_of_the_sink_ends_the_fetch_with_it(web):
    sink = web.Sink(fails_at=1000, error=StorageFullError("full"))
    _, _, error = fetch(web, web.answer(200, DATA), sink=sink)
    assert error is sink.error


# -- redirects


def test_redirects_are_followed_with_the_same_conditions(web):
    answers = (
        web.answer(302, location="/elsewhere"),
        web.answer(307, location="elsewhere/else"),
        part(web, 70_000),
    )
    sink, asked, error = fetch(web, *answers, offset=70_000, etag=TAG)
    assert (error, bytes(sink.data)) == (None, DATA)
    assert [each.line for each in asked] == [
        f"GET {path} HTTP/1.1" for path in ("/fw", "/elsewhere", "/elsewhere/else")
    ]
    assert all(each.fields["range"] == "bytes=70000-" for each in asked)
    assert [uri.split("/", 3)[3] for uri in sink.led_on] == ["elsewhere", "elsewhere/else"]


class Stage:
    """Where a pull puts what comes, and what it hears; it ends with `ended`."""

    boot_id = None
    awaited_uri = None

    def __init__(self):
        self.data = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    @property
    def size_bytes(self):
        return len(self.data)

    def check_size(self, size_bytes):
        pass

    def rewind(self, offset):
        del self.data[offset:]

    def add(self, offset, payload):
        assert offset == len(self.data)
        self.data += payload

    def checkpoint(self):
        return len(self.data), bytes(32)

    def pull_checkpoint(self, checkpoint):
        pass

    def pull_finished(self, transfer):
        self.ended.set_result("finished")

    def pull_failed(self, transfer, result, diagnosis):
        self.ended.set_result((int(result), diagnosis))


@pytest.mark.parametrize(
    ("hosts", "end"),
    [
        (["127.0.0.1", "localhost"], "finished"),
        (["127.0.0.1"], (7, "pull.host-not-allowed: localhost is not among the allowed hosts")),
        (["localhost"], (7, "pull.host-not-allowed: 127.0.0.1 is not among the allowed hosts")),
    ],
)
def test_a_pull_is_led_to_hosts_that_are_allowed_and_no_other(web, hosts, end):
    async def main():
        stage = Stage()
        async with web.Origin() as origin:
            onward = origin.uri("/onward").replace("127.0.0.1", "localhost")
            origin.answers = [web.answer(302, location=onward), web.answer(200, DATA, etag=FIELD)]
            pull = Pull(stage, [HttpFetcher(limits=QUICK)], DownloadPolicy(), stage, lambda: 0.0, AllowedHosts(hosts))
            pull.start(origin.uri(), 1, None)
            assert await stage.ended == end
            await pull.stop()
            return stage, len(origin.asked)

    stage, asked = web.run(main())
    assert (bytes(stage.data), asked) == ((DATA, 2) if end == "finished" else (b"", hosts.count("127.0.0.1")))


def test_redirects_end(web):
    _, asked, error = fetch(web, *[web.answer(301, location="/fw")] * 9)
    assert isinstance(error, TransportError)
    assert len(asked) == 4


@pytest.mark.parametrize("location", ["ftp://h/fw", "coap://h/fw", "http://", "http://u:p@h/", "http://[::", "\x7f"])
def test_a_redirect_to_nowhere_is_refused(web, location):
    _, _, error = fetch(web, web.answer(302, location=location))
    assert isinstance(error, InvalidUriError | UnsupportedProtocolError | TransportError)


# -- HTTPS


@pytest.fixture
def secure(web, authority):
    """`secure(*answers)` is an origin over TLS; `demand` makes it ask for a certificate."""
    signed = authority.sign("origin", ["127.0.0.1"])
    own = Certificate(chain_pem=signed.chain, key_pem=Secret(signed.key), roots_pem=authority.certificate)
    return lambda *answers, demand=False: web.Origin(*answers, tls=server_context(own, ["http/1.1"], demand=demand))


def over_tls(web, origin, *held):
    async def main():
        sink = web.Sink()
        async with origin:
            try:
                await HttpFetcher(Keyring(held), QUICK).fetch(origin.uri(), sink, offset=0, etag=None)
            except Exception as error:  # noqa: BLE001
                return bytes(sink.data), error
        return bytes(sink.data), None

    return web.run(main())


def anywhere(**options):
    return Held(None, Certificate(**options))


def test_https_believes_the_authorities_that_were_given(web, secure, authority):
    origin = secure(web.answer(200, DATA))
    assert over_tls(web, origin, anywhere(roots_pem=authority.certificate)) == (DATA, None)


def test_https_shows_a_certificate_if_there_is_one(web, secure, authority):
    signed = authority.sign("device-1")
    own = {"chain_pem": signed.chain, "key_pem": Secret(signed.key), "roots_pem": authority.certificate}
    assert over_tls(web, secure(web.answer(200, DATA), demand=True), anywhere(**own)) == (DATA, None)
    data, error = over_tls(web, secure(web.answer(200, DATA), demand=True), anywhere(roots_pem=authority.certificate))
    assert data == b""
    assert isinstance(error, TransportError)


@pytest.mark.parametrize("who", ["the system", "another authority"])
def test_https_from_an_origin_that_is_not_believed_is_refused(web, secure, other_authority, who):
    options = {"roots_pem": other_authority.certificate} if who == "another authority" else {}
    data, error = over_tls(web, secure(web.answer(200, DATA)), anywhere(**options))
    assert data == b""
    assert isinstance(error, TransportError)
    assert "certificate verify failed" in str(error)


def test_https_without_any_certificate_is_not_offered_and_is_result_9(web, secure):
    psk = Held(CredentialOrigin("coaps", "127.0.0.1", 5684), PreSharedKey("device", Secret(b"key")))
    assert HttpFetcher(Keyring([psk])).schemes == {"http"}
    assert HttpFetcher(Keyring([anywhere()])).schemes == {"http", "https"}
    _, error = over_tls(web, secure(web.answer(200, DATA)), psk)
    assert isinstance(error, MissingCredentialError)
    assert "it needs a certificate; there is a pre-shared key" in str(error)
    with pytest.raises(MissingCredentialError):
        web.run(HttpFetcher().resolve("https://127.0.0.1/fw"))


def test_a_redirect_from_https_to_http_is_refused(web, secure, authority):
    _, error = over_tls(
        web, secure(web.answer(302, location="http://127.0.0.1/fw")), anywhere(roots_pem=authority.certificate)
    )
    assert isinstance(error, TransportError)
    assert "from https to http" in str(error)


# -- URIs


@pytest.mark.parametrize(
    "uri",
    [
        "http://",
        "http:///fw",
        "http://user@host/fw",
        "http://h:99999/",
        "http://a b/",
        "http://[::",
        "http://h:0/",
        "http://xn--0/fw",
        "http://xn--a%5b.invalid/fw",
        "fw",
        "",
    ],
)
def test_what_is_no_uri_is_refused(web, uri):
    with pytest.raises(InvalidUriError):
        web.run(HttpFetcher().resolve(uri))
    with pytest.raises(InvalidUriError):
        web.run(HttpFetcher().fetch(uri, web.Sink(), offset=0, etag=None))


def test_a_name_is_looked_up_as_it_is_written(web):
    """What people read for a label that begins with "xn--" may be another name to the name service."""
    uri = "http://xn--strae-oqa.invalid/fw"
    with pytest.raises(InvalidUriError, match=r"xn--strae-oqa\.invalid"):
        web.run(HttpFetcher().resolve(uri))
    with pytest.raises(InvalidUriError, match=r"xn--strae-oqa\.invalid"):
        web.run(HttpFetcher().fetch(uri, web.Sink(), offset=0, etag=None))


def test_a_credential_is_for_a_name_as_it_is_written(web):
    for name in ("xn--bcher-kva.invalid", "XN--BCHER-KVA.invalid"):
        held = Held(CredentialOrigin("https", "xn--bcher-kva.invalid", 443), Certificate())
        with pytest.raises(InvalidUriError, match="cannot resolve"):  # and not that nobody is believed there
            web.run(HttpFetcher(Keyring([held])).resolve(f"https://{name}/fw"))


@pytest.mark.parametrize("uri", ["coap://h/fw", "ftp://h/fw", "urn:fw"])
def test_another_scheme_is_refused(web, uri):
    with pytest.raises(UnsupportedProtocolError):
        web.run(HttpFetcher().resolve(uri))


def test_hosts_are_resolved(web):
    web.run(HttpFetcher().resolve("http://127.0.0.1/fw"))
    with pytest.raises(InvalidUriError):
        web.run(HttpFetcher().resolve("http://nobody.invalid/fw"))


# -- foreign errors


def test_every_error_of_the_library_is_translated():
    """A new one in a release of httpx fails here."""
    errors = {value for value in vars(httpx).values() if inspect.isclass(value) and issubclass(value, Exception)}
    translated = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError)
    assert {error.__name__ for error in errors if not issubclass(error, translated)} == {"CookieConflict"}
    assert issubclass(ssl.SSLError, OSError)
