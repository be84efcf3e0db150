"""SenML records, whatever they are written in (RFC 8428; LwM2M Core 7.5.6 and 7.5.7).

A record has a name, mostly a value, and perhaps a time. Its name is the base name in force with its own name put behind
it, without any separator: clients cut the path at either side of a slash. JSON and CBOR differ in the labels of the
fields and in the form of opaque values only: that is a `Dialect`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, final

import attrs

from lwm2m_fota.cbor import Tag
from lwm2m_fota.content.values import TAG_EPOCH, Entries, adopt, parse_link_value, type_of, undivided
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Value

MAX_RECORDS: Final = 1024
"""Records in one pack."""

Label = int | str

_MAX_SENML_VERSION: Final = 10


@final
@attrs.frozen(kw_only=True)
class Dialect:
    """How a representation of SenML names its fields.

    Attributes:
        version: base version.
        base_name: base name.
        base_time: base time.
        name: name.
        time: time.
        number: value; an integer or a float.
        text: string value.
        boolean: boolean value.
        data: data value.
        link: the value of LwM2M's own for object links.
        number_types: Python types under `number`.
        data_type: Python type under `data`.
        write_data: bytes as that type.
        read_data: that type as bytes; raises ContentError.
        refused: fields that would change values, and are not used in LwM2M: base value, base sum, sum.
        fetch: all fields that a record of a Fetch Pack may have (RFC 8790 section 3.1): names, times and units.
    """

    version: Label
    base_name: Label
    base_time: Label
    name: Label
    time: Label
    number: Label
    text: Label
    boolean: Label
    data: Label
    link: Label
    number_types: tuple[type, ...]
    data_type: type
    write_data: Callable[[bytes], object]
    read_data: Callable[[Any], bytes]
    refused: frozenset[Label]
    fetch: frozenset[Label]
    _types: Mapping[Label, tuple[type, ...]] = attrs.field(init=False, repr=False, eq=False)

    @_types.default
    def _by_label(self) -> Mapping[Label, tuple[type, ...]]:
        return {
            self.number: self.number_types,
            self.text: (str,),
            self.boolean: (bool,),
            self.data: (self.data_type,),
            self.link: (str,),
        }

    def value_of(self, fields: Mapping[object, object]) -> object:
        """The value of a record as a Python value or an ObjectLink; None if it has none.

        Raises:
            ContentError: several values, or one of another type than its label says.
        """
        present = [label for label in self._types if label in fields]
        if not present:
            return None
        label, value = present[0], fields[present[0]]
        if len(present) > 1 or not isinstance(value, self._types[label]):
            raise ContentError("a SenML record has one value, of the type that its label says")
        if isinstance(value, bool) and label != self.boolean:
            raise ContentError("a SenML number is not true or false")
        if label == self.link and isinstance(value, str):
            return parse_link_value(value)
        return self.read_data(value) if label == self.data else value

    def labelled(self, value: Value) -> tuple[Label, object]:
        """The field that holds a value."""
        match value:
            case bool():
                return self.boolean, value
            case int() | float():
                return self.number, value
            case str():
                return self.text, value
            case bytes():
                return self.data, self.write_data(value)
            case _:
                return self.link, str(value)


@final
@attrs.frozen
class Record:
    """One resolved record.

    Attributes:
        path: base name and name.
        value: as the format holds it: int, float, str, bool, bytes, a tagged number, or an ObjectLink; None if the
            record has none, as in requests.
        time: base time plus time, in seconds; 0 means now, and so do small numbers relative to now.
    """

    path: Path
    value: object
    time: float


# -- written


def write(entries: Entries, base: Path, dialect: Dialect) -> list[dict[Label, object]]:
    """The records of entries; the base name is taken from `base` where all of them lie below it."""
    prefix = f"{base}/" if base.ids and all(len(path.ids) > len(base.ids) for path, _ in entries) else ""
    records: list[dict[Label, object]] = []
    for path, value in entries:
        record: dict[Label, object] = {dialect.base_name: prefix} if prefix and not records else {}
        record[dialect.name] = str(path)[len(prefix) :]
        label, content = dialect.labelled(value)
        record[label] = content
        records.append(record)
    return records


def write_paths(paths: Iterable[Path], dialect: Dialect) -> list[dict[Label, object]]:
    """Records without values: what a composite request asks for."""
    return [{dialect.name: str(path)} for path in paths]


# -- read


def read(pack: object, dialect: Dialect) -> list[Record]:
    """Resolve all records of a pack.

    Raises:
        ContentError: not SenML (RFC 8428), more than `MAX_RECORDS`, or a field that must be understood and is not.
    """
    records: list[Record] = []
    base_name, base_time = "", 0.0
    for fields in _records(pack):
        _check_fields(fields, dialect)
        base_name = _string(fields, dialect.base_name, base_name)
        base_time = _seconds(fields, dialect.base_time, base_time)
        path = _path(base_name + _string(fields, dialect.name, ""))
        time = base_time + _seconds(fields, dialect.time, 0.0)
        records.append(Record(path, dialect.value_of(fields), time))
    return records


def entries_of(records: Iterable[Record], base: Path, definitions: Definitions) -> Entries:
    """The values of records below a path; of several values of one path, the one with the latest time.

    Raises:
        ContentError: a record without a value or not below `base`, a value that is not of its type, or two of one path
            and time.
    """
    latest: dict[Path, Record] = {}
    for record in records:
        if record.value is None:
            raise ContentError(f"{record.path}: a record without a value")
        if not base.contains(record.path):
            raise ContentError(f"{record.path} does not lie below {base}")
        known = latest.get(record.path)
        if known is not None and known.time == record.time:
            raise ContentError(f"{record.path} comes twice")
        if known is None or record.time > known.time:
            latest[record.path] = record
    return [(path, adopt(record.value, type_of(path, definitions))) for path, record in latest.items()]


def paths_of(records: Collection[Record]) -> tuple[Path, ...]:
    """The paths of records without values.

    Raises:
        ContentError: a record has a value, or there is none.
    """
    if not records:
        raise ContentError("there is no path")
    if any(record.value is not None for record in records):
        raise ContentError("a record has a value where a path alone is expected")
    return tuple(record.path for record in records)


def read_fetch(pack: object, dialect: Dialect) -> tuple[Path, ...]:
    """The paths of a Fetch Pack (RFC 8790 section 3.1).

    Raises:
        ContentError: no record, one without a name, or one with a field that does not belong there.
    """
    for fields in _records(pack):
        if not fields.keys() <= dialect.fetch or fields.keys().isdisjoint({dialect.name, dialect.base_name}):
            raise ContentError("a record of a Fetch Pack has a name, and neither value nor anything unknown")
    return paths_of(read(pack, dialect))


def check_patch(pack: object, dialect: Dialect) -> None:
    """Refuse what a Patch Pack may ask for and is not done here (RFC 8790 section 3.2): to remove something.

    Raises:
        ContentError: 4.05 for a record that removes, with null for a value; 4.00 for what is no pack.
    """
    if any(dialect.number in fields and fields[dialect.number] is None for fields in _records(pack)):
        raise ContentError("nothing is removed by a Patch Pack here", code=Code.METHOD_NOT_ALLOWED)


def _records(pack: object) -> list[dict[object, object]]:
    if not isinstance(pack, list) or len(pack) > MAX_RECORDS:
        raise ContentError(f"SenML is an array of at most {MAX_RECORDS} records")
    if not all(isinstance(fields, dict) for fields in pack):
        raise ContentError("a SenML record is a map")
    return pack


def _check_fields(fields: Mapping[object, object], dialect: Dialect) -> None:
    for label in fields:
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise ContentError("a SenML label is an integer or text")
        if label in dialect.refused or (isinstance(label, str) and label.endswith("_")):
            raise ContentError(f"a SenML field that is not understood: {label!r:.32}")
    version = fields.get(dialect.version, _MAX_SENML_VERSION)
    if not isinstance(version, int) or version > _MAX_SENML_VERSION:
        raise ContentError("a later version of SenML")


def _string(fields: Mapping[object, object], label: Label, default: str) -> str:
    value = fields.get(label, default)
    if not isinstance(value, str):
        raise ContentError("a SenML name is text")
    return value


def _seconds(fields: Mapping[object, object], label: Label, default: float) -> float:
    value = fields.get(label, default)
    value = undivided(value.value if isinstance(value, Tag) and value.number == TAG_EPOCH else value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ContentError("a SenML time is a number")
    return value


def _path(name: str) -> Path:
    if not name.startswith("/"):
        raise ContentError(f"a SenML name is a path: {name[:32]!r}")
    try:
        return Path.parse(name)
    except ValueError as error:
        raise ContentError(str(error)) from error
