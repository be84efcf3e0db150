"""The staging area: bytes go to the store and to the verifier in one pass, and trust is made anew after a restart."""

import hashlib

import pytest

from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import (
    IntegrityError,
    PackageTooLargeError,
    StorageFullError,
    UnsupportedPackageError,
    UsageError,
)
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.storage import files
from lwm2m_fota.storage.files import FileImageStore
from lwm2m_fota.storage.memory import MemoryImageStore


@pytest.fixture
def data(kit):
    return kit.signed()


@pytest.fixture
def images():
    return MemoryImageStore(1 << 16)


@pytest.fixture
def staging(kit, images):
    return Staging(images, kit.TRUST)


def fill(staging, data, until=None, size=500):
    until = len(data) if until is None else until
    for offset in range(0, until, size):
        staging.add(offset, data[offset : min(offset + size, until)])


def test_a_package_is_stored_verified_and_sealed(staging, images, data):
    staging.open(len(data))
    fill(staging, data)
    assert staging.size_bytes == len(data)
    assert staging.sealed is None
    package = staging.finish()
    assert (package.version, package.sha256) == ("1.1.0", hashlib.sha256(data).digest())
    assert staging.sealed is images.sealed is not None
    assert images.read_at(0, len(data)) == data


def test_the_announced_size_is_held_against_trust_and_store(kit, images):
    staging = Staging(images, kit.TRUST)
    assert staging.limit_bytes == 1 << 16
    with pytest.raises(PackageTooLargeError):
        staging.open((1 << 16) + 1)
    strict = Staging(images, TrustPolicy(keys=kit.TRUST.keys, max_package_bytes=1000))
    assert strict.limit_bytes == 1000
    with pytest.raises(PackageTooLargeError):
        strict.open(1001)
    strict.open(1000)


def test_a_store_that_cannot_be_opened_leaves_nothing_to_add_to(kit, data):
    class Store:
        capacity_bytes = 1 << 20
        size_bytes = 0
        sealed = None
        full = False

        def open(self, size_bytes):
            if self.full:
                raise StorageFullError("full")

    store = Store()
    staging = Staging(store, kit.TRUST)
    staging.open(None)
    store.full = True
    with pytest.raises(StorageFullError):
        staging.open(None)
    with pytest.raises(UsageError):
        staging.add(0, data[:100])


def test_bytes_come_in_order_and_only_into_an_open_stage(staging, data):
    with pytest.raises(UsageError):
        staging.add(0, data[:10])
    with pytest.raises(UsageError):
        staging.checkpoint()
    with pytest.raises(UsageError):
        staging.finish()
    staging.open(None)
    staging.add(0, data[:10])
    with pytest.raises(UsageError):
        staging.add(11, data[11:20])
    with pytest.raises(UsageError):
        staging.add(0, data[:10])


def test_garbage_is_refused_with_its_first_bytes_and_not_stored(staging, images):
    staging.open(None)
    with pytest.raises(UnsupportedPackageError):
        staging.add(0, b"\x7fELF" + bytes(500))
    assert images.size_bytes == 0


def test_a_full_store_says_so(kit, data):
    staging = Staging(MemoryImageStore(1000), kit.TRUST)
    staging.open(None)
    with pytest.raises(StorageFullError):
        fill(staging, data)


@pytest.mark.parametrize("key", [None, "STRANGER"])
def test_what_nobody_trusted_has_signed_is_not_sealed(staging, kit, key):
    data = kit.signed(key=None if key is None else getattr(kit, key))
    staging.open(None)
    fill(staging, data)
    with pytest.raises(IntegrityError):
        staging.finish()
    assert staging.sealed is None
    with pytest.raises(UsageError):
        staging.finish()


def test_a_checkpoint_names_size_and_digest(staging, data):
    staging.open(None)
    fill(staging, data, 1500)
    assert staging.checkpoint() == (1500, hashlib.sha256(data[:1500]).digest())


RESTARTS = {  # what is taken up of 1700 bytes, 1500 of them at a checkpoint
    "of the process": ("b-1", "b-1", 1699),
    "of the system": ("b-1", "b-2", 1500),
    "of who knows what": (None, None, 1500),
    "of a record without it": (None, "b-1", 1500),
    "of a store without it": ("b-1", None, 1500),
}


