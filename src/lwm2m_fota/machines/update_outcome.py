"""How an update of a device ends, and what is said about it."""

from typing import final

import attrs

from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.model.enums import UpdateResult


@final
@attrs.frozen
class Diagnosis:
    """What was found.

    Attributes:
        code: stable, for programs: `transfer.no-progress`.
        text: what was seen, for people.
        hint: what to do about it.
    """

    code: str
    text: str
    hint: str


@final
@attrs.frozen(kw_only=True)
class Succeeded:
    """The device runs what it was given.

    Attributes:
        version_before: `/3/0/3` before the update; None if it could not be read.
        version_after: `/3/0/3` after it; None if it could not be read, which is only a warning.
        warnings: what was odd.
    """

    version_before: str | None
    version_after: str | None
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Failed:
    """The update failed, and it is known why; `result` is the device's own word, if it gave one."""

    stage: UpdateStage
    result: UpdateResult | None
    diagnosis: Diagnosis
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Cancelled:
    """The update was cancelled on request, in time; a device that is not known to be Idle is a warning."""

    stage: UpdateStage
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class TimedOut:
    """A limit passed; the diagnosis names the wait."""

    stage: UpdateStage
    diagnosis: Diagnosis
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Undetermined:
    """Update was executed, and the device shows neither success nor failure."""

    diagnosis: Diagnosis
    warnings: tuple[Diagnosis, ...] = ()


Outcome = Succeeded | Failed | Cancelled | TimedOut | Undetermined
