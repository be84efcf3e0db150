"""SenML CBOR (RFC 8428 section 6; LwM2M Core 7.5.7) and SenML-ETCH CBOR (RFC 8790)."""

from collections.abc import Iterable
from typing import Final

from lwm2m_fota import cbor
from lwm2m_fota.content import senml
from lwm2m_fota.content.senml import MAX_RECORDS, Dialect, Record
from lwm2m_fota.content.values import Entries
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions

_MAX_DEPTH: Final = 5
"""An array of maps, and a decimal fraction: a tag, an array, numbers."""

_MAX_ITEMS: Final = MAX_RECORDS * 20

DIALECT: Final = Dialect(
    version=-1,
    base_name=-2,
    base_time=-3,
    name=0,
    time=6,
    number=2,
    text=3,
    boolean=4,
    data=8,
    link="vlo",
    number_types=(int, float, cbor.Tag),
    data_type=bytes,
    write_data=bytes,
    read_data=bytes,
    refused=frozenset({-5, -6, 5}),
    fetch=frozenset({-2, -3, -4, 0, 1, 6}),
)


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """Write entries; the base name is taken from `base` where all of them lie below it."""
    del definitions  # the labels of values say their types
    return cbor.dumps(senml.write(entries, base, DIALECT))


def encode_paths(paths: Iterable[Path]) -> bytes:
    """Write paths without values: the payload of a Read-Composite or Observe-Composite request."""
    return cbor.dumps(senml.write_paths(paths, DIALECT))


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read values below a path; of several values of one path, the one with the latest time.

    Raises:
        ContentError: not SenML, a record without a value or not below `base`, a value that is not of its type, or
            two of one path and time.
        CborError: not CBOR.
    """
    return senml.entries_of(decode_records(payload), base, definitions)


def decode_paths(payload: bytes) -> tuple[Path, ...]:
    """Read paths without values.

    Raises:
        ContentError: not SenML, no record, or one with a value.
        CborError: not CBOR.
    """
    return senml.paths_of(decode_records(payload))


def decode_records(payload: bytes) -> list[Record]:
    """Read and resolve all records.

    Raises:
        ContentError: not SenML (RFC 8428), more than `MAX_RECORDS`, or a field that must be understood and is not.
        CborError: not CBOR.
    """
    return senml.read(_pack(payload), DIALECT)


def decode_fetch(payload: bytes) -> tuple[Path, ...]:
    """Read the paths of a Fetch Pack.

    Raises:
        ContentError: not a Fetch Pack.
        CborError: not CBOR.
    """
    return senml.read_fetch(_pack(payload), DIALECT)


def decode_patch(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read the values of a Patch Pack.

    Raises:
        ContentError: as `decode`; 4.05 for a record that removes.
        CborError: not CBOR.
    """
    senml.check_patch(_pack(payload), DIALECT)
    return decode(payload, base, definitions)


def _pack(payload: bytes) -> object:
    return cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS, max_bytes=len(payload))
