"""What Objects 5 and 33629 have in common: resources 0 to 13, by the registry entry urn:oma:lwm2m:oma:5:1.1.

Id 4 was never allocated.
"""

from enum import IntEnum
from typing import Final, final

from lwm2m_fota.model.resources import Operations, ResourceDefinition, ValueType

MAX_TEXT_BYTES: Final = 255
"""Of Package URI, PkgName and PkgVersion; the registry does not say whether bytes or characters."""


@final
class UpdateResource(IntEnum):
    """Resource ids of both objects; each has further ones from 14 on."""

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


_R: Final = Operations.READ
_W: Final = Operations.WRITE
_RW: Final = Operations.READ | Operations.WRITE
_E: Final = Operations.EXECUTE

SHARED: Final = (
    ResourceDefinition(
        id=UpdateResource.PACKAGE,
        name="Package",
        operations=_W,
        mandatory=True,
        type=ValueType.OPAQUE,
        meaning="The image that a server pushes; a single NUL byte resets the update.",
    ),
    ResourceDefinition(
        id=UpdateResource.PACKAGE_URI,
        name="Package URI",
        operations=_RW,
        mandatory=True,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="Where the device pulls the image from; the empty string resets the update.",
    ),
    ResourceDefinition(
        id=UpdateResource.UPDATE,
        name="Update",
        operations=_E,
        mandatory=True,
        type=ValueType.NONE,
        meaning="Installs the downloaded image; legal in Downloaded only.",
    ),
    ResourceDefinition(
        id=UpdateResource.STATE,
        name="State",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=3,
        meaning="Idle, Downloading, Downloaded or Updating.",
    ),
    ResourceDefinition(
        id=UpdateResource.UPDATE_RESULT,
        name="Update Result",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=11,
        meaning="How the last download or update ended; 0 while one is under way.",
    ),
    ResourceDefinition(
        id=UpdateResource.PKG_NAME,
        name="PkgName",
        operations=_R,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="The name of the downloaded package.",
    ),
    ResourceDefinition(
        id=UpdateResource.PKG_VERSION,
        name="PkgVersion",
        operations=_R,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="The version of the downloaded package.",
    ),
    ResourceDefinition(
        id=UpdateResource.PROTOCOL_SUPPORT,
        name="Firmware Update Protocol Support",
        operations=_R,
        multiple=True,
        type=ValueType.INTEGER,
        low=0,
        high=5,
        meaning="The protocols by which the device pulls; absent means CoAP.",
    ),
    ResourceDefinition(
        id=UpdateResource.DELIVERY_METHOD,
        name="Firmware Update Delivery Method",
        operations=_R,
        mandatory=True,
        type=ValueType.INTEGER,
        low=0,
        high=2,
        meaning="Pull, push or both.",
    ),
    ResourceDefinition(
        id=UpdateResource.CANCEL,
        name="Cancel",
        operations=_E,
        type=ValueType.NONE,
        since="1.1",
        meaning="Gives up the update, until installation has begun.",
    ),
    ResourceDefinition(
        id=UpdateResource.SEVERITY,
        name="Severity",
        operations=_RW,
        type=ValueType.INTEGER,
        low=0,
        high=2,
        since="1.1",
        meaning="How much the update matters to those who may defer it; 1 unless written.",
    ),
    ResourceDefinition(
        id=UpdateResource.LAST_STATE_CHANGE_TIME,
        name="Last State Change Time",
        operations=_R,
        type=ValueType.TIME,
        since="1.1",
        meaning="When State changed; set just before it does.",
    ),
    ResourceDefinition(
        id=UpdateResource.MAXIMUM_DEFER_PERIOD,
        name="Maximum Defer Period",
        operations=_RW,
        type=ValueType.UNSIGNED,
        unit="s",
        since="1.1",
        meaning="How long a user may put the update off; 0 forbids it.",
    ),
)
"""Resource by resource; `since` is the version of Object 5."""
