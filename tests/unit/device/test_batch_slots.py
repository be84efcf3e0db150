"""The installer with two slots for each of several components: together, or not at all."""

import attrs
import pytest

from lwm2m_fota.device.installer import Alone, BatchReport, BootStatus, Part
from lwm2m_fota.device.slots import BatchSlotInstaller, SlotInstaller
from lwm2m_fota.errors import IntegrityError, StorageError, UsageError
from lwm2m_fota.package.types import Component
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryStateStore

FACTORY = {0: "1.0.0", 3: "5.0.0", 7: "9.0.0"}


class Flash:
    def __init__(self, kit):
        self.kit = kit
        self.record = MemoryStateStore()
        self.slots = {each: (MemoryImageStore(), MemoryImageStore()) for each in FACTORY}
        self.new = {each: kit.signed(b"new" * (each + 1), f"2.{each}.0") for each in FACTORY}

    def installer(self, wrap=lambda store: store):
        slots = {each: (wrap(one), wrap(other)) for each, (one, other) in self.slots.items()}
        return BatchSlotInstaller(wrap(self.record), slots, FACTORY)

    def part(self, instance, data=None):
        data = self.new[instance] if data is None else data
        package, store = self.kit.verified(data), MemoryImageStore()
        store.write_at(0, data)
        return Part(
            instance=instance,
            version=package.version,
            package=package,
            image=store.seal(),
            component=package.components[0],
        )

    def shows(self):
        report = self.installer().boot_report()
        return report.status.value, report.versions, report.attempt

    def runs(self):
        """By instance: the factory image (None), or the bytes."""
        images = {each: self.installer().running_image(each) for each in FACTORY}
        return {each: image and image.read_at(0, image.size_bytes) for each, image in images.items()}


@pytest.fixture
def flash(kit):
    return Flash(kit)


def test_a_batch_is_written_tried_and_confirmed_together(flash):
    installer = flash.installer()
    assert installer.boot() == BatchReport(status=BootStatus.NORMAL, versions=("1.0.0", "5.0.0", "9.0.0"))
    for instance in (7, 0):
        installer.write(flash.part(instance), 4)
        assert flash.shows() == ("unapplied", ("1.0.0", "5.0.0", "9.0.0"), 4)
    installer.apply(4, (0, 7))
    assert flash.installer().boot().status is BootStatus.PENDING
    assert flash.shows() == ("pending", ("2.0.0", "5.0.0", "2.7.0"), 4)
    assert flash.runs() == {0: flash.new[0], 3: None, 7: flash.new[7]}
    installer.confirm()
    installer.acknowledge()
    assert flash.installer().boot().versions == ("2.0.0", "5.0.0", "2.7.0")
    assert flash.shows() == ("normal", ("2.0.0", "5.0.0", "2.7.0"), None)


def test_a_batch_that_nobody_confirms_goes_back_together(flash):
    installer = flash.installer()
    for instance in (0, 3):
        installer.write(flash.part(instance), 1)
    installer.apply(1, (0, 3))
    installer.boot()
    assert installer.boot().status is BootStatus.REVERTED
    assert flash.shows() == ("reverted", ("1.0.0", "5.0.0", "9.0.0"), 1)
    assert flash.runs() == {0: None, 3: None, 7: None}


def test_one_component_goes_on_from_where_another_batch_left_it(flash):
    installer = flash.installer()
    for attempt, instances in ((1, (0, 3)), (2, (3, 7)), (3, (3,))):
        for instance in instances:
            installer.write(
                flash.part(instance, flash.kit.signed(bytes([attempt]), f"{attempt}.0.{instance}")), attempt
            )
        installer.apply(attempt, instances)
        installer.boot()
        installer.confirm()
        installer.acknowledge()
    assert flash.shows()[1] == ("1.0.0", "3.0.3", "2.0.7")


@pytest.mark.parametrize("written", [(0,), (0, 3, 7), ()])
def test_only_what_was_written_for_the_attempt_is_applied(flash, written):
    installer = flash.installer()
    for instance in written:
        installer.write(flash.part(instance), 1)
    for attempt, instances in ((1, (0, 3)), (2, written)):
        with pytest.raises(UsageError):
            installer.apply(attempt, instances)
    installer.boot()
    assert flash.shows()[1] == ("1.0.0", "5.0.0", "9.0.0")


def test_what_another_attempt_has_written_is_void(flash):
    installer = flash.installer()
    installer.write(flash.part(0), 1)
    installer.write(flash.part(3), 2)
    with pytest.raises(UsageError):
        installer.apply(2, (0, 3))
    installer.apply(2, (3,))
    installer.boot()
    assert flash.shows()[1] == ("1.0.0", "2.3.0", "9.0.0")


