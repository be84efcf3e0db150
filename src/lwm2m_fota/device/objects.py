"""The objects that every device has beside its firmware: Security (0), Server (1) and Device (3)."""

from collections.abc import Callable
from typing import final

import attrs

from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE, DeviceResource
from lwm2m_fota.model.resources import Value
from lwm2m_fota.model.security import SECURITY, SecurityMode, SecurityResource
from lwm2m_fota.model.server import SERVER, ServerResource


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


def security_object(server_uri: str, server_id: int) -> ValueObject:
    """Object 0: the account that the factory has put in. It is local: no server reads it, no registration shows it."""
    return ValueObject(
        definition=SECURITY,
        readers={
            SecurityResource.SERVER_URI: lambda: server_uri,
            SecurityResource.BOOTSTRAP_SERVER: lambda: False,
            SecurityResource.SECURITY_MODE: lambda: int(SecurityMode.NO_SECURITY),
            SecurityResource.SHORT_SERVER_ID: lambda: server_id,
        },
    )


def device_object(identity: DeviceIdentity, version: Callable[[], str], reboot: Callable[[], None]) -> ValueObject:
    """Object 3: manufacturer, model, serial, firmware version, reboot, no errors, binding U."""
    return ValueObject(
        definition=DEVICE,
        readers={
            DeviceResource.MANUFACTURER: lambda: identity.manufacturer,
            DeviceResource.MODEL_NUMBER: lambda: identity.model,
            DeviceResource.SERIAL_NUMBER: lambda: identity.serial,
            DeviceResource.FIRMWARE_VERSION: version,
            DeviceResource.ERROR_CODE: lambda: {0: 0},
            DeviceResource.SUPPORTED_BINDING: lambda: "U",
        },
        executors={DeviceResource.REBOOT: lambda _: reboot()},
    )


def server_object(
    *,
    server_id: int,
    lifetime: Callable[[], int],
    set_lifetime: Callable[[int], None],
    update_registration: Callable[[], None],
) -> ValueObject:
    """Object 1: the account of the one server; a written lifetime takes effect at the next registration message."""

    def write_lifetime(value: Value) -> None:
        if not isinstance(value, int) or value < 1:
            raise ContentError("a lifetime is at least one second")
        set_lifetime(value)

    return ValueObject(
        definition=SERVER,
        readers={
            ServerResource.SHORT_SERVER_ID: lambda: server_id,
            ServerResource.LIFETIME: lifetime,
            ServerResource.NOTIFICATION_STORING: lambda: False,
            ServerResource.BINDING: lambda: "U",
        },
        writers={ServerResource.LIFETIME: write_lifetime},
        executors={ServerResource.REGISTRATION_UPDATE_TRIGGER: lambda _: update_registration()},
    )
