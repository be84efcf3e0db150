"""The staging areas of a device, and which package lies in which."""

from collections.abc import Iterable, Mapping
from typing import final

from lwm2m_fota.device.bay import Bay
from lwm2m_fota.device.record import Place
from lwm2m_fota.errors import StorageError
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage
from lwm2m_fota.machines.download_words import Checkpoint
from lwm2m_fota.machines.events import StagedImage


@final
class Bays:
    """One bay for each component.

    A component holds one package at most, and a package for several lies once, where it came in. So where a package
    of one component is still held by others there is always another bay for its next one.

    Args:
        bays: by the instance of their component.
    """

    def __init__(self, bays: Mapping[int, Bay]) -> None:
        self._bays = bays

    @property
    def size_bytes(self) -> int:
        """Bytes that are staged."""
        return sum(bay.size_bytes for bay in self._bays.values())

    @property
    def limit_bytes(self) -> int:
        """The largest package that any of them takes."""
        return max(bay.limit_bytes for bay in self._bays.values())

    @property
    def found(self) -> tuple[tuple[Stage, StagedImage], ...]:
        """What the stores show of the packages that are known."""
        return tuple((bay.stage, bay.found) for bay in self._bays.values() if bay.stage is not None)

    def instance_in(self, area: int) -> int:
        """For which instance the package in an area is; for its own, where there is none."""
        stage = self._bays[area].stage
        return area if stage is None else stage.instance

    def find(self, stage: Stage | None) -> Bay | None:
        """The bay of a package, if it is held."""
        return None if stage is None else next((bay for bay in self._bays.values() if bay.stage == stage), None)

    def holding(self, stage: Stage | None) -> Bay:
        """The bay of a package that is held.

        Raises:
            StorageError: there is none.
        """
        bay = self.find(stage)
        if bay is None:
            raise StorageError("the staged package is gone")
        return bay

    def are_sealed(self, stages: Iterable[Stage | None]) -> bool:
        """All of these packages are there, complete."""
        sealed = {stage for stage, found in self.found if found is StagedImage.SEALED}
        return sealed.issuperset(stages)

    def places(self, group: ComponentGroup) -> tuple[Place, ...]:
        """Where the packages that a group holds lie, or will lie: a new one where nothing is held."""
        held = group.stages
        taken = {area: bay.stage for area, bay in self._bays.items() if bay.stage is not None and bay.stage in held}
        for stage in sorted(held - set(taken.values())):
            free = [area for area in self._bays if area not in taken]
            taken[stage.instance if stage.instance in free else free[0]] = stage
        return tuple(Place(area, stage, self._checkpoint(area, stage)) for area, stage in sorted(taken.items()))

    def _checkpoint(self, area: int, stage: Stage) -> Checkpoint | None:
        bay = self._bays[area]
        return bay.checkpoint if bay.stage == stage else None

    def assign(self, places: Iterable[Place]) -> None:
        """This is where packages lie from now on; an area that is not there any more is left out."""
        for place in places:
            bay = self._bays.get(place.area)
            if bay is not None:
                bay.assign(place.stage, place.checkpoint)

    def sweep(self) -> None:
        """Empty the bays that nobody needs: what is in them a failed `drop` has left."""
        for bay in self._bays.values():
            if bay.stage is None and bay.size_bytes:
                bay.discard()

    def drop(self, stage: Stage) -> None:
        """Forget a package; harmless if it has made room for another already."""
        bay = self.find(stage)
        if bay is not None:
            bay.discard()

    def halt(self, instance: int) -> None:
        """Take nothing more of what comes in for this instance."""
        for bay in self._bays.values():
            if bay.stage is not None and bay.stage.instance == instance:
                bay.halt()

    async def stop(self) -> None:
        """Stop all transfers; what is staged stays."""
        for bay in self._bays.values():
            await bay.stop()
