"""Messages that are made: their bytes, and what cannot be made."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import (
    AgreedKey,
    CoseSigner,
    DirectKey,
    WrappedKey,
    encrypt,
    encrypt0,
    mac,
    mac0,
    sign,
    sign1,
)
from lwm2m_fota.package.crypto import KeyType, SecretKey

DEFAULTS = {
    KeyType.P256: -7,
    KeyType.P384: -35,
    KeyType.P521: -36,
    KeyType.ED25519: -8,
    KeyType.ED448: -8,
    KeyType.RSA: -37,
}
KEY = SecretKey(bytes(16))


def test_a_message_is_deterministic_and_has_its_tag(p256_key):
    message = sign1(b"This is the content.", CoseSigner(key=p256_key, key_id=b"11"))
    assert message == sign1(b"This is the content.", CoseSigner(key=p256_key, key_id=b"11"))
    assert message.hex().startswith("d28443a10126a10442313154546869732069732074686520636f6e74656e742e5840")
    assert len(message) == 34 + 64


@pytest.mark.parametrize("kind", DEFAULTS)
def test_the_usual_algorithm(key_of, kind):
    assert CoseSigner(key=key_of(kind)).alg == DEFAULTS[kind]


@pytest.mark.parametrize(
    ("kind", "alg"),
    [(KeyType.P256, -36), (KeyType.P384, -9), (KeyType.ED448, -19), (KeyType.RSA, -7), (KeyType.P256, 5)],
)
def test_a_key_signs_with_its_own_algorithms(key_of, kind, alg):
    with pytest.raises(UsageError, match="with a"):
        CoseSigner(key=key_of(kind), alg=alg)


def test_x25519_signs_nothing(key_of):
    with pytest.raises(UsageError, match="X25519"):
        CoseSigner(key=key_of(KeyType.X25519))


def test_more_may_be_protected(key_of):
    signer = CoseSigner(key=key_of(KeyType.ED25519))
    assert cbor.loads(sign1(b"p", signer, protected={3: 0})).value[0].hex() == "a201270300"
    assert cbor.loads(sign(b"p", [signer], protected={3: 0})).value[0].hex() == "a10300"
    assert cbor.loads(sign(b"p", [signer])).value[0] == b""
    assert cbor.loads(mac0(b"p", DirectKey(key=KEY), protected={3: 0})).value[0].hex() == "a201050300"


def test_somebody_signs():
    with pytest.raises(UsageError, match="nobody"):
        sign(b"p", [])


@pytest.mark.parametrize("alg", [4, 1, -7, 99])
def test_codes_are_whole(alg):
    with pytest.raises(UsageError, match="makes no code"):
        mac0(b"p", DirectKey(key=KEY), alg=alg)


@pytest.mark.parametrize("alg", [-7, 5, 99])
def test_content_is_encrypted_with_ciphers(alg):
    with pytest.raises(UsageError, match="encrypts no content"):
        encrypt0(DirectKey(key=KEY), bytes(12), alg=alg)


def test_keys_and_nonces_have_their_lengths():
    for make in (
        lambda: encrypt0(DirectKey(key=SecretKey(bytes(17))), bytes(12), alg=1),
        lambda: encrypt0(DirectKey(key=KEY), bytes(13), alg=1),
        lambda: encrypt(bytes(17), bytes(12), [WrappedKey(key=KEY)], alg=1),
    ):
        with pytest.raises(UsageError, match="bytes"):
            make()


def test_recipients_go_together():
    direct, wrapped = DirectKey(key=KEY), WrappedKey(key=KEY)
    for ways in ([], [direct, wrapped], [direct, direct]):
        with pytest.raises(UsageError, match="one direct key"):
            encrypt(bytes(16), bytes(12), ways, alg=1)
        with pytest.raises(UsageError, match="one direct key"):
            mac(b"p", KEY, ways)
    with pytest.raises(UsageError, match="is the key of the message"):
        encrypt(bytes(range(16)), bytes(12), [direct], alg=1)
    with pytest.raises(UsageError, match="16, 24 or 32"):
        WrappedKey(key=SecretKey(bytes(20)))
    with pytest.raises(UsageError, match="16, 24 or 32"):
        mac(b"p", SecretKey(bytes(20)), [wrapped])


def test_agreement_takes_two_of_a_kind(key_of):
    with pytest.raises(UsageError, match="no key agreement"):
        AgreedKey(key=key_of(KeyType.P256).public_key, ephemeral=key_of(KeyType.P256, 7), alg=-3)
    mixed = AgreedKey(key=key_of(KeyType.P256).public_key, ephemeral=key_of(KeyType.X25519))
    with pytest.raises(UsageError, match="do not agree"):
        encrypt(bytes(16), bytes(12), [mixed], alg=1)
