"""Limits for a device that sleeps (queue mode): every wait may have a sleep in it."""

from typing import Final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_limits import UpdateLimits

SLEEPS_PER_STAGE: Final = 4
"""Sleeps that a stage may last beside its own limit: the device is asked, tidied, asked again, and watched."""

_WAITS: Final = ("request_s", "no_progress_s", "busy_s", "reset_s", "reboot_s", "version_s", "late_s")
_STAGES: Final = ("preparing_s", "transferring_s", "executing_s", "cleanup_s")


def with_sleeps(limits: UpdateLimits, longest_sleep_s: float) -> UpdateLimits:
    """Limits that let a device sleep.

    Args:
        limits: those of a device that is always awake.
        longest_sleep_s: between two messages of the device, seconds; at most the lifetime of its registration.

    Returns:
        Every wait is longer by one sleep, every stage by `SLEEPS_PER_STAGE`, and the total by as many for each stage.

    Raises:
        UsageError: a sleep of a negative or endless time.
    """
    if not 0 <= longest_sleep_s < float("inf"):
        raise UsageError(f"no limits for a sleep of {longest_sleep_s} s")
    longer = dict.fromkeys(_WAITS, 1) | dict.fromkeys(_STAGES, SLEEPS_PER_STAGE)
    longer["total_s"] = len(_STAGES) * SLEEPS_PER_STAGE
    return attrs.evolve(limits, **{name: getattr(limits, name) + n * longest_sleep_s for name, n in longer.items()})
