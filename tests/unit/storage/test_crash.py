"""The process dies at every system call in turn; the next one finds the old content or the new one."""

import itertools
import os

import pytest

from lwm2m_fota.storage.files import FileImageStore, FileStateStore

CALLS = ["open", "pwrite", "fsync", "close", "replace", "unlink", "ftruncate"]


class Died(BaseException):
    """Not an Exception: a dead process handles nothing."""


class Mortal:
    """In its context the process dies at system call number `last`, before, amid or after it."""

    def __init__(self, last, moment):
        self.last, self.moment = last, moment
        self.count = 0
        self.died = False

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        for name in CALLS:
            self.patch.setattr(os, name, self.mortal(name, getattr(os, name)))
        return self

    def __exit__(self, kind, error, trace):
        self.patch.undo()
        return kind is Died

    def mortal(self, name, real):
        def call(*args, **kwargs):
            if self.died:
                raise Died
            self.count += 1
            if self.count != self.last:
                return real(*args, **kwargs)
            self.died = True
            if self.moment == "after":
                real(*args, **kwargs)
            elif self.moment == "amid" and name == "pwrite":
                fd, data, offset = args
                real(fd, data[: len(data) // 2], offset)
            raise Died

        return call


def deaths(moment):
    return (Mortal(last, moment) for last in itertools.count(1))


@pytest.mark.parametrize("moment", ["before", "amid", "after"])
def test_a_state_is_the_old_one_or_the_new_one(tmp_path, moment):
    path = tmp_path / "state"
    store, seen = FileStateStore(path), set()
    for mortal in deaths(moment):
        store.save(b"old")
        with mortal:
            store.save(b"the new one")
        store = FileStateStore(path)
        seen.add(store.load())
        assert [each.name for each in tmp_path.iterdir()] == ["state"]
        if not mortal.died:
            break
    assert mortal.count == 8  # open, write, sync, close, replace; open, sync, close of the folder
    assert seen == {b"old", b"the new one"}


@pytest.mark.parametrize(("moment", "expected"), [("before", {b"old", None}), ("after", {None})])
def test_a_cleared_state_is_there_or_gone(tmp_path, moment, expected):
    path = tmp_path / "state"
    store, seen = FileStateStore(path), set()
    for mortal in deaths(moment):
        store.save(b"old")
        with mortal:
            store.clear()
        store = FileStateStore(path)
        seen.add(store.load())
        if not mortal.died:
            break
    assert seen == expected


@pytest.mark.parametrize("moment", ["before", "amid", "after"])
def test_an_image_is_sealed_whole_or_not_at_all(tmp_path, moment):
    seen = set()
    for mortal in deaths(moment):
        store = FileImageStore(tmp_path / "image")
        store.open(None)
        with mortal:
            store.write_at(0, b"first half, ")
            store.write_at(12, b"second half")
            store.seal()
        store = FileImageStore(tmp_path / "image")
        data = store.read_at(0, 100)
        assert b"first half, second half".startswith(data)
        assert store.sealed is None or data == b"first half, second half"
        seen.add((len(data) == 23, store.sealed is not None))
        if not mortal.died:
            break
    assert seen == {(False, False), (True, False), (True, True)}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_seal_never_stays_on_another_image(tmp_path, moment):
    for mortal in deaths(moment):
        store = FileImageStore(tmp_path / "image")
        store.open(None)
        store.write_at(0, b"old image")
        store.seal()
        with mortal:
            store.open(None)
            store.write_at(0, b"new image")
            store.seal()
        store = FileImageStore(tmp_path / "image")
        if store.sealed is not None:
            assert store.sealed.read_at(0, 100) in {b"old image", b"new image"}
            assert store.sealed.size_bytes == 9
        if not mortal.died:
            break
    assert store.sealed.read_at(0, 100) == b"new image"
