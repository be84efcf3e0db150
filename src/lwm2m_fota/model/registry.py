"""Object definitions by object id and version."""

from collections.abc import Iterable, Iterator
from typing import Final, final

from lwm2m_fota.model.advanced import ADVANCED_1_0
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.firmware import FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, ResourceDefinition, version_key
from lwm2m_fota.model.server import SERVER, SERVER_1_1


@final
class Definitions:
    """The objects that somebody knows.

    Args:
        definitions: several versions of an object are welcome; of two with the same id and version the later counts.

    Raises:
        ValueError: a version that is not numbers and dots.
    """

    __slots__ = ("_by_version", "_newest")

    def __init__(self, definitions: Iterable[ObjectDefinition] = ()) -> None:
        ordered = sorted(definitions, key=lambda each: version_key(each.version))
        self._by_version = {(each.id, each.version): each for each in ordered}
        self._newest = {each.id: each for each in ordered}

    def __iter__(self) -> Iterator[ObjectDefinition]:
        return iter(self._by_version.values())

    def get(self, object_id: int, version: str | None = None) -> ObjectDefinition | None:
        """The object of this version, or None; without a version the newest (which has all that older ones have)."""
        if version is None:
            return self._newest.get(object_id)
        return self._by_version.get((object_id, version))

    def resource(self, path: Path) -> ResourceDefinition | None:
        """The resource that a path leads to or through, by the newest version; None if it is not known."""
        if path.object_id is None or path.resource_id is None:
            return None
        definition = self._newest.get(path.object_id)
        return None if definition is None else definition.resource(path.resource_id)


_STANDARD: Final = Definitions((SERVER, SERVER_1_1, DEVICE, FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2, ADVANCED_1_0))


def standard_definitions() -> Definitions:
    """Server (1), Device (3), Firmware Update (5, in three versions) and Advanced Firmware Update (33629)."""
    return _STANDARD
