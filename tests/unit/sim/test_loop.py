import asyncio
import socket

import pytest

from lwm2m_fota.errors import SimulationError, UsageError
from lwm2m_fota.sim import loop as loop_module
from lwm2m_fota.sim.loop import VirtualLoop, run


def now():
    return asyncio.get_running_loop().time()


def test_time_begins_at_zero_and_jumps_to_the_next_timer():
    async def main():
        seen = [now()]
        for delay in (0.25, 3600.0, 86400.0 * 3):
            await asyncio.sleep(delay)
            seen.append(now())
        return seen

    assert run(main()) == [0.0, 0.25, 3600.25, 262800.25]


def test_timers_fire_in_the_order_of_their_times():
    async def main():
        fired = []
        loop = asyncio.get_running_loop()
        for delay in (5.0, 1.0, 3.0):
            loop.call_later(delay, lambda delay=delay: fired.append((delay, loop.time())))
        loop.call_later(2.0, fired.append, "cancelled").cancel()
        await asyncio.sleep(10)
        return fired

    assert run(main()) == [(1.0, 1.0), (3.0, 3.0), (5.0, 5.0)]


def test_time_does_not_pass_while_something_is_ready():
    async def main():
        for _ in range(1000):
            await asyncio.sleep(0)
        return now()

    assert run(main()) == 0.0


def test_timeouts_and_events_work():
    async def main():
        event = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await event.wait()
        asyncio.get_running_loop().call_later(5, event.set)
        async with asyncio.timeout(60):
            await event.wait()
        return now()

    assert run(main()) == 65.0


@pytest.mark.parametrize("start", [0.1, 12345.678, 7_999_990.3])
def test_every_timer_fires_at_its_time_however_late_it_is(start):
    async def main():
        await asyncio.sleep(start)
        loop = asyncio.get_running_loop()
        for step in range(1, 50):
            fired = loop.create_future()
            when = loop.time() + 0.1 / step
            loop.call_at(when, lambda fired=fired: fired.set_result(loop.time()))
            assert await fired == pytest.approx(when, abs=2e-9)

    run(main(), limit_s=8_000_000)


def test_two_runs_are_the_same():
    async def worker(name, trace):
        for step in range(5):
            await asyncio.sleep(0.1 * (step + len(name)))
            trace.append((now(), name))

    async def main():
        trace = []
        async with asyncio.TaskGroup() as group:
            for name in ("a", "bb", "ccc"):
                group.create_task(worker(name, trace))
        return trace

    assert run(main()) == run(main())


def test_a_deadlock_is_told_with_the_tasks_that_wait():
    async def stuck():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.sleep(7)
        await asyncio.create_task(stuck(), name="the stuck one")

    with pytest.raises(SimulationError, match=r"at 7\.0 s: .*test_loop\.py:\d+; the stuck one at .*test_loop\.py:\d+$"):
        run(main())


def test_a_crowd_in_a_deadlock_is_cut_short():
    async def main():
        waiting = asyncio.get_running_loop().create_future()
        await asyncio.gather(*(asyncio.wait({waiting}) for _ in range(30)))

    with pytest.raises(SimulationError, match=r"and 21 more$"):
        run(main())


def test_a_loop_without_tasks_is_told_too():
    loop = VirtualLoop()
    with pytest.raises(SimulationError, match="no tasks"):
        loop.run_forever()
    loop.close()


def test_a_run_ends_at_its_limit():
    async def main():
        for _ in range(1000):
            await asyncio.sleep(1)

    with pytest.raises(SimulationError, match=r"limit of 100 s"):
        run(main(), limit_s=100)


def test_time_that_stands_still_is_told(monkeypatch):
    monkeypatch.setattr(loop_module, "MAX_STILL_TURNS", 1000)

    async def main():
        await asyncio.sleep(1)
        for _ in range(2000):
            await asyncio.sleep(0)

    with pytest.raises(SimulationError, match=r"time stands still, at 1\.0 s"):
        run(main())


def test_long_work_between_timers_is_no_standstill(monkeypatch):
    monkeypatch.setattr(loop_module, "MAX_STILL_TURNS", 100)

    async def main():
        for _ in range(10):
            await asyncio.sleep(1)
            for _ in range(50):
                await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 10.0


@pytest.mark.parametrize("limit_s", [0, -1, 8_000_001, float("nan")])
def test_a_limit_out_of_range_is_refused(limit_s):
    with pytest.raises(UsageError):
        VirtualLoop(limit_s=limit_s)


def test_there_are_no_sockets():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            with pytest.raises(SimulationError):
                asyncio.get_running_loop().add_reader(sock, print)

    run(main())


def test_what_goes_to_a_thread_runs_in_place_and_in_no_time():
    async def main():
        order = ["before"]
        future = asyncio.get_running_loop().run_in_executor(None, order.append, "inside")
        order.append("after")
        await future
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        assert now() == 0.0
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return order

    assert run(main()) == ["before", "inside", "after"]


def test_an_error_in_a_run_is_the_callers():
    async def main():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())


def test_what_is_left_over_is_cancelled():
    ended = []

    async def background():
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append(now())

    async def main():
        task = asyncio.create_task(background())
        await asyncio.sleep(2)
        return task

    assert run(main()).cancelled()
    assert ended == [2.0]
