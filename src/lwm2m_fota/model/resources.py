"""What objects and resources are: the shape of their definitions, and which values fit (LwM2M Core 7, appendix C).

A value is one of Python's own types; `ObjectLink` stands for Objlnk. The value of a multiple resource is a mapping
from resource instance id to value.
"""

import math
from collections.abc import Mapping
from enum import Enum, Flag, auto
from typing import Final, final

import attrs

from lwm2m_fota.model.paths import MAX_ID

_NULL_ID: Final = 65535
_MIN_INT64: Final = -(2**63)
_MAX_INT64: Final = 2**63 - 1
_MAX_UINT64: Final = 2**64 - 1


@final
class ValueType(Enum):
    """The data types of LwM2M Core appendix C; NONE is for what is executed."""

    STRING = "String"
    INTEGER = "Integer"
    UNSIGNED = "Unsigned Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    OPAQUE = "Opaque"
    TIME = "Time"
    OBJLNK = "Objlnk"
    CORELNK = "Corelnk"
    NONE = ""


@final
class Operations(Flag):
    """What a server may do with a resource."""

    READ = auto()
    WRITE = auto()
    EXECUTE = auto()


@final
@attrs.frozen(order=True)
class ObjectLink:
    """A value that names an object instance, each id 0..65535; 65535:65535 names none.

    Raises:
        ValueError: an id is out of range.
    """

    object_id: int
    instance_id: int

    def __attrs_post_init__(self) -> None:
        if not (0 <= self.object_id <= _NULL_ID and 0 <= self.instance_id <= _NULL_ID):
            raise ValueError(f"not an object link: {self.object_id}:{self.instance_id}")

    @property
    def is_null(self) -> bool:
        """True for the link that names no instance."""
        return self.object_id == _NULL_ID and self.instance_id == _NULL_ID

    def __str__(self) -> str:
        return f"{self.object_id}:{self.instance_id}"


NULL_LINK: Final = ObjectLink(_NULL_ID, _NULL_ID)

Value = str | int | float | bool | bytes | ObjectLink
"""Time is an int: seconds since 1970-01-01T00:00:00Z. Corelnk is a string: links as in RFC 6690."""


@final
@attrs.frozen(kw_only=True)
class ResourceDefinition:
    """One resource of an object.

    Attributes:
        id: resource id.
        name: as registered.
        operations: what servers may do.
        multiple: True if it has resource instances.
        mandatory: True if every instance of the object has it.
        type: data type.
        low: smallest value, or None; for strings the smallest length in UTF-8 bytes.
        high: largest value, or None; for strings the largest length in UTF-8 bytes.
        unit: as registered, or empty.
        since: the object version that introduced it.
        meaning: a sentence of ours.
    """

    id: int
    name: str
    operations: Operations
    multiple: bool = False
    mandatory: bool = False
    type: ValueType
    low: int | None = None
    high: int | None = None
    unit: str = ""
    since: str = "1.0"
    meaning: str = ""

    def fault(self, value: Value | Mapping[int, Value]) -> str | None:
        """Why a value does not fit this resource, or None if it does.

        Args:
            value: of a single resource or of one resource instance; for a multiple resource also all its values by
                resource instance id.
        """
        if not isinstance(value, Mapping):
            return self._fault(value)
        if not self.multiple:
            return f"{self.name} has no resource instances"
        for index, each in value.items():
            if not 0 <= index <= MAX_ID:
                return f"not a resource instance id: {index}"
            if reason := self._fault(each):
                return reason
        return None

    def _fault(self, value: Value) -> str | None:
        if not fits_type(value, self.type):
            what = self.type.value or "executable"
            return f"{self.name} is {what}: {type(value).__name__} does not fit, or is out of its range"
        measure = len(value.encode()) if isinstance(value, str) else value
        if isinstance(measure, bytes | ObjectLink):
            return None
        if (self.low is not None and measure < self.low) or (self.high is not None and measure > self.high):
            what = "length in bytes" if isinstance(value, str) else "value"
            return f"{self.name}: {what} {measure} is out of range"
        return None


_PYTHON_TYPES: Final[dict[ValueType, tuple[type, ...]]] = {
    ValueType.STRING: (str,),
    ValueType.INTEGER: (int,),
    ValueType.UNSIGNED: (int,),
    ValueType.FLOAT: (float, int),
    ValueType.BOOLEAN: (bool,),
    ValueType.OPAQUE: (bytes,),
    ValueType.TIME: (int,),
    ValueType.OBJLNK: (ObjectLink,),
    ValueType.CORELNK: (str,),
    ValueType.NONE: (),
}


def fits_type(value: object, kind: ValueType) -> bool:
    """True if a value has the Python type of an LwM2M type and lies within 64 bits, finite, or UTF-8."""
    if not isinstance(value, _PYTHON_TYPES[kind]) or isinstance(value, bool) != (kind is ValueType.BOOLEAN):
        return False
    if isinstance(value, str):
        return _is_utf8(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int) and kind is ValueType.UNSIGNED:
        return 0 <= value <= _MAX_UINT64
    if isinstance(value, int):
        return _MIN_INT64 <= value <= _MAX_INT64
    return True


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


@final
@attrs.frozen(kw_only=True)
class ObjectDefinition:
    """One version of an object.

    Attributes:
        id: object id.
        name: as registered.
        version: object version, such as `"1.1"`.
        urn: as registered.
        lwm2m_version: the earliest version of LwM2M that it is for.
        multiple: True if it may have several instances.
        mandatory: True if every client has it.
        resources: in ascending order of id.
    """

    id: int
    name: str
    version: str
    urn: str
    lwm2m_version: str
    multiple: bool
    mandatory: bool
    resources: tuple[ResourceDefinition, ...]
    _by_id: Mapping[int, ResourceDefinition] = attrs.field(init=False, repr=False, eq=False)

    @_by_id.default
    def _index(self) -> Mapping[int, ResourceDefinition]:
        return {each.id: each for each in self.resources}

    def resource(self, resource_id: int) -> ResourceDefinition | None:
        """The resource with this id, or None."""
        return self._by_id.get(resource_id)


def version_key(version: str) -> tuple[int, ...]:
    """What orders object versions: 1.10 comes after 1.9.

    Raises:
        ValueError: not numbers separated by dots.
    """
    return tuple(map(int, version.split(".")))
