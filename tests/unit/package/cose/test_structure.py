"""What is signed: heads of strings in their shortest form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota import cbor
from lwm2m_fota.package.cose import structure


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "40"),
        (23, "57"),
        (24, "5818"),
        (255, "58ff"),
        (256, "590100"),
        (65535, "59ffff"),
        (65536, "5a00010000"),
        (2**32 - 1, "5affffffff"),
        (2**32, "5b0000000100000000"),
    ],
)
def test_heads(size, head):
    assert structure.bytes_head(size).hex() == head


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(max_size=300), st.binary(max_size=300))
def test_structures_are_arrays_of_cbor(body, own, aad, payload):
    size = len(payload)
    for made, expected in (
        (structure.sign1_prefix(body, aad, size), ["Signature1", body, aad, payload]),
        (structure.sign_prefix(body, own, aad, size), ["Signature", body, own, aad, payload]),
        (structure.mac0_prefix(body, aad, size), ["MAC0", body, aad, payload]),
        (structure.mac_prefix(body, aad, size), ["MAC", body, aad, payload]),
    ):
        assert made + payload == cbor.dumps(expected)
    assert structure.encrypt0_structure(body, aad) == cbor.dumps(["Encrypt0", body, aad])
    assert structure.encrypt_structure(body, aad) == cbor.dumps(["Encrypt", body, aad])
