from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.uri import CoapUri, parse_uri, scheme_of
from lwm2m_fota.errors import UriError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}(\.[a-z0-9]{1,5})?", fullmatch=True),
    st.ip_addresses().map(str),
)
segments = texts.filter(lambda text: text not in {".", ".."})
uris = st.builds(
    CoapUri,
    st.sampled_from(["coap", "coaps", "coap+tcp", "coaps+tcp"]),
    hosts,
    st.integers(1, 65535),
    st.lists(segments, max_size=4).filter(lambda path: path != [""]).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
)


@given(uris)
def test_parse_undoes_str(uri):
    assert parse_uri(str(uri)) == uri
    assert scheme_of(str(uri)) == uri.scheme
    numbers = [number for number, _ in uri.request_options()]
    assert numbers == sorted(numbers)


@given(st.one_of(st.text(), st.text("coap:/[]@?#%2eh.1\u00fc\n ").map("coap://".__add__)))
def test_any_text_is_a_uri_or_our_error(text):
    try:
        uri = parse_uri(text)
    except UriError:
        return
    assert parse_uri(str(uri)) == uri
