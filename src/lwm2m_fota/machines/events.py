"""What can happen to the device machine of Object 5: one frozen value for each event, and the kinds the table knows.

An event says what happened; which kind it is may depend on the machine (`readings.py`), and only kinds stand in the
table. Do not subclass events.
"""

from enum import Enum, StrEnum
from typing import Final, Literal, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.model.enums import UpdateResult

TRANSFER_FAILURES: Final = frozenset(
    {
        UpdateResult.NOT_ENOUGH_STORAGE,
        UpdateResult.OUT_OF_MEMORY,
        UpdateResult.CONNECTION_LOST,
        UpdateResult.INTEGRITY_FAILURE,
        UpdateResult.UNSUPPORTED_PACKAGE,
        UpdateResult.INVALID_URI,
        UpdateResult.UNSUPPORTED_PROTOCOL,
    }
)
INSTALL_FAILURES: Final = frozenset({UpdateResult.UPDATE_FAILED, UpdateResult.INTEGRITY_FAILURE})


# ---- from a server -------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class PackageBegun:
    """The first block of a Package write that is no reset and not empty.

    Later blocks are no events: they go to the stage. A first block of another endpoint than the one whose push is
    being received is the caller's to refuse.

    Attributes:
        size_bytes: the announced size of the whole package (Size1), if any.
    """

    size_bytes: int | None = None


@final
@attrs.frozen
class EmptyPackageWritten:
    """A Package write of no bytes at all."""


@final
@attrs.frozen
class ResetWritten:
    """Package = one NUL byte in all, or Package URI = "".

    Attributes:
        via: the resource that was written.
    """

    via: Literal["package", "uri"] = "uri"


@final
@attrs.frozen
class UriWritten:
    """A non-empty Package URI was written.

    Attributes:
        uri: as written.
    """

    uri: str


@final
@attrs.frozen
class UpdateExecuted:
    """Update (resource 2) was executed.

    Attributes:
        arguments: as received; Object 5 gives them no meaning.
        defer: the device's user or application wants to install later. Counts only where deferral is allowed.
    """

    arguments: str = ""
    defer: bool = False


@final
@attrs.frozen
class CancelExecuted:
    """Cancel (resource 10) was executed."""


@final
@attrs.frozen
class SeverityWritten:
    """Severity (resource 11) was written.

    Attributes:
        value: as written, not yet checked.
    """

    value: int


@final
@attrs.frozen
class MaxDeferWritten:
    """Maximum Defer Period (resource 13) was written; a deferral that already runs keeps its deadline.

    Attributes:
        seconds: as written, not yet checked.
    """

    seconds: int


@final
@attrs.frozen
class AutoUpgradeWritten:
    """Automatic Upgrade at Download (resource 14, object version 1.2) was written.

    Attributes:
        enabled: as written.
    """

    enabled: bool


# ---- from the device -----------------------------------------------------------------------------------------------


@final
@attrs.frozen
class PackageReceived:
    """The last byte of the package is in the stage.

    Attributes:
        transfer: the number of the transfer that ended; None for the one that runs. Give it where the report can be
            late: one of an earlier transfer is refused.
    """

    transfer: int | None = None


@final
@attrs.frozen
class PackageVerified:
    """The whole package passed every check. Comes after `PackageReceived`, else it is refused.

    Attributes:
        name: for PkgName, at most 255 bytes.
        version: for PkgVersion, at most 255 bytes.
        defer: with Automatic Upgrade on, the user or application wants to install later.
        transfer: as in `PackageReceived`.
    """

    name: str = ""
    version: str = ""
    defer: bool = False
    transfer: int | None = None


@final
@attrs.frozen
class TransferFailed:
    """The package cannot be received, or failed its checks.

    Attributes:
        result: one of `TRANSFER_FAILURES`.
        diagnosis: a stable code or sentence for people and logs; the machine does not read it.
        transfer: as in `PackageReceived`.

    Raises:
        UsageError: `result` is not a failure of a transfer.
    """

    result: UpdateResult
    diagnosis: str = ""
    transfer: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.result not in TRANSFER_FAILURES:
            raise UsageError(f"not a failure of a transfer: {self.result!r}")


@final
@attrs.frozen
class InstallSucceeded:
    """The new firmware runs and is confirmed.

    Attributes:
        attempt: the number given to `BeginInstall`; None for the installation that runs.
    """

    attempt: int | None = None


@final
@attrs.frozen
class InstallFailed:
    """The installation did not succeed; the old firmware runs.

    Attributes:
        result: `UPDATE_FAILED`, or `INTEGRITY_FAILURE` where the package turned out not to hold.
        image_kept: the sealed image is still there and may be executed again.
        attempt: as in `InstallSucceeded`.

    Raises:
        UsageError: `result` is not a failure of an installation.
    """

    result: UpdateResult = UpdateResult.UPDATE_FAILED
    image_kept: bool = True
    attempt: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.result not in INSTALL_FAILURES:
            raise UsageError(f"not a failure of an installation: {self.result!r}")


