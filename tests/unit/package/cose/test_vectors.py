"""The messages of cose-wg/Examples: as labelled under `permissive`, and what the strict rules refuse, by name."""

import pytest

from lwm2m_fota.package.cose import structure
from lwm2m_fota.package.cose.message import CoseEncrypt0, CoseMac, CoseMac0, CoseSign, CoseSign1, read_message
from lwm2m_fota.package.cose.rules import CoseRules

# What is labelled good, and refused by the strict rules all the same.
REFUSED = {
    "ecdsa-examples/ecdsa-04": "ES512 with the P-256 key",
    "ecdsa-examples/ecdsa-sig-04": "ES512 with the P-256 key",
    "encrypted-tests/enc-pass-01": "no algorithm in the protected header",
    "encrypted-tests/enc-pass-03": "without its tag",
    "hmac-examples/HMac-05": "HMAC 256/64",
    "hmac-examples/HMac-enc-05": "HMAC 256/64",
    "mac0-tests/mac-pass-01": "no algorithm in the protected header",
    "mac0-tests/mac-pass-02": "no algorithm in the protected header",
    "mac0-tests/mac-pass-03": "without its tag",
    "sign1-tests/sign-pass-01": "no algorithm in the protected header",
    "sign1-tests/sign-pass-03": "without its tag",
}


@pytest.fixture(scope="module")
def rows(spec, vectors_module):
    return list(vectors_module.cose_rows(spec / "vectors"))


def test_they_behave_as_labelled_under_the_permissive_rules(rows):
    assert len(rows) == 63
    assert {row.name for row in rows if (row.permissive == "accepted") is not row.is_meant_good} == set()


def test_the_strict_rules_refuse_these_and_no_others(rows):
    refused = {row.name: row.strict for row in rows if row.is_meant_good and row.strict != "accepted"}
    assert refused.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason in refused[name]
    assert not [row.name for row in rows if row.strict == "accepted" and not row.is_meant_good]


def test_the_page_says_what_the_code_says(spec, vectors_module, root):
    stored = (root / "docs" / "reference" / "vectors.md").read_text(encoding="utf-8")
    assert stored == vectors_module.page(spec / "vectors"), "run: python docs/generate.py"


def test_what_is_signed_is_what_the_vectors_say(spec, vectors_module):
    """`ToBeSign_hex` and its like, from the protected bytes as they came."""
    compared = 0
    for path in sorted((spec / "vectors" / "cose").glob("*/*.json")):
        vector = vectors_module.CoseVector(path)
        if "fail" in vector.name or not vector.is_meant_good:
            continue
        plain = vectors_module.json.loads(path.read_text(encoding="utf-8"))["intermediates"]
        message = read_message(
            vector.data, rules=CoseRules.UNSAFE_PERMISSIVE, untagged=vectors_module.TAGS[vector.kind]
        )
        expected = {value for key, value in walk(plain) if key in {"ToBeSign_hex", "ToMac_hex", "AAD_hex"}}
        made = structures(message, vector.external_aad)
        assert expected
        assert {each.lower() for each in expected} <= {each.hex() for each in made}, vector.name
        compared += 1
    assert compared >= 40


def walk(plain):
    for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
        yield key, value
        if isinstance(value, dict | list):
            yield from walk(value)


def structures(message, aad):
    body = message.headers.protected_bytes
    match message:
        case CoseSign1(payload=payload):
            return [structure.sign1_prefix(body, aad, len(payload)) + payload]
        case CoseSign(payload=payload, signatures=signatures):
            inner = [each.headers.protected_bytes for each in signatures]
            return [structure.sign_prefix(body, each, aad, len(payload)) + payload for each in inner]
        case CoseMac0(payload=payload):
            return [structure.mac0_prefix(body, aad, len(payload)) + payload]
        case CoseMac(payload=payload):
            return [structure.mac_prefix(body, aad, len(payload)) + payload]
        case CoseEncrypt0():
            return [structure.encrypt0_structure(body, aad)]
        case _:
            return [structure.encrypt_structure(body, aad)]
