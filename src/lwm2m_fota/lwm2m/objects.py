"""What a LwM2M object is to the client that hosts it."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from lwm2m_fota.lwm2m.operations import Answer, Operation
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition

ChangeListener = Callable[[Sequence[Path]], None]
"""Told which resources have new values, in the order in which observers must hear of them."""


class Lwm2mObject(Protocol):
    """One object with its instances."""

    @property
    def definition(self) -> ObjectDefinition:
        """What the object consists of."""
        ...

    def instances(self) -> Sequence[int]:
        """The ids of the instances that exist, ascending."""
        ...

    def resources(self, instance_id: int) -> Sequence[int]:
        """The ids of the resources that this instance has, ascending."""
        ...

    def streams(self, path: Path) -> bool:
        """True if a Write to this resource is to arrive as `WriteBlock`s."""
        ...

    def handle(self, operation: Operation, now: float) -> Answer:
        """Carry out one operation.

        Args:
            operation: its path names this object.
            now: monotonic time, seconds.

        Raises:
            FotaError: with the CoAP code to answer.
        """
        ...

    def listen(self, listener: ChangeListener) -> None:
        """Tell this listener of every change of a value from now on."""
        ...


@runtime_checkable
class CheckedObject(Protocol):
    """An object that can say beforehand whether it would take an operation: Write-Composite is all or nothing."""

    def check(self, operation: Operation, now: float) -> None:
        """Raise what `handle` would raise, or answer with an error; nothing changes.

        Raises:
            FotaError: with the CoAP code to answer.
        """
        ...
