"""The objects that every device has beside its firmware: Security (0), Server (1) and Device (3)."""

from collections.abc import Callable
from functools import partial
from typing import final

import attrs

from lwm2m_fota.device.membership import Membership
from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.lwm2m.value_object import Reader, ValueObject, Writer
from lwm2m_fota.model.device import DEVICE, DeviceResource
from lwm2m_fota.model.resources import Value
from lwm2m_fota.model.security import SECURITY, SecurityMode, SecurityResource
from lwm2m_fota.model.server import SERVER, SERVER_1_1, ServerResource


@final
@attrs.frozen(kw_only=True)
class DeviceIdentity:
    """What Object 3 tells of the device.

    Attributes:
        manufacturer: resource 0.
        model: resource 1.
        serial: resource 2.
    """

    manufacturer: str = "lwm2m-fota"
    model: str = "simulated device"
    serial: str = ""


def security_object(instance: int, at: Membership) -> ValueObject:
    """Object 0: the account that the factory has put in. It is local: no server reads it, no registration shows it."""
    return ValueObject(
        definition=SECURITY,
        readers={
            SecurityResource.SERVER_URI: lambda: str(at.server),
            SecurityResource.BOOTSTRAP_SERVER: lambda: False,
            SecurityResource.SECURITY_MODE: lambda: int(SecurityMode.NO_SECURITY),
            SecurityResource.SHORT_SERVER_ID: lambda: at.server_id,
        },
        instance=instance,
    )


def device_object(
    identity: DeviceIdentity, version: Callable[[], str], reboot: Callable[[], None], bindings: str = "U"
) -> ValueObject:
    """Object 3: manufacturer, model, serial, firmware version, reboot, no errors, and a letter for each transport."""
    return ValueObject(
        definition=DEVICE,
        readers={
            DeviceResource.MANUFACTURER: lambda: identity.manufacturer,
            DeviceResource.MODEL_NUMBER: lambda: identity.model,
            DeviceResource.SERIAL_NUMBER: lambda: identity.serial,
            DeviceResource.FIRMWARE_VERSION: version,
            DeviceResource.ERROR_CODE: lambda: {0: 0},
            DeviceResource.SUPPORTED_BINDING: lambda: bindings,
        },
        executors={DeviceResource.REBOOT: lambda _: reboot()},
    )


def server_object(instance: int, at: Membership, allowed: Callable[[], None]) -> ValueObject:
    """Object 1: the account at one server; a written lifetime takes effect at the next registration message.

    Args:
        instance: of the object.
        at: the place at this server.
        allowed: called when the server has allowed to send by oneself (resource 23, for LwM2M 1.1 and later).
    """
    readers: dict[int, Reader] = {
        ServerResource.SHORT_SERVER_ID: lambda: at.server_id,
        ServerResource.LIFETIME: lambda: at.lifetime_s,
        ServerResource.DEFAULT_MIN_PERIOD: lambda: at.defaults.pmin or 0,
        ServerResource.DEFAULT_MAX_PERIOD: lambda: at.defaults.pmax or 0,
        ServerResource.NOTIFICATION_STORING: lambda: False,
        ServerResource.BINDING: lambda: at.binding,
    }
    writers: dict[int, Writer] = {
        ServerResource.LIFETIME: partial(_write_lifetime, at),
        ServerResource.DEFAULT_MIN_PERIOD: partial(_write_period, at, "pmin"),
        ServerResource.DEFAULT_MAX_PERIOD: partial(_write_period, at, "pmax"),
        ServerResource.BINDING: partial(_write_binding, at),
    }
    is_first_version = at.registration.lwm2m_version == "1.0"
    if not is_first_version:
        readers[ServerResource.MUTE_SEND] = lambda: at.is_muted
        writers[ServerResource.MUTE_SEND] = partial(_write_mute, at, allowed)
    return ValueObject(
        definition=SERVER if is_first_version else SERVER_1_1,
        readers=readers,
        writers=writers,
        executors={ServerResource.REGISTRATION_UPDATE_TRIGGER: lambda _: at.update()},
        instance=instance,
    )


def _write_lifetime(at: Membership, value: Value) -> None:
    if not isinstance(value, int) or value < 1:
        raise ContentError("a lifetime is at least one second")
    at.set_lifetime(value)


def _write_period(at: Membership, name: str, value: Value) -> None:
    if not isinstance(value, int) or value < 0:
        raise ContentError("a period is not negative")
    at.defaults = at.defaults.changed({name: value})


def _write_binding(at: Membership, value: Value) -> None:
    sleeps = "Q" if at.binding.endswith("Q") else ""  # whether it does is for the client to know
    if not isinstance(value, str) or not value.endswith(sleeps):
        raise ContentError("this client sleeps")
    try:
        at.set_binding(value.removesuffix(sleeps), None)
    except UsageError as error:
        raise ContentError(str(error)) from error


def _write_mute(at: Membership, allowed: Callable[[], None], value: Value) -> None:
    at.is_muted = bool(value)
    if not at.is_muted:
        allowed()