@pytest.mark.parametrize("case", RESTARTS)
def test_a_restart_takes_up_what_cannot_have_got_lost(kit, data, tmp_path, monkeypatch, case):
    before, after, taken = RESTARTS[case]
    monkeypatch.setattr(files, "system_boot_id", lambda: before)
    staging = Staging(FileImageStore(tmp_path / "staged"), kit.TRUST)
    staging.open(len(data))
    fill(staging, data, 1500)
    offset, sha256 = staging.checkpoint()
    staging.add(1500, data[1500:1700])
    monkeypatch.setattr(files, "system_boot_id", lambda: after)
    again = Staging(FileImageStore(tmp_path / "staged"), kit.TRUST)
    assert again.resume(offset, sha256, staging.boot_id)
    assert again.size_bytes == taken
    for begin in range(taken, len(data), 500):
        again.add(begin, data[begin : begin + 500])
    assert again.finish().sha256 == hashlib.sha256(data).digest()


def test_nothing_behind_a_checkpoint_is_nothing_lost(kit, data, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "system_boot_id", lambda: "b-1")
    staging = Staging(FileImageStore(tmp_path / "staged"), kit.TRUST)
    staging.open(None)
    fill(staging, data, 1500)
    offset, sha256 = staging.checkpoint()
    again = Staging(FileImageStore(tmp_path / "staged"), kit.TRUST)
    assert again.resume(offset, sha256, staging.boot_id)
    assert again.size_bytes == 1500


def test_what_can_be_no_package_behind_a_checkpoint_is_dropped(kit, data, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "system_boot_id", lambda: "b-1")
    store = FileImageStore(tmp_path / "staged")
    staging = Staging(store, kit.TRUST)
    staging.open(None)
    staging.add(0, data[:1])
    offset, sha256 = staging.checkpoint()
    store.write_at(1, b"\xff" * 500)  # past the verifier: what a disk makes of bytes that it loses
    again = Staging(FileImageStore(tmp_path / "staged"), kit.TRUST)
    assert again.resume(offset, sha256, "b-1")
    assert again.size_bytes == 1


def test_what_is_staged_must_be_what_the_checkpoint_says(staging, images, data):
    staging.open(None)
    fill(staging, data, 1500)
    assert not staging.resume(1500, bytes(32))
    assert not staging.resume(1501, bytes(32))
    assert staging.resume(1000, hashlib.sha256(data[:1000]).digest())
    images.seal()
    assert not staging.resume(1000, hashlib.sha256(data[:1000]).digest())


def test_staged_bytes_that_no_format_knows_are_not_resumed(kit, images):
    images.write_at(0, b"\x7fELF" + bytes(500))
    with pytest.raises(UnsupportedPackageError):
        Staging(images, kit.TRUST).resume(504, bytes(32))


def test_rewinding_to_where_it_stands_reads_nothing(staging, images, data, monkeypatch):
    staging.open(None)
    fill(staging, data, 1500)
    reads = []
    monkeypatch.setattr(MemoryImageStore, "read_at", lambda *arguments: reads.append(arguments))
    staging.rewind(1500)
    assert reads == []
    monkeypatch.undo()
    staging.rewind(0)
    assert staging.size_bytes == 0
    fill(staging, data)
    staging.finish()


def test_after_a_restart_only_hashing_anew_makes_a_verified_package(kit, images, data):
    with pytest.raises(IntegrityError):
        Staging(images, kit.TRUST).verify_again()
    images.write_at(0, data)
    images.seal()
    again = Staging(images, kit.TRUST)
    assert again.verify_again().sha256 == hashlib.sha256(data).digest()


def test_a_sealed_image_that_rotted_is_not_verified_again(kit, images, data):
    images.write_at(0, data[:100] + b"\x00" + data[101:])
    images.seal()
    assert data[100] != 0
    with pytest.raises(IntegrityError):
        Staging(images, kit.TRUST).verify_again()


def test_discarding_drops_everything(staging, data):
    staging.open(None)
    fill(staging, data, 1000)
    staging.discard()
    assert staging.size_bytes == 0
    with pytest.raises(UsageError):
        staging.add(1000, data[1000:1010])
