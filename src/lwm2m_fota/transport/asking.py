"""Questions to a credential store, which is others' code: where it fails, nobody is let in."""

import logging
import time
from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Identity

_LOG: Final = logging.getLogger(__name__)

_PAUSE_S: Final = 1.0
"""No more than one failure is told of in this time, since strangers may bring about as many as they like."""


@final
class AskedStore:
    """What is asked of a store while somebody is on its way in. Never raises.

    Args:
        store: the store.
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_next_at", "_store")

    def __init__(self, store: CredentialStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._next_at = float("-inf")

    def key(self, identity: str) -> Secret | None:
        """The key of a PSK identity; None if there is none, or the store fails."""
        try:
            return self._store.key(identity)
        except Exception:  # noqa: BLE001 - of others' code
            self._failed()
            return None

    def accepts(self, identity: Identity) -> bool:
        """Whether what an identity has proven still counts; not if the store fails."""
        try:
            return self._store.accepts(identity)
        except Exception:  # noqa: BLE001 - of others' code
            self._failed()
            return False

    def _failed(self) -> None:
        now = self._clock()
        if now >= self._next_at:
            self._next_at = now + _PAUSE_S
            _LOG.exception("the credential store failed")
