"""A timer on the wall clock, which jumps, is set late, or is not there at all."""

import asyncio
from collections.abc import Callable
from typing import Final, final

LOOK_S: Final = 3600.0
"""The clock is looked at so often while an alarm is set."""


@final
class WallAlarm:
    """Rings when the wall clock shows a time, and at least every hour before, since the clock may have jumped.

    Args:
        wall: seconds since 1970, or None while the clock is not set.
        ring: called; the alarm is off then.
    """

    def __init__(self, wall: Callable[[], float | None], ring: Callable[[], None]) -> None:
        self._wall = wall
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None, pause_s: float = 0.0) -> None:
        """Set it to this time, in place of another; None switches it off.

        Args:
            deadline: seconds since 1970.
            pause_s: do not ring before so many seconds have passed.
        """
        self.stop()
        if deadline is None:
            return
        wall = self._wall()
        wait_s = LOOK_S if wall is None else min(max(deadline - wall, pause_s), LOOK_S)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def stop(self) -> None:
        """Switch it off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._ring()
