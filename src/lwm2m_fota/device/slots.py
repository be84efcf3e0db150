"""An installer with two slots and trial boots, over the store interfaces.

It does in files or memory what MCUboot's swap with revert does in flash: the new image goes to the slot that does not
run, the next boot starts it on trial, and a boot without confirmation goes back.
"""

import json
from enum import Enum
from typing import Final, final

import attrs

from lwm2m_fota.device.installer import BootReport, BootStatus
from lwm2m_fota.errors import IntegrityError, SnapshotError, UsageError
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import ImageStore, SealedImage, StateStore

_SCHEMA: Final = 1
_COPY_BYTES: Final = 65536


@final
class _Phase(Enum):
    NORMAL = "normal"
    WRITTEN = "written"
    REQUESTED = "requested"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"


_PHASES: Final = frozenset(each.value for each in _Phase)
_STATUS: Final = {
    _Phase.NORMAL: BootStatus.NORMAL,
    _Phase.WRITTEN: BootStatus.UNAPPLIED,
    _Phase.REQUESTED: BootStatus.UNAPPLIED,
    _Phase.TRIAL: BootStatus.PENDING,
    _Phase.CONFIRMED: BootStatus.CONFIRMED,
    _Phase.REVERTED: BootStatus.REVERTED,
}


@final
@attrs.frozen
class _Record:
    """What the boot loader remembers: which slot runs, both versions, and how far an update is."""

    running: int
    versions: tuple[str, str]
    phase: _Phase = _Phase.NORMAL
    attempt: int | None = None

    @property
    def other(self) -> int:
        return 1 - self.running


@final
class SlotInstaller:
    """Two image slots and a boot record.

    Call `boot` once whenever the device starts, before anything else: it is the boot loader.

    Args:
        record: keeps the boot record.
        slots: two image stores; the first runs at the beginning (it may be empty: the factory image is elsewhere).
        factory_version: the version that runs before any update.
    """

    def __init__(self, record: StateStore, slots: tuple[ImageStore, ImageStore], factory_version: str) -> None:
        self._store = record
        self._slots = slots
        self._factory_version = factory_version

    def boot(self) -> BootReport:
        """What the boot loader does: start a requested image on trial, or go back from an unconfirmed one."""
        record = self._load()
        if record.phase is _Phase.REQUESTED and self._slots[record.other].sealed is not None:
            self._save(attrs.evolve(record, running=record.other, phase=_Phase.TRIAL))
        elif record.phase is _Phase.REQUESTED:  # nothing whole is there to start
            self._save(attrs.evolve(record, phase=_Phase.WRITTEN))
        elif record.phase is _Phase.TRIAL:
            self._save(attrs.evolve(record, running=record.other, phase=_Phase.REVERTED))
        return self.boot_report()

    def boot_report(self) -> BootReport:
        """How the device came up.

        Raises:
            StorageError: the record cannot be read.
            SnapshotError: the record is damaged.
        """
        record = self._load()
        attempt = None if record.phase is _Phase.NORMAL else record.attempt
        return BootReport(status=_STATUS[record.phase], version=record.versions[record.running], attempt=attempt)

    @property
    def running_image(self) -> SealedImage | None:
        """The bytes of the running image; None while the factory image runs."""
        return self._slots[self._load().running].sealed

    def write(self, package: VerifiedPackage, image: SealedImage, attempt: int) -> None:
        """Copy the image to the slot that does not run, and seal it.

        Raises:
            IntegrityError: the image is not the verified one.
            StorageFullError, StorageError: the slot has no room, or failed.
            UsageError: a trial boot is neither confirmed nor reverted.
            SnapshotError: the boot record is damaged.
        """
        record = self._load()
        if record.phase is _Phase.TRIAL:
            raise UsageError("the last update has not come to its end")
        if image.size_bytes != package.size_bytes:
            raise IntegrityError("the staged image is not the verified package")
        if record.phase in {_Phase.WRITTEN, _Phase.REQUESTED}:  # what was written is about to go
            record = attrs.evolve(record, phase=_Phase.NORMAL, attempt=None)
            self._save(record)
        slot = self._slots[record.other]
        slot.open(image.size_bytes)
        offset = 0
        while offset < image.size_bytes:
            data = image.read_at(offset, min(_COPY_BYTES, image.size_bytes - offset))
            if not data:
                raise IntegrityError("the staged image is shorter than the verified package")
            slot.write_at(offset, data)
            offset += len(data)
        slot.seal()
        versions = list(record.versions)
        versions[record.other] = package.version or ""
        self._save(attrs.evolve(record, versions=(versions[0], versions[1]), phase=_Phase.WRITTEN, attempt=attempt))

    def apply(self, attempt: int) -> None:
        """Ask for a trial boot of the written image.

        Raises:
            UsageError: this attempt has written nothing.
        """
        record = self._load()
        if record.attempt != attempt or record.phase not in {_Phase.WRITTEN, _Phase.REQUESTED}:
            raise UsageError("nothing is written for this attempt")
        self._save(attrs.evolve(record, phase=_Phase.REQUESTED))

    def confirm(self) -> None:
        """Keep the image that runs on trial; harmless where none does."""
        record = self._load()
        if record.phase is _Phase.TRIAL:
            self._save(attrs.evolve(record, phase=_Phase.CONFIRMED))

    def acknowledge(self) -> None:
        """Forget the outcome of the last update; a trial or a request stays."""
        record = self._load()
        if record.phase in {_Phase.CONFIRMED, _Phase.REVERTED, _Phase.WRITTEN}:
            self._save(attrs.evolve(record, phase=_Phase.NORMAL, attempt=None))

    def _load(self) -> _Record:
        data = self._store.load()
        if data is None:
            return _Record(0, (self._factory_version, ""))
        try:
            plain: object = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SnapshotError(f"the boot record is damaged: {error}") from error
        match plain:
            case {"schema": int(schema)} if schema != _SCHEMA:
                raise SnapshotError(f"the boot record is of schema {schema}, not {_SCHEMA}")
            case {
                "schema": int(),
                "running": 0 | 1 as running,
                "versions": [str(first), str(second)],
                "phase": str(phase),
                "attempt": int() | None as attempt,
            } if phase in _PHASES:
                return _Record(running, (first, second), _Phase(phase), attempt)
            case _:
                raise SnapshotError("the boot record is damaged")

    def _save(self, record: _Record) -> None:
        plain = {
            "schema": _SCHEMA,
            "running": record.running,
            "versions": list(record.versions),
            "phase": record.phase.value,
            "attempt": record.attempt,
        }
        self._store.save(json.dumps(plain).encode())
