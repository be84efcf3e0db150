"""cwt, a COSE library of others: its messages verify and open here, ours there.

It needs another version of cbor2 than this library, and so an environment of its own: `nox -s interop-cwt` makes one.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.authenticate import authenticate
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
from lwm2m_fota.package.cose.decrypt import decrypt
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.message import read_message
from lwm2m_fota.package.crypto import KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.keyring import DecryptionKey, KeyRing, TrustedKey
from lwm2m_fota.package.trust import AllOf, TrustPolicy
from lwm2m_fota.package.verifier import PackageVerifier

PYTHON = os.environ.get("LWM2M_FOTA_CWT")
PEER = Path(__file__).with_name("cwt_peer.py")
VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "keys"
KID, PAYLOAD, NONCE = b"k", bytes(range(200)), bytes(12)
SEED_BYTES = {KeyType.P256: 32, KeyType.P384: 48, KeyType.P521: 66, KeyType.ED25519: 32, KeyType.ED448: 57}
SIGNATURES = [
    (KeyType.P256, -7),
    (KeyType.P384, -35),
    (KeyType.P521, -36),
    (KeyType.P256, -9),
    (KeyType.P384, -51),
    (KeyType.P521, -52),
    (KeyType.ED25519, -8),
    (KeyType.ED448, -8),
    (KeyType.ED25519, -19),
    (KeyType.ED448, -53),
    (KeyType.RSA, -37),
    (KeyType.RSA, -38),
    (KeyType.RSA, -39),
]
MACS = [(5, 32), (6, 48), (7, 64)]
CONTENTS = [(1, 16), (2, 24), (3, 32), (24, 32)]
WRAPS = [(-3, 16), (-4, 24), (-5, 32)]
AGREEMENTS = [(-29, [-3, 128, "a101381c"]), (-30, [-4, 192, "a101381d"]), (-31, [-5, 256, "a101381e"])]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(PYTHON is None, reason="cwt has an environment of its own (nox -s interop-cwt)"),
]


@pytest.fixture(scope="module")
def cwt():
    """`cwt(do=..., ...)` is what it makes of that, or None if it refuses."""
    with subprocess.Popen([PYTHON, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:

        def ask(**asked):
            peer.stdin.write(json.dumps(asked) + "\n")
            peer.stdin.flush()
            answer = json.loads(peer.stdout.readline())
            return bytes.fromhex(answer["out"]) if "out" in answer else None

        yield ask
        peer.stdin.close()


def private(kind, number=1):
    if kind is KeyType.RSA:
        return PrivateKey.from_pem((VECTORS / "TEST-ONLY-rsa2048.pem").read_bytes())
    return PrivateKey.from_seed(kind, bytes([number]) * SEED_BYTES[kind])


def secret(size):
    return SecretKey(bytes(range(size)))


def written(key, alg):
    """A COSE_Key in hex, the private one."""
    return CoseKey(key=key, key_id=KID, alg=alg).encode(private=True).hex()


def public(key, alg):
    return CoseKey(key=key.public_key, key_id=KID, alg=alg).encode().hex()


def signers(message, *keys):
    return authenticate(read_message(message), KeyRing(tuple(TrustedKey(key, key_id=KID) for key in keys))).signers


def opened(message, key):
    return decrypt(read_message(message), [DecryptionKey(key, key_id=KID)])


def broken(message, at=-1):
    changed = bytearray(message)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(("kind", "alg"), SIGNATURES)
def test_one_signature_both_ways(cwt, kind, alg):
    key = private(kind)
    theirs = cwt(do="sign1", payload=PAYLOAD.hex(), keys=[written(key, alg)])
    assert read_message(theirs).payload == PAYLOAD
    assert len(signers(theirs, key.public_key)) == 1
    assert signers(broken(theirs), key.public_key) == ()
    ours = sign1(PAYLOAD, CoseSigner(key=key, key_id=KID, alg=alg))
    assert cwt(do="decode", message=ours.hex(), keys=[public(key, alg)]) == PAYLOAD
    assert cwt(do="decode", message=broken(ours).hex(), keys=[public(key, alg)]) is None


def test_a_detached_payload_both_ways(cwt):
    key = private(KeyType.P256)
    ours = sign1(PAYLOAD, CoseSigner(key=key, key_id=KID), is_detached=True)
    assert cwt(do="decode", message=ours.hex(), keys=[public(key, -7)], detached=PAYLOAD.hex()) == PAYLOAD
    assert cwt(do="decode", message=ours.hex(), keys=[public(key, -7)], detached=broken(PAYLOAD).hex()) is None
    whole = cwt(do="sign1", payload=PAYLOAD.hex(), keys=[written(key, -7)])
    head, _, tail = whole.partition(b"\x58\xc8" + PAYLOAD)
    ring = KeyRing((TrustedKey(key.public_key, key_id=KID),))
    assert len(authenticate(read_message(head + b"\xf6" + tail), ring, payload=PAYLOAD).signers) == 1


def test_several_signatures_both_ways(cwt):
    first, second = private(KeyType.P256), private(KeyType.P384)
    keys = [written(first, -7), written(second, -35)]
    theirs = cwt(do="sign", payload=PAYLOAD.hex(), keys=keys)
    assert len(signers(theirs, first.public_key, second.public_key)) == 2
    ours = sign(PAYLOAD, [CoseSigner(key=first, key_id=KID), CoseSigner(key=second, key_id=KID)])
    for key, alg in ((first, -7), (second, -35)):
        assert cwt(do="decode", message=ours.hex(), keys=[public(key, alg)]) == PAYLOAD


@pytest.mark.parametrize(("alg", "size"), MACS)
def test_codes_both_ways(cwt, alg, size):
    key = secret(size)
    for ways in ([], [{"alg": -6}]):
        theirs = cwt(do="mac", payload=PAYLOAD.hex(), keys=[written(key, alg)], recipients=ways)
        assert len(signers(theirs, key)) == 1
    direct = DirectKey(key=key, key_id=KID)
    for ours in (mac0(PAYLOAD, direct, alg=alg), mac(PAYLOAD, key, [direct], alg=alg)):
        assert cwt(do="decode", message=ours.hex(), keys=[written(key, alg)]) == PAYLOAD
    assert cwt(do="decode", message=broken(mac0(PAYLOAD, direct, alg=alg)).hex(), keys=[written(key, alg)]) is None
    assert signers(broken(cwt(do="mac", payload=PAYLOAD.hex(), keys=[written(key, alg)])), key) == ()


@pytest.mark.parametrize(("alg", "size"), CONTENTS)
def test_content_is_opened_both_ways(cwt, alg, size):
    key, direct = secret(size), DirectKey(key=secret(size), key_id=KID)
    theirs = cwt(do="encrypt", payload=PAYLOAD.hex(), keys=[written(key, alg)])
    assert opened(theirs, key) == PAYLOAD
    with pytest.raises(PackageError):
        opened(broken(theirs), key)
    made = encrypt0(direct, NONCE, alg=alg)
    ours = made.message(made.cipher.encrypt(PAYLOAD))
    assert cwt(do="decode", message=ours.hex(), keys=[written(key, alg)]) == PAYLOAD
    assert cwt(do="decode", message=broken(ours).hex(), keys=[written(key, alg)]) is None
    theirs = cwt(do="encrypt", payload=PAYLOAD.hex(), keys=[written(key, alg)], recipients=[{"alg": -6}])
    assert opened(theirs, key) == PAYLOAD


@pytest.mark.parametrize(("alg", "size"), WRAPS)
def test_keys_that_are_wrapped_both_ways(cwt, alg, size):
    wrapping, content = secret(size), SecretKey(bytes(16))
    ways = [{"alg": alg, "wrap": written(wrapping, alg)}]
    theirs = cwt(do="encrypt", payload=PAYLOAD.hex(), keys=[written(content, 1)], recipients=ways)
    assert opened(theirs, wrapping) == PAYLOAD
    made = encrypt(content.secret, NONCE, [WrappedKey(key=wrapping, key_id=KID)], alg=1)
    ours = made.message(made.cipher.encrypt(PAYLOAD))
    assert cwt(do="decode", message=ours.hex(), keys=[written(wrapping, alg)]) == PAYLOAD


@pytest.mark.parametrize(("alg", "context"), AGREEMENTS)
def test_keys_that_are_agreed_on_both_ways(cwt, alg, context):
    """With P-256 alone: with other curves it derives by another hash than RFC 9053, table 20, has."""
    key, ephemeral = private(KeyType.P256), private(KeyType.P256, 7)
    ways = [{"alg": alg, "public": public(key, alg), "context": context}]
    theirs = cwt(do="encrypt", payload=PAYLOAD.hex(), keys=[written(SecretKey(bytes(16)), 1)], recipients=ways)
    assert opened(theirs, key) == PAYLOAD
    receiver = AgreedKey(key=key.public_key, ephemeral=ephemeral, key_id=KID, alg=alg)
    made = encrypt(bytes(16), NONCE, [receiver], alg=1)
    ours = made.message(made.cipher.encrypt(PAYLOAD))
    assert cwt(do="decode", message=ours.hex(), keys=[written(key, alg)], context=context) == PAYLOAD


def test_what_it_signs_is_a_package(cwt):
    maker, customer = private(KeyType.P256), private(KeyType.ED25519)
    keys = [
        TrustedKey(maker.public_key, key_id=KID, authority="maker"),
        TrustedKey(customer.public_key, key_id=KID, authority="customer"),
    ]
    data = cwt(do="sign", payload=PAYLOAD.hex(), keys=[written(maker, -7), written(customer, -8)])
    verifier = PackageVerifier(TrustPolicy(keys=keys, required=AllOf("maker", "customer")))
    verifier.feed(data)
    package = verifier.finish()
    assert [signer.key.authority for signer in package.signers] == ["maker", "customer"]
    (image,) = package.components
    assert data[image.offset_bytes : image.offset_bytes + image.length_bytes] == PAYLOAD
