"""What can happen to a device with Object 33629, and what is to be done: frozen values.

Requests and reports of one instance come `On` it; an installation is reported for the batch as a whole.
"""

from typing import TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import effects, events
from lwm2m_fota.machines.coordinator_state import Requirement, Stage
from lwm2m_fota.machines.events import BootOutcome, StagedImage
from lwm2m_fota.model.enums import UpdateResult

BATCH_FAILURES = events.INSTALL_FAILURES | {UpdateResult.DEPENDENCY_ERROR}


# ---- on one instance -----------------------------------------------------------------------------------------------


@final
@attrs.frozen
class UpdateRequested:
    """Update (resource 2) was executed.

    Attributes:
        others: the other instances of the list, as they came; () for the argument `0` alone, None without argument.
        defer: the device's user or application wants to install later.
    """

    others: tuple[int, ...] | None = None
    defer: bool = False


@final
@attrs.frozen
class PackageContent:
    """One component in a package.

    Attributes:
        name: of the component (resource 14).
        version: its version in the package.
    """

    name: str
    version: str


@final
@attrs.frozen
class PackageChecked:
    """The whole package passed every check. Comes after `PackageReceived`, else it is refused.

    Attributes:
        name: for PkgName, at most 255 bytes.
        version: of the package; for PkgVersion where no part of it has the instance's name.
        components: what is in it, by the names of components; empty for a package that names none and is for the
            instance that received it.
        requirements: what it asks of components, in it or not.
        transfer: the number of the transfer that ended; None for the one that runs.
        defer: as in `events.PackageVerified`; of Object 5 alone, since no component has Automatic Upgrade.
    """

    name: str = ""
    version: str = ""
    components: tuple[PackageContent, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    transfer: int | None = None
    defer: bool = False


InstanceEvent: TypeAlias = (
    events.PackageBegun
    | events.EmptyPackageWritten
    | events.ResetWritten
    | events.UriWritten
    | UpdateRequested
    | events.CancelExecuted
    | events.SeverityWritten
    | events.MaxDeferWritten
    | events.PackageReceived
    | PackageChecked
    | events.TransferFailed
    | events.DeferralEnded
)


@final
@attrs.frozen
class On:
    """An event of one instance.

    Attributes:
        instance: which.
        event: what happened.
    """

    instance: int
    event: InstanceEvent


# ---- on all of them ------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class BatchSucceeded:
    """Every component of the batch runs its new version, confirmed.

    Attributes:
        attempt: the number given to `BeginBatch`; None for the batch that runs.
    """

    attempt: int | None = None


@final
@attrs.frozen
class BatchFailed:
    """The batch did not succeed; every component of it runs what it ran before.

    Attributes:
        result: `UPDATE_FAILED`, `INTEGRITY_FAILURE` or `DEPENDENCY_ERROR`.
        culprits: the instances that are to blame. With Result 5 those (and who holds the same package) show 5 and the
            others 8; none named means all. With Result 13 at least one.
        images_kept: the sealed packages are still there and may be executed again.
        attempt: as in `BatchSucceeded`.

    Raises:
        UsageError: `result` is not a failure of a batch, or a dependency error without a culprit.
    """

    result: UpdateResult = UpdateResult.UPDATE_FAILED
    culprits: tuple[int, ...] = ()
    images_kept: bool = True
    attempt: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.result not in BATCH_FAILURES:
            raise UsageError(f"not a failure of a batch: {self.result!r}")
        if self.result is UpdateResult.DEPENDENCY_ERROR and not self.culprits:
            raise UsageError("a dependency error names its culprits")


@final
@attrs.frozen(kw_only=True)
class GroupFound:
    """What a restarted device finds.

    Attributes:
        versions: what runs, in the order of the components.
        stages: what the store shows, one entry for each stage; one that is not listed is missing.
        boot: what the installer shows, for the last batch as a whole.
        attempt: the number that the installer keeps beside `boot`, as given to `BeginBatch`; 0 if it keeps none.
    """

    versions: tuple[str, ...]
    stages: tuple[tuple[Stage, StagedImage], ...] = ()
    boot: BootOutcome = BootOutcome.NONE
    attempt: int = 0


@final
@attrs.frozen
class GroupRestarted:
    """The device has started again from a snapshot; `recover` makes this event.

    Attributes:
        found: what store and installer show.
    """

    found: GroupFound


GroupEvent: TypeAlias = On | BatchSucceeded | BatchFailed | events.ClockRead | GroupRestarted


# ---- to be done ----------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class BeginBatch:
    """Install the packages of these instances: all, or none and everything as before. Comes once for each attempt.

    Each installs its own component of the package that it holds. It ends in `BatchSucceeded` or `BatchFailed`, or in
    what is found after a restart.

    Attributes:
        attempt: the number to keep beside the outcome, and to report with it.
        instances: ascending; no other instance may be touched.
    """

    attempt: int
    instances: tuple[int, ...]


@final
@attrs.frozen
class DropStage:
    """Delete a staged package that no component holds any more; it may be gone already.

    Attributes:
        stage: which.
    """

    stage: Stage


InstanceEffect: TypeAlias = (
    effects.OpenStage | effects.StartPull | effects.StopTransfer | effects.VerifyImage | effects.Notify
)


@final
@attrs.frozen
class For:
    """What is to be done for one instance. A stage that it opens, fills or verifies is `Stage(instance, transfer)`.

    Attributes:
        instance: which.
        effect: what.
    """

    instance: int
    effect: InstanceEffect


GroupEffect: TypeAlias = effects.Persist | DropStage | For | BeginBatch
