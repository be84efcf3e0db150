"""Encrypted messages: the vectors of SUIT's encryption, every algorithm, and what is not opened."""

import re

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.cose.create import AgreedKey, DirectKey, WrappedKey, encrypt, encrypt0
from lwm2m_fota.package.cose.decrypt import Opening, content_ciphers, decrypt, kdf_context
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.message import Headers, read_message
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.crypto.wrapping import derive, wrap_key
from lwm2m_fota.package.keyring import DecryptionKey

KID = b"kid-1"
CONTENT = b"some content" * 20
AEADS = {1: (16, 12), 2: (24, 12), 3: (32, 12), 24: (32, 12)}
COUNTERS = {-65534: (16, 16), -65533: (24, 16), -65532: (32, 16)}
UNDER_DIGEST = Opening(is_under_digest=True)
PERMISSIVE = Opening(rules=CoseRules.UNSAFE_PERMISSIVE)


def sealed(made, content=CONTENT):
    return made.message(made.cipher.encrypt(content))


def opened(message, *keys, opening=None, **options):
    return decrypt(read_message(message), keys, opening=opening, **options)


def refused(message, *keys, **options):
    with pytest.raises(PackageError) as caught:
        opened(message, *keys, **options)
    return caught.value.reason


# The examples of SUIT's encryption: a key of sixteen "a" wraps the key of the content.


@pytest.mark.parametrize("name", ["gcm", "ctr"])
def test_the_examples_with_a_wrapped_key(spec, name):
    folder = spec / "vectors" / "suit-encryption"
    info = hexes(folder / f"suit-encryption-info-aes-kw-aes-{name}.hex")
    payload = hexes(folder / f"encrypted-payload-aes-kw-aes-{name}.hex")
    key = DecryptionKey(SecretKey(b"a" * 16), key_id=KID)
    assert opened(info, key, ciphertext=payload, opening=UNDER_DIGEST) == b"This is a real firmware image."
    if name == "gcm":
        assert opened(info, key, ciphertext=payload) == b"This is a real firmware image."
        assert refused(info, key, ciphertext=payload[:-1] + b"x") == "package.decryption-failed"
    else:
        assert refused(info, key, ciphertext=payload) == "package.unsupported-algorithm"


@pytest.mark.parametrize("alg", [None, 1, -3, 3, 24])
def test_a_key_that_is_for_one_algorithm_opens_nothing_else(alg):
    """Of sixteen bytes: it may encrypt content with AES-GCM (1), or wrap keys (-3)."""
    key = SecretKey(bytes(range(16)))
    known = DecryptionKey(key, key_id=KID, alg=alg)
    message = {
        1: sealed(encrypt0(DirectKey(key=key, key_id=KID), bytes(12), alg=1)),
        -3: sealed(encrypt(bytes(16), bytes(12), [WrappedKey(key=key, key_id=KID)], alg=1)),
    }
    direct = sealed(encrypt(key.secret, bytes(12), [DirectKey(key=key, key_id=KID)], alg=1))
    for number, data in [*message.items(), (1, direct)]:
        if alg in {None, number}:
            assert opened(data, known) == CONTENT
        else:
            assert refused(data, known) == "package.no-decryption-key"


@pytest.mark.parametrize(
    ("ops", "direct", "wrapped"),
    [(None, True, True), ([4], True, True), ([3, 4, 6], True, True), ([6], False, True), ([5, 6], False, True)],
)
def test_a_secret_that_unwraps_keys_alone_opens_no_content(ops, direct, wrapped):
    """RFC 9053: content needs the operation decrypt (4), AES key wrap that or unwrap key (6)."""
    secret = SecretKey(bytes(range(16)))
    item = {1: 4, 2: KID, -1: secret.secret, **({} if ops is None else {4: ops})}
    known = CoseKey.from_map(item).decryption()
    for data, opens in (
        (sealed(encrypt0(DirectKey(key=secret, key_id=KID), bytes(12), alg=1)), direct),
        (sealed(encrypt(secret.secret, bytes(12), [DirectKey(key=secret, key_id=KID)], alg=1)), direct),
        (sealed(encrypt(bytes(16), bytes(12), [WrappedKey(key=secret, key_id=KID)], alg=1)), wrapped),
    ):
        if opens:
            assert opened(data, known) == CONTENT
        else:
            assert refused(data, known) == "package.no-decryption-key"


