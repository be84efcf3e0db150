"""The installer with two slots: every phase, and a crash between any two steps."""

import json

import pytest

from lwm2m_fota.device.installer import BootStatus
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.errors import IntegrityError, SnapshotError, StorageError, StorageFullError, UsageError
from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryStateStore


class Flash:
    def __init__(self, kit, capacity_bytes=1 << 20):
        self.kit = kit
        self.record = MemoryStateStore()
        self.slots = (MemoryImageStore(capacity_bytes), MemoryImageStore(capacity_bytes))
        self.new = kit.signed()

    def installer(self):
        return SlotInstaller(self.record, self.slots, "1.0.0")

    def image(self, data=None):
        store = MemoryImageStore()
        store.write_at(0, self.new if data is None else data)
        return store.seal()

    def write(self, installer, attempt=1, data=None):
        data = self.new if data is None else data
        installer.write(self.kit.verified(data), self.image(data), attempt)

    def shows(self):
        report = self.installer().boot_report()
        return report.status.value, report.version, report.attempt

    def running(self):
        image = self.installer().running_image
        return None if image is None else image.read_at(0, image.size_bytes)


@pytest.fixture
def flash(kit):
    return Flash(kit)


def test_factory_firmware_runs_before_any_update(flash):
    assert flash.installer().boot() == flash.installer().boot_report()
    assert flash.shows() == ("normal", "1.0.0", None)
    assert flash.running() is None


def test_an_update_goes_from_slot_to_trial_to_confirmed(flash):
    installer = flash.installer()
    flash.write(installer, 7)
    assert flash.shows() == ("unapplied", "1.0.0", 7)
    installer.apply(7)
    assert flash.shows() == ("unapplied", "1.0.0", 7)
    assert flash.installer().boot().status is BootStatus.PENDING
    assert flash.shows() == ("pending", "1.1.0", 7)
    assert flash.running() == flash.new
    flash.installer().confirm()
    assert flash.shows() == ("confirmed", "1.1.0", 7)
    flash.installer().acknowledge()
    assert flash.shows() == ("normal", "1.1.0", None)
    assert flash.installer().boot().version == "1.1.0"


def test_a_trial_without_confirmation_goes_back(flash):
    installer = flash.installer()
    flash.write(installer, 1)
    installer.apply(1)
    flash.installer().boot()
    assert flash.installer().boot().status is BootStatus.REVERTED
    assert flash.shows() == ("reverted", "1.0.0", 1)
    assert flash.running() is None
    assert flash.installer().boot().status is BootStatus.REVERTED
    flash.installer().acknowledge()
    assert flash.shows() == ("normal", "1.0.0", None)


def test_the_second_update_goes_to_the_other_slot(flash, kit):
    newest = kit.signed(b"newest" * 300, "1.2.0")
    for attempt, data in ((1, flash.new), (2, newest)):
        installer = flash.installer()
        flash.write(installer, attempt, data)
        installer.apply(attempt)
        installer.boot()
        installer.confirm()
        installer.acknowledge()
    assert flash.running() == newest
    assert flash.slots[1].read_at(0, 1 << 20) == flash.new
    assert flash.shows() == ("normal", "1.2.0", None)


STEPS = ("write", "apply", "boot", "confirm", "acknowledge")
AFTER = {
    0: ("normal", "1.0.0", None),
    1: ("unapplied", "1.0.0", 1),
    2: ("pending", "1.1.0", 1),  # the restart is the boot
    3: ("reverted", "1.0.0", 1),
    4: ("confirmed", "1.1.0", 1),
    5: ("normal", "1.1.0", None),
}


@pytest.mark.parametrize("done", AFTER)
def test_a_crash_between_any_two_steps_is_found_at_the_next_boot(flash, done):
    installer = flash.installer()
    calls = {"write": lambda: flash.write(installer), "apply": lambda: installer.apply(1)}
    for step in STEPS[:done]:
        calls.get(step, getattr(installer, step))()
    flash.installer().boot()
    assert flash.shows() == AFTER[done]


def test_a_crash_at_any_call_of_a_rewrite_never_starts_half_an_image(flash, kit):
    """The record says that something whole is written only while it is."""
    newest = kit.signed(b"newest" * 50_000, "1.2.0")
    for left in range(20):
        flash = Flash(kit)
        flash.write(flash.installer(), 1)
        flash.installer().apply(1)
        budget = [left]
        cut = SlotInstaller(
            kit.Cut(flash.record, budget), tuple(kit.Cut(each, budget) for each in flash.slots), "1.0.0"
        )
        try:
            flash.write(cut, 2, newest)
        except StorageError:
            status = flash.installer().boot().status
            assert flash.running() in {None, flash.new}
            assert status is (BootStatus.PENDING if left == 0 else BootStatus.NORMAL)
            continue
        break
    assert left > 5
    flash.installer().apply(2)
    assert flash.installer().boot().status is BootStatus.PENDING
    assert flash.running() == newest


