"""What is in an image, without trust."""

import hashlib

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.formats.mcuboot_read import McubootReader, inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion, Tlv, TlvType


def pieces(data, step):
    return [data[offset : offset + step] for offset in range(0, len(data), step)]


@pytest.mark.parametrize("step", [1, 5, 31, 32, 33, 512, 1000])
def test_an_image_is_described(vector, step):
    data = vector("ed25519.bin")
    found = inspect_mcuboot(pieces(data, step))
    image = found.image
    assert image.header.version == ImageVersion(1, 2, 3, 4)
    assert image.protected == (
        Tlv(0x50, bytes.fromhex("07000000")),
        Tlv(0x40, bytes.fromhex("010000000100000000000000")),
    )
    assert [(record.type, len(record.value)) for record in image.records] == [(0x10, 32), (0x01, 32), (0x24, 64)]
    assert image.records[0].value.hex().startswith("34350d261df13c0377db98d5")
    assert found.digests[Hash.SHA256] == image.records[0].value == hashlib.sha256(data[:840]).digest()
    assert found.digests[Hash.SHA384] == hashlib.sha384(data[:840]).digest()
    assert found.digests[Hash.SHA512] == hashlib.sha512(data[:840]).digest()
    assert (image.image_bytes, image.trailing_bytes) == (984, 0)
    assert found.digest_holds
    assert image.digests == ((Hash.SHA256, found.digests[Hash.SHA256]),)
    assert image.values(TlvType.SHA256) == (found.digests[Hash.SHA256],)
    assert image.values(TlvType.SEC_CNT) == ()
    assert image.protected_values(TlvType.SEC_CNT) == (bytes.fromhex("07000000"),)
    assert image.protected_values(TlvType.SHA256) == ()


@pytest.mark.parametrize("name", ["ed25519.bin", "p256.bin", "nosig.bin", "ed25519-pure.bin"])
def test_the_digests_of_the_vectors_hold(vector, name):
    assert inspect_mcuboot([vector(name)]).digest_holds


def test_a_damaged_image_can_be_described(vector):
    data = bytearray(vector("p256.bin"))
    data[600] ^= 1
    found = inspect_mcuboot([bytes(data)])
    assert not found.digest_holds
    assert found.image.header.body_bytes == 300


def test_what_follows_is_counted(vector):
    image = inspect_mcuboot([vector("p256.bin") + bytes(7), bytes(1000)]).image
    assert (image.image_bytes, image.trailing_bytes) == (963, 1007)


def test_an_encrypted_image_can_be_described(forge):
    found = inspect_mcuboot([forge(lambda _hashed: [], flags=0x4)])
    assert found.image.header.is_encrypted
    assert not found.digest_holds


@pytest.mark.parametrize("name", ["ed25519.bin", "p256.bin", "nosig.bin"])
@pytest.mark.parametrize("step", [1, 30, 33, 1000])
def test_the_covered_part_goes_to_who_wants_it(vector, name, step):
    taken, headers = bytearray(), []

    def begin(header):
        headers.append(header)
        return taken.extend

    reader = McubootReader(begin=begin)
    for piece in pieces(vector(name), step):
        assert reader.feed(memoryview(piece)) == 0
    image = reader.finish()
    assert headers == [image.header]
    assert taken == vector(name)[: image.header.hashed_bytes]


@pytest.mark.parametrize("name", ["ed25519.bin", "p256.bin", "nosig.bin"])
@pytest.mark.parametrize("step", [1, 30, 33, 700, 1000])
def test_a_body_that_nobody_wants_is_left_out(vector, name, step):
    data, reader, at, left_out = vector(name), McubootReader(), 0, 0
    while at < len(data):
        piece = data[at : at + step]
        skipped = reader.feed(memoryview(piece))
        left_out += skipped
        at += len(piece) + skipped
    image = reader.finish()
    assert image == inspect_mcuboot([data]).image
    assert left_out == max(0, image.header.header_size + image.header.body_bytes - max(32, -(-32 // step) * step))


@pytest.mark.parametrize("data", [b"", b"\x3d\xb8\xf3\x96"])
def test_a_truncated_image_cannot_be_described(data):
    with pytest.raises(IntegrityError, match="truncated"):
        inspect_mcuboot([data])


def test_something_else_cannot_be_described():
    with pytest.raises(UnsupportedPackageError):
        inspect_mcuboot([bytes(32)])


def test_header_and_protected_area_agree_on_its_size(forge):
    for size in (11, 13):
        with pytest.raises(IntegrityError, match="different sizes"):
            inspect_mcuboot([forge(lambda _hashed: [], protected=[(0x50, bytes(4))], protected_bytes=size)])


def test_the_protected_area_has_its_own_magic_number(forge):
    with pytest.raises(IntegrityError, match="no TLV area"):
        inspect_mcuboot([forge(lambda _hashed: [], protected=[(0x50, bytes(4))], protected_magic=0x6907)])


def test_a_protected_area_without_records_is_one(forge, vector):
    with pytest.raises(IntegrityError, match="no TLV area"):
        inspect_mcuboot([forge(lambda _hashed: [], protected_bytes=4)])
    hashed = bytearray(vector("nosig.bin")[:332] + bytes.fromhex("08690400"))
    hashed[10:12] = bytes([4, 0])
    image = inspect_mcuboot([bytes(hashed) + bytes.fromhex("07690400")]).image
    assert (image.protected, image.records, image.image_bytes) == ((), (), 340)


def test_areas_are_limited(forge):
    for image in (
        forge(lambda _hashed: [(0x77, bytes(100))]),
        forge(lambda _hashed: [], protected=[(0x77, bytes(100))]),
    ):
        reader = McubootReader(max_tlv_bytes=107)
        with pytest.raises(PackageError, match="at most 107"):
            reader.feed(memoryview(image))
        reader = McubootReader(max_tlv_bytes=108)
        reader.feed(memoryview(image))
        assert reader.finish().image_bytes == len(image)
