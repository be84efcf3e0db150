"""An alarm on a wall clock that jumps, stands still, or is not there."""

import asyncio

from lwm2m_fota.device.alarm import WallAlarm
from lwm2m_fota.sim.loop import run

DEADLINE = 1_700_000_000.0


class Clock:
    """A wall clock, and the times of the loop at which an alarm on it rings."""

    def __init__(self, shows, *, again=False):
        self.shows, self.again = shows, again
        self.rings, self.waited_s = [], []
        self.alarm = WallAlarm(lambda: self.shows, self.ring)

    def ring(self, waited_s):
        self.rings.append(asyncio.get_running_loop().time())
        self.waited_s.append(waited_s)
        if self.again:
            self.alarm.set(DEADLINE)

    async def heard(self, wait_s, deadline=DEADLINE):
        """When it rings, in seconds from now on."""
        begin = asyncio.get_running_loop().time()
        self.rings.clear()
        self.waited_s.clear()
        self.alarm.set(deadline)
        await asyncio.sleep(wait_s)
        self.alarm.stop()
        return [each - begin for each in self.rings]


def test_it_rings_when_the_clock_shows_the_time():
    assert run(Clock(DEADLINE - 50.0).heard(99.0)) == [50.0]
    assert run(Clock(DEADLINE + 1e6).heard(99.0)) == [0.0]
    assert run(Clock(DEADLINE).heard(99.0, None)) == []


def test_it_looks_every_hour():
    assert run(Clock(DEADLINE - 1e6, again=True).heard(7300.0)) == [3600.0, 7200.0]


def test_a_clock_that_is_not_set_is_looked_at_ever_more_seldom_and_the_time_between_is_told():
    clock = Clock(None, again=True)
    times = [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3840.0, 7440.0, 11040.0]
    assert run(clock.heard(11_100.0)) == times
    assert clock.waited_s == [now - before for before, now in zip([0.0, *times], times, strict=False)]


def test_setting_it_again_without_a_clock_puts_nothing_off():
    async def main():
        clock = Clock(None)
        clock.alarm.set(DEADLINE)
        for _ in range(7):
            await asyncio.sleep(10.0)
            clock.alarm.set(DEADLINE)
        assert clock.rings == [60.0]
        await asyncio.sleep(49.0)
        assert clock.rings == [60.0]
        await asyncio.sleep(2.0)
        assert (clock.rings, clock.waited_s) == ([60.0, 120.0], [60.0, 60.0])

    run(main())


def test_the_time_counts_from_when_the_clock_was_last_set_or_the_alarm_was_off():
    async def main():
        clock = Clock(DEADLINE - 100.0)
        clock.alarm.set(DEADLINE)
        await asyncio.sleep(30.0)
        clock.alarm.set(DEADLINE)
        await asyncio.sleep(30.0)
        clock.shows = None
        clock.alarm.set(DEADLINE)
        await asyncio.sleep(31.0)
        assert (clock.rings, clock.waited_s) == ([90.0], [60.0])
        clock.alarm.set(None)
        await asyncio.sleep(1000.0)
        assert await clock.heard(61.0) == [60.0]
        assert clock.waited_s == [60.0]

    run(main())


def test_what_is_due_and_cannot_be_done_is_told_again_in_a_minute():
    for shows in (DEADLINE, DEADLINE + 1e6):
        assert run(Clock(shows, again=True).heard(200.0)) == [0.0, 60.0, 120.0, 180.0]


def test_whoever_sets_it_again_meanwhile_is_told_no_sooner_and_no_later():
    async def main():
        clock = Clock(DEADLINE, again=True)
        assert await clock.heard(50.0) == [0.0]
        assert await clock.heard(50.0) == [10.0]

    run(main())


def test_a_clock_that_stands_still_before_the_time_rings_every_second():
    assert run(Clock(DEADLINE - 0.25, again=True).heard(3.5)) == [0.25, 1.25, 2.25, 3.25]
