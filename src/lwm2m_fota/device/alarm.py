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

FIRST_LOOK_S: Final = 60.0
"""A clock that is not set is looked at after so long; then at twice the time, and so on, and every hour at last."""


@final
class WallAlarm:
    """Rings when the wall clock shows a time, and at least every hour before, since the clock may have jumped.

    Set again when it has rung, it pauses: whoever cannot do what is due would have the device do nothing else.

    Args:
        wall: seconds since 1970, or None while the clock is not set.
        ring: called with the seconds since the clock was last looked at; the alarm is off then.
    """

    def __init__(self, wall: Callable[[], float | None], ring: Callable[[float], None]) -> None:
        self._wall = wall
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._rang_at = float("-inf")
        self._seen_at: float | None = None  # when the clock was last set, or this began to wait for it
        self._told_at = 0.0

    def set(self, deadline: float | None) -> None:
        """Set it to this time, in seconds since 1970, in place of another; None switches it off."""
        self.stop()
        if deadline is None:
            self._seen_at = None
            return
        loop, wall = asyncio.get_running_loop(), self._wall()
        if wall is not None or self._seen_at is None:
            self._seen_at = self._told_at = loop.time()
        if wall is None:
            at = self._told_at + min(max(self._told_at - self._seen_at, FIRST_LOOK_S), LOOK_S)
        else:
            wait_s = min(max(deadline - wall, 0.0), LOOK_S)
            at = max(loop.time() + wait_s, self._rang_at + (LEAST_S if wait_s else AGAIN_S))
        self._timer = loop.call_at(at, self._due)

    def stop(self) -> None:
        """Switch it off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        waited_s, self._told_at, self._rang_at = now - self._told_at, now, now
        self._ring(waited_s)
