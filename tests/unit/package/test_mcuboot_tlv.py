"""Headers, versions and records, against hex written by hand."""

import pytest

from lwm2m_fota.errors import IntegrityError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.formats.mcuboot_tlv import (
    ImageDependency,
    ImageHeader,
    ImageVersion,
    Tlv,
    decode_counter,
    decode_info,
    decode_tlvs,
    encode_area,
    encode_counter,
)

# Of ed25519.bin, as verified.txt shows it.
HEADER = bytes.fromhex("3db8f3960000000000021c002c01000000000000010203000400000000000000")


def test_a_header_is_read():
    header = ImageHeader.decode(HEADER)
    assert header.header_size == 512
    assert header.protected_bytes == 28
    assert header.body_bytes == 300
    assert (header.load_address, header.flags) == (0, 0)
    assert header.version == ImageVersion(1, 2, 3, 4)
    assert header.hashed_bytes == 840
    assert not header.is_encrypted


def test_every_field_of_a_header_has_its_place():
    data = bytes.fromhex("3db8f396 04030201 2000 0500 0a000000 28010000 0b 0c 0e0d 1211100f 00000000")
    header = ImageHeader.decode(data)
    assert header == ImageHeader(
        load_address=0x01020304,
        header_size=32,
        protected_bytes=5,
        body_bytes=10,
        flags=0x128,
        version=ImageVersion(0x0B, 0x0C, 0x0D0E, 0x0F101112),
    )
    assert header.is_encrypted
    assert header.encode() == data


def test_a_header_is_written_with_its_padding():
    header = ImageHeader(header_size=512, protected_bytes=28, body_bytes=300, version=ImageVersion(1, 2, 3, 4))
    assert header.encode() == HEADER + b"\xff" * 480


@pytest.mark.parametrize(("flags", "encrypted"), [(0x4, True), (0x8, True), (0xC, True), (0x3F3, False)])
def test_flags_say_whether_it_is_encrypted(flags, encrypted):
    assert ImageHeader(body_bytes=1, version=ImageVersion(0, 0, 0), flags=flags).is_encrypted is encrypted


@pytest.mark.parametrize("magic", ["3cb8f396", "96f3b83d", "00000000"])
def test_another_magic_number_is_another_format(magic):
    with pytest.raises(UnsupportedPackageError):
        ImageHeader.decode(bytes.fromhex(magic) + HEADER[4:])


@pytest.mark.parametrize("sizes", ["1f000000", "00000000", "20000100", "20000300"])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(IntegrityError, match="impossible"):
        ImageHeader.decode(HEADER[:8] + bytes.fromhex(sizes) + HEADER[12:])


@pytest.mark.parametrize(
    "fields", [{"body_bytes": 1 << 32}, {"body_bytes": -1}, {"body_bytes": 1, "header_size": 1 << 16}]
)
def test_numbers_that_do_not_fit_a_header_are_a_mistake_of_the_caller(fields):
    with pytest.raises(UsageError):
        ImageHeader(**fields, version=ImageVersion(1, 0, 0)).encode()


@pytest.mark.parametrize(
    ("text", "version", "written"),
    [
        ("1.2.3+4", (1, 2, 3, 4), "1.2.3+4"),
        ("1.2.3", (1, 2, 3, 0), "1.2.3"),
        ("0.9.0+0", (0, 9, 0, 0), "0.9.0"),
        ("255.255.65535+4294967295", (255, 255, 65535, 4294967295), "255.255.65535+4294967295"),
        ("001.02.3", (1, 2, 3, 0), "1.2.3"),
    ],
)
def test_versions_are_read_and_written(text, version, written):
    assert ImageVersion.parse(text) == ImageVersion(*version)
    assert str(ImageVersion(*version)) == written


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "1.2.3+", "1.2.3-rc1", "v1.2.3", "1.2.3 ", "1.2.3\n", "-1.2.3", "256.0.0", "0.256.0",
     "0.0.65536", "0.0.0+4294967296", "\u0661.2.3"],
)  # fmt: skip
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError):
        ImageVersion.parse(text)


def test_a_version_has_8_bytes():
    assert ImageVersion(1, 2, 0x0403, 0x08070605).encode() == bytes.fromhex("0102030405060708")
    assert ImageVersion.decode(bytes.fromhex("0102030405060708")) == ImageVersion(1, 2, 0x0403, 0x08070605)


