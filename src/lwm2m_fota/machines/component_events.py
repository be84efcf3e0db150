"""What can happen to a component of Object 33629 beside the events of Object 5, as its coordinator puts it.

What an event depends on in other instances stands in the event: the machine of one component sees only itself.
"""

from enum import StrEnum
from typing import TypeAlias, final

import attrs


@final
@attrs.frozen
class PackageShared:
    """A package that came through another instance holds this component too.

    Attributes:
        name: for PkgName.
        version: of this component in the package, for PkgVersion.
    """

    name: str
    version: str


@final
@attrs.frozen
class SiblingsBusy:
    """The package that was received is also for instances that are not Idle.

    Attributes:
        transfer: as in `events.PackageReceived`.
    """

    transfer: int | None = None


@final
@attrs.frozen
class UpdateResolved:
    """Update was executed here, or its deferral has ended; which instances and whether they can is known.

    Attributes:
        attempt: the number of the batch.
        conflicts: the update cannot be done.
        defer: the device's user or application wants to install later.
    """

    attempt: int
    conflicts: bool = False
    defer: bool = False


@final
@attrs.frozen
class BatchJoined:
    """An Update that was executed at another instance takes this one with it.

    Attributes:
        attempt: the number of the batch.
    """

    attempt: int


@final
@attrs.frozen
class BatchUnsatisfied:
    """The installer has found a dependency missing; the old firmware runs.

    Attributes:
        image_kept: the sealed image is still there.
        attempt: the number of the batch; None for the one that runs.
    """

    image_kept: bool = True
    attempt: int | None = None


ComponentEvent: TypeAlias = PackageShared | SiblingsBusy | UpdateResolved | BatchJoined | BatchUnsatisfied


@final
class ComponentKind(StrEnum):
    """What the table is asked with, beside the kinds of Object 5."""

    PACKAGE_SHARED = "package shared by a sibling"
    SIBLINGS_BUSY = "package for busy siblings"
    BATCH_STARTED = "update executed, a batch starts"
    BATCH_JOINED = "batch started on a sibling"
    UPDATE_CONFLICTS = "update executed, conflicts"
    BATCH_UNSATISFIED = "install failed, dependency missing"
    BATCH_UNSATISFIED_IMAGE_LOST = "install failed, dependency missing, image lost"


@final
class ComponentChange(StrEnum):
    """What a transition does beside State and Result, where it is none of Object 5."""

    SHARE = "a sibling's package is taken over"
    JOIN = "the attempt of the batch begins"
    STOP_WAITING = "no wait goes on"
