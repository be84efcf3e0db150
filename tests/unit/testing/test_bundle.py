"""The package format for tests: read whole, byte by byte, cut, lengthened and damaged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Component, Dependency
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
STRANGER = PrivateKey.from_seed(KeyType.ED25519, bytes(32))
TRUST = TrustPolicy(keys=(KEY.public_key,))
FORMATS = default_formats().with_format(BundleFormat())
PARTS = {"app": ("2.0", b"APP!" * 50), "modem": ("3.1", b""), "sensor": ("1", b"S")}
GOOD = make_bundle(KEY, PARTS, {"radio": "4.0"}, name="all", version="9")


def verify(data, *, trust=TRUST, step=1 << 20):
    verifier = PackageVerifier(trust, formats=FORMATS)
    for offset in range(0, len(data), step):
        verifier.feed(data[offset : offset + step])
    return verifier.finish()


@pytest.mark.parametrize("step", [1, 7, 64, 1 << 20])
def test_a_bundle_tells_its_parts_however_it_comes(step):
    package = verify(GOOD, step=step)
    begin = GOOD.index(b"APP!")
    assert (package.format, package.name, package.version) == ("bundle", "all", "9")
    assert package.components == (
        Component(name="app", version="2.0", offset_bytes=begin, length_bytes=200),
        Component(name="modem", version="3.1", offset_bytes=begin + 200, length_bytes=0),
        Component(name="sensor", version="1", offset_bytes=begin + 200, length_bytes=1),
    )
    assert package.dependencies == (Dependency(name="radio", minimum_version="4.0"),)
    assert package.signed_by == (KEY.public_key.key_hash,)


def test_an_unsigned_one_is_taken_where_the_policy_says_so():
    package = verify(make_bundle(STRANGER, PARTS), trust=UnsafeTrustPolicy())
    assert (package.signed_by, package.version) == ((), None)


def with_header(header):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"FOTABNDL" + len(encoded).to_bytes(4, "big") + encoded + bytes(64)


HEADER = {"name": "", "version": "", "parts": [["app", "1", 0]], "needs": {}}
BAD = {
    "signed by a stranger": make_bundle(STRANGER, PARTS),
    "longer": GOOD + b"x",
    "changed": GOOD.replace(b"APP!", b"app!", 1),
    "no json": with_header(b"{"),
    "too deep": with_header(b"[" * 10_000),
    "no object": with_header([]),
    "no part": with_header({**HEADER, "parts": []}),
    "a part in words": with_header({**HEADER, "parts": ["app"]}),
    "a negative part": with_header({**HEADER, "parts": [["app", "1", -1]]}),
    "a need in numbers": with_header({**HEADER, "needs": {"app": 1}}),
    "parts that are not there": with_header({**HEADER, "parts": [["app", "1", 5]]}),
    "an endless header": b"FOTABNDL\xff\xff\xff\xff",
}


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_one_is_refused(case, step):
    with pytest.raises(PackageError):
        verify(BAD[case], step=step)


def test_every_cut_is_refused():
    for length in range(8, len(GOOD)):
        with pytest.raises(PackageError):
            verify(GOOD[:length])


@given(st.binary(max_size=200))
def test_anything_behind_the_magic_number_is_refused_with_our_errors(data):
    with pytest.raises(PackageError):
        verify(b"FOTABNDL" + data)
