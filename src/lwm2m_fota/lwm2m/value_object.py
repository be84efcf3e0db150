"""An object of one instance that is a table of values, such as Device (3)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import final

import attrs

from lwm2m_fota.content.values import Entries, validate
from lwm2m_fota.errors import RefusedError
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, Read, Write, WriteMode
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.resources import ObjectDefinition, Operations, Value

Reader = Callable[[], Value | Mapping[int, Value]]
Writer = Callable[[Value], None]
ArrayWriter = Callable[[Mapping[int, Value]], None]
Executor = Callable[[bytes], None]


def read_entries(
    definition: ObjectDefinition,
    path: Path,
    values: Mapping[int, Value | Mapping[int, Value]],
    instance: int = 0,
) -> Entries:
    """The entries that a Read of `path` answers.

    Args:
        definition: of the object.
        path: object, instance or resource.
        values: by resource id; a mapping for a multiple resource.
        instance: the one that an object path leads to.

    Raises:
        RefusedError: 4.05 for a resource that cannot be read, 4.04 for one that is not there.
    """
    base = path if path.instance_id is not None else path / instance
    if path.resource_id is not None:
        if path.resource_id not in values:
            resource = definition.resource(path.resource_id)
            code = Code.NOT_FOUND if resource is None or Operations.READ in resource.operations else None
            raise RefusedError("the resource cannot be read", code=code)
        return _select(path, values[path.resource_id])
    entries: Entries = []
    for resource_id in sorted(values):
        entries.extend(_select(base / resource_id, values[resource_id]))
    return entries


def _select(path: Path, value: Value | Mapping[int, Value]) -> Entries:
    instances = value if isinstance(value, Mapping) else {}
    if len(path.ids) == MAX_PARTS:
        if path.ids[-1] not in instances:
            raise RefusedError("no such resource instance", code=Code.NOT_FOUND)
        return [(path, instances[path.ids[-1]])]
    if not isinstance(value, Mapping):
        return [(path, value)]
    return [(path / index, each) for index, each in sorted(value.items())]


@final
@attrs.frozen(kw_only=True)
class ValueObject:
    """One instance whose resources are functions of yours; `Instances` joins several.

    Attributes:
        definition: what the object consists of.
        readers: by resource id.
        writers: by resource id; called in the order of the values, after all of these were found to fit. One may raise
            ContentError; what the ones before it wrote stays.
        array_writers: the same for multiple resources: given every value by resource instance id, as it is to be.
        executors: by resource id; called with the arguments.
        instance: its id.
    """

    definition: ObjectDefinition
    readers: Mapping[int, Reader]
    writers: Mapping[int, Writer] = attrs.field(factory=dict)
    array_writers: Mapping[int, ArrayWriter] = attrs.field(factory=dict)
    executors: Mapping[int, Executor] = attrs.field(factory=dict)
    instance: int = 0
    _listeners: list[ChangeListener] = attrs.field(factory=list, init=False)

    def instances(self) -> Sequence[int]:
        """The one."""
        return (self.instance,)

    def resources(self, instance_id: int) -> Sequence[int]:
        """Everything that has a function."""
        del instance_id
        return sorted({*self.readers, *self.writers, *self.array_writers, *self.executors})

    def streams(self, path: Path) -> bool:
        """Nothing is streamed."""
        del path
        return False

    def listen(self, listener: ChangeListener) -> None:
        """Tell of changes by `changed`."""
        self._listeners.append(listener)

    def changed(self, *resource_ids: int) -> None:
        """Say that resources have new values."""
        paths = [Path.of(self.definition.id, self.instance, resource_id) for resource_id in resource_ids]
        for listener in self._listeners:
            listener(paths)

    def handle(self, operation: Operation, now: float) -> Answer:
        """Read, Write and Execute.

        Raises:
            RefusedError, ContentError: with the code to answer.
        """
        del now
        match operation:
            case Read(path):
                values = {each: read() for each, read in self.readers.items() if path.resource_id in {None, each}}
                return Answer(Code.CONTENT, read_entries(self.definition, path, values, self.instance))
            case Write():
                for resource_id, write in self._targets(operation):
                    write()
                    self.changed(resource_id)
                return CHANGED
            case Execute(path, arguments):
                executor = None if path.resource_id is None else self.executors.get(path.resource_id)
                if executor is None:
                    raise RefusedError("not executable")
                executor(arguments)
                return CHANGED
            case _:
                raise RefusedError("nothing is streamed here")

    def check(self, operation: Operation, now: float) -> None:
        """Raise what `handle` would raise, but for what a writer or an executor of yours raises.

        Raises:
            RefusedError, ContentError: with the code to answer.
        """
        del now
        if isinstance(operation, Write):
            self._targets(operation)

    def _targets(self, operation: Write) -> list[tuple[int, Callable[[], None]]]:
        """What is to be called for each resource, in order; everything that can be known beforehand fits."""
        targets: list[tuple[int, Callable[[], None]]] = []
        arrays: dict[int, dict[int, Value]] = {}
        for path, value in operation.entries:
            resource_id, is_element = path.resource_id, len(path.ids) == MAX_PARTS
            if resource_id is None or resource_id not in (self.array_writers if is_element else self.writers):
                raise RefusedError("the resource cannot be written")
            definition = self.definition.resource(resource_id)
            if definition is not None:
                validate(definition, value)
            if not is_element:
                targets.append((resource_id, partial(self.writers[resource_id], value)))
                continue
            if resource_id not in arrays:
                arrays[resource_id] = self._kept(operation, resource_id)
                targets.append((resource_id, partial(self.array_writers[resource_id], arrays[resource_id])))
            arrays[resource_id][path.ids[-1]] = value
        return targets

    def _kept(self, operation: Write, resource_id: int) -> dict[int, Value]:
        """The instances of a multiple resource that a write leaves as they are (LwM2M Core 1.2, 6.3.3).

        They come and go with a write of their resource: one that is written itself has to be there.
        """
        is_element = len(operation.path.ids) == MAX_PARTS
        if operation.mode is WriteMode.REPLACE and not is_element:
            return {}
        values = self.readers[resource_id]() if resource_id in self.readers else {}
        kept = dict(values) if isinstance(values, Mapping) else {}
        if is_element and operation.path.ids[-1] not in kept:
            raise RefusedError("no such resource instance", code=Code.NOT_FOUND)
        return kept
