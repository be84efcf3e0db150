"""SenML JSON (RFC 8428 section 5; LwM2M Core 7.5.6) and SenML-ETCH JSON (RFC 8790)."""

from collections.abc import Iterable
from typing import Final

from lwm2m_fota.content import senml, strict_json
from lwm2m_fota.content.base64_text import read_base64, write_base64url
from lwm2m_fota.content.senml import Dialect
from lwm2m_fota.content.values import Entries
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions

DIALECT: Final = Dialect(
    version="bver",
    base_name="bn",
    base_time="bt",
    name="n",
    time="t",
    number="v",
    text="vs",
    boolean="vb",
    data="vd",
    link="vlo",
    number_types=(int, float),
    data_type=str,
    write_data=write_base64url,
    read_data=read_base64,
    refused=frozenset({"bv", "bs", "s"}),
    fetch=frozenset({"bn", "bt", "bu", "n", "t", "u"}),
)


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """Write entries; the base name is taken from `base` where all of them lie below it."""
    del definitions  # the labels of values say their types
    return strict_json.dumps(senml.write(entries, base, DIALECT))


def encode_paths(paths: Iterable[Path]) -> bytes:
    """Write paths without values: the payload of a Read-Composite or Observe-Composite request."""
    return strict_json.dumps(senml.write_paths(paths, DIALECT))


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read values below a path; of several values of one path, the one with the latest time.

    Raises:
        ContentError: not JSON, not SenML, a record without a value or not below `base`, a value that is not of its
            type, or two of one path and time.
    """
    return senml.entries_of(senml.read(strict_json.loads(payload), DIALECT), base, definitions)


def decode_paths(payload: bytes) -> tuple[Path, ...]:
    """Read paths without values.

    Raises:
        ContentError: not SenML, no record, or one with a value.
    """
    return senml.paths_of(senml.read(strict_json.loads(payload), DIALECT))


def decode_fetch(payload: bytes) -> tuple[Path, ...]:
    """Read the paths of a Fetch Pack.

    Raises:
        ContentError: not a Fetch Pack.
    """
    return senml.read_fetch(strict_json.loads(payload), DIALECT)


def decode_patch(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read the values of a Patch Pack.

    Raises:
        ContentError: as `decode`; 4.05 for a record that removes.
    """
    senml.check_patch(strict_json.loads(payload), DIALECT)
    return decode(payload, base, definitions)
