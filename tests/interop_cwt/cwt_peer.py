"""cwt as a process in its own environment: a JSON object a line in, one out.

`{"do": "sign", "payload": HEX, "keys": [COSE_KEY_HEX, ...]}` makes a message; `do` is sign1, sign, mac or encrypt, both
for `recipients` or without them, or it is decode, of a `message`. The answer is `{"out": HEX}` or `{"error": TEXT}`.
"""

import json
import sys

from cwt import COSE, COSEKey, Recipient, Signer

DIRECT = -6
NONCE = bytes(range(12))


def key(data):
    return COSEKey.from_bytes(bytes.fromhex(data))


def kdf_context(wrap, bits, protected):
    """COSE_KDF_Context (RFC 9053 section 5.2)."""
    return [wrap, [None] * 3, [None] * 3, [bits, bytes.fromhex(protected)]]


def recipient(asked):
    if asked["alg"] == DIRECT:
        return Recipient.new(unprotected={1: DIRECT, 4: b"k"})
    if "public" in asked:
        public, context = key(asked["public"]), kdf_context(*asked["context"])
        return Recipient.new({1: asked["alg"]}, {4: b"k"}, recipient_key=public, context=context)
    return Recipient.new(unprotected={1: asked["alg"], 4: b"k"}, sender_key=key(asked["wrap"]))


def sign(cose, payload, keys):
    signers = [Signer.new(cose_key=each, protected={1: each.alg}, unprotected={4: each.kid}) for each in keys]
    return cose.encode_and_sign(payload, protected={}, signers=signers)


def encrypt(cose, payload, one, recipients):
    named = {} if recipients else {4: one.kid}
    return cose.encode_and_encrypt(payload, one, {1: one.alg}, {**named, 5: NONCE}, recipients=recipients)


def mac(cose, payload, one, recipients):
    named = {} if recipients else {4: one.kid}
    return cose.encode_and_mac(payload, one, {1: one.alg}, named, recipients=recipients)


def decode(cose, asked, keys):
    options = {"context": kdf_context(*asked["context"])} if "context" in asked else {}
    if "detached" in asked:
        options["detached_payload"] = bytes.fromhex(asked["detached"])
    return cose.decode(bytes.fromhex(asked["message"]), keys, **options)


def act(asked):
    cose, payload = COSE.new(), bytes.fromhex(asked.get("payload", ""))
    keys = [key(each) for each in asked["keys"]]
    recipients = [recipient(each) for each in asked.get("recipients", [])]
    match asked["do"]:
        case "sign1":
            return cose.encode_and_sign(payload, keys[0], {1: keys[0].alg}, {4: keys[0].kid})
        case "sign":
            return sign(cose, payload, keys)
        case "mac":
            return mac(cose, payload, keys[0], recipients)
        case "encrypt":
            return encrypt(cose, payload, keys[0], recipients)
        case _:
            return decode(cose, asked, keys)


for line in sys.stdin:
    try:
        answer = {"out": act(json.loads(line)).hex()}
    except Exception as error:  # noqa: BLE001 - whatever it refuses with
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
