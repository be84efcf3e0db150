"""Packages of any bytes, cut in any way."""

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageHeader, ImageVersion, Tlv, decode_tlvs
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import Dependency, VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "mcuboot"
SIGNERS = {KeyType.ED25519: 32, KeyType.P256: 32, KeyType.P384: 48}
KEYS = tuple(PrivateKey.from_seed(kind, bytes(range(1, 1 + size))) for kind, size in SIGNERS.items())
KEYS += (PrivateKey.from_seed(KeyType.ED25519, bytes(range(32))),)
TRUST = TrustPolicy(keys=tuple(key.public_key for key in KEYS))
POLICIES = [
    TRUST,
    UnsafeTrustPolicy(keys=TRUST.keys, max_package_bytes=900, choices={UnsafeChoice.IGNORE_UNKNOWN_RECORDS}),
    TrustPolicy.of_digest(bytes(32)),
    UnsafeTrustPolicy(),
]
FORMATS = default_formats().with_format(McubootFormat(max_held_bytes=400, max_trailing_bytes=16, max_tlv_bytes=300))

versions = st.builds(
    ImageVersion,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
)


def outcome(policy, pieces, told=None) -> tuple[object, ...]:
    """The package, or what is wrong with it: the same however the bytes are cut."""
    try:
        verifier = PackageVerifier(policy, formats=FORMATS, expected_size_bytes=told)
        for piece in pieces:
            verifier.feed(piece)
        return (verifier.finish(),)
    except PackageError as error:
        return type(error), error.result, str(error)


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@st.composite
def images(draw) -> bytes:
    """A good image, sometimes damaged in one place, shortened or lengthened."""
    data = bytearray(
        draw(st.sampled_from(["p256.bin", "ed25519.bin", "nosig.bin", "ed25519-pure.bin"]).map(read_vector))
    )
    match draw(st.sampled_from(["whole", "damaged", "short", "long"])):
        case "damaged":
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        case "short":
            del data[draw(st.integers(0, len(data))) :]
        case "long":
            data += draw(st.binary(max_size=40))
        case _:
            pass
    return bytes(data)


def read_vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


@given(
    data=images(),
    places=st.lists(st.integers(0, 2000), max_size=12),
    policy=st.sampled_from(POLICIES),
    told=st.none() | st.integers(800, 1000),
)
def test_the_verdict_does_not_depend_on_the_cuts(data, places, policy, told):
    whole = outcome(policy, [data], told)
    assert outcome(policy, cuts(data, places), told) == whole
    assert outcome(policy, [memoryview(piece) for piece in cuts(data, places)], told) == whole


@pytest.mark.parametrize("name", ["p256.bin", "ed25519.bin", "nosig.bin", "ed25519-pure.bin"])
@pytest.mark.parametrize("policy", POLICIES)
def test_byte_by_byte_is_as_good_as_whole(name, policy):
    data = read_vector(name)
    whole = outcome(policy, [data])
    assert outcome(policy, [bytes([byte]) for byte in data]) == whole
    if len(data) <= policy.max_package_bytes:
        assert outcome(policy, [data], told=len(data)) == whole


@given(data=st.binary(max_size=600), policy=st.sampled_from(POLICIES), told=st.none() | st.integers(0, 700))
def test_random_bytes_raise_package_errors_only(data, policy, told):
    result = outcome(policy, [data], told)
    if policy is TRUST:
        assert not isinstance(result[0], VerifiedPackage)


@given(
    sizes=st.tuples(st.integers(0, 80), st.integers(0, 40), st.integers(0, 200)),
    flags=st.integers(0, 2**32 - 1),
    rest=st.binary(max_size=400),
)
def test_random_bytes_behind_a_header_raise_package_errors_only(sizes, flags, rest):
    header = struct.pack("<IIHHIIQI", 0x96F3B83D, 0, *sizes, flags, 0, 0)
    for policy in POLICIES:
        assert not isinstance(outcome(policy, [header, rest])[0], VerifiedPackage)  # no digest is met by chance


@given(area=st.binary(max_size=120), protected=st.binary(max_size=60))
def test_random_records_raise_package_errors_only(area, protected):
    covered = struct.pack("<HH", 0x6908, 4 + len(protected)) + protected
    header = struct.pack("<IIHHIIQI", 0x96F3B83D, 0, 32, len(covered), 3, 0, 0, 0)
    image = header + b"abc" + covered + struct.pack("<HH", 0x6907, 4 + len(area)) + area
    for policy in POLICIES:
        result = outcome(policy, [image])
        assert policy is not TRUST or not isinstance(result[0], VerifiedPackage)


@given(data=st.binary(max_size=400))
def test_inspection_raises_package_errors_only(data):
    try:
        image = inspect_mcuboot([data])
    except PackageError:
        return
    assert image.image_bytes + image.trailing_bytes == len(data)


@given(
    body=st.binary(max_size=300),
    version=versions,
    key=st.sampled_from(KEYS),
    header_size=st.integers(32, 600),
    counter=st.none() | st.integers(0, 2**32 - 1),
    needs=st.lists(st.tuples(st.integers(0, 255), versions), max_size=4),
    places=st.lists(st.integers(0, 2000), max_size=6),
)
def test_what_is_made_verifies_and_says_the_same(body, version, key, header_size, counter, needs, places):
    image = create_mcuboot(
        body,
        version=version,
        key=key,
        options=ImageOptions(
            header_size=header_size,
            security_counter=counter,
            dependencies=tuple(ImageDependency(*need) for need in needs),
        ),
    )
    (package,) = outcome(TRUST, cuts(image, places))
    assert isinstance(package, VerifiedPackage)
    assert package.version == str(version)
    assert [each.value for each in package.counters] == ([] if counter is None else [counter])
    assert package.signed_by == (key.public_key.key_hash,)
    assert package.dependencies == tuple(
        Dependency(name=str(image_id), minimum_version=str(minimum)) for image_id, minimum in needs
    )


@given(version=versions)
def test_versions_go_to_text_and_bytes_and_back(version):
    assert ImageVersion.parse(str(version)) == version
    assert ImageVersion.decode(version.encode()) == version


@given(versions, versions)
def test_of_two_versions_at_most_one_is_older(first, second):
    for build in (False, True):
        assert not (
            first.is_older_than(second, compare_build=build) and second.is_older_than(first, compare_build=build)
        )
    older = first.is_older_than(second, compare_build=True) or second.is_older_than(first, compare_build=True)
    assert older == (first != second)


@given(data=st.binary(min_size=28, max_size=28))
def test_headers_are_read_and_written_alike(data):
    data = struct.pack("<I", 0x96F3B83D) + data
    try:
        header = ImageHeader.decode(data)
    except PackageError:
        return
    assert header.encode()[:28] == data[:28]


@given(st.lists(st.builds(Tlv, st.integers(0, 65535), st.binary(max_size=50)), max_size=6))
def test_records_are_read_and_written_alike(records):
    assert decode_tlvs(b"".join(record.encode() for record in records)) == tuple(records)
