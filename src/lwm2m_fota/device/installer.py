"""What installs a verified image, and knows how its trial boot went.

An update is: write, seal, apply; the device restarts into the new image on trial; after a health check the image is
confirmed. A restart without confirmation goes back to the former image (MCUboot's swap with revert works so).
"""

from enum import Enum
from typing import Protocol, final

import attrs

from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import SealedImage


@final
class BootStatus(Enum):
    """What the last boot was.

    Attributes:
        NORMAL: no update was in progress.
        PENDING: the new image runs on trial and waits for `confirm`.
        CONFIRMED: the new image was confirmed, and nobody has acknowledged that yet.
        REVERTED: the new image was not confirmed; the former one runs again.
        UNAPPLIED: `apply` was never reached, or the boot loader refused the image.
    """

    NORMAL = "normal"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    UNAPPLIED = "unapplied"


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


class Installer(Protocol):
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

    def confirm(self) -> None:
        """Keep the running image.

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