@pytest.mark.parametrize(
    ("older", "newer"), [("1.2.3", "1.2.4"), ("1.2.9", "1.3.0"), ("1.9.9", "2.0.0"), ("9.0.0", "10.0.0")]
)
def test_versions_are_compared_as_numbers(older, newer):
    first, second = ImageVersion.parse(older), ImageVersion.parse(newer)
    assert first.is_older_than(second)
    assert not second.is_older_than(first)
    assert not first.is_older_than(first)


def test_the_build_number_is_compared_only_if_asked():
    first, second = ImageVersion(1, 2, 3, 4), ImageVersion(1, 2, 3, 5)
    assert not first.is_older_than(second)
    assert first.is_older_than(second, compare_build=True)
    assert not second.is_older_than(first, compare_build=True)
    assert not ImageVersion(1, 2, 4, 0).is_older_than(second, compare_build=True)


def test_a_record_is_written_and_read():
    assert Tlv(0x0140, b"abc").encode() == bytes.fromhex("40010300616263")
    assert decode_tlvs(bytes.fromhex("40010300616263 a0000000")) == (Tlv(0x0140, b"abc"), Tlv(0xA0, b""))
    assert decode_tlvs(b"") == ()


@pytest.mark.parametrize("data", ["01", "010001", "01000100", "0100ffff00", "01000000 02"])
def test_a_record_that_leaves_its_area_is_refused(data):
    with pytest.raises(IntegrityError, match=r"area"):
        decode_tlvs(bytes.fromhex(data))


def test_a_record_knows_its_name_and_owner():
    assert (Tlv(0x01, b"").name, Tlv(0x24, b"").name, Tlv(0x77, b"").name) == ("KEYHASH", "ED25519", "0x0077")
    assert [kind for kind in (0x9F, 0xA0, 0xFE, 0xFF, 0x129F, 0x12A0, 0xFFFE, 0xFFFF) if Tlv(kind, b"").is_vendor] == [
        0xA0,
        0xFE,
        0x12A0,
        0xFFFE,
    ]


@pytest.mark.parametrize("record", [Tlv(1, bytes(65536)), Tlv(65536, b""), Tlv(-1, b"")])
def test_a_record_that_does_not_fit_is_a_mistake_of_the_caller(record):
    with pytest.raises(UsageError):
        record.encode()


def test_a_dependency_is_written_and_read():
    data = bytes.fromhex("01000000 0102030004000000")
    assert ImageDependency(1, ImageVersion(1, 2, 3, 4)).encode() == data
    assert ImageDependency.decode(data) == ImageDependency(1, ImageVersion(1, 2, 3, 4))


@pytest.mark.parametrize("length", [0, 11, 13])
def test_a_dependency_has_12_bytes(length):
    with pytest.raises(IntegrityError, match=f"{length} bytes"):
        ImageDependency.decode(bytes(length))


@pytest.mark.parametrize("image_id", [-1, 256])
def test_an_image_number_is_one_byte(image_id):
    with pytest.raises(UsageError, match="255"):
        ImageDependency(image_id, ImageVersion(1, 0, 0)).encode()


def test_a_security_counter_is_written_and_read():
    assert encode_counter(7) == bytes.fromhex("07000000")
    assert decode_counter(bytes.fromhex("04030201")) == 0x01020304


@pytest.mark.parametrize("length", [0, 3, 5])
def test_a_security_counter_has_4_bytes(length):
    with pytest.raises(IntegrityError, match=f"{length} bytes"):
        decode_counter(bytes(length))


@pytest.mark.parametrize("counter", [-1, 1 << 32])
def test_a_security_counter_fits_32_bits(counter):
    with pytest.raises(UsageError):
        encode_counter(counter)


def test_an_area_is_written_and_its_head_is_read():
    area = encode_area((Tlv(0x50, b"\7\0\0\0"),), magic=0x6908)
    assert area == bytes.fromhex("0869 0c00 5000 0400 07000000")
    assert decode_info(area[:4], magic=0x6908) == 12
    assert encode_area((), magic=0x6907) == bytes.fromhex("07690400")


@pytest.mark.parametrize("head", ["08690c00", "07690300", "07690000", "00000c00"])
def test_a_wrong_head_is_refused(head):
    with pytest.raises(IntegrityError, match="no TLV area"):
        decode_info(bytes.fromhex(head), magic=0x6907)


def test_an_area_that_does_not_fit_is_a_mistake_of_the_caller():
    with pytest.raises(UsageError):
        encode_area((Tlv(1, bytes(40_000)), Tlv(2, bytes(40_000))), magic=0x6907)
