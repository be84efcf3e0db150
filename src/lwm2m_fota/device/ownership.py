"""Whose update it is, on a device of several servers: who has begun it owns it until it is over."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, final

from lwm2m_fota.device.engine import Engine
from lwm2m_fota.errors import BusyError, RefusedError, StorageError
from lwm2m_fota.lwm2m.responses import RETRY_AFTER_S
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.base import StateStore


@final
class OtherServer(Enum):
    """What a server may do with the firmware object, beyond reading it, while the update of another is under way."""

    BUSY = "nothing for the time being: 5.03"
    REFUSED = "nothing: 4.01"
    SERVED = "everything, as the owner may"


_WHY: Final = "another server updates this device"


@final
class Ownership:
    """The owner of the update of one device.

    Servers are known by their short ids. An update begins when a request of a server brings the firmware out of Idle,
    and lasts until all of it is Idle again; where there is a result then, a while longer, so that the owner can look at
    it. One that was begun by nobody known, as after a restart without a store, belongs to whoever moves it on first.

    Args:
        firmware: the object.
        policy: see `OtherServer`.
        result_s: how long the owner has, to look at a result.
        store: keeps the owner across restarts; None if it need not be kept.
    """

    def __init__(self, firmware: Engine, policy: OtherServer, result_s: float, store: StateStore | None) -> None:
        self._firmware = firmware
        self._policy = policy
        self._result_s = result_s
        self._store = store
        self._asking: int | None = None
        self._owner: int | None = None
        self._until = float("inf")
        firmware.listen(self._changed)

    def start(self) -> None:
        """Take up who owns what a restart left, once the firmware has started.

        Raises:
            StorageError: the store cannot be read.
        """
        data = None if self._store is None else self._store.load()
        self._owner = int(data) if data is not None and data.isdigit() else None
        self._look()

    def check(self, server: int, path: Path) -> None:
        """Pass over a write or an Execute that a server may send.

        Raises:
            RefusedError: it is for the firmware, and the update of another server is under way.
        """
        if asyncio.get_running_loop().time() >= self._until:
            self.release()
        is_free = self._owner is None or self._owner == server
        if is_free or path.object_id != self._firmware.definition.id:
            return
        if self._policy is OtherServer.BUSY:
            raise BusyError(_WHY, retry_after_s=RETRY_AFTER_S)
        if self._policy is OtherServer.REFUSED:
            raise RefusedError(_WHY, code=Code.UNAUTHORIZED)

    @contextlib.contextmanager
    def asked_by(self, server: int | None) -> Iterator[None]:
        """What happens to the firmware meanwhile is this server's doing; None for whoever is no server."""
        self._asking = server
        try:
            yield
        finally:
            self._asking = None

    def release(self) -> None:
        """It is nobody's any more."""
        self._set(None)

    def _changed(self, paths: Sequence[Path]) -> None:
        del paths
        if self._owner is None and self._asking is not None and not self._firmware.is_idle:
            self._set(self._asking)
        self._look()

    def _look(self) -> None:
        """See whether the update is over."""
        if self._owner is None:
            return
        if not self._firmware.is_idle:
            self._until = float("inf")
        elif self._firmware.has_result:
            self._until = asyncio.get_running_loop().time() + self._result_s
        else:
            self.release()

    def _set(self, owner: int | None) -> None:
        self._owner, self._until = owner, float("inf")
        if self._store is not None:
            with contextlib.suppress(StorageError):  # then it is not known after a restart
                self._keep(self._store)

    def _keep(self, store: StateStore) -> None:
        if self._owner is None:
            store.clear()
        else:
            store.save(str(self._owner).encode())
