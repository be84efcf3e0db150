import errno
import os
import stat
from pathlib import Path

import pytest

from lwm2m_fota.errors import StorageError, StorageFullError, UsageError
from lwm2m_fota.storage import _file
from lwm2m_fota.storage.files import FileImageStore, FilePackageSource, FileStateStore
from lwm2m_fota.testing.stores import DurableStateStoreConformance, ImageStoreConformance, PackageSourceConformance


class TestState(DurableStateStoreConformance):
    opener = "lwm2m_fota.storage.files:FileStateStore"

    def make(self, folder):
        return FileStateStore(folder / "state")


class TestPackage(PackageSourceConformance):
    def make(self, folder, data):
        (folder / "package").write_bytes(data)
        return FilePackageSource(folder / "package")


class TestImage(ImageStoreConformance):
    def make(self, folder, capacity_bytes):
        return FileImageStore(folder / "image", capacity_bytes)


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def staged(folder, data=b"image"):
    store = FileImageStore(folder / "image", 100)
    store.write_at(0, data)
    return store


# -- errors of the system

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@pytest.fixture
def fail(monkeypatch):
    """`with fail("fsync", errno.EIO): ...`: the system call fails in there, every time."""

    class Fail:
        def __init__(self, call, number):
            self.call, self.number = call, number

        def __enter__(self):
            def fault(*args, **kwargs):
                raise OSError(self.number, os.strerror(self.number))

            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(os, self.call, fault)

        def __exit__(self, *_):
            self.patch.undo()

    return Fail


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_errno_becomes_an_error_of_ours(tmp_path, fail, number):
    expected = StorageFullError if number in FULL else StorageError
    state, image = FileStateStore(tmp_path / "state"), staged(tmp_path)
    state.save(b"old")
    for use in (lambda: state.save(b"new"), lambda: image.write_at(5, b"more")):
        with fail("pwrite", number), pytest.raises(StorageError) as caught:
            use()
        assert type(caught.value) is expected
    assert state.load() == b"old"
    assert image.read_at(0, 100) == b"image"
    assert names(tmp_path) == ["image", "state"]


