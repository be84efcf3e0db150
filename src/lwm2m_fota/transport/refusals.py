"""Warnings about who was not let in: some of them, for strangers may make as many as they like."""

import logging
from typing import Final, final

from lwm2m_fota.transport.base import Peer

_PAUSE_S: Final = 1.0
"""No more than one line in this time; how many there would have been is told with the next."""


@final
class Refusals:
    """Tells of refused sessions.

    Args:
        log: where to.
    """

    __slots__ = ("_log", "_next_at", "_unsaid")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._next_at = 0.0
        self._unsaid = 0

    def refused(self, address: Peer, reason: str, now: float) -> None:
        """Nobody was let in from there, because of this; `now` is monotonic seconds."""
        if now < self._next_at:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more before)" if self._unsaid else ""
        self._log.warning("no session with %s: %s%s", address, reason, more)
        self._next_at, self._unsaid = now + _PAUSE_S, 0
