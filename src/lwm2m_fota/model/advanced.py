"""Object 33629, Advanced Firmware Update: one instance for each firmware component (urn:oma:lwm2m:oma:33629).

Ids 0-3 and 5-13 are those of Object 5, version 1.1; resource 14 here is not resource 14 there.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final, final

import attrs

from lwm2m_fota.model.firmware import FIRMWARE_1_1, MAX_TEXT_BYTES
from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType

ADVANCED_OBJECT_ID: Final = 33629


@final
class AdvancedResource(IntEnum):
    """Resource ids of Object 33629."""

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
    COMPONENT_NAME = 14
    CURRENT_VERSION = 15
    LINKED_INSTANCES = 16
    CONFLICTING_INSTANCES = 17


_OTHER_MEANINGS: Final[Mapping[int, str]] = {
    AdvancedResource.UPDATE: "Installs this component, alone or with others as the argument says.",
    AdvancedResource.PKG_NAME: "The name of the downloaded package; holds it in Downloaded and Updating.",
    AdvancedResource.PKG_VERSION: "The version of the downloaded package; holds it in Downloaded and Updating.",
    AdvancedResource.PROTOCOL_SUPPORT: "The protocols by which the device pulls, alike in all instances.",
    AdvancedResource.DELIVERY_METHOD: "Pull, push or both, alike in all instances.",
}
_HIGHEST_RESULT: Final = 13  # 12 and 13 are of this object only

_OWN: Final = (
    ResourceDefinition(
        id=AdvancedResource.COMPONENT_NAME,
        name="Component Name",
        operations=Operations.READ,
        mandatory=True,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="What this component is called, for people and machines.",
    ),
    ResourceDefinition(
        id=AdvancedResource.CURRENT_VERSION,
        name="Current Version",
        operations=Operations.READ,
        mandatory=True,
        type=ValueType.STRING,
        low=0,
        high=MAX_TEXT_BYTES,
        meaning="The version of this component that is installed and runs.",
    ),
    ResourceDefinition(
        id=AdvancedResource.LINKED_INSTANCES,
        name="Linked Instances",
        operations=Operations.READ,
        multiple=True,
        type=ValueType.OBJLNK,
        meaning="The instances that an Update of this one without an argument would update too.",
    ),
    ResourceDefinition(
        id=AdvancedResource.CONFLICTING_INSTANCES,
        name="Conflicting Instances",
        operations=Operations.READ,
        multiple=True,
        type=ValueType.OBJLNK,
        meaning="The instances that Result 12 or 13 is about, or that an Update of this one would fail over.",
    ),
)


def _resources() -> Iterable[ResourceDefinition]:
    for each in FIRMWARE_1_1.resources:
        meaning = _OTHER_MEANINGS.get(each.id, each.meaning)
        high = _HIGHEST_RESULT if each.id == AdvancedResource.UPDATE_RESULT else each.high
        yield attrs.evolve(each, meaning=meaning, high=high, since="1.0")
    yield from _OWN


ADVANCED_1_0: Final = ObjectDefinition(
    id=ADVANCED_OBJECT_ID,
    name="Advanced Firmware Update",
    version="1.0",
    urn="urn:oma:lwm2m:oma:33629",
    lwm2m_version="1.1",
    multiple=True,
    mandatory=False,
    resources=tuple(_resources()),
)
