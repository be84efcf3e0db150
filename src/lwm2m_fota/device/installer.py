"""What installs verified images, and knows how their trial boot went.

An update is: write, seal, apply; the device restarts into the new image on trial; after a health check the image is
confirmed. A restart without confirmation goes back to the former image (MCUboot's swap with revert works so).

An `Installer` is for a device with one firmware, a `BatchInstaller` for one with several components. A batch goes the
same way as a whole: what `apply` commits is on trial together, confirmed together, or goes back together.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Protocol, final

import attrs

from lwm2m_fota.package.types import Component, VerifiedPackage, component_pieces
from lwm2m_fota.storage.base import SealedImage


@final
class BootStatus(Enum):
    """What the last boot was.

    Attributes:
        NORMAL: no update was in progress.
        PENDING: the new image runs on trial and waits for `confirm`.
        CONFIRMED: the new image was confirmed, and nobody has acknowledged that yet.
        REVERTED: the new image was not confirmed; the former one runs again.
        UNAPPLIED: `apply` was never reached.
        REJECTED: `apply` was reached, and the boot loader refused to start the image: asking again would not help.
    """

    NORMAL = "normal"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    UNAPPLIED = "unapplied"
    REJECTED = "rejected"


@final
@attrs.frozen(kw_only=True)
class BootReport:
    """How the device came up.

    Attributes:
        status: see `BootStatus`.
        version: of the running image.
        attempt: the update attempt that the status speaks of; None with NORMAL.
    """

    status: BootStatus
    version: str
    attempt: int | None = None


@final
@attrs.frozen(kw_only=True)
class BatchReport:
    """How a device with several components came up.

    Attributes:
        status: see `BootStatus`; of the last batch as a whole.
        versions: of what runs, in the order of the components.
        attempt: the update attempt that the status speaks of; None with NORMAL.
    """

    status: BootStatus
    versions: tuple[str, ...]
    attempt: int | None = None


@final
@attrs.frozen(kw_only=True)
class Part:
    """What is to be installed in one component.

    Attributes:
        instance: of the component.
        version: of what is installed.
        package: the verified package that it comes in.
        image: the bytes of that package.
        component: which part of it.
    """

    instance: int
    version: str
    package: VerifiedPackage
    image: SealedImage
    component: Component

    @property
    def length_bytes(self) -> int:
        """How many bytes are installed."""
        return self.component.length_bytes

    def pieces(self) -> Iterator[bytes]:
        """The bytes that are installed, decrypted if need be.

        Raises:
            IntegrityError: the image is not the one that was verified any more; what came before must not be used.
        """
        return component_pieces(self.component, self.image.read_at)


class BootControl(Protocol):
    """How a trial boot ends."""

    def confirm(self) -> None:
        """Keep what runs.

        Raises:
            StorageError: the boot loader's record cannot be written.
        """
        ...

    def acknowledge(self) -> None:
        """The outcome of the last update is recorded elsewhere: the next report is NORMAL.

        Raises:
            StorageError: the boot loader's record cannot be written.
        """
        ...


class Installer(BootControl, Protocol):
    """The way to your flash and your boot loader. Calls block; they may take as long as the flash does."""

    def boot_report(self) -> BootReport:
        """How the device came up.

        Raises:
            StorageError: the boot loader's record cannot be read.
        """
        ...

    def write(self, package: VerifiedPackage, image: SealedImage, attempt: int) -> None:
        """Write the image to the slot that does not run, and seal it there. Called again, it starts over.

        Args:
            package: what the verifier found; only the verifier can make one.
            image: the bytes.
            attempt: names this update in later boot reports.

        Raises:
            PackageError: the slot does not take this package.
            StorageError: the flash failed.
        """
        ...

    def apply(self, attempt: int) -> None:
        """Tell the boot loader to start the written image on trial at the next boot.

        Raises:
            StorageError: the boot loader's record cannot be written.
        """
        ...


class BatchInstaller(BootControl, Protocol):
    """The way to the flash of several components and to the boot loader that starts them. Calls block."""

    def boot_report(self) -> BatchReport:
        """How the device came up.

        Raises:
            StorageError: the boot loader's record cannot be read.
        """
        ...

    def write(self, part: Part, attempt: int) -> None:
        """Write one component where nothing runs, and seal it there. Called again, it starts over.

        What an earlier attempt has written, and not applied, is void from now on.

        Args:
            part: the component; its package was verified.
            attempt: names this batch in later boot reports.

        Raises:
            DependencyError: another component is not there in the version that this one needs.
            PackageError: the component does not take this package.
            StorageError: the flash failed.
        """
        ...

    def apply(self, attempt: int, instances: tuple[int, ...]) -> None:
        """Tell the boot loader to start all of these on trial at the next boot, in one step that holds or does not.

        Raises:
            StorageError: the boot loader's record cannot be written.
        """
        ...


@final
class Alone:
    """An `Installer` as a `BatchInstaller` of one component.

    Args:
        installer: does the work.
    """

    def __init__(self, installer: Installer) -> None:
        self._installer = installer

    def boot_report(self) -> BatchReport:
        """How the device came up."""
        report = self._installer.boot_report()
        return BatchReport(status=report.status, versions=(report.version,), attempt=report.attempt)

    def write(self, part: Part, attempt: int) -> None:
        """Write the image."""
        self._installer.write(part.package, part.image, attempt)

    def apply(self, attempt: int, instances: tuple[int, ...]) -> None:
        """Ask for the trial boot."""
        del instances
        self._installer.apply(attempt)

    def confirm(self) -> None:
        """Keep the running image."""
        self._installer.confirm()

    def acknowledge(self) -> None:
        """Forget the outcome."""
        self._installer.acknowledge()
