"""What the boot loader of the slot installers remembers, as a value and as bytes."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Final, final

import attrs

from lwm2m_fota.errors import SnapshotError

SCHEMA: Final = 1


@final
class Phase(Enum):
    """How far an update is."""

    NORMAL = "normal"
    WRITTEN = "written"
    REQUESTED = "requested"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    REJECTED = "rejected"


_PHASES: Final = frozenset(each.value for each in Phase)


@final
@attrs.frozen
class Slots:
    """The two slots of a component.

    Attributes:
        running: which of them runs, 0 or 1.
        versions: what is in each.
    """

    running: int
    versions: tuple[str, str]


@final
@attrs.frozen
class BootRecord:
    """What the boot loader remembers.

    Attributes:
        components: the slots by the instance of their component; those that were never written are missing.
        phase: how far the last update is.
        attempt: its number; None if there is none.
        batch: the components that it is about, ascending.
    """

    components: Mapping[int, Slots] = attrs.field(factory=dict)
    phase: Phase = Phase.NORMAL
    attempt: int | None = None
    batch: tuple[int, ...] = ()


def encode(record: BootRecord) -> bytes:
    """The bytes to store."""
    components = [[each, slots.running, *slots.versions] for each, slots in sorted(record.components.items())]
    plain = {
        "schema": SCHEMA,
        "components": components,
        "phase": record.phase.value,
        "attempt": record.attempt,
        "batch": list(record.batch),
    }
    return json.dumps(plain).encode()


def decode(data: bytes) -> BootRecord:
    """What `encode` was given.

    Raises:
        SnapshotError: the bytes are damaged, or of another schema.
    """
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the boot record is damaged: {error}") from error
    match plain:
        case {"schema": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"the boot record is of schema {schema}, not {SCHEMA}")
        case {
            "schema": int(),
            "components": list(components),
            "phase": str(phase),
            "attempt": int() | None as attempt,
            "batch": list(batch),
        } if phase in _PHASES and all(type(each) is int for each in batch):
            return BootRecord(dict(map(_component, components)), Phase(phase), attempt, tuple(batch))
        case _:
            raise SnapshotError("the boot record is damaged")


def _component(plain: object) -> tuple[int, Slots]:
    match plain:
        case [int(instance), 0 | 1 as running, str(first), str(second)]:
            return instance, Slots(running, (first, second))
        case _:
            raise SnapshotError("the boot record is damaged: not a component")