@pytest.mark.parametrize("alg", [None, -29, -31])
def test_a_key_that_agrees_for_one_algorithm_does_for_no_other(key_of, alg):
    key = key_of(KeyType.P256)
    way = AgreedKey(key=key.public_key, ephemeral=PrivateKey.from_seed(KeyType.P256, bytes(31) + b"\x05"))
    message = sealed(encrypt(bytes(16), bytes(12), [way], alg=1))  # ECDH-ES+A128KW, -29
    if alg == -31:
        assert refused(message, DecryptionKey(key, alg=alg)) == "package.no-decryption-key"
    else:
        assert opened(message, DecryptionKey(key, alg=alg)) == CONTENT


def hexes(path):
    return bytes.fromhex(re.sub(r"\s", "", path.read_text(encoding="utf-8")))


def test_the_key_derivation_is_that_of_the_example():
    """suit-firmware-encryption, a128kw_kdf_context: written out by hand."""
    context = kdf_context(-3, Headers(bytes.fromhex("a101381c"), {}, {}), b"SUIT Payload Encryption")
    parts = ["84", "22", "83f6f6f6", "83f6f6f6", "83", "1880", "44a101381c"]
    assert context.hex() == "".join(parts) + "57" + b"SUIT Payload Encryption".hex()
    plain = kdf_context(-5, Headers(b"\xa0", {-21: b"u", -26: b"v"}, {-22: 7}), None)
    assert plain.hex() == "842483417507f683f6f641768219010041a0"


# Every algorithm.


@pytest.mark.parametrize("number", [*AEADS, *COUNTERS])
def test_each_algorithm_with_a_key_of_both_sides(number):
    size, nonce = (AEADS | COUNTERS)[number]
    key = SecretKey(bytes(range(size)))
    message = sealed(encrypt0(DirectKey(key=key, key_id=KID), bytes(nonce), alg=number))
    known = DecryptionKey(key, key_id=KID)
    assert opened(message, known, opening=UNDER_DIGEST) == CONTENT
    if number in COUNTERS:
        assert refused(message, known) == "package.unsupported-algorithm"
    else:
        assert opened(message, known) == CONTENT
        assert refused(message, DecryptionKey(SecretKey(bytes(size)), key_id=KID)) == "package.decryption-failed"
        assert refused(message[:-1] + bytes([message[-1] ^ 1]), known) == "package.decryption-failed"
    for other in (DecryptionKey(key, key_id=b"other"), DecryptionKey(SecretKey(bytes(40)))):
        assert refused(message, other, opening=UNDER_DIGEST) == "package.no-decryption-key"
    assert refused(message, opening=UNDER_DIGEST) == "package.no-decryption-key"


def test_a_key_that_only_agrees_decrypts_nothing_directly(key_of):
    secret = SecretKey(bytes(range(16)))
    message = sealed(encrypt0(DirectKey(key=secret), bytes(12), alg=1))
    agreeing = DecryptionKey(key_of(KeyType.X25519))
    assert opened(message, agreeing, DecryptionKey(secret)) == CONTENT
    assert refused(message, agreeing) == "package.no-decryption-key"


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("number", AEADS)
def test_each_key_wrap(number, size):
    wrapping = SecretKey(bytes(range(size)))
    secret = bytes(range(1, 1 + AEADS[number][0]))
    message = sealed(encrypt(secret, bytes(12), [WrappedKey(key=wrapping, key_id=KID)], alg=number))
    assert opened(message, DecryptionKey(wrapping, key_id=KID)) == CONTENT
    assert opened(message, DecryptionKey(SecretKey(bytes(64))), DecryptionKey(wrapping)) == CONTENT
    assert refused(message, DecryptionKey(SecretKey(bytes(size)))) == "package.no-decryption-key"


@pytest.mark.parametrize("wrap", [-29, -30, -31])
@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.P384, KeyType.P521, KeyType.X25519])
def test_each_key_agreement(key_of, kind, wrap):
    mine, ephemeral = key_of(kind), key_of(kind, 7)
    way = AgreedKey(key=mine.public_key, ephemeral=ephemeral, key_id=KID, alg=wrap)
    message = sealed(encrypt(bytes(16), bytes(12), [way], alg=1))
    assert opened(message, DecryptionKey(mine, key_id=KID)) == CONTENT
    assert opened(message, DecryptionKey(SecretKey(bytes(16))), DecryptionKey(mine)) == CONTENT
    for other in (key_of(kind, 8), key_of(KeyType.ED25519), key_of(KeyType.RSA)):
        assert refused(message, DecryptionKey(other)) == "package.no-decryption-key"
    profile = Opening(supp_pub_other=b"SUIT Payload Encryption")
    assert refused(message, DecryptionKey(mine), opening=profile) == "package.no-decryption-key"


