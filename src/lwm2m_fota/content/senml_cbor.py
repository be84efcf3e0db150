"""SenML CBOR (RFC 8428; LwM2M Core 7.4.6): records with a name, a value and perhaps a time.

A record's name is the base name in force with its own name put behind it, without any separator: clients cut the
path at either side of a slash.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.content.values import Entries, adopt, parse_link_value, type_of
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Value

MAX_RECORDS: Final = 1024
_MAX_DEPTH: Final = 4
_MAX_ITEMS: Final = MAX_RECORDS * 20

_VERSION: Final = -1
_BASE_NAME: Final = -2
_BASE_TIME: Final = -3
_BASE_VALUE: Final = -5
_BASE_SUM: Final = -6
_NAME: Final = 0
_V: Final = 2
_VS: Final = 3
_VB: Final = 4
_SUM: Final = 5
_TIME: Final = 6
_VD: Final = 8
_VLO: Final = "vlo"

_VALUES: Final[Mapping[int | str, tuple[type, ...]]] = {
    _V: (int, float, cbor.Tag),
    _VS: (str,),
    _VB: (bool,),
    _VD: (bytes,),
    _VLO: (str,),
}
_REFUSED: Final = frozenset({_BASE_VALUE, _BASE_SUM, _SUM})
_MAX_SENML_VERSION: Final = 10


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


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """Write entries; the base name is taken from `base` where all of them lie below it."""
    del definitions  # the labels of values say their types
    prefix = _prefix((path for path, _ in entries), base)
    records: list[dict[int | str, object]] = []
    for path, value in entries:
        record = _named(path, prefix, first=not records)
        label, content = _labelled(value)
        record[label] = content
        records.append(record)
    return cbor.dumps(records)


def encode_paths(paths: Iterable[Path]) -> bytes:
    """Write paths without values: the payload of a Read-Composite or Observe-Composite request."""
    return cbor.dumps([{_NAME: str(path)} for path in paths])


def _prefix(paths: Iterable[Path], base: Path) -> str:
    if base.ids and all(len(path.ids) > len(base.ids) for path in paths):
        return f"{base}/"
    return ""


def _named(path: Path, prefix: str, *, first: bool) -> dict[int | str, object]:
    record: dict[int | str, object] = {}
    if first and prefix:
        record[_BASE_NAME] = prefix
    record[_NAME] = str(path)[len(prefix) :]
    return record


def _labelled(value: Value) -> tuple[int | str, object]:
    match value:
        case bool():
            return _VB, value
        case int() | float():
            return _V, value
        case str():
            return _VS, value
        case bytes():
            return _VD, value
        case _:
            return _VLO, str(value)


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read values below a path; of several values of one path, the one with the latest time.

    Raises:
        ContentError: not SenML, a record without a value or not below `base`, a value that is not of its type, or
            two of one path and time.
        CborError: not CBOR.
    """
    latest: dict[Path, Record] = {}
    for record in decode_records(payload):
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


def decode_paths(payload: bytes) -> tuple[Path, ...]:
    """Read paths without values.

    Raises:
        ContentError: not SenML, or a record with a value.
        CborError: not CBOR.
    """
    records = decode_records(payload)
    if any(record.value is not None for record in records):
        raise ContentError("a record has a value where a path alone is expected")
    return tuple(record.path for record in records)


def decode_records(payload: bytes) -> list[Record]:
    """Read and resolve all records.

    Raises:
        ContentError: not SenML (RFC 8428), more than `MAX_RECORDS`, or a field that must be understood and is not.
        CborError: not CBOR.
    """
    pack = cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS, max_bytes=len(payload))
    if not isinstance(pack, list) or len(pack) > MAX_RECORDS:
        raise ContentError(f"SenML is an array of at most {MAX_RECORDS} records")
    records: list[Record] = []
    base_name, base_time = "", 0.0
    for fields in pack:
        if not isinstance(fields, dict):
            raise ContentError("a SenML record is a map")
        _check_fields(fields)
        base_name = _string(fields, _BASE_NAME, base_name)
        base_time = _number(fields, _BASE_TIME, base_time)
        path = _path(base_name + _string(fields, _NAME, ""))
        records.append(Record(path, _value(fields), base_time + _number(fields, _TIME, 0.0)))
    return records


def _check_fields(fields: Mapping[object, object]) -> None:
    for label in fields:
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise ContentError("a SenML label is an integer or text")
        if label in _REFUSED or (isinstance(label, str) and label.endswith("_")):
            raise ContentError(f"a SenML field that is not understood: {label!r:.32}")
    version = fields.get(_VERSION, _MAX_SENML_VERSION)
    if not isinstance(version, int) or version > _MAX_SENML_VERSION:
        raise ContentError("a later version of SenML")


def _string(fields: Mapping[object, object], label: int, default: str) -> str:
    value = fields.get(label, default)
    if not isinstance(value, str):
        raise ContentError("a SenML name is text")
    return value


def _number(fields: Mapping[object, object], label: int, default: float) -> float:
    value = fields.get(label, default)
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


def _value(fields: Mapping[object, object]) -> object:
    present = [label for label in _VALUES if label in fields]
    if not present:
        return None
    label, value = present[0], fields[present[0]]
    if len(present) > 1 or not isinstance(value, _VALUES[label]) or (label == _V and isinstance(value, bool)):
        raise ContentError("a SenML record has one value, of the type that its label says")
    return parse_link_value(value) if label == _VLO and isinstance(value, str) else value
