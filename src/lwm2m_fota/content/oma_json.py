"""The JSON of LwM2M 1.0 (Core 1.0, 6.4.4): read only, because devices of that version may prefer it; never written."""

from typing import Final

import attrs

from lwm2m_fota.content import senml, senml_json, strict_json
from lwm2m_fota.content.base64_text import read_base64
from lwm2m_fota.content.values import Entries, type_of
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ValueType

_DIALECT: Final = attrs.evolve(
    senml_json.DIALECT,
    text="sv",
    boolean="bv",
    link="ov",
    data="",  # opaque values are strings in Base64
    refused=frozenset(),
)
_ELEMENTS: Final = "e"


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read values below a path; where there is no base name, names are relative to that path.

    Raises:
        ContentError: not this JSON, an element without a value or not below `base`, a value that is not of its type, or
            two of one path and time.
    """
    document = strict_json.loads(payload)
    elements = document.get(_ELEMENTS) if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(elements, list):
        raise ContentError("the JSON of LwM2M 1.0 is an object with a list of elements")
    head = {name: document[name] for name in ("bn", "bt") if name in document}
    if "bn" not in head:
        named = any(isinstance(each, dict) and each.get("n") for each in elements)
        head["bn"] = f"{base}/" if named and base.ids else str(base)
    pack = [head | each if isinstance(each, dict) and not index else each for index, each in enumerate(elements)]
    records = senml.read(pack, _DIALECT)
    return senml.entries_of([_opaque(record, definitions) for record in records], base, definitions)


def _opaque(record: senml.Record, definitions: Definitions) -> senml.Record:
    if type_of(record.path, definitions) is ValueType.OPAQUE and isinstance(record.value, str):
        return attrs.evolve(record, value=read_base64(record.value))
    return record
