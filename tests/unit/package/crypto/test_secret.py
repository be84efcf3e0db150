"""Secrets, and the codes that are made with them."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, SecretKey
from lwm2m_fota.package.crypto.secret import same

# RFC 4231 section 4.2.
RFC4231 = {
    Hash.SHA256: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    Hash.SHA384: "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
    Hash.SHA512: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
}


@pytest.mark.parametrize("kind", Hash)
def test_codes_are_those_of_the_rfc(kind):
    key = SecretKey(b"\x0b" * 20)
    assert key.mac(kind, b"Hi There").hexdigest() == RFC4231[kind]
    running = key.mac(kind)
    for byte in b"Hi There":
        running.update(bytes([byte]))
    assert running.hexdigest() == RFC4231[kind]


@pytest.mark.parametrize("length", [0, 15, 129])
def test_a_secret_has_a_length(length):
    with pytest.raises(UsageError, match="16 to 128"):
        SecretKey(bytes(length))


def test_a_secret_is_a_value_that_does_not_show():
    assert SecretKey(b"a" * 16) == SecretKey(bytearray(b"a" * 16))
    assert SecretKey(b"a" * 16).type is KeyType.SECRET
    assert repr(SecretKey(b"a" * 16)) == "SecretKey()"


def test_the_same_is_the_same():
    assert same(b"ab", b"ab")
    assert not same(b"ab", b"ac")
    assert not same(b"ab", b"abc")
