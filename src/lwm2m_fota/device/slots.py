"""Installers with two slots for each component and trial boots, over the store interfaces.

They do in files or memory what MCUboot's swap with revert does in flash: new images go to the slots that do not run,
the next boot starts them on trial, and a boot without confirmation goes back. What several components do together is
one change of one record, so it is done for all of them or for none.
"""

from collections.abc import Iterable, Mapping
from typing import Final, final

import attrs

from lwm2m_fota.device.boot_record import BootRecord, Phase, Slots, decode, encode
from lwm2m_fota.device.contents import the_component
from lwm2m_fota.device.installer import BatchReport, BootReport, BootStatus, Part
from lwm2m_fota.errors import IntegrityError, UsageError
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import ImageStore, SealedImage, StateStore

_STATUS: Final = {
    Phase.NORMAL: BootStatus.NORMAL,
    Phase.WRITTEN: BootStatus.UNAPPLIED,
    Phase.REQUESTED: BootStatus.UNAPPLIED,
    Phase.TRIAL: BootStatus.PENDING,
    Phase.CONFIRMED: BootStatus.CONFIRMED,
    Phase.REVERTED: BootStatus.REVERTED,
    Phase.REJECTED: BootStatus.REJECTED,
}

SlotPair = tuple[ImageStore, ImageStore]
"""Two image stores; the first runs at the beginning (it may be empty: the factory image is elsewhere)."""


@final
class BatchSlotInstaller:
    """Two image slots for each component and one boot record for all.

    Call `boot` once whenever the device starts, before anything else: it is the boot loader.

    Args:
        record: keeps the boot record.
        slots: by the instance of the component.
        factory_versions: the versions that run before any update, likewise.

    Raises:
        UsageError: no component, or versions of other ones.
    """

    def __init__(self, record: StateStore, slots: Mapping[int, SlotPair], factory_versions: Mapping[int, str]) -> None:
        if not slots or slots.keys() != factory_versions.keys():
            raise UsageError("slots and versions are of the same components, at least one")
        self._store = record
        self._slots = dict(sorted(slots.items()))
        self._factory_versions = factory_versions

    def boot(self) -> BatchReport:
        """What the boot loader does: start what was asked for on trial, or go back from what nobody confirmed."""
        record = self._load()
        if record.phase is Phase.REQUESTED and all(self._is_written(record, each) for each in record.batch):
            self._save(self._swapped(record, Phase.TRIAL))
        elif record.phase is Phase.REQUESTED:  # not all is there to be started
            self._save(attrs.evolve(record, phase=Phase.REJECTED))
        elif record.phase is Phase.TRIAL:
            self._save(self._swapped(record, Phase.REVERTED))
        return self.boot_report()

    def _is_written(self, record: BootRecord, instance: int) -> bool:
        slots = self._slots.get(instance)
        return slots is not None and slots[1 - self._of(record, instance).running].sealed is not None

    def _swapped(self, record: BootRecord, phase: Phase) -> BootRecord:
        """The components of the batch run from their other slots."""
        swapped = {each: attrs.evolve(slots, running=1 - slots.running) for each, slots in self._batch_of(record)}
        return attrs.evolve(record, components={**record.components, **swapped}, phase=phase)

    def _batch_of(self, record: BootRecord) -> Iterable[tuple[int, Slots]]:
        return ((each, self._of(record, each)) for each in record.batch)

    def _of(self, record: BootRecord, instance: int) -> Slots:
        """The slots of a component; one that no record knows yet runs what the factory has put in."""
        return record.components.get(instance) or Slots(0, (self._factory_versions.get(instance, ""), ""))

    def boot_report(self) -> BatchReport:
        """How the device came up.

        Raises:
            StorageError: the record cannot be read.
            SnapshotError: the record is damaged.
        """
        record = self._load()
        slots = [self._of(record, each) for each in self._slots]
        return BatchReport(
            status=_STATUS[record.phase],
            versions=tuple(each.versions[each.running] for each in slots),
            attempt=None if record.phase is Phase.NORMAL else record.attempt,
        )

    def running_image(self, instance: int) -> SealedImage | None:
        """The bytes of the image that a component runs; None while that is the factory's.

        Raises:
            UsageError: there is no such component.
        """
        return self._pair(instance)[self._of(self._load(), instance).running].sealed

    def _pair(self, instance: int) -> SlotPair:
        if instance not in self._slots:
            raise UsageError(f"no such component: {instance}")
        return self._slots[instance]

    def write(self, part: Part, attempt: int) -> None:
        """Copy a component to the slot that does not run, and seal it.

        Raises:
            IntegrityError: the image is not the verified one.
            StorageFullError, StorageError: the slot has no room, or failed.
            UsageError: there is no such component, or a trial boot is neither confirmed nor reverted.
            SnapshotError: the boot record is damaged.
        """
        record, pair = self._load(), self._pair(part.instance)
        if record.phase is Phase.TRIAL:
            raise UsageError("the last update has not come to its end")
        if part.image.size_bytes != part.package.size_bytes:
            raise IntegrityError("the staged image is not the verified package")
        record = self._without(record, part.instance, attempt)
        slots = self._of(record, part.instance)
        other = 1 - slots.running
        _copy(part, pair[other])
        versions = (slots.versions[0], part.version) if other else (part.version, slots.versions[1])
        written = {part.instance: attrs.evolve(slots, versions=versions)}
        self._save(
            attrs.evolve(
                record,
                components={**record.components, **written},
                phase=Phase.WRITTEN,
                attempt=attempt,
                batch=tuple(sorted({*record.batch, part.instance})),
            )
        )

    def _without(self, record: BootRecord, instance: int, attempt: int) -> BootRecord:
        """What was written for this component, or in another attempt, is about to go: no boot may start it."""
        is_pending = record.phase in {Phase.WRITTEN, Phase.REQUESTED}
        kept = record.batch if is_pending and record.attempt == attempt else ()
        batch = tuple(each for each in kept if each != instance)
        phase = Phase.WRITTEN if batch else Phase.NORMAL
        left = attrs.evolve(record, phase=phase, attempt=attempt if batch else None, batch=batch)
        if is_pending and left != record:
            self._save(left)
        return left

    def apply(self, attempt: int, instances: tuple[int, ...]) -> None:
        """Ask for a trial boot of what was written, all of it together.

        Raises:
            UsageError: this attempt has not written these components, and no others.
        """
        record = self._load()
        is_written = record.attempt == attempt and record.phase in {Phase.WRITTEN, Phase.REQUESTED}
        if not is_written or record.batch != tuple(sorted(instances)):
            raise UsageError("this is not what was written for this attempt")
        self._save(attrs.evolve(record, phase=Phase.REQUESTED))

    def confirm(self) -> None:
        """Keep what runs on trial; harmless where nothing does."""
        record = self._load()
        if record.phase is Phase.TRIAL:
            self._save(attrs.evolve(record, phase=Phase.CONFIRMED))

    def acknowledge(self) -> None:
        """Forget the outcome of the last update; a trial or a request stays."""
        record = self._load()
        if record.phase in {Phase.CONFIRMED, Phase.REVERTED, Phase.REJECTED, Phase.WRITTEN}:
            self._save(attrs.evolve(record, phase=Phase.NORMAL, attempt=None, batch=()))

    def _load(self) -> BootRecord:
        data = self._store.load()
        return BootRecord() if data is None else decode(data)

    def _save(self, record: BootRecord) -> None:
        self._store.save(encode(record))


