"""Ciphers for content: against the documents, against whole-message ciphers, and piece by piece."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto.content import ContentAlgorithm, ContentCipher

SIZES = {
    "AES-128-GCM": (16, 12, 16),
    "AES-192-GCM": (24, 12, 16),
    "AES-256-GCM": (32, 12, 16),
    "ChaCha20/Poly1305": (32, 12, 16),
    "AES-128-CTR": (16, 16, 0),
    "AES-192-CTR": (24, 16, 0),
    "AES-256-CTR": (32, 16, 0),
}


def cipher(algorithm, additional=b"", key=None):
    key = bytes(range(algorithm.key_bytes)) if key is None else key
    return ContentCipher(algorithm=algorithm, key=key, nonce=bytes(algorithm.nonce_bytes), additional=additional)


@pytest.mark.parametrize("algorithm", ContentAlgorithm)
def test_sizes(algorithm):
    assert SIZES[algorithm.value] == (algorithm.key_bytes, algorithm.nonce_bytes, algorithm.tag_bytes)
    assert algorithm.is_authenticated is (algorithm.tag_bytes > 0)


def test_chacha_is_that_of_the_rfc():
    """RFC 8439 section 2.8.2."""
    whole = ContentCipher(
        algorithm=ContentAlgorithm.CHACHA20_POLY1305,
        key=bytes(range(0x80, 0xA0)),
        nonce=bytes.fromhex("070000004041424344454647"),
        additional=bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
    )
    text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    sealed = whole.encrypt(text)
    assert sealed.hex().startswith("d31a8d34648e60db7b86afbc53ef7ec2")
    assert sealed.hex().endswith("1ae10b594f09e26a7e902ecbd0600691")
    assert whole.decrypt(sealed) == text


def test_ctr_counts_from_its_nonce():
    """AES-128 of a block of zeros under a key of zeros, as FIPS 197 has it, is the first block of the key stream."""
    stream = cipher(ContentAlgorithm.A128CTR, key=bytes(16)).encrypt(bytes(16))
    assert stream.hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"


@pytest.mark.parametrize("additional", [b"", b"a", bytes(16), bytes(33)])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 64, 1000])
def test_pieces_are_as_good_as_whole_messages(length, additional):
    content = bytes(range(256)) * 4
    content = content[:length]
    for algorithm, one_shot in (
        (ContentAlgorithm.A256GCM, AESGCM),
        (ContentAlgorithm.CHACHA20_POLY1305, ChaCha20Poly1305),
    ):
        ours = cipher(algorithm, additional)
        assert ours.encrypt(content) == one_shot(ours.key).encrypt(ours.nonce, content, additional)


@given(
    algorithm=st.sampled_from(ContentAlgorithm),
    content=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 220), max_size=6),
)
def test_how_the_content_is_cut_does_not_matter(algorithm, content, cuts):
    ours = cipher(algorithm)
    sealed = ours.encrypt(content)
    assert len(sealed) == len(content) + algorithm.tag_bytes
    transform, opened, start = ours.decryptor(), b"", 0
    for end in [*sorted(min(cut, len(sealed)) for cut in cuts), len(sealed)]:
        opened += transform.update(memoryview(sealed)[start:end])
        start = end
    rest = transform.finish()
    assert rest is not None
    assert opened + rest == content


@pytest.mark.parametrize("algorithm", [each for each in ContentAlgorithm if SIZES[each.value][2]])
def test_every_change_is_noticed(algorithm):
    ours = cipher(algorithm, b"beside")
    sealed = ours.encrypt(b"some content")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert ours.decrypt(bytes(changed)) is None
    for length in range(len(sealed)):
        assert ours.decrypt(sealed[:length]) is None
    assert ours.decrypt(sealed + b"\0") is None
    assert cipher(algorithm, b"besides").decrypt(sealed) is None
    assert cipher(algorithm, b"beside", key=bytes(algorithm.key_bytes)).decrypt(sealed) is None


@pytest.mark.parametrize("algorithm", ContentAlgorithm)
def test_keys_and_nonces_have_their_lengths(algorithm):
    good = {"algorithm": algorithm, "key": bytes(algorithm.key_bytes), "nonce": bytes(algorithm.nonce_bytes)}
    for field, length in (("key", algorithm.key_bytes), ("nonce", algorithm.nonce_bytes)):
        for wrong in (0, length - 1, length + 1):
            with pytest.raises(UsageError, match=f"{field} of .* has {length} bytes"):
                ContentCipher(**{**good, field: bytes(wrong)})


def test_ctr_authenticates_nothing():
    with pytest.raises(UsageError, match="authenticates nothing"):
        cipher(ContentAlgorithm.A128CTR, b"x")
