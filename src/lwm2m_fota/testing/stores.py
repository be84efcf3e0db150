"""What every `StateStore`, `PackageSource` and `ImageStore` must do."""

# ruff: noqa: S101, D102 - a conformance suite speaks in asserts, and the names of its tests say what they check

import importlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lwm2m_fota.errors import StorageError, StorageFullError, UsageError
from lwm2m_fota.storage.base import ImageStore, PackageSource, SealedImage, StateStore

MACHINE_CAPACITY_BYTES: Final = 48
MACHINE_EXAMPLES_PERCENT: Final = 50  # of the examples that the hypothesis profile asks for
MACHINE_STEPS: Final = 30
KILLS: Final = 5

_WRITER: Final = """
import importlib, sys
module, name = sys.argv[1].split(":")
store = getattr(importlib.import_module(module), name)(sys.argv[2])
last = store.load()
number = 0 if last is None else int.from_bytes(last[:8], "big")
while True:
    number += 1
    store.save(number.to_bytes(8, "big") * 8192)
    print(number, flush=True)
"""


class StateStoreConformance:
    """Subclass it, and implement `make`."""

    def make(self, folder: Path) -> StateStore:
        """Open the store of a folder: a new one, or what an earlier call left there."""
        raise NotImplementedError

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).load() is None

    def test_the_last_value_counts(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        for value in (b"first, the longer one", b"second", b"\x00" * 100_000, b"", bytes(range(256))):
            store.save(value)
            assert store.load() == value

    def test_nothing_saved_and_empty_saved_differ(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.save(b"")
        assert store.load() == b""

    def test_clear_forgets(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.clear()
        store.save(b"value")
        store.clear()
        assert store.load() is None
        store.clear()
        store.save(b"next")
        assert store.load() == b"next"

    def test_a_saved_value_is_not_the_callers_buffer(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        buffer = bytearray(b"value")
        store.save(buffer)  # type: ignore[arg-type]  # what a careless caller does
        buffer[:] = b"other"
        assert store.load() == b"value"


class DurableStateStoreConformance(StateStoreConformance):
    """For a store whose values outlive the process.

    Attributes:
        opener: "module:callable" of what opens the store of a path; processes are killed while they save there.
    """

    opener: ClassVar[str]

    def test_a_value_outlives_the_store(self, tmp_path: Path) -> None:
        self.make(tmp_path).save(b"value")
        assert self.make(tmp_path).load() == b"value"
        self.make(tmp_path).clear()
        assert self.make(tmp_path).load() is None

    def test_a_killed_writer_leaves_a_whole_value(self, tmp_path: Path) -> None:
        path = tmp_path / "killed"
        module, name = self.opener.split(":")
        opener = getattr(importlib.import_module(module), name)
        for kill in range(KILLS):
            confirmed = _killed_writer(self.opener, path, saves=3 * kill + 1)
            value = opener(path).load()
            number = int.from_bytes(value[:8], "big")
            assert value == number.to_bytes(8, "big") * 8192, "the value is torn"
            assert confirmed <= number <= confirmed + 1


def _killed_writer(opener: str, path: Path, saves: int) -> int:
    """Kill a process that saves in a loop, after some saves; the number of the last one that it confirmed."""
    command = [sys.executable, "-c", _WRITER, opener, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own interpreter
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(saves)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return int([line for line in lines if line.endswith("\n")][-1])


class PackageSourceConformance:
    """Subclass it, and implement `make`."""

    def make(self, folder: Path, data: bytes) -> PackageSource:
        """A source of these bytes; the folder is empty."""
        raise NotImplementedError

    def test_it_knows_its_size(self, tmp_path: Path) -> None:
        assert self.make(tmp_path, bytes(1000)).size_bytes == 1000  # noqa: PLR2004

    def test_it_reads_anywhere_in_any_order(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 20
        source = self.make(tmp_path, data)
        for offset, length in ((5000, 100), (0, 16), (0, len(data)), (1024, 1024), (len(data) - 1, 1), (7, 0)):
            assert source.read_at(offset, length) == data[offset : offset + length]

    def test_it_reads_fewer_bytes_only_at_its_end(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, b"0123456789")
        assert source.read_at(8, 16) == b"89"
        assert source.read_at(10, 16) == b""
        assert source.read_at(1000, 16) == b""

    def test_it_may_be_empty(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, b"")
        assert source.size_bytes == 0
        assert source.read_at(0, 16) == b""

    @pytest.mark.parametrize(("offset", "length"), [(-1, 4), (0, -1), (-1, -1)])
    def test_a_negative_argument_is_refused(self, tmp_path: Path, offset: int, length: int) -> None:
        source = self.make(tmp_path, b"0123456789")
        with pytest.raises(UsageError):
            source.read_at(offset, length)


class ImageStoreConformance:
    """Subclass it, and implement `make`.

    Attributes:
        survives: a store that is made anew from the same folder holds what the last one held.
    """

    survives: ClassVar[bool] = True

    def make(self, folder: Path, capacity_bytes: int) -> ImageStore:
        """Open the store of a folder: a new one, or what an earlier call left there."""
        raise NotImplementedError

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, 100)
        assert (store.capacity_bytes, store.size_bytes, store.sealed) == (100, 0, None)
        assert store.read_at(0, 100) == b""

    def test_blocks_become_an_image(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 16
        store = self.make(tmp_path, len(data))
        store.open(len(data))
        for offset in range(0, len(data), 1024):
            store.write_at(offset, data[offset : offset + 1024])
        image = store.seal()
        assert image.size_bytes == len(data)
        assert image.read_at(0, len(data)) == data
        assert image.read_at(4000, 1024) == data[4000:]

    def test_the_capacity_is_the_limit(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, 10)
        store.open(10)
        store.write_at(0, b"0123456789")
        with pytest.raises(StorageFullError):
            store.write_at(10, b"x")
        assert store.read_at(0, 100) == b"0123456789"

    def test_an_announced_size_that_cannot_fit_is_refused_and_changes_nothing(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, 10)
        store.write_at(0, b"old")
        with pytest.raises(StorageFullError):
            store.open(11)
        assert store.read_at(0, 100) == b"old"
        with pytest.raises(UsageError):
            store.open(-1)
        store.open(10)
        assert store.size_bytes == 0

    def test_sealing_twice_gives_the_same_image(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, 10)
        store.write_at(0, b"image")
        assert store.seal() is store.seal()
        assert store.sealed is store.seal()

    @pytest.mark.parametrize("drop", [lambda store: store.discard(), lambda store: store.open(None)])
    def test_a_dropped_image_cannot_be_read(self, tmp_path: Path, drop: Callable[[ImageStore], None]) -> None:
        store = self.make(tmp_path, 10)
        store.write_at(0, b"image")
        image = store.seal()
        drop(store)
        with pytest.raises(StorageError):
            image.read_at(0, 5)
        store.write_at(0, b"other")
        store.seal()
        with pytest.raises(StorageError):
            image.read_at(0, 5)

    def test_sync_is_always_allowed(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, 10)
        store.sync()
        store.write_at(0, b"image")
        store.sync()
        store.seal()
        store.sync()
        assert store.read_at(0, 5) == b"image"

    def test_a_store_names_one_run_however_often_it_is_made(self, tmp_path: Path) -> None:
        first = self.make(tmp_path, 10).boot_id
        assert first != ""
        assert self.make(tmp_path, 10).boot_id == first

    def test_it_agrees_with_a_model(self) -> None:
        make, survives = self.make, self.survives

        class Machine(ImageStoreMachine):
            def __init__(self) -> None:
                super().__init__(make, survives=survives)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(1, settings().max_examples * MACHINE_EXAMPLES_PERCENT // 100),
                stateful_step_count=MACHINE_STEPS,
                deadline=None,
            ),
        )


_letters = st.binary(max_size=32)
_sizes = st.integers(0, MACHINE_CAPACITY_BYTES + 4) | st.sampled_from(
    [MACHINE_CAPACITY_BYTES, MACHINE_CAPACITY_BYTES + 1]
)


class ImageStoreMachine(RuleBasedStateMachine):
    """A store beside a model of it: a byte string and a seal.

    Args:
        make: as `ImageStoreConformance.make`.
        survives: whether to open the store anew now and then.
    """

    def __init__(self, make: Callable[[Path, int], ImageStore], *, survives: bool) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="stores-")
        self._make = make
        self._survives = survives
        self.store = self._opened()
        self.model = bytearray()
        self.image: SealedImage | None = None
        self.dropped: list[SealedImage] = []

    def _opened(self) -> ImageStore:
        return self._make(Path(self._folder.name), MACHINE_CAPACITY_BYTES)

    def teardown(self) -> None:
        self._folder.cleanup()

    def _drop(self) -> None:
        self.model.clear()
        if self.image is not None:
            self.dropped.append(self.image)
        self.image = None

    @rule(announced=st.none() | _sizes)
    def open(self, announced: int | None) -> None:
        """Stage anew, with a size announced or none; one over the capacity is refused and changes nothing."""
        if announced is not None and announced > MACHINE_CAPACITY_BYTES:
            with pytest.raises(StorageFullError):
                self.store.open(announced)
            return
        self.store.open(announced)
        self._drop()

    @rule()
    def discard(self) -> None:
        """Drop what is staged, or sealed."""
        self.store.discard()
        self._drop()

    @rule(data=_letters)
    def append(self, data: bytes) -> None:
        """Write where the staged bytes end."""
        self.write(len(self.model), data)

    @rule(offset=_sizes, length=st.integers(0, 20), more=st.binary(max_size=4))
    def repeat(self, offset: int, length: int, more: bytes) -> None:
        """Write staged bytes again, and some more after them if they reach the end, as a block sent twice does."""
        offset = min(offset, len(self.model))
        known = bytes(self.model[offset : offset + length])
        self.write(offset, known + more if offset + length >= len(self.model) else known)

    @rule(offset=st.integers(-2, MACHINE_CAPACITY_BYTES + 4), data=_letters)
    def write(self, offset: int, data: bytes) -> None:
        """Write anywhere; refused are a gap, a contradiction of staged bytes, a sealed image, and too many bytes."""
        staged, end = len(self.model), offset + len(data)
        overlap = bytes(self.model[offset:end]) if 0 <= offset <= staged else b""
        misused = self.image is not None or not 0 <= offset <= staged or not data.startswith(overlap)
        if misused:
            with pytest.raises((UsageError, StorageFullError) if end > MACHINE_CAPACITY_BYTES else UsageError):
                self.store.write_at(offset, data)
        elif end > MACHINE_CAPACITY_BYTES:
            with pytest.raises(StorageFullError):
                self.store.write_at(offset, data)
        else:
            self.store.write_at(offset, data)
            self.model += data[len(overlap) :]

    @rule(size=st.integers(-1, MACHINE_CAPACITY_BYTES + 4))
    def truncate(self, size: int) -> None:
        """Cut the staged bytes to a size; a longer one is refused, and so is any of a sealed image."""
        if self.image is not None or not 0 <= size <= len(self.model):
            with pytest.raises(UsageError):
                self.store.truncate(size)
        else:
            self.store.truncate(size)
            del self.model[size:]

    @rule()
    def seal(self) -> None:
        """Make an image of what is staged, or get the one that is there."""
        image = self.store.seal()
        assert self.image is None or image is self.image
        self.image = image

    @rule(offset=_sizes, length=_sizes)
    def read(self, offset: int, length: int) -> None:
        """Read from the store and from its image, within what is there or beyond."""
        expected = bytes(self.model[offset : offset + length])
        assert self.store.read_at(offset, length) == expected
        if self.image is not None:
            assert self.image.read_at(offset, length) == expected

    @rule(offset=st.integers(-2, 0), length=st.integers(-2, -1))
    def read_nonsense(self, offset: int, length: int) -> None:
        """A negative length is refused, whatever the offset."""
        with pytest.raises(UsageError):
            self.store.read_at(offset, length)

    @precondition(lambda self: self._survives)
    @rule(synced=st.booleans())
    def reopen(self, synced: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """Make the store anew from its folder: nothing is lost, synced or not."""
        if synced:
            self.store.sync()
        was_sealed = self.image is not None
        self.store = self._opened()
        self.image = self.store.sealed
        self.dropped.clear()
        assert (self.image is not None) == was_sealed

    @invariant()
    def agrees(self) -> None:
        """After every step the store shows the bytes and the seal of the model, and a dropped image is refused."""
        assert self.store.size_bytes == len(self.model)
        assert self.store.read_at(0, MACHINE_CAPACITY_BYTES) == self.model
        assert self.store.sealed is self.image
        if self.image is not None:
            assert self.image.size_bytes == len(self.model)
        for image in self.dropped:
            with pytest.raises(StorageError):
                image.read_at(0, 1)