def _copy(part: Part, slot: ImageStore) -> None:
    slot.open(part.length_bytes)
    done = 0
    for piece in part.pieces():
        slot.write_at(done, piece)
        done += len(piece)
    slot.seal()


@final
class SlotInstaller:
    """Two image slots and a boot record, for a device with one firmware.

    Call `boot` once whenever the device starts, before anything else: it is the boot loader.

    Args:
        record: keeps the boot record.
        slots: two image stores; the first runs at the beginning (it may be empty: the factory image is elsewhere).
        factory_version: the version that runs before any update.
    """

    def __init__(self, record: StateStore, slots: SlotPair, factory_version: str) -> None:
        self._batch = BatchSlotInstaller(record, {0: slots}, {0: factory_version})

    def boot(self) -> BootReport:
        """What the boot loader does: start a requested image on trial, or go back from an unconfirmed one."""
        return _alone(self._batch.boot())

    def boot_report(self) -> BootReport:
        """How the device came up.

        Raises:
            StorageError: the record cannot be read.
            SnapshotError: the record is damaged.
        """
        return _alone(self._batch.boot_report())

    @property
    def running_image(self) -> SealedImage | None:
        """The bytes of the running image; None while the factory image runs."""
        return self._batch.running_image(0)

    def write(self, package: VerifiedPackage, image: SealedImage, attempt: int) -> None:
        """Copy the image to the slot that does not run, and seal it; raises as `BatchSlotInstaller.write`."""
        part = Part(
            instance=0, version=package.version or "", package=package, image=image, component=the_component(package)
        )
        self._batch.write(part, attempt)

    def apply(self, attempt: int) -> None:
        """Ask for a trial boot of the written image.

        Raises:
            UsageError: this attempt has written nothing.
        """
        self._batch.apply(attempt, (0,))

    def confirm(self) -> None:
        """Keep the image that runs on trial; harmless where none does."""
        self._batch.confirm()

    def acknowledge(self) -> None:
        """Forget the outcome of the last update; a trial or a request stays."""
        self._batch.acknowledge()


def _alone(report: BatchReport) -> BootReport:
    return BootReport(status=report.status, version=report.versions[0], attempt=report.attempt)
