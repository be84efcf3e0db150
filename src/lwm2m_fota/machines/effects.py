"""What a step asks its driver to do: frozen values, to be carried out in the order given.

`Persist` stands before every effect that relies on the saved state. The answer of the step leaves after `Persist`
and before `BeginInstall`. An effect that fails is reported as an event (`TransferFailed`, `InstallFailed`).
"""

from enum import StrEnum
from typing import TypeAlias, final

import attrs


@final
@attrs.frozen
class Persist:
    """Save the snapshot of the new machine, synced, before anything that follows."""


@final
@attrs.frozen
class OpenStage:
    """Open a new, empty stage; what an earlier transfer left in it is dropped.

    Attributes:
        size_bytes: the announced size of the package, if any: refuse early what cannot fit.
        transfer: the number of this transfer, for reports that may be late.
    """

    size_bytes: int | None
    transfer: int


@final
@attrs.frozen
class StartPull:
    """Fetch the package.

    Attributes:
        uri: as written by the server; it may be useless, then the pull ends at once with Result 7 or 9.
        transfer: the number of this transfer, for reports that may be late.
        resume: the stage holds what came before a restart: go on from the stored checkpoint if it fits.
    """

    uri: str
    transfer: int
    resume: bool = False


@final
@attrs.frozen
class StopTransfer:
    """Stop receiving, fetching and verifying; later blocks of this transfer are not accepted."""


@final
@attrs.frozen
class VerifyImage:
    """Seal the stage and check the package; ends in `PackageVerified` or `TransferFailed`.

    Attributes:
        transfer: the number of this transfer, for reports that may be late.
    """

    transfer: int


@final
@attrs.frozen
class DiscardImage:
    """Delete the stage and whatever it holds."""


@final
@attrs.frozen
class BeginInstall:
    """Install the sealed image. Comes at most once for each attempt, after the attempt was saved.

    Without a verified package in hand (after a restart) the sealed image is hashed and checked anew first.

    Attributes:
        attempt: the number to keep beside the outcome, and to report with it.
    """

    attempt: int


@final
@attrs.frozen
class Notify:
    """Tell observers.

    Attributes:
        resource_ids: the resources of the instance whose value changed, in the order to notify: the time of the
            change (12) before the Result (5) before the State (3), so that no observer of the State reads a stale
            Result (SPEC 3.1).
    """

    resource_ids: tuple[int, ...]


Effect: TypeAlias = Persist | OpenStage | StartPull | StopTransfer | VerifyImage | DiscardImage | BeginInstall | Notify


@final
class Do(StrEnum):
    """The effects as the table names them."""

    PERSIST = "Persist"
    OPEN_STAGE = "OpenStage"
    START_PULL = "StartPull"
    RESUME_PULL = "StartPull (resume)"
    STOP_TRANSFER = "StopTransfer"
    VERIFY_IMAGE = "VerifyImage"
    DISCARD_IMAGE = "DiscardImage"
    BEGIN_INSTALL = "BeginInstall"
    NOTIFY = "Notify"