def test_a_profile_mixes_in_what_it_says(key_of):
    mine, other = key_of(KeyType.P256), b"SUIT Payload Encryption"
    way = AgreedKey(key=mine.public_key, ephemeral=key_of(KeyType.P256, 7), supp_pub_other=other)
    message = sealed(encrypt(bytes(16), bytes(12), [way], alg=1))
    assert opened(message, DecryptionKey(mine), opening=Opening(supp_pub_other=other)) == CONTENT
    assert refused(message, DecryptionKey(mine)) == "package.no-decryption-key"


def test_a_salt_is_used(key_of):
    """A header that `encrypt` does not make, and what follows from it."""
    mine, ephemeral = key_of(KeyType.P256), key_of(KeyType.P256, 7)
    header = cbor.dumps({1: -29})
    info = kdf_context(-3, Headers(header, {}, {}), None)
    kek = derive(ephemeral.agree(mine.public_key), 16, info=info, salt=b"salt")
    unprotected = {-1: CoseKey(key=ephemeral.public_key).to_map(), -20: b"salt"}
    made = encrypt(bytes(16), bytes(12), [WrappedKey(key=SecretKey(bytes(16)))], alg=1)
    message = changed(sealed(made), 3, [[header, unprotected, wrap_key(kek, bytes(16))]])
    assert opened(message, DecryptionKey(mine)) == CONTENT


def test_several_recipients(key_of):
    ways = [
        WrappedKey(key=SecretKey(bytes(range(16))), key_id=b"one"),
        AgreedKey(key=key_of(KeyType.X25519).public_key, ephemeral=key_of(KeyType.X25519, 7), key_id=b"two"),
        AgreedKey(key=key_of(KeyType.P384).public_key, ephemeral=key_of(KeyType.P384, 7), key_id=b"three"),
    ]
    message = sealed(encrypt(bytes(32), bytes(12), ways, alg=24))
    for key in (SecretKey(bytes(range(16))), key_of(KeyType.X25519), key_of(KeyType.P384)):
        assert opened(message, DecryptionKey(key)) == CONTENT
    assert refused(message, DecryptionKey(key_of(KeyType.P256))) == "package.no-decryption-key"


def test_a_direct_key_with_recipients():
    key = SecretKey(bytes(range(16)))
    message = sealed(encrypt(key.secret, bytes(12), [DirectKey(key=key, key_id=KID)], alg=1))
    assert opened(message, DecryptionKey(key, key_id=KID)) == CONTENT


def test_a_secret_that_is_not_named_is_found_among_several():
    key = SecretKey(bytes(range(16)))
    message = sealed(encrypt0(DirectKey(key=key), bytes(12), alg=1))
    keys = [DecryptionKey(SecretKey(bytes([number]) * 16), key_id=bytes([number])) for number in range(5)]
    assert opened(message, *keys, DecryptionKey(key)) == CONTENT
    assert len(content_ciphers(read_message(message), [*keys, DecryptionKey(key)], Opening())) == 6


# What breaks the rules.


def changed(message, at, value):
    item = cbor.loads(message)
    item.value[at] = value
    return cbor.dumps(item)


def test_the_algorithm_stands_in_the_protected_header():
    key = SecretKey(bytes(16))
    made = encrypt0(DirectKey(key=key), bytes(12), alg=1)
    moved = changed(changed(sealed(made), 0, b""), 1, {1: 1, 5: bytes(12)})
    assert refused(moved, DecryptionKey(key)) == "package.malformed"
    assert refused(moved, DecryptionKey(key), opening=PERMISSIVE) == "package.decryption-failed"


@pytest.mark.parametrize("number", [None, -999, -7, 5, "A128GCM", b"x"])
def test_other_algorithms_are_not_supported(number):
    header = cbor.dumps({} if number is None else {1: number})
    message = cbor.dumps(cbor.Tag(16, [header, {5: bytes(12)}, b"x" * 20]))
    with pytest.raises(UnsupportedPackageError, match="content encryption with"):
        opened(message, DecryptionKey(SecretKey(bytes(16))))


def test_ctr_protects_no_header():
    message = cbor.dumps(cbor.Tag(16, [cbor.dumps({1: -65534}), {5: bytes(16)}, b"x" * 20]))
    with pytest.raises(IntegrityError, match="nothing protects"):
        opened(message, DecryptionKey(SecretKey(bytes(16))), opening=UNDER_DIGEST)


