"""An object of several instances, each of which is a table of values, such as Server (1) at a client of two servers."""

from collections.abc import Sequence
from typing import final

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import RefusedError, UsageError
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import Answer, Operation, Read
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition


@final
class Instances:
    """Several `ValueObject`s of one definition as one object.

    Raises:
        UsageError: they are of unlike objects, or two have one instance id.
    """

    __slots__ = ("_members", "definition")

    def __init__(self, first: ValueObject, *others: ValueObject) -> None:
        members = sorted((first, *others), key=lambda member: member.instance)
        self._members = {member.instance: member for member in members}
        self.definition: ObjectDefinition = first.definition
        if len(self._members) < len(members) or any(each.definition != first.definition for each in others):
            raise UsageError("the instances of an object are alike, and have different ids")

    def instances(self) -> Sequence[int]:
        """Those of the members."""
        return tuple(self._members)

    def resources(self, instance_id: int) -> Sequence[int]:
        """What this member has."""
        return self._members[instance_id].resources(instance_id)

    def streams(self, path: Path) -> bool:
        """Nothing is streamed."""
        del path
        return False

    def listen(self, listener: ChangeListener) -> None:
        """Tell of the changes of every member."""
        for member in self._members.values():
            member.listen(listener)

    def handle(self, operation: Operation, now: float) -> Answer:
        """Hand the operation to the member that it is for; all of them answer a Read of the object.

        Raises:
            RefusedError, ContentError: as `ValueObject.handle`; 4.04 where there is no such instance.
        """
        if operation.path.instance_id is not None or not isinstance(operation, Read):
            return self._member(operation).handle(operation, now)
        entries: Entries = []
        for instance, member in self._members.items():
            entries.extend(member.handle(Read(operation.path / instance), now).entries or ())
        return Answer(Code.CONTENT, entries)

    def check(self, operation: Operation, now: float) -> None:
        """As `ValueObject.check`.

        Raises:
            RefusedError, ContentError: with the code to answer.
        """
        self._member(operation).check(operation, now)

    def _member(self, operation: Operation) -> ValueObject:
        member = None if operation.path.instance_id is None else self._members.get(operation.path.instance_id)
        if member is None:
            raise RefusedError("no such instance", code=Code.NOT_FOUND)
        return member
