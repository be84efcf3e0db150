"""What a server keeps of an update across its restarts, as bytes for a store."""

import json
from typing import Final, final

import attrs

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import UpdateMachine

SCHEMA: Final = 1


@final
@attrs.frozen(kw_only=True)
class UpdateRecord:
    """One update.

    Attributes:
        machine: where it stands.
        digest: SHA-256 of the package, hexadecimal: no other one may take its place.
        token: of the last publication; a device may hold its URI. None if there was none.
    """

    machine: UpdateMachine
    digest: str
    token: str | None = None


def encode(record: UpdateRecord, now: float) -> bytes:
    """The bytes to store; `now` on the clock of the machine."""
    plain = {
        "schema": SCHEMA,
        "update": snapshot(record.machine, now),
        "digest": record.digest,
        "token": record.token,
    }
    return json.dumps(plain).encode()


def decode(data: bytes, now: float) -> UpdateRecord:
    """What `encode` was given, on a clock that shows `now`.

    Raises:
        SnapshotError: the bytes are damaged, or of another schema.
    """
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the stored update is damaged: {error}") from error
    match plain:
        case {"schema": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"the stored update is of schema {schema}, not {SCHEMA}")
        case {"schema": int(), "update": update, "digest": str(digest), "token": None | str() as token}:
            return UpdateRecord(machine=restore(update, now), digest=digest, token=token)
        case _:
            raise SnapshotError("the stored update is damaged: parts are missing")
