"""A timer on the wall clock, which jumps, is set late, or is not there at all."""

import asyncio
from collections.abc import Callable
from typing import Final, final

LOOK_S: Final = 3600.0
"""The clock is looked at so often while an alarm is set."""

AGAIN_S: Final = 60.0
"""The pause before it rings again for a time that has passed: whoever heard it could do nothing yet."""

LEAST_S: Final = 1.0
"""The pause before it rings again for a time to come: the clock may stand still."""


@final
class WallAlarm:
    """Rings when the wall clock shows a time, and at least every hour before, since the clock may have jumped.

    Set again when it has rung, it pauses: whoever cannot do what is due would have the device do nothing else.

    Args:
        wall: seconds since 1970, or None while the clock is not set.
        ring: called; the alarm is off then.
    """

    def __init__(self, wall: Callable[[], float | None], ring: Callable[[], None]) -> None:
        self._wall = wall
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._rang_at = float("-inf")

    def set(self, deadline: float | None) -> None:
        """Set it to this time, in seconds since 1970, in place of another; None switches it off."""
        self.stop()
        if deadline is None:
            return
        loop, wall = asyncio.get_running_loop(), self._wall()
        wait_s = LOOK_S if wall is None else min(max(deadline - wall, 0.0), LOOK_S)
        pause_s = LEAST_S if wait_s else AGAIN_S
        self._timer = loop.call_at(max(loop.time() + wait_s, self._rang_at + pause_s), self._due)

    def stop(self) -> None:
        """Switch it off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._rang_at = asyncio.get_running_loop().time()
        self._ring()
