"""Warnings about who was not let in: some of them, for strangers may make as many as they like."""

import logging
from typing import Final, final

from lwm2m_fota.transport.base import Peer

NO_SESSION: Final = "no session with"
DROPPED: Final = "dropped what came from"


@final
class Refusals:
    """Tells of what was refused.

    Args:
        log: where to.
        pause_s: no more than one line in this time; how many there would have been is told with the next.
        what: how a line begins; who it is follows.
    """

    __slots__ = ("_log", "_next_at", "_pause_s", "_unsaid", "_what")

    def __init__(self, log: logging.Logger, pause_s: float, what: str = NO_SESSION) -> None:
        self._log = log
        self._pause_s = pause_s
        self._what = what
        self._next_at = 0.0
        self._unsaid = 0

    def refused(self, address: Peer, reason: str, now: float) -> None:
        """Nobody was let in from there, because of this; `now` is monotonic seconds."""
        if now < self._next_at:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more before)" if self._unsaid else ""
        self._log.warning("%s %s: %s%s", self._what, address, reason, more)
        self._next_at, self._unsaid = now + self._pause_s, 0
