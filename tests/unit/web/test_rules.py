"""The rules of HTTP that a download needs, by hand from RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.web.rules import code_of, content_range, quoted, retry_after_s, select, strong_etag

ETAG = b"1a2b"
SIZE = 1000


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        ('"xyzzy"', b"xyzzy"),
        (' "5f3-4e20" ', b"5f3-4e20"),
        ('W/"xyzzy"', None),
        ('""', None),
        ("xyzzy", None),
        ('"a b"', None),
        ('"a"b"', None),
        ('"ä"', None),
        ("", None),
        (None, None),
        (f'"{"a" * 255}"', b"a" * 255),
        (f'"{"a" * 256}"', None),
    ],
)
def test_only_a_strong_etag_names_bytes(text, etag):
    assert strong_etag(text) == etag
    if etag is not None:
        assert strong_etag(quoted(etag)) == etag


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes 0-499/1234", (0, 500, 1234)),
        ("bytes 734-1233/1234", (734, 500, 1234)),
        ("Bytes 5-5/*", (5, 1, None)),
        ("bytes */1234", None),
        ("bytes 500-499/1234", None),
        ("bytes 0-1234/1234", None),
        ("items 0-4/5", None),
        ("bytes 0-4", None),
        ("bytes -4/5", None),
        ("bytes 0-" + "9" * 19 + "/*", None),
        ("", None),
        (None, None),
    ],
)
def test_content_range(text, part):
    assert content_range(text) == part


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120.0),
        (" 0 ", None, 0.0),
        ("0\x1c", None, 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:58:59 GMT", 60.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 1999 23:58:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None, None),
        ("Fri, 31 Dec 1999 23:59:59", "Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("soon", "Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("-5", None, None),
        ("9" * 10, None, None),
        (None, "Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
def test_when_to_come_back(value, date, seconds):
    assert retry_after_s(value, date) == seconds


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 0x80), (401, 0x81), (403, 0x83), (404, 0x84), (412, 0x8C), (416, 0x90), (429, 0x9D), (431, 0x9F),
     (451, 0x80), (500, 0xA0), (502, 0xA2), (503, 0xA3), (504, 0xA4), (511, 0xAB), (599, 0xA0)],
)  # fmt: skip
def test_a_status_is_the_code_of_the_same_digits(status, code):
    assert code_of(status) == code


# (request fields, status, first byte, length): RFC 9110 sections 13.2.2 and 14.2
SELECTIONS = {
    "nothing asked": ({}, 200, 0, 1000),
    "the first bytes": ({"wanted": "bytes=0-499"}, 206, 0, 500),
    "from a byte on": ({"wanted": "bytes=500-"}, 206, 500, 500),
    "the last bytes": ({"wanted": "bytes=-300"}, 206, 700, 300),
    "more last bytes than there are": ({"wanted": "bytes=-3000"}, 206, 0, 1000),
    "beyond the end": ({"wanted": "bytes=900-5000"}, 206, 900, 100),
    "the last byte": ({"wanted": "bytes=999-999"}, 206, 999, 1),
    "behind the end": ({"wanted": "bytes=1000-"}, 416, 0, 0),
    "no last bytes": ({"wanted": "bytes=-0"}, 416, 0, 0),
    "backwards": ({"wanted": "bytes=5-4"}, 200, 0, 1000),
    "several": ({"wanted": "bytes=0-1,5-6"}, 200, 0, 1000),
    "no range": ({"wanted": "bytes=-"}, 200, 0, 1000),
    "another unit": ({"wanted": "lines=1-2"}, 200, 0, 1000),
    "spaces": ({"wanted": "bytes = 1 - 2"}, 206, 1, 2),
    "If-Match holds": ({"if_match": '"1a2b"', "wanted": "bytes=5-"}, 206, 5, 995),
    "If-Match of several": ({"if_match": '"x", "1a2b"', "wanted": "bytes=5-"}, 206, 5, 995),
    "If-Match any": ({"if_match": "*"}, 200, 0, 1000),
    "If-Match fails": ({"if_match": '"other"', "wanted": "bytes=5-"}, 412, 0, 0),
    "If-Match is weak": ({"if_match": 'W/"1a2b"'}, 412, 0, 0),
    "If-Match is no tag": ({"if_match": "1a2b"}, 412, 0, 0),
    "If-None-Match": ({"if_none_match": '"1a2b"', "wanted": "bytes=5-"}, 304, 0, 0),
    "If-None-Match is weak": ({"if_none_match": 'W/"1a2b"'}, 304, 0, 0),
    "If-None-Match of another": ({"if_none_match": '"other"'}, 200, 0, 1000),
    "If-Range holds": ({"if_range": '"1a2b"', "wanted": "bytes=5-"}, 206, 5, 995),
    "If-Range fails": ({"if_range": '"other"', "wanted": "bytes=5-"}, 200, 0, 1000),
    "If-Range is weak": ({"if_range": 'W/"1a2b"', "wanted": "bytes=5-"}, 200, 0, 1000),
    "If-Range is a date": ({"if_range": "Sat, 29 Oct 1994 19:43:31 GMT", "wanted": "bytes=5-"}, 200, 0, 1000),
    "If-Range without a range": ({"if_range": '"other"'}, 200, 0, 1000),
    "If-Match goes before If-Range": ({"if_match": '"other"', "if_range": '"1a2b"', "wanted": "bytes=5-"}, 412, 0, 0),
}


@pytest.mark.parametrize("case", SELECTIONS)
def test_what_is_answered(case):
    fields, *expected = SELECTIONS[case]
    assert list(select(SIZE, ETAG, **fields)) == expected


def test_the_range_of_an_answer():
    assert select(SIZE, ETAG, wanted="bytes=5-9").content_range(SIZE) == "bytes 5-9/1000"
    assert select(SIZE, ETAG, wanted="bytes=5000-").content_range(SIZE) == "bytes */1000"
    assert select(SIZE, ETAG).content_range(SIZE) is None
    assert select(0, ETAG, wanted="bytes=0-")[0] == 416


NUMBER = st.just("") | st.integers(0, 2100).map(str)
TEXT = st.none() | st.text(max_size=20) | st.builds("bytes={}-{}".format, NUMBER, NUMBER) | st.just('"1a2b"')


@given(st.integers(0, 2000), TEXT, TEXT, TEXT, TEXT)
def test_any_fields_are_answered_with_bytes_that_are_there(size, if_match, if_none_match, if_range, wanted):
    status, start, length = select(
        size, ETAG, if_match=if_match, if_none_match=if_none_match, if_range=if_range, wanted=wanted
    )
    assert status in {200, 206, 304, 412, 416}
    assert 0 <= start <= start + length <= size
    assert (length > 0) or status != 206


@given(st.text(max_size=60), st.none() | st.text(max_size=60))
def test_any_text_is_read_or_not(text, other):
    strong_etag(text)
    content_range(text)
    retry_after_s(text, other)