USES = {
    "open a state": lambda state, image, package: FileStateStore(state._path),
    "load": lambda state, image, package: state.load(),
    "save": lambda state, image, package: state.save(b"new"),
    "clear": lambda state, image, package: state.clear(),
    "open an image": lambda state, image, package: FileImageStore(image._file.path),
    "begin": lambda state, image, package: image.open(5),
    "write": lambda state, image, package: image.write_at(5, b"more"),
    "repeat": lambda state, image, package: image.write_at(0, b"image and more"),
    "read": lambda state, image, package: image.read_at(0, 5),
    "truncate": lambda state, image, package: image.truncate(1),
    "sync": lambda state, image, package: image.sync(),
    "seal": lambda state, image, package: image.seal(),
    "discard": lambda state, image, package: image.discard(),
    "open a package": lambda state, image, package: FilePackageSource(package._file.path),
    "read a package": lambda state, image, package: package.read_at(0, 5),
}
CALLS = ["open", "pread", "pwrite", "fsync", "replace", "ftruncate", "fstat", "fstatvfs"]
MUST_FAIL = {
    ("save", "open"), ("save", "pwrite"), ("save", "fsync"), ("save", "replace"),
    ("clear", "open"), ("clear", "fsync"),
    ("open an image", "open"), ("open an image", "fsync"), ("open an image", "fstat"),
    ("begin", "fstatvfs"), ("begin", "ftruncate"), ("begin", "fsync"),
    ("write", "pwrite"), ("repeat", "pread"), ("repeat", "pwrite"), ("read", "pread"),
    ("truncate", "ftruncate"), ("sync", "fsync"),
    ("seal", "open"), ("seal", "pwrite"), ("seal", "fsync"), ("seal", "replace"),
    ("discard", "ftruncate"), ("discard", "fsync"),
    ("open a package", "open"), ("open a package", "fstat"),
    ("read a package", "pread"), ("read a package", "fstat"),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("use", USES)
def test_every_call_that_fails_becomes_an_error_of_ours(tmp_path, fail, use, call):
    (tmp_path / "package").write_bytes(b"package")
    state, image, package = (
        FileStateStore(tmp_path / "state"),
        staged(tmp_path),
        FilePackageSource(tmp_path / "package"),
    )
    state.save(b"old")
    failed = False
    with fail(call, errno.EIO):
        try:
            USES[use](state, image, package)
        except StorageError:
            failed = True
    assert failed == ((use, call) in MUST_FAIL)
    if use == "save":
        assert state.load() in ({b"old", b"new"} if failed else {b"new"})
    if failed and use not in {"begin", "discard"}:
        assert image.read_at(0, 100) == b"image"
        assert image.sealed is None
        assert FileImageStore(tmp_path / "image").sealed is None
        image.write_at(0, b"image and more")


@pytest.mark.parametrize(
    "use",
    [
        lambda state, image: state.load(),
        lambda state, image: state.save(b"new"),
        lambda state, image: image.seal(),
        lambda state, image: image.open(None),
    ],
)
def test_files_that_cannot_be_touched_are_storage_errors(tmp_path, use):
    state, image = FileStateStore(tmp_path / "state"), staged(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "image.sealed").mkdir()
    with pytest.raises(StorageError):
        use(state, image)


@pytest.mark.parametrize("kind", [FileStateStore, FileImageStore, FilePackageSource])
@pytest.mark.parametrize("path", ["no-such-folder/file", "file\0name"])
def test_a_path_that_leads_nowhere_is_a_storage_error(tmp_path, kind, path):
    with pytest.raises(StorageError):
        getattr(kind(tmp_path / path), "save", lambda data: None)(b"")


@pytest.mark.parametrize("kind", [FileImageStore, FilePackageSource])
def test_only_regular_files_are_opened(kind, tmp_path):
    with pytest.raises(StorageError):
        kind("/dev/null")
    with pytest.raises(StorageError):
        kind(tmp_path)


def test_a_closed_file_is_a_storage_error(tmp_path):
    image = staged(tmp_path)
    package = FilePackageSource(tmp_path / "image")
    for each in (image, package):
        each.close()
        each.close()
        with pytest.raises(StorageError):
            each.read_at(0, 1)
    with pytest.raises(StorageError):
        image.write_at(5, b"more")


# -- state


def test_a_value_is_synced_before_it_gets_its_name_and_the_name_before_save_returns(tmp_path, monkeypatch):
    store = FileStateStore(tmp_path / "state")
    log, real = [], {name: getattr(os, name) for name in ("open", "pwrite", "fsync", "replace")}
    kinds = {}

    def opened(path, flags, mode=0o777):
        fd = real["open"](path, flags, mode)
        kinds[fd] = "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else Path(path).name
        return fd

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        patch.setattr(os, "pwrite", lambda fd, *rest: log.append(f"write {kinds[fd]}") or real["pwrite"](fd, *rest))
        patch.setattr(os, "fsync", lambda fd: log.append(f"sync {kinds[fd]}") or real["fsync"](fd))
        patch.setattr(os, "replace", lambda *paths: log.append("replace") or real["replace"](*paths))
        store.save(b"value")
    assert log == ["write state.tmp", "sync state.tmp", "replace", "sync folder"]


def test_what_a_crash_left_behind_is_removed(tmp_path):
    (tmp_path / "state").write_bytes(b"whole")
    (tmp_path / "state.tmp").write_bytes(b"to")
    (tmp_path / "other.tmp").write_bytes(b"not ours")
    assert FileStateStore(str(tmp_path / "state")).load() == b"whole"
    assert names(tmp_path) == ["other.tmp", "state"]


def test_files_are_private(tmp_path):
    FileStateStore(tmp_path / "state").save(b"key")
    staged(tmp_path).seal()
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_a_write_that_writes_less_goes_on(tmp_path, monkeypatch):
    real = os.pwrite
    store = FileStateStore(tmp_path / "state")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:3], offset))
        store.save(b"0123456789")
    assert store.load() == b"0123456789"


def test_a_write_that_writes_nothing_means_full(tmp_path, monkeypatch):
    store = FileStateStore(tmp_path / "state")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, offset: 0)
        with pytest.raises(StorageFullError):
            store.save(b"0123456789")
    assert store.load() is None


# -- packages


def test_a_package_that_changes_is_noticed(tmp_path):
    path = tmp_path / "package"
    path.write_bytes(b"0123456789")
    source = FilePackageSource(path)
    assert source.read_at(0, 4) == b"0123"
    path.write_bytes(b"9876543210")
    os.utime(path, ns=(0, 0))
    with pytest.raises(StorageError, match="has changed"):
        source.read_at(0, 4)


@pytest.mark.parametrize("content", [b"0123456789 and more", b"0123", b""])
def test_a_package_that_grows_or_shrinks_is_noticed(tmp_path, content):
    path = tmp_path / "package"
    path.write_bytes(b"0123456789")
    source = FilePackageSource(path)
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StorageError):
        source.read_at(0, 10)


def test_a_package_that_was_replaced_is_read_on_as_it_was(tmp_path):
    path = tmp_path / "package"
    path.write_bytes(b"old")
    source = FilePackageSource(path)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").rename(path)
    assert source.read_at(0, 3) == b"old"


def test_a_read_that_reads_less_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "package"
    path.write_bytes(b"0123456789")
    source, real = FilePackageSource(path), os.pread
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", lambda fd, length, offset: real(fd, min(length, 3), offset))
        assert source.read_at(1, 8) == b"12345678"


# -- images


