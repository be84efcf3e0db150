"""Object 5, Firmware Update, in its three versions.

Source: the registry entries urn:oma:lwm2m:oma:5, urn:oma:lwm2m:oma:5:1.1 and urn:oma:lwm2m:oma:5:1.2.
Id 4 was never allocated.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final, final

import attrs

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType, version_key

FIRMWARE_OBJECT_ID: Final = 5
MAX_TEXT_BYTES: Final = 255
"""Of Package URI, PkgName and PkgVersion; the registry does not say whether bytes or characters."""


@final
class FirmwareResource(IntEnum):
    """Resource ids of Object 5."""

    PACKAGE = 0
    PACKAGE_URI = 1
    UPDATE = 2
    STATE = 3
    UPDATE_RESULT = 5
    PKG_NAME = 6
    PKG_VERSION = 7
    PROTOCOL_SUPPORT = 8
    DELIVERY_METHOD = 9
    CANCEL = 10
    SEVERITY = 11
    LAST_STATE_CHANGE_TIME = 12
    MAXIMUM_DEFER_PERIOD = 13
    AUTOMATIC_UPGRADE = 14


_R: Final = Operations.READ
_W: Final = Operations.WRITE
_RW: Final = Operations.READ | Operations.WRITE
_E: Final = Operations.EXECUTE

_TABLE: Final = (
    ResourceDefinition(
        id=FirmwareResource.PACKAGE,
        name="Package",
        operations=_W,
        mandatory=True,
        type=ValueType.OPAQUE,
        meaning="The image that a server pushes; a single NUL byte resets the update.",
    ),
    ResourceDefinition(
        id=FirmwareResource.PACKAGE_URI,
        name="Package URI",
        operations=_RW,
        mandatory=True,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="Where the device pulls the image from; the empty string resets the update.",
    ),
    ResourceDefinition(
        id=FirmwareResource.UPDATE,
        name="Update",
        operations=_E,
        mandatory=True,
        type=ValueType.NONE,
        meaning="Installs the downloaded image; legal in Downloaded only.",
    ),
    ResourceDefinition(
        id=FirmwareResource.STATE,
        name="State",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=3,
        meaning="Idle, Downloading, Downloaded or Updating.",
    ),
    ResourceDefinition(
        id=FirmwareResource.UPDATE_RESULT,
        name="Update Result",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=11,
        meaning="How the last download or update ended; 0 while one is under way.",
    ),
    ResourceDefinition(
        id=FirmwareResource.PKG_NAME,
        name="PkgName",
        operations=_R,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="The name of the downloaded package.",
    ),
    ResourceDefinition(
        id=FirmwareResource.PKG_VERSION,
        name="PkgVersion",
        operations=_R,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="The version of the downloaded package.",
    ),
    ResourceDefinition(
        id=FirmwareResource.PROTOCOL_SUPPORT,
        name="Firmware Update Protocol Support",
        operations=_R,
        multiple=True,
        type=ValueType.INTEGER,
        low=0,
        high=5,
        meaning="The protocols by which the device pulls; absent means CoAP.",
    ),
    ResourceDefinition(
        id=FirmwareResource.DELIVERY_METHOD,
        name="Firmware Update Delivery Method",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=2,
        meaning="Pull, push or both.",
    ),
    ResourceDefinition(
        id=FirmwareResource.CANCEL,
        name="Cancel",
        operations=_E,
        type=ValueType.NONE,
        since="1.1",
        meaning="Gives up the update, until installation has begun.",
    ),
    ResourceDefinition(
        id=FirmwareResource.SEVERITY,
        name="Severity",
        operations=_RW,
        type=ValueType.INTEGER,
        low=0,
        high=2,
        since="1.1",
        meaning="How much the update matters to those who may defer it; 1 unless written.",
    ),
    ResourceDefinition(
        id=FirmwareResource.LAST_STATE_CHANGE_TIME,
        name="Last State Change Time",
        operations=_R,
        type=ValueType.TIME,
        since="1.1",
        meaning="When State changed; set just before it does.",
    ),
    ResourceDefinition(
        id=FirmwareResource.MAXIMUM_DEFER_PERIOD,
        name="Maximum Defer Period",
        operations=_RW,
        type=ValueType.UNSIGNED,
        unit="s",
        since="1.1",
        meaning="How long a user may put the update off; 0 forbids it.",
    ),
    ResourceDefinition(
        id=FirmwareResource.AUTOMATIC_UPGRADE,
        name="Automatic Upgrade at Download",
        operations=_RW,
        type=ValueType.BOOLEAN,
        since="1.2",
        meaning="If true, a complete download is installed without Execute.",
    ),
)

_HIGHEST_RESULT_1_0: Final = 9


def _resources(version: str) -> Iterable[ResourceDefinition]:
    for each in _TABLE:
        if version_key(each.since) > version_key(version):
            continue
        if each.id == FirmwareResource.UPDATE_RESULT and version == "1.0":
            yield attrs.evolve(each, high=_HIGHEST_RESULT_1_0)  # 10 and 11 came with Cancel and deferral
        else:
            yield each


def _firmware(version: str, urn: str, lwm2m_version: str) -> ObjectDefinition:
    return ObjectDefinition(
        id=FIRMWARE_OBJECT_ID,
        name="Firmware Update",
        version=version,
        urn=urn,
        lwm2m_version=lwm2m_version,
        multiple=False,
        mandatory=False,
        resources=tuple(_resources(version)),
    )


FIRMWARE_1_0: Final = _firmware("1.0", "urn:oma:lwm2m:oma:5", "1.0")
FIRMWARE_1_1: Final = _firmware("1.1", "urn:oma:lwm2m:oma:5:1.1", "1.1")
FIRMWARE_1_2: Final = _firmware("1.2", "urn:oma:lwm2m:oma:5:1.2", "1.1")

FIRMWARE_VERSIONS: Final[Mapping[str, ObjectDefinition]] = {
    each.version: each for each in (FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2)
}
"""Object 5 by object version."""