@pytest.mark.parametrize("iv", [None, b"", bytes(11), bytes(13), bytes(16), 12, "text"])
def test_an_iv_has_a_length(iv):
    message = cbor.dumps(cbor.Tag(16, [cbor.dumps({1: 1}), {} if iv is None else {5: iv}, b"x" * 20]))
    with pytest.raises(IntegrityError, match="no IV of 12 bytes"):
        opened(message, DecryptionKey(SecretKey(bytes(16))))


def test_a_partial_iv_completes_that_of_the_key():
    key, base = SecretKey(bytes(16)), bytes(range(1, 13))
    whole = bytes(base[:-2]) + bytes((base[-2] ^ 0x61, base[-1] ^ 0xA7))
    message = changed(sealed(encrypt0(DirectKey(key=key), whole, alg=1)), 1, {6: b"\x61\xa7"})
    assert opened(message, DecryptionKey(key, base_iv=base)) == CONTENT
    for base_iv in (None, b"\x01"):
        assert refused(message, DecryptionKey(key, base_iv=base_iv)) == "package.malformed"
    assert refused(changed(message, 1, {6: 5}), DecryptionKey(key, base_iv=base)) == "package.malformed"


@pytest.mark.parametrize(
    ("recipients", "reason"),
    [
        ([[b"", {1: -6}, b"x"]], "something beside it"),
        ([[b"\xa1\x03\x00", {1: -6}, b""]], "something beside it"),
        ([[b"", {1: -6}, b""], [b"", {1: -6}, b""]], "something beside it"),
        ([[b"\xa1\x01\x22", {}, bytes(24)]], "nothing protects"),
        ([[b"", {1: -29, -1: {1: 4, -1: bytes(16)}}, bytes(24)]], "protected header of a recipient"),
        ([[b"\xa1\x01\x38\x1c", {}, bytes(24)]], "ephemeral key of a recipient: not a COSE_Key"),
        ([[b"\xa1\x01\x38\x1c", {-1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}, bytes(24)]], "not a public P-256"),
    ],
)
def test_recipients_that_break_the_rules(key_of, recipients, reason):
    message = cbor.dumps(cbor.Tag(96, [cbor.dumps({1: 1}), {5: bytes(12)}, b"x" * 20, recipients]))
    with pytest.raises(IntegrityError, match=reason):
        opened(message, DecryptionKey(SecretKey(bytes(16))), DecryptionKey(key_of(KeyType.P256)))


@pytest.mark.parametrize(
    "recipient",
    [
        [b"", {1: -10}, b""],
        [b"", {}, b""],
        [b"", {1: "direct"}, b""],
        [b"\xa1\x01\x38\x1c", {-1: {1: 4, -1: bytes(16)}}, bytes(24)],
        [b"\xa1\x01\x38\x1c", {-1: {1: 1, -1: 4, -2: bytes(32)}}, bytes(24)],
    ],
)
def test_recipients_that_lead_nowhere(key_of, recipient):
    unknown = [b"", {1: -10}, b""]
    recipients = [recipient, unknown] if recipient[1].get(1) == -10 else [recipient]
    message = cbor.dumps(cbor.Tag(96, [cbor.dumps({1: 1}), {5: bytes(12)}, b"x" * 20, recipients]))
    keys = [DecryptionKey(SecretKey(bytes(16))), DecryptionKey(key_of(KeyType.X25519))]
    assert refused(message, *keys) == "package.no-decryption-key"


def test_external_data_is_covered():
    key = SecretKey(bytes(16))
    wrapped = encrypt(bytes(16), bytes(12), [WrappedKey(key=key)], alg=1, external_aad=b"aad")
    for message in (sealed(encrypt0(DirectKey(key=key), bytes(12), alg=1, external_aad=b"aad")), sealed(wrapped)):
        assert opened(message, DecryptionKey(key), opening=Opening(external_aad=b"aad")) == CONTENT
        assert refused(message, DecryptionKey(key)) == "package.decryption-failed"


def test_a_detached_ciphertext_is_given_beside_the_message():
    key = SecretKey(bytes(16))
    made = encrypt0(DirectKey(key=key), bytes(12), alg=1)
    ciphertext = made.cipher.encrypt(CONTENT)
    known = DecryptionKey(key)
    assert opened(made.message(None), known, ciphertext=ciphertext) == CONTENT
    with pytest.raises(IntegrityError, match="detached from the message and was not given"):
        opened(made.message(None), known)
    with pytest.raises(IntegrityError, match="in the message and beside it"):
        opened(made.message(ciphertext), known, ciphertext=ciphertext)
