"""Object 33629, Advanced Firmware Update: one instance for each firmware component (urn:oma:lwm2m:oma:33629).

Resources 0 to 13 are those of Object 5, version 1.1 (`update`); resource 14 here is not resource 14 there.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final, final

import attrs

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType
from lwm2m_fota.model.update import MAX_TEXT_BYTES, SHARED, UpdateResource

ADVANCED_OBJECT_ID: Final = 33629


@final
class AdvancedResource(IntEnum):
    """Resource ids that only Object 33629 has."""

    COMPONENT_NAME = 14
    CURRENT_VERSION = 15
    LINKED_INSTANCES = 16
    CONFLICTING_INSTANCES = 17


_OTHER_MEANINGS: Final[Mapping[int, str]] = {
    UpdateResource.UPDATE: "Installs this component, alone or with others as the argument says.",
    UpdateResource.PKG_NAME: "The name of the downloaded package; holds it in Downloaded and Updating.",
    UpdateResource.PKG_VERSION: "The version of the downloaded package; holds it in Downloaded and Updating.",
    UpdateResource.PROTOCOL_SUPPORT: "The protocols by which the device pulls, alike in all instances.",
    UpdateResource.DELIVERY_METHOD: "Pull, push or both, alike in all instances.",
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
    for each in SHARED:
        meaning = _OTHER_MEANINGS.get(each.id, each.meaning)
        high = _HIGHEST_RESULT if each.id == UpdateResource.UPDATE_RESULT else each.high
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
