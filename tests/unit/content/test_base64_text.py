import pytest

from lwm2m_fota.content.base64_text import read_base64, write_base64url
from lwm2m_fota.errors import ContentError

# RFC 4648 section 10, and the two characters in which the alphabets differ
VECTORS = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("\xfb\xff", "-_8")]


@pytest.mark.parametrize(("value", "text"), VECTORS)
def test_base64url_without_padding(value, text):
    assert write_base64url(value.encode("latin-1")) == text


@pytest.mark.parametrize(("value", "text"), VECTORS)
def test_either_alphabet_padded_or_not(value, text):
    padded = text + "=" * (-len(text) % 4)
    for form in (text, padded, padded.replace("-", "+").replace("_", "/")):
        assert read_base64(form) == value.encode("latin-1")


@pytest.mark.parametrize(
    "text", ["Z", "Zg=", "Zg===", "=", "====", "Z=g=", "Z g", "Zg==\n", "Zü", "Zm9vYmFyZ", "Zg==Zg=="]
)
def test_what_is_no_base64(text):
    with pytest.raises(ContentError):
        read_base64(text)
