"""How an update of a device ends, and what is said about it."""

from typing import final

import attrs

from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.model.enums import State, UpdateResult


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
class ComponentEnd:
    """How one component came out.

    Attributes:
        name: as the plan has it.
        instance: of Object 33629; None if the device has no such component, or it is not known.
        version_before: what it ran before the update; None if it could not be read.
        version_after: what it runs now; None if that could not be read.
        state, result: what it last showed; None if it was never read.
        updated: it runs what it was given.
    """

    name: str
    instance: int | None
    version_before: str | None
    version_after: str | None
    state: State | None
    result: UpdateResult | None
    updated: bool


@final
@attrs.frozen(kw_only=True)
class Succeeded:
    """The device runs what it was given.

    Attributes:
        version_before: what ran before the update, in the first component if there are several; None if it could not
            be read.
        version_after: what runs after it; None if it could not be read, which is only a warning.
        components: of an update of components, how each of them came out.
        warnings: what was odd.
    """

    version_before: str | None
    version_after: str | None
    components: tuple[ComponentEnd, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Failed:
    """The update failed, and it is known why; `result` is the device's own word, if it gave one."""

    stage: UpdateStage
    result: UpdateResult | None
    diagnosis: Diagnosis
    components: tuple[ComponentEnd, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Cancelled:
    """The update was cancelled on request, in time; a device that is not known to be Idle is a warning."""

    stage: UpdateStage
    components: tuple[ComponentEnd, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class TimedOut:
    """A limit passed; the diagnosis names the wait."""

    stage: UpdateStage
    diagnosis: Diagnosis
    components: tuple[ComponentEnd, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Undetermined:
    """Update was executed, and the device shows neither success nor failure."""

    diagnosis: Diagnosis
    components: tuple[ComponentEnd, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


Outcome = Succeeded | Failed | Cancelled | TimedOut | Undetermined
