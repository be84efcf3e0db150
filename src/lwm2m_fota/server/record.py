"""What a server keeps of an update across its restarts, as bytes for a store."""

import json
from collections.abc import Iterable
from typing import Final, final

import attrs

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import UpdateMachine
from lwm2m_fota.machines.update_versions import OwnVersions

SCHEMA: Final = 2


@final
@attrs.frozen(kw_only=True)
class UpdateRecord:
    """One update.

    Attributes:
        machine: where it stands.
        digests: SHA-256 of each package, hexadecimal: no other one may take its place.
        token: of the last publication; a device may hold its URI. None if there was none.
    """

    machine: UpdateMachine
    digests: tuple[str, ...]
    token: str | None = None


def encode(record: UpdateRecord, now: float) -> bytes:
    """The bytes to store; `now` on the clock of the machine."""
    plain = {
        "schema": SCHEMA,
        "update": snapshot(record.machine, now),
        "digests": list(record.digests),
        "token": record.token,
    }
    return json.dumps(plain).encode()


def decode(data: bytes, now: float, versions: Iterable[OwnVersions] = ()) -> UpdateRecord:
    """What `encode` was given, on a clock that shows `now`.

    Raises:
        SnapshotError: the bytes are damaged, of another schema, or need a rule for versions that is not in `versions`.
    """
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the stored update is damaged: {error}") from error
    match plain:
        case {"schema": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"the stored update is of schema {schema}, not {SCHEMA}")
        case {"schema": int(), "update": update, "digests": list(digests), "token": None | str() as token} if all(
            isinstance(each, str) for each in digests
        ):
            return UpdateRecord(machine=restore(update, now, versions), digests=tuple(digests), token=token)
        case _:
            raise SnapshotError("the stored update is damaged: parts are missing")