@final
@attrs.frozen
class DeferralEnded:
    """The user or application agreed to install now."""


@final
@attrs.frozen
class ClockRead:
    """The wall clock was looked at; `handle_timeout` makes this event.

    Attributes:
        waited_s: where it is not set, the seconds that have passed since it was last looked at, or since the start of
            the device if that came later.
    """

    waited_s: float = 0.0


@final
class StagedImage(Enum):
    """What the store shows after a restart."""

    MISSING = "missing"
    PARTIAL = "partial"
    SEALED = "sealed"


@final
class BootOutcome(Enum):
    """What the installer shows after a restart."""

    NONE = "none"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    REJECTED = "rejected"


@final
@attrs.frozen(kw_only=True)
class Found:
    """What a restarted device finds.

    Attributes:
        image: what the store shows. Sealed does not mean verified: the installer hashes it anew.
        boot: what the installer shows.
        attempt: the number that the installer keeps beside `boot`, as given to `BeginInstall`; 0 if it keeps none.
            An outcome of another attempt is not believed.
    """

    image: StagedImage
    boot: BootOutcome = BootOutcome.NONE
    attempt: int = 0


@final
@attrs.frozen
class Restarted:
    """The device has started again from a snapshot; `recover` makes this event.

    Attributes:
        found: what store and installer show.
    """

    found: Found


Event: TypeAlias = (
    PackageBegun
    | EmptyPackageWritten
    | ResetWritten
    | UriWritten
    | UpdateExecuted
    | CancelExecuted
    | SeverityWritten
    | MaxDeferWritten
    | AutoUpgradeWritten
    | PackageReceived
    | PackageVerified
    | TransferFailed
    | InstallSucceeded
    | InstallFailed
    | DeferralEnded
    | ClockRead
    | Restarted
)


@final
class EventKind(StrEnum):
    """What the table is asked with. A guard is a kind of its own, so that no condition hides beside the table."""

    PACKAGE_BEGUN = "package begun"
    PUSH_RESTARTED = "push restarted"
    EMPTY_PACKAGE_WRITTEN = "empty package written"
    RESET_WRITTEN = "reset written"
    URI_WRITTEN = "URI written"
    URI_INVALID = "invalid URI written"
    URI_UNSUPPORTED = "URI of unsupported scheme written"
    UPDATE_EXECUTED = "update executed"
    UPDATE_DEFERRED = "update executed, deferred"
    CANCEL_EXECUTED = "cancel executed"
    SEVERITY_WRITTEN = "severity written"
    SEVERITY_OUT_OF_RANGE = "severity out of range"
    MAX_DEFER_WRITTEN = "defer period written"
    MAX_DEFER_OUT_OF_RANGE = "defer period out of range"
    AUTO_UPGRADE_WRITTEN = "auto upgrade written"

    PACKAGE_RECEIVED = "package received"
    PACKAGE_VERIFIED = "package verified"
    VERIFIED_TO_UPGRADE = "package verified, auto upgrade"
    VERIFIED_TO_DEFER = "package verified, auto upgrade deferred"
    STORAGE_FULL = "storage full"
    OUT_OF_MEMORY = "out of memory"
    CONNECTION_LOST = "connection lost"
    INTEGRITY_FAILED = "integrity failed"
    PACKAGE_UNSUPPORTED = "package unsupported"
    SOURCE_INVALID = "source invalid"
    PROTOCOL_UNSUPPORTED = "protocol unsupported"

    INSTALL_SUCCEEDED = "install succeeded"
    INSTALL_FAILED = "install failed"
    INSTALL_FAILED_IMAGE_LOST = "install failed, image lost"
    INSTALL_REJECTED = "install rejected"
    DEFERRAL_ENDED = "deferral ended"
    DEFERRAL_EXPIRED = "deferral expired"
    CLOCK_SET_BACK = "clock set back"
    CLOCK_LOST = "clock lost, time passed"

    RESTARTED_BARE = "restarted, no image"
    RESTARTED_PARTIAL = "restarted, partial image"
    RESTARTED_SEALED = "restarted, sealed image"
    PULL_RESTARTED_BARE = "restarted in a pull, no image"
    PULL_RESTARTED_PARTIAL = "restarted in a pull, partial image"
    BOOT_CONFIRMED = "restarted, boot confirmed"
    BOOT_PENDING = "restarted, boot pending"
    BOOT_REJECTED = "restarted, image rejected"
    BOOT_FAILED = "restarted, old firmware"
    BOOT_FAILED_IMAGE_LOST = "restarted, old firmware, image lost"

    OUT_OF_TURN = "out of turn"


Delivery: TypeAlias = Literal["push", "pull", "sibling"]
"""How a package comes; "sibling" is for components of Object 33629: in a package for several of them."""
