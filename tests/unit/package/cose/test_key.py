"""COSE_Key, in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota import cbor
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.key import CoseKey, read_keys
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.keyring import ALL_ALGORITHMS

# RFC 9052 appendix C.7.1: a key on P-256, and its private part of appendix C.7.2.
X = bytes.fromhex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d")
Y = bytes.fromhex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c")
D = bytes.fromhex("aff907c99f9ad3aae6c4cdf21122bce2bd68b5283e6907154ad911840fa208cf")
PUBLIC = {1: 2, 2: b"meriadoc", -1: 1, -2: X, -3: Y}
PRIVATE = {**PUBLIC, -4: D}
SECRET = {1: 4, 2: b"our-secret", -1: bytes(range(32))}
CURVES = {
    KeyType.P256: (2, 1),
    KeyType.P384: (2, 2),
    KeyType.P521: (2, 3),
    KeyType.X25519: (1, 4),
    KeyType.ED25519: (1, 6),
    KeyType.ED448: (1, 7),
}


def test_the_key_of_the_rfc():
    public, private = CoseKey.from_map(PUBLIC), CoseKey.from_map(PRIVATE)
    assert public.key == PublicKey.from_raw(KeyType.P256, b"\4" + X + Y)
    assert public.key_id == b"meriadoc"
    assert isinstance(private.key, PrivateKey)
    assert private.key.public_key == public.key
    assert public.to_map() == PUBLIC
    assert private.to_map() == PUBLIC
    assert private.to_map(private=True) == PRIVATE
    assert CoseKey.decode(private.encode(private=True)) == private
    assert public.encode() == cbor.dumps(PUBLIC, canonical=True)


def test_a_point_may_tell_the_sign_of_its_y_alone():
    odd = bool(Y[-1] & 1)
    assert CoseKey.from_map({**PUBLIC, -3: odd}).key == CoseKey.from_map(PUBLIC).key
    assert CoseKey.from_map({**PUBLIC, -3: not odd}).key != CoseKey.from_map(PUBLIC).key


@pytest.mark.parametrize("kind", [*CURVES, KeyType.RSA])
def test_keys_of_each_type_come_back(key_of, kind):
    key = key_of(kind)
    for item in (key, key.public_key):
        made = CoseKey(key=item, key_id=b"k")
        assert CoseKey.decode(made.encode()).key == key.public_key
        assert CoseKey.decode(made.encode(private=True)).key == item
    plain = CoseKey(key=key).to_map()
    assert (plain[1], plain[-1]) == CURVES[kind] if kind in CURVES else plain[1] == 3


def test_a_private_key_may_come_without_its_public_part(key_of):
    for kind in (KeyType.P256, KeyType.ED25519):
        plain = CoseKey(key=key_of(kind)).to_map(private=True)
        bare = {label: value for label, value in plain.items() if label not in {-2, -3}}
        assert CoseKey.from_map(bare).key == key_of(kind)


def test_keys_go_to_pem_and_back(key_of):
    for kind in [*CURVES, KeyType.RSA]:
        private = CoseKey.decode(CoseKey(key=PrivateKey.from_pem(key_of(kind).to_pem())).encode(private=True))
        public = CoseKey.decode(CoseKey(key=PublicKey.from_pem(key_of(kind).public_key.to_pem())).encode())
        assert private.key.to_pem() == key_of(kind).to_pem()
        assert public.key.to_pem() == key_of(kind).public_key.to_pem()


def test_a_secret_is_written_only_if_that_is_meant():
    key = CoseKey.from_map(SECRET)
    assert key.key == SecretKey(bytes(range(32)))
    assert key.to_map(private=True) == SECRET
    with pytest.raises(UsageError, match="no public part"):
        key.encode()


def test_what_is_said_of_a_key_comes_back():
    said = {**SECRET, 3: 5, 4: [9, 10], 5: bytes(12)}
    key = CoseKey.from_map(said)
    assert (key.alg, key.key_ops, key.base_iv) == (5, {9, 10}, bytes(12))
    assert key.to_map(private=True) == said
    private = CoseKey.from_map({**PRIVATE, 4: [1]})
    assert private.to_map(private=True)[4] == [1]
    assert 4 not in private.to_map()  # what a private key may do says nothing of its public part


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "not a COSE_Key"),
        ([], "not a COSE_Key"),
        ({}, "type None"),
        ({1: 9}, "type 9"),
        ({1: "EC2"}, "type 'EC2'"),
        ({**PUBLIC, 2: "text"}, "byte string"),
        ({**PUBLIC, 5: 1}, "byte string"),
        ({**PUBLIC, 3: "ES256"}, "algorithm"),
        ({**PUBLIC, 3: True}, "algorithm"),
        ({**PUBLIC, 4: 2}, "key_ops"),
        ({**PUBLIC, 4: []}, "key_ops"),
        ({**PUBLIC, 4: ["verify"]}, "key_ops"),
        ({**PUBLIC, -1: 8}, "curve 8"),
        ({**PUBLIC, -1: 6}, "curve 6"),
        ({**PUBLIC, -1: "P-256"}, "curve 'P-256'"),
        ({1: 1, -1: 1, -2: X}, "curve 1"),
        ({1: 2, -1: 1}, "without its x"),
        ({1: 2, -1: 1, -2: X}, "y of a COSE_Key"),
        ({**PUBLIC, -3: Y[:-1]}, "y of a COSE_Key"),
        ({**PUBLIC, -2: X[:-1]}, "x of 31 bytes"),
        ({**PUBLIC, -2: 5}, "parameter -2"),
        ({**PUBLIC, -3: X}, "not a public P-256 key"),
        ({**PRIVATE, -4: bytes(31)}, "32 bytes"),
        ({**PRIVATE, -4: X}, "do not belong together"),
        ({1: 1, -1: 6, -2: bytes(31)}, "not a public Ed25519 key"),
        ({1: 3, -1: b"\x01"}, "parameter -2"),
        ({1: 3, -1: b"\x01", -2: b"\x03"}, "RSA"),
        ({1: 3, -1: b"\x01", -2: b"\x03", -3: b"\x03"}, "parameter -4"),
        ({1: 4}, "parameter -1"),
        ({1: 4, -1: b"short"}, "16 to 128"),
    ],
)
def test_what_is_no_key_is_refused(item, reason):
    with pytest.raises(UsageError, match=reason):
        CoseKey.from_map(item)


@pytest.mark.parametrize("data", [b"", b"\xa1", cbor.dumps(PUBLIC) + b"\0", b"-----BEGIN PUBLIC KEY-----"])
def test_bytes_that_are_no_key_are_refused(data):
    with pytest.raises(UsageError, match="not a COSE_Key"):
        CoseKey.decode(data)


@given(st.binary(max_size=60))
def test_random_bytes_raise_usage_errors_only(data):
    for start in (b"", b"\xa4\x01\x02\x20\x01\x21", b"\xa3\x01\x01\x20\x06\x21", b"\xa2\x01\x04\x20", b"\x81"):
        try:
            read_keys(start + data)
        except UsageError:
            continue


def test_a_set_of_keys():
    one, other = CoseKey.from_map(PUBLIC), CoseKey.from_map(SECRET)
    assert read_keys(cbor.dumps([PUBLIC, SECRET])) == (one, other)
    assert read_keys(cbor.dumps(PUBLIC)) == (one,)
    for count in (0, 65):
        with pytest.raises(UsageError, match="1 to 64"):
            read_keys(cbor.dumps([PUBLIC] * count))


# What a key may be trusted with.


def test_a_key_is_trusted_with_what_it_says():
    trusted = CoseKey.from_map(PRIVATE).trusted(authority="vendor", not_before=1.0, not_after=2.0)
    assert trusted.key == CoseKey.from_map(PUBLIC).key
    assert (trusted.key_id, trusted.authority, trusted.not_before, trusted.not_after) == (
        b"meriadoc",
        "vendor",
        1.0,
        2.0,
    )
    assert trusted.algorithms == ALL_ALGORITHMS
    assert CoseKey.from_map({**PUBLIC, 3: -9}).trusted().algorithms == {Algorithm.ECDSA_P256}
    assert CoseKey.from_map({**PUBLIC, 3: -8}).trusted().algorithms == {Algorithm.ED25519, Algorithm.ED448}
    assert CoseKey.from_map({**SECRET, 3: 6}).trusted().algorithms == {Algorithm.HMAC_SHA384}
    assert CoseKey.from_map({**SECRET, 3: 4}).trusted().algorithms == frozenset()
    assert CoseKey.from_map({**PUBLIC, 4: [2]}).trusted()
    assert CoseKey.from_map({**SECRET, 4: [10]}).trusted()


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({**PUBLIC, 4: [1]}, "key_ops"),
        ({**PUBLIC, 3: 1}, "algorithm"),
        ({**PUBLIC, 3: -29}, "algorithm"),
        ({1: 1, -1: 4, -2: bytes(32)}, "verifies nothing"),
        ({1: 4, -1: bytes(16)}, "key_id"),
    ],
)
def test_a_key_is_not_trusted_beyond_what_it_says(item, reason):
    with pytest.raises(UsageError, match=reason):
        CoseKey.from_map(item).trusted()


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (PUBLIC, "decrypts nothing"),
        ({**SECRET, 4: [9, 10]}, "key_ops"),
        ({**SECRET, 3: 5}, "algorithm"),
        ({**PRIVATE, 3: -7}, "algorithm"),
        ({**PRIVATE, 3: -5}, "algorithm"),
        ({**PRIVATE, 4: [4, 6]}, "key_ops"),
        ({**SECRET, 3: -29}, "algorithm"),
        ({**SECRET, 4: [7, 8]}, "key_ops"),
    ],
)
def test_a_key_decrypts_only_what_it_may(item, reason):
    with pytest.raises(UsageError, match=reason):
        CoseKey.from_map(item).decryption()


@pytest.mark.parametrize("item", [SECRET, {**SECRET, 3: -5, 4: [6]}, {**SECRET, 3: 3}, {**PRIVATE, 3: -29, 4: [7]}])
def test_a_key_decrypts(item):
    key = CoseKey.from_map({**item, 5: bytes(12)})
    found = key.decryption()
    assert (found.key, found.key_id, found.base_iv) == (key.key, key.key_id, bytes(12))
    assert found.alg == key.alg
