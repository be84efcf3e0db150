"""What the firmware keeps across restarts, as bytes for a store: the machine, and the checkpoint of a pull."""

import json
from typing import Final

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines.download_words import Checkpoint
from lwm2m_fota.machines.snapshot import restore, snapshot
from lwm2m_fota.machines.state import FirmwareMachine

SCHEMA: Final = 1


def encode(machine: FirmwareMachine, checkpoint: Checkpoint | None) -> bytes:
    """The bytes to store."""
    plain = {
        "schema": SCHEMA,
        "machine": snapshot(machine),
        "checkpoint": None if checkpoint is None else checkpoint.to_plain(),
    }
    return json.dumps(plain).encode()


def decode(data: bytes) -> tuple[FirmwareMachine, Checkpoint | None]:
    """What `encode` was given.

    Raises:
        SnapshotError: the bytes are damaged, or of another schema.
    """
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the stored state is damaged: {error}") from error
    match plain:
        case {"schema": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"the stored state is of schema {schema}, not {SCHEMA}")
        case {"schema": int(), "machine": dict(machine), "checkpoint": checkpoint}:
            return restore(machine), None if checkpoint is None else Checkpoint.from_plain(checkpoint)
        case _:
            raise SnapshotError("the stored state is damaged: parts are missing")
