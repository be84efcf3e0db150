"""How long each wait of a server's update may last."""

from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError

SLOW_LINK_BYTES_PER_S: Final = 250.0
"""Goodput that a default plan reckons with, bytes per second: 1024-byte blocks, one at a time, about 4 s each."""

MARGIN: Final = 2.0
"""A derived transfer limit is this many times the reckoned time."""

SERVICE_TIMEOUT_S: Final = 3600.0
"""The total limit that the service shows for a new update, seconds (SERVICE R22)."""


def _positive(_instance: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 < value < float("inf"):
        raise UsageError(f"{attribute.name} must be a positive number, not {value!r}")


def seconds(default: float) -> float:
    """A positive number of seconds, as a field with this default."""
    value: float = attrs.field(default=default, validator=_positive)
    return value


@final
@attrs.frozen(kw_only=True)
class UpdateLimits:
    """How long each wait may last, in seconds. Every wait ends at the first limit that passes.

    Attributes:
        request_s: one request without an answer; above CoAP's MAX_TRANSMIT_WAIT of 93 s. A device that sleeps (queue
            mode) needs more than its longest sleep.
        no_progress_s: a transfer, or a read that is tried again and again, without anything new.
        busy_s: a device that answers 5.03; a common client does so for 300 s after an abandoned push.
        reset_s: State Idle after one way to reset.
        reboot_s: an installation without any sign of the device.
        deferral_s: a device whose user has deferred the update; the limits of the stage and of the whole rest
            meanwhile.
        version_s: the version after a success.
        preparing_s: the whole stage Preparing update.
        transferring_s: the whole stage Transferring package; `limits_for` derives it from the size and the link.
        executing_s: the whole stage Executing update.
        cleanup_s: the whole stage Cleanup, which the total does not cut short.
        late_s: how long a result is still awaited, and recorded, after an update whose end is not known.
        total_s: everything up to Cleanup.
    """

    request_s: float = seconds(120.0)
    no_progress_s: float = seconds(300.0)
    busy_s: float = seconds(420.0)
    reset_s: float = seconds(30.0)
    reboot_s: float = seconds(900.0)
    deferral_s: float = seconds(3600.0)
    version_s: float = seconds(60.0)
    preparing_s: float = seconds(900.0)
    transferring_s: float = seconds(1800.0)
    executing_s: float = seconds(1800.0)
    cleanup_s: float = seconds(420.0)
    late_s: float = seconds(3600.0)
    total_s: float = seconds(SERVICE_TIMEOUT_S)


def limits_for(package_bytes: int, link_bytes_per_s: float = SLOW_LINK_BYTES_PER_S) -> UpdateLimits:
    """The default limits for a package of this size over a link of this goodput.

    The transfer may take twice the reckoned time and never less than the plain default; the total grows with it.

    Raises:
        UsageError: the size is negative or the goodput is not a positive number.
    """
    if package_bytes < 0 or not 0 < link_bytes_per_s < float("inf"):
        raise UsageError(f"no limits for {package_bytes} bytes at {link_bytes_per_s} bytes/s")
    plain = UpdateLimits()
    transferring_s = max(plain.transferring_s, MARGIN * package_bytes / link_bytes_per_s)
    return UpdateLimits(transferring_s=transferring_s, total_s=plain.total_s + transferring_s - plain.transferring_s)
