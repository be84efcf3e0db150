"""The device machine of Object 5 as a value: control state, settings, and wall times apart."""

from typing import Final, NamedTuple, final

import attrs

from lwm2m_fota.machines.events import Delivery
from lwm2m_fota.model.enums import Severity, State, UpdateResult

MAX_DEFER_LIMIT_S: Final = 2**63 - 1
"""The largest Maximum Defer Period that is taken, in seconds."""

MAX_STRING_BYTES: Final = 255
"""The largest Package URI, PkgName and PkgVersion, in bytes of UTF-8 (Object 5 says 0..255)."""


@final
@attrs.frozen(weakref_slot=False)
class Settings:
    """What servers set; no transition touches it.

    Attributes:
        severity: resource 11 (default Mandatory, Object 5 version 1.1).
        max_defer_s: resource 13, in seconds; 0 allows no deferral.
        auto_upgrade: resource 14, object version 1.2.
    """

    severity: Severity = Severity.MANDATORY
    max_defer_s: int = 0
    auto_upgrade: bool = False


@final
@attrs.frozen(weakref_slot=False)
class Deferral:
    """An accepted Update that waits, in wall time: seconds since 1970.

    Attributes:
        since: when the wait began, and later by all that has passed since then without a clock.
        deadline: when it ends by itself.
    """

    since: float
    deadline: float


@final
class Times(NamedTuple):
    """The wall times of a machine together, in seconds since 1970; None where there is none.

    Attributes:
        last_change: resource 12, when the State last changed.
        deferred_since: when the deferral that runs began.
        update_deadline: when it ends by itself.
    """

    last_change: float | None
    deferred_since: float | None
    update_deadline: float | None


DEFAULT_SETTINGS: Final = Settings()


@final
class FirmwareMachine(NamedTuple):
    """One Firmware Update object instance. Compare, hash and keep it freely: it never changes.

    A named tuple, since a frozen attrs class of this size takes three times as long to make and to hash.
    The wall times stand apart at the end: without a clock they stay None, and the rest is finite but for its counters.

    Attributes:
        state: resource 3.
        result: resource 5.
        delivery: how the package of this update comes; None in Idle.
        received: the package is complete in the stage.
        uri: resource 1; "" outside a pull.
        package_name: resource 6; known in Downloaded and Updating.
        package_version: resource 7, likewise.
        settings: resources 11, 13 and 14.
        transfer: the number of the last transfer that was begun.
        attempt: the number of the last installation that was begun.
        last_change: resource 12, when the State last changed, in seconds since 1970; None if the clock was not set.
        deferral: the wait that ends at a time; None if there is none.
    """

    state: State = State.IDLE
    result: UpdateResult = UpdateResult.INITIAL
    delivery: Delivery | None = None
    received: bool = False
    uri: str = ""
    package_name: str = ""
    package_version: str = ""
    settings: Settings = DEFAULT_SETTINGS
    transfer: int = 0
    attempt: int = 0
    last_change: float | None = None
    deferral: Deferral | None = None

    @property
    def is_deferred(self) -> bool:
        """An accepted Update waits for the user or for the end of the Maximum Defer Period."""
        return self.state is State.DOWNLOADED and self.result is UpdateResult.DEFERRED

    @property
    def times(self) -> Times:
        """The wall times together."""
        if self.deferral is None:
            return Times(self.last_change, None, None)
        return Times(self.last_change, self.deferral.since, self.deferral.deadline)
