"""What the server's update machine wants done: values, carried out by whoever drives it.

A numbered effect is answered by the event that carries its `command`. The machine is to be stored before an effect
leaves: after a restart it reads first and never repeats a request that may have arrived.
"""

from typing import final

import attrs

from lwm2m_fota.machines.update_outcome import Diagnosis, Outcome
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path


@final
@attrs.frozen
class Read:
    """Read these resources in any way that the device knows; answered by `ReadAnswered` or `ReadFailed`."""

    command: int
    paths: tuple[Path, ...]


@final
@attrs.frozen
class Observe:
    """Observe each of these resources anew; answered by `ObserveAnswered` or `RequestFailed`."""

    command: int
    paths: tuple[Path, ...]


@final
@attrs.frozen
class Unobserve:
    """End the observations; not answered."""

    paths: tuple[Path, ...]


@final
@attrs.frozen
class WriteUri:
    """Write the URL of the package that was published last, with this scheme.

    Answered by `WriteAnswered`, `RequestFailed`, or `SourceFailed` if it could not be published.
    """

    command: int
    path: Path
    scheme: str


@final
@attrs.frozen
class ClearUri:
    """Write an empty Package URI; answered by `WriteAnswered` or `RequestFailed`."""

    command: int
    path: Path


@final
@attrs.frozen
class WriteNul:
    """Write a Package of one NUL byte; answered by `WriteAnswered` or `RequestFailed`."""

    command: int
    path: Path


@final
@attrs.frozen
class Push:
    """Stream this package to this resource by Block1, from its start.

    Answered by `PushAnswered`, `RequestFailed`, or `SourceFailed` if it cannot be read.
    """

    command: int
    path: Path
    package: int = 0


@final
@attrs.frozen
class StopPush:
    """Send no further block of this push; not answered."""

    command: int


@final
@attrs.frozen
class Execute:
    """Execute this resource; answered by `ExecuteAnswered` or `RequestFailed`.

    Attributes:
        others: for Update on Object 33629: the instances of the argument (SPEC 4.2), () for `0` alone; None for no
            argument.
    """

    command: int
    path: Path
    others: tuple[int, ...] | None = None


@final
@attrs.frozen
class Configure:
    """Write each of these resources, in this order; answered by `WriteAnswered` or `RequestFailed`.

    The code is the worst of the answers. An error answer to one keeps nothing from the others.
    """

    command: int
    values: tuple[tuple[Path, int | bool], ...]


@final
@attrs.frozen
class PublishPackage:
    """Make a package available under this scheme, for this device; the `WriteUri` that follows needs its URL.

    It takes the place of one that was published before.
    """

    scheme: str
    package: int = 0


@final
@attrs.frozen
class WithdrawPackage:
    """The package need not be available any more."""


@final
@attrs.frozen
class StepChanged:
    """A step began; `stage` differs from the one before if a stage began with it.

    `component` names the part in focus in an update of components; it is empty in a basic one, as below.
    """

    stage: UpdateStage
    step: UpdateStep
    component: str = ""


@final
@attrs.frozen
class Progressed:
    """This many bytes of the present package have been sent or served."""

    bytes_done: int
    bytes_total: int
    component: str = ""


@final
@attrs.frozen
class Shown:
    """A read showed something new.

    Attributes:
        state, result: read together, never one from a notification and one from before; both None if this read did not
            bring them.
        version: as last read, of the firmware or of the component; None if it was never read.
    """

    state: State | None
    result: UpdateResult | None
    version: str | None
    component: str = ""


@final
@attrs.frozen
class CameLate:
    """After the end, the device has shown how it came out; the outcome stays what it is."""

    state: State
    result: UpdateResult
    version: str | None
    component: str = ""


@final
@attrs.frozen
class Warned:
    """Something odd, which does not end the update."""

    diagnosis: Diagnosis


@final
@attrs.frozen
class Finished:
    """The update has ended."""

    outcome: Outcome


Note = StepChanged | Progressed | Shown | Warned | Finished | CameLate


@final
@attrs.frozen
class Report:
    """A line for the event log of the update; nothing is to be done on the wire."""

    note: Note


UpdateEffect = (
    Read
    | Observe
    | Unobserve
    | WriteUri
    | ClearUri
    | WriteNul
    | Push
    | StopPush
    | Execute
    | Configure
    | PublishPackage
    | WithdrawPackage
    | Report
)
