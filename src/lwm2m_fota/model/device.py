"""Object 3, Device: the resources by which a server knows a device and what it runs.

Source: the registry entry urn:oma:lwm2m:oma:3:1.2; power, battery and clock zone resources are left out.
"""

from enum import IntEnum
from typing import Final, final

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType

DEVICE_OBJECT_ID: Final = 3


@final
class DeviceResource(IntEnum):
    """Resource ids of Object 3."""

    MANUFACTURER = 0
    MODEL_NUMBER = 1
    SERIAL_NUMBER = 2
    FIRMWARE_VERSION = 3
    REBOOT = 4
    MEMORY_FREE = 10
    ERROR_CODE = 11
    CURRENT_TIME = 13
    SUPPORTED_BINDING = 16
    DEVICE_TYPE = 17
    HARDWARE_VERSION = 18
    SOFTWARE_VERSION = 19
    MEMORY_TOTAL = 21


def _text(resource_id: DeviceResource, name: str, meaning: str, *, mandatory: bool = False) -> ResourceDefinition:
    return ResourceDefinition(
        id=resource_id,
        name=name,
        operations=Operations.READ,
        mandatory=mandatory,
        type=ValueType.STRING,
        meaning=meaning,
    )


DEVICE: Final = ObjectDefinition(
    id=DEVICE_OBJECT_ID,
    name="Device",
    version="1.2",
    urn="urn:oma:lwm2m:oma:3:1.2",
    lwm2m_version="1.1",
    multiple=False,
    mandatory=True,
    resources=(
        _text(DeviceResource.MANUFACTURER, "Manufacturer", "Who made the device."),
        _text(DeviceResource.MODEL_NUMBER, "Model Number", "What its maker calls it."),
        _text(DeviceResource.SERIAL_NUMBER, "Serial Number", "Which one it is."),
        _text(DeviceResource.FIRMWARE_VERSION, "Firmware Version", "The firmware that runs now."),
        ResourceDefinition(
            id=DeviceResource.REBOOT,
            name="Reboot",
            operations=Operations.EXECUTE,
            mandatory=True,
            type=ValueType.NONE,
            meaning="Restarts the device.",
        ),
        ResourceDefinition(
            id=DeviceResource.MEMORY_FREE,
            name="Memory Free",
            operations=Operations.READ,
            type=ValueType.INTEGER,
            meaning="Storage left, in units of 1000 bytes.",
        ),
        ResourceDefinition(
            id=DeviceResource.ERROR_CODE,
            name="Error Code",
            operations=Operations.READ,
            multiple=True,
            mandatory=True,
            type=ValueType.INTEGER,
            low=0,
            high=32,
            meaning="What is wrong with the device; 0 alone means nothing.",
        ),
        ResourceDefinition(
            id=DeviceResource.CURRENT_TIME,
            name="Current Time",
            operations=Operations.READ | Operations.WRITE,
            type=ValueType.TIME,
            meaning="The wall clock of the device.",
        ),
        _text(
            DeviceResource.SUPPORTED_BINDING,
            "Supported Binding and Modes",
            "The transports it can use, a letter for each.",
            mandatory=True,
        ),
        _text(DeviceResource.DEVICE_TYPE, "Device Type", "What kind of device it is."),
        _text(DeviceResource.HARDWARE_VERSION, "Hardware Version", "The hardware it is built on."),
        _text(DeviceResource.SOFTWARE_VERSION, "Software Version", "The software beside the firmware."),
        ResourceDefinition(
            id=DeviceResource.MEMORY_TOTAL,
            name="Memory Total",
            operations=Operations.READ,
            type=ValueType.INTEGER,
            meaning="Storage in all, in units of 1000 bytes.",
        ),
    ),
)
