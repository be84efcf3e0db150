"""What the server's update machine is told: answers, notifications, registrations and silence.

An event is a value. Whoever drives the machine makes one of each thing that happens and hands it to `update.step`;
a recorded list of events replays the update. `command` is the number of the effect that is answered: an answer to
a command that the machine no longer waits for changes nothing.
"""

from collections.abc import Mapping
from typing import final

import attrs

from lwm2m_fota.model.paths import Path


@final
@attrs.frozen(kw_only=True)
class Registered:
    """The device registered, or registered anew: all its observations are gone.

    Attributes:
        object_versions: the objects that it offers, with their versions; `{5: "1.1"}`. An object that is missing is not
            offered.
        instances: those of Object 33629 that it lists; none if it lists none.
        epoch: a number that changes with each registration; the same number again is the same registration.
    """

    object_versions: Mapping[int, str]
    instances: tuple[int, ...] = ()
    epoch: int = 0


@final
@attrs.frozen
class Deregistered:
    """The device took leave; during an installation that is nothing unusual."""


@final
@attrs.frozen
class Lapsed:
    """The lifetime of the registration ran out; during a transfer that is not the end."""


@final
@attrs.frozen
class Restarted:
    """The server was restarted: what was on its way is lost, what was stored is here.

    No device counts as registered until a `Registered` says so: hand one in right after this for one that is known.
    """


@final
@attrs.frozen
class ReadAnswered:
    """A read brought values.

    Attributes:
        command: the `Read` that is answered.
        values: by path; a resource that could not be read is missing. A multiple resource is a sequence, a mapping of
            instance to value under its own path, or one entry for each resource instance.
    """

    command: int
    values: Mapping[Path, object]


@final
@attrs.frozen
class ReadFailed:
    """A read brought nothing: an error answer (`code`), or none at all (`code` is None)."""

    command: int
    code: int | None = None
    reason: str = ""


@final
@attrs.frozen
class WriteAnswered:
    """A `WriteUri`, `ClearUri`, `WriteNul` or `Configure` was answered with this CoAP code."""

    command: int
    code: int


@final
@attrs.frozen
class PushAnswered:
    """The last block of a `Push`, or the block that the device refused, was answered with this CoAP code."""

    command: int
    code: int


@final
@attrs.frozen
class ExecuteAnswered:
    """An `Execute` was answered with this CoAP code; 2.04 says "accepted", never "done"."""

    command: int
    code: int


@final
@attrs.frozen
class ObserveAnswered:
    """An `Observe` was answered: the code of the worst of its paths."""

    command: int
    code: int


@final
@attrs.frozen
class RequestFailed:
    """A command of any kind brought no answer: unreachable, timed out, reset, or it could not be sent at all."""

    command: int
    reason: str = ""


@final
@attrs.frozen
class SourceFailed:
    """A `WriteUri` or a `Push` went wrong on this side: the package cannot be read, or could not be published."""

    command: int
    reason: str = ""


@final
@attrs.frozen
class Notified:
    """A notification of a State or an Update Result; late, merged and reordered ones are welcome."""

    path: Path
    value: object


@final
@attrs.frozen
class PushProgress:
    """The device has acknowledged this many bytes of the running push."""

    command: int
    bytes_sent: int


@final
@attrs.frozen
class PullProgress:
    """Our package server has served the package up to this byte in the present transfer."""

    bytes_served: int


@final
@attrs.frozen
class CancelRequested:
    """Somebody wants this update to end."""


@final
@attrs.frozen
class TimePassed:
    """Nothing happened but time: what `update.handle_timeout` hands in."""


UpdateEvent = (
    Registered
    | Deregistered
    | Lapsed
    | Restarted
    | ReadAnswered
    | ReadFailed
    | WriteAnswered
    | PushAnswered
    | ExecuteAnswered
    | ObserveAnswered
    | RequestFailed
    | SourceFailed
    | Notified
    | PushProgress
    | PullProgress
    | CancelRequested
    | TimePassed
)