@pytest.mark.parametrize("lost", [0, 3])
def test_a_request_of_which_one_image_is_not_whole_is_not_obeyed_for_any(flash, lost):
    installer = flash.installer()
    for instance in (0, 3):
        installer.write(flash.part(instance), 1)
    installer.apply(1, (0, 3))
    flash.slots[lost][1].discard()
    assert flash.installer().boot().status is BootStatus.REJECTED
    assert flash.runs() == {0: None, 3: None, 7: None}


def test_a_crash_at_any_call_leaves_all_old_or_all_new(kit):
    """The power fails at each call of a batch that takes the place of one that was asked for, and is tried again."""
    for left in range(40):
        flash = Flash(kit)
        for instance in (0, 3):
            flash.installer().write(flash.part(instance), 1)
        flash.installer().apply(1, (0, 3))
        newest = {each: kit.signed(b"newest" * 9, f"3.{each}.0") for each in (0, 3)}
        budget = [left]
        cut = flash.installer(lambda store, budget=budget: kit.Cut(store, budget))
        try:
            for instance in (0, 3):
                cut.write(flash.part(instance, newest[instance]), 2)
            cut.apply(2, (0, 3))
            done = True
        except StorageError:
            done = False
        flash.installer().boot()
        runs = flash.runs()
        old = {0: flash.new[0], 3: flash.new[3], 7: None}
        assert runs in ({0: None, 3: None, 7: None}, old, {**newest, 7: None}), left
        assert (runs == {**newest, 7: None}) is done
        assert (runs == old) is (left == 0)
        if done:
            break
    assert left > 8


def test_only_part_of_a_package_is_installed(flash):
    data = flash.kit.signed(b"all of it")
    part = flash.part(3, data)
    installer = flash.installer()
    piece = Component(name=None, version=None, offset_bytes=4, length_bytes=10)
    slice_ = Part(instance=3, version="2", package=part.package, image=part.image, component=piece)
    installer.write(slice_, 1)
    installer.apply(1, (3,))
    installer.boot()
    assert flash.runs()[3] == data[4:14]
    assert flash.shows()[1][1] == "2"


def test_a_part_that_is_not_in_the_image_is_refused(flash):
    part = flash.part(0)
    beyond = Part(
        instance=0,
        version="",
        package=part.package,
        image=part.image,
        component=attrs.evolve(part.component, offset_bytes=1),
    )
    with pytest.raises(IntegrityError):
        flash.installer().write(beyond, 1)
    assert flash.shows() == ("normal", ("1.0.0", "5.0.0", "9.0.0"), None)


def test_components_are_those_it_was_made_with(flash):
    strange = flash.part(0)
    object.__setattr__(strange, "instance", 5)
    with pytest.raises(UsageError):
        flash.installer().write(strange, 1)
    with pytest.raises(UsageError):
        flash.installer().running_image(5)
    for slots, versions in (({}, {}), (flash.slots, {0: "1"})):
        with pytest.raises(UsageError):
            BatchSlotInstaller(flash.record, slots, versions)


def test_a_component_that_a_firmware_has_brought_runs_what_the_factory_says(flash):
    flash.installer().write(flash.part(3), 1)
    flash.installer().apply(1, (3,))
    flash.installer().boot()
    flash.installer().confirm()
    more = {**flash.slots, 9: (MemoryImageStore(), MemoryImageStore())}
    installer = BatchSlotInstaller(flash.record, more, {**FACTORY, 9: "0.1"})
    assert installer.boot_report().versions == ("1.0.0", "2.3.0", "9.0.0", "0.1")
    fewer = BatchSlotInstaller(flash.record, {0: flash.slots[0]}, {0: "1.0.0"})
    assert fewer.boot_report().versions == ("1.0.0",)


def test_an_installer_of_one_firmware_serves_as_one_of_a_batch(flash):
    single = SlotInstaller(flash.record, flash.slots[0], "1.0.0")
    alone = Alone(single)
    part = flash.part(0)
    alone.write(part, 3)
    alone.apply(3, (0,))
    single.boot()
    assert alone.boot_report() == BatchReport(status=BootStatus.PENDING, versions=("2.0.0",), attempt=3)
    alone.confirm()
    assert alone.boot_report().status is BootStatus.CONFIRMED
    alone.acknowledge()
    assert alone.boot_report().status is BootStatus.NORMAL
    image = single.running_image
    assert image.read_at(0, image.size_bytes) == flash.new[0]
