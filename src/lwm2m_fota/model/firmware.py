"""Object 5, Firmware Update, in its three versions.

Source: the registry entries urn:oma:lwm2m:oma:5, urn:oma:lwm2m:oma:5:1.1 and urn:oma:lwm2m:oma:5:1.2.
Resources 0 to 13 are in `update`, since Object 33629 has them too.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType, version_key
from lwm2m_fota.model.update import SHARED, UpdateResource

FIRMWARE_OBJECT_ID: Final = 5
AUTOMATIC_UPGRADE: Final = 14
"""Automatic Upgrade at Download; resource 14 of Object 33629 is another one."""

_AUTOMATIC_UPGRADE: Final = ResourceDefinition(
    id=AUTOMATIC_UPGRADE,
    name="Automatic Upgrade at Download",
    operations=Operations.READ | Operations.WRITE,
    type=ValueType.BOOLEAN,
    since="1.2",
    meaning="If true, a complete download is installed without Execute.",
)

_HIGHEST_RESULT_1_0: Final = 9


def _resources(version: str) -> Iterable[ResourceDefinition]:
    for each in (*SHARED, _AUTOMATIC_UPGRADE):
        if version_key(each.since) > version_key(version):
            continue
        if each.id == UpdateResource.UPDATE_RESULT and version == "1.0":
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