def test_a_staged_image_outlives_the_store(tmp_path):
    staged(tmp_path, b"half an im")
    store = FileImageStore(tmp_path / "image", 100)
    assert (store.size_bytes, store.sealed) == (10, None)
    store.write_at(10, b"age")
    store.seal()
    again = FileImageStore(tmp_path / "image", 100)
    assert again.sealed.read_at(0, 100) == b"half an image"
    with pytest.raises(UsageError):
        again.write_at(13, b"!")


def test_the_seal_is_written_after_the_image_is_synced(tmp_path, monkeypatch):
    store = staged(tmp_path)
    log, fsync, replace = [], os.fsync, os.replace
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: log.append("sync") or fsync(fd))
        patch.setattr(os, "replace", lambda *paths: log.append("seal") or replace(*paths))
        store.seal()
    assert log == ["sync", "sync", "seal", "sync"]  # image, seal, its name


def test_the_seal_is_gone_for_good_before_the_image_changes(tmp_path, monkeypatch):
    store = staged(tmp_path)
    store.seal()
    log, fsync, unlink, ftruncate = [], os.fsync, os.unlink, os.ftruncate
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: log.append("sync") or fsync(fd))
        patch.setattr(os, "unlink", lambda path: log.append("unseal") or unlink(path))
        patch.setattr(os, "ftruncate", lambda *args: log.append("empty") or ftruncate(*args))
        store.discard()
    assert log == ["unseal", "sync", "empty", "sync"]


def test_a_seal_that_was_not_confirmed_is_taken_back(tmp_path, monkeypatch):
    store, fsync = staged(tmp_path), os.fsync

    def fails_for_folders(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "fault")
        fsync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails_for_folders)
        with pytest.raises(StorageError):
            store.seal()
    store.truncate(0)
    store.write_at(0, b"other")
    assert store.sealed is None
    assert FileImageStore(tmp_path / "image").sealed is None


@pytest.mark.parametrize("seal", [b"4", b"6", b"", b"five", b"-5", b"5" * 100, b"\xff"])
def test_a_seal_that_does_not_fit_counts_for_nothing_and_is_removed(tmp_path, seal):
    staged(tmp_path, b"image")
    (tmp_path / "image.sealed").write_bytes(seal)
    store = FileImageStore(tmp_path / "image")
    assert store.sealed is None
    assert store.size_bytes == 5
    assert names(tmp_path) == ["image"]


def test_a_half_written_seal_counts_for_nothing_and_is_removed(tmp_path):
    staged(tmp_path, b"image")
    (tmp_path / "image.sealed.tmp").write_bytes(b"5")
    assert FileImageStore(tmp_path / "image").sealed is None
    assert names(tmp_path) == ["image"]


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    store, real = staged(tmp_path), os.pwrite

    def half(fd, data, offset):
        if offset >= 8:
            raise OSError(errno.ENOSPC, "no space")
        return real(fd, data[:3], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(StorageFullError):
            store.write_at(5, b"0123456789")
    assert store.size_bytes == 5
    assert (tmp_path / "image").read_bytes() == b"image"


class Space:
    def __init__(self, free_blocks, blocks=1000):
        self.f_bavail, self.f_frsize, self.f_blocks = free_blocks, 10, blocks


def test_an_announced_size_over_the_free_space_is_refused_early(tmp_path, monkeypatch):
    store = staged(tmp_path, b"x" * 25)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstatvfs", lambda fd: Space(free_blocks=3))
        with pytest.raises(StorageFullError):
            store.open(56)
        assert store.size_bytes == 25
        store.open(55)  # what is there makes room
        assert store.size_bytes == 0
        store.open(None)


def test_a_file_system_that_does_not_tell_its_space_is_tried(tmp_path, monkeypatch):
    store = staged(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstatvfs", lambda fd: Space(free_blocks=0, blocks=0))
        store.open(50)
    assert store.size_bytes == 0


def test_an_image_that_shrinks_behind_our_back_is_a_storage_error(tmp_path):
    store = staged(tmp_path)
    os.truncate(tmp_path / "image", 2)
    with pytest.raises(StorageError, match="shorter"):
        store.read_at(0, 5)


@pytest.mark.parametrize("kind", [FileImageStore])
def test_a_negative_capacity_is_refused(tmp_path, kind):
    with pytest.raises(UsageError):
        kind(tmp_path / "image", -1)


@pytest.mark.parametrize("text", [b"4f5c8b2e-0d0a-4a52-9c7b-0b8a2a0c6f11\n", b"\n", b"\xff", None])
def test_the_run_of_the_system_has_the_name_that_linux_gives_it(tmp_path, monkeypatch, text):
    told = tmp_path / "boot_id"
    if text is not None:
        told.write_bytes(text)
    monkeypatch.setattr(_file, "_BOOT_ID", told)
    expected = "4f5c8b2e-0d0a-4a52-9c7b-0b8a2a0c6f11" if text and text.startswith(b"4") else None
    assert FileImageStore(tmp_path / "image").boot_id == expected