def test_a_request_for_an_image_that_is_not_whole_is_not_obeyed(flash):
    flash.write(flash.installer(), 1)
    flash.installer().apply(1)
    flash.slots[1].discard()
    assert flash.installer().boot().status is BootStatus.REJECTED
    assert flash.shows() == ("rejected", "1.0.0", 1)
    assert flash.installer().boot().status is BootStatus.REJECTED
    flash.installer().acknowledge()
    assert flash.shows() == ("normal", "1.0.0", None)


def test_only_the_attempt_that_was_written_is_applied(flash):
    with pytest.raises(UsageError):
        flash.installer().apply(1)
    flash.write(flash.installer(), 1)
    with pytest.raises(UsageError):
        flash.installer().apply(2)
    flash.installer().apply(1)
    flash.installer().apply(1)
    flash.installer().boot()
    with pytest.raises(UsageError):
        flash.installer().apply(1)


def test_nothing_is_written_during_a_trial(flash):
    flash.write(flash.installer(), 1)
    flash.installer().apply(1)
    flash.installer().boot()
    with pytest.raises(UsageError):
        flash.write(flash.installer(), 2)
    assert flash.shows() == ("pending", "1.1.0", 1)


def test_confirm_and_acknowledge_are_harmless_at_other_times(flash):
    flash.installer().confirm()
    flash.installer().acknowledge()
    assert flash.record.load() is None
    flash.write(flash.installer(), 1)
    flash.installer().confirm()
    assert flash.shows() == ("unapplied", "1.0.0", 1)
    flash.installer().apply(1)
    flash.installer().acknowledge()
    flash.installer().boot()
    flash.installer().acknowledge()
    assert flash.shows() == ("pending", "1.1.0", 1)


def test_what_was_written_and_not_applied_is_forgotten_when_acknowledged(flash):
    flash.write(flash.installer(), 1)
    flash.installer().acknowledge()
    assert flash.shows() == ("normal", "1.0.0", None)


def test_another_image_than_the_verified_one_is_refused(flash):
    package = flash.kit.verified(flash.new)
    with pytest.raises(IntegrityError):
        flash.installer().write(package, flash.image(flash.new + b"x"), 1)
    short = SealedImage(package.size_bytes, lambda offset, length: flash.new[offset : min(offset + length, 100)])
    with pytest.raises(IntegrityError):
        flash.installer().write(package, short, 1)
    assert flash.shows() == ("normal", "1.0.0", None)


def test_a_slot_without_room_refuses(kit):
    flash = Flash(kit, capacity_bytes=1000)
    with pytest.raises(StorageFullError):
        flash.write(flash.installer(), 1)
    assert flash.shows() == ("normal", "1.0.0", None)


GOOD = {"schema": 1, "components": [[0, 0, "1.0.0", ""]], "phase": "normal", "attempt": None, "batch": []}
DAMAGED = {
    "empty": b"",
    "cut": json.dumps(GOOD).encode()[:-3],
    "no utf-8": b"\xff\xfe\xfd",
    "too deep": b"[" * 100_000,
    "a list": b"[]",
    "another schema": {**GOOD, "schema": 2},
    "no schema": {key: value for key, value in GOOD.items() if key != "schema"},
    "no components": {**GOOD, "components": None},
    "a component in words": {**GOOD, "components": ["0"]},
    "a third slot": {**GOOD, "components": [[0, 2, "", ""]]},
    "a slot in words": {**GOOD, "components": [[0, "0", "", ""]]},
    "one version": {**GOOD, "components": [[0, 0, "1.0.0"]]},
    "a version in numbers": {**GOOD, "components": [[0, 0, 1, 2]]},
    "an instance in words": {**GOOD, "components": [["0", 0, "", ""]]},
    "an unknown phase": {**GOOD, "phase": "lost"},
    "a phase in numbers": {**GOOD, "phase": 1},
    "an attempt in words": {**GOOD, "attempt": "1"},
    "a batch in words": {**GOOD, "batch": ["0"]},
    "no batch": {**GOOD, "batch": None},
    "an endless attempt": b'{"schema":1,"components":[],"phase":"normal","attempt":Infinity,"batch":[]}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_is_a_snapshot_error(flash, damage):
    data = DAMAGED[damage]
    flash.record.save(data if isinstance(data, bytes) else json.dumps(data).encode())
    for call in (flash.installer().boot, flash.installer().boot_report, flash.installer().confirm):
        with pytest.raises(SnapshotError):
            call()


def test_a_whole_record_is_read(flash):
    flash.record.save(
        json.dumps(
            {**GOOD, "components": [[0, 0, "2.0.0", ""]], "phase": "confirmed", "attempt": 9, "batch": [0]}
        ).encode()
    )
    assert flash.shows() == ("confirmed", "2.0.0", 9)
