"""Queue mode: what is asked of a sleeping device waits until it is awake, and goes in order (Transport 1.2, 6.5)."""

import asyncio

import pytest

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.errors import PeerTimeoutError, TransportError, UsageError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.lwm2m import ServerSettings
from lwm2m_fota.server.turns import QueueSettings
from lwm2m_fota.sim.loop import run

CONTENT, CHANGED = 0x45, 0x44
OBSERVE = 6
VERSION, STATE = Path.of(3, 0, 3), Path.of(5, 0, 3)
SLEEPER = (b"lwm2m=1.1", b"b=U", b"Q", b"lt=86400")


def run_with(world_of, check, *query, **queue):
    """`check(server, peer)` with a device that is registered; where the query is SLEEPER, one in queue mode."""

    async def main():
        async with world_of(ServerSettings(queue=QueueSettings(**queue))) as world:
            peer = await world.peer()
            peer.answers[1, "/3/0/3"] = Response(CONTENT, (), b"1.0")
            peer.answers[1, "/5/0/3"] = Response(CONTENT, (), b"2")
            await peer.register(b"</3/0>,</5/0>", *query)
            return await check(world.server, peer)

    return run(main())


def now():
    return asyncio.get_running_loop().time()


def begin(coroutine):
    return asyncio.ensure_future(coroutine)


@pytest.mark.parametrize(
    ("queue", "still_asked_s", "not_asked_s"),
    [({}, 89.0, 91.0), ({"awake_s": 20.0, "margin_s": 5.0}, 14.0, 16.0)],
)
def test_a_device_is_awake_for_a_while_after_its_last_message(world_of, queue, still_asked_s, not_asked_s):
    """MAX_TRANSMIT_WAIT is 93 s (RFC 7252, 4.8.2); 3 s of it are kept for the way."""

    async def check(server, peer):
        await asyncio.sleep(still_asked_s)
        await server.read("dev", VERSION)
        await asyncio.sleep(still_asked_s)  # the answer was a message, too
        await server.read("dev", VERSION)
        await asyncio.sleep(not_asked_s)
        waiting = begin(server.read("dev", VERSION))
        await asyncio.sleep(10_000.0)
        assert len(peer.asked) == 2
        assert not waiting.done()
        await peer.update()
        assert dict(await waiting) == {VERSION: "1.0"}

    run_with(world_of, check, *SLEEPER, **queue)


@pytest.mark.parametrize("query", [(b"lwm2m=1.1", b"b=U"), (b"lwm2m=1.2",)])
def test_a_device_without_queue_mode_is_asked_at_any_time(world_of, query):
    async def check(server, peer):
        await asyncio.sleep(3600.0)
        assert dict(await server.read("dev", VERSION)) == {VERSION: "1.0"}

    run_with(world_of, check, *query, b"lt=86400")


def test_what_waits_goes_in_the_order_in_which_it_was_asked_one_after_the_other(world_of):
    async def check(server, peer):
        going = []

        def slow(received):
            going.append("/" + "/".join(received.message.path()))
            assert len(going) == len(ended) + 1  # the one before has its answer
            return Response(CHANGED)

        ended = []

        async def ask(path):
            await server.execute("dev", path)
            ended.append(str(path))

        paths = [Path.of(3, 0, number) for number in (4, 5, 12)]
        for path in paths:
            peer.answers[2, str(path)] = slow
        await asyncio.sleep(1000.0)
        tasks = [begin(ask(path)) for path in paths]
        await asyncio.sleep(1000.0)
        assert going == []
        await peer.update()
        await asyncio.gather(*tasks)
        assert going == ended == ["/3/0/4", "/3/0/5", "/3/0/12"]

    run_with(world_of, check, *SLEEPER)


def test_a_notification_wakes_the_queue_too(world_of):
    async def check(server, peer):
        observer = []

        def observed(received):
            observer.append((received.peer, received.message.token))
            return Response(CONTENT, ((OBSERVE, b"\x01"),), b"2")

        peer.answers[1, "/5/0/3"] = observed
        heard = []
        await server.observe("dev", STATE, heard.append)
        await asyncio.sleep(1000.0)
        waiting = begin(server.read("dev", VERSION))
        await asyncio.sleep(1000.0)
        peer.pump.notify(*observer[0], Response(CONTENT, ((OBSERVE, b"\x02"),), b"3"), confirmable=True)
        assert dict(await waiting) == {VERSION: "1.0"}
        assert heard == [[(STATE, 3)]]

    run_with(world_of, check, *SLEEPER)


def test_a_request_that_is_not_answered_shows_that_the_device_sleeps_already(world_of):
    async def check(server, peer):
        await peer.pump.close()
        with pytest.raises(PeerTimeoutError):
            await server.read("dev", VERSION)
        at = now()
        waiting = begin(server.read("dev", VERSION))
        await asyncio.sleep(1000.0)
        assert not waiting.done()
        await peer.pump.open()
        await peer.update()
        await waiting
        assert now() - at < 1001.0

    run_with(world_of, check, *SLEEPER)


def test_one_that_is_given_up_makes_room_for_the_next(world_of):
    async def check(server, peer):
        await asyncio.sleep(1000.0)
        first, second = begin(server.read("dev", STATE)), begin(server.read("dev", VERSION))
        await asyncio.sleep(1.0)
        first.cancel()
        await peer.update()
        await second
        assert peer.asked_for(1) == ["/3/0/3"]

    run_with(world_of, check, *SLEEPER)


def test_who_waits_is_told_when_the_device_leaves_or_does_not_come_back(world_of):
    async def check(server, peer):
        await asyncio.sleep(1000.0)
        waiting = [begin(server.read("dev", path)) for path in (STATE, VERSION)]
        await asyncio.sleep(1.0)
        await peer.leave()
        for each in waiting:
            with pytest.raises(TransportError, match="registered"):
                await each
        assert peer.asked == []
        await peer.register(b"</3/0>", b"lwm2m=1.1", b"Q", b"lt=600")
        await asyncio.sleep(100.0)
        with pytest.raises(TransportError, match="registered"):
            await server.read("dev", VERSION)
        assert now() < 2000.0

    run_with(world_of, check, *SLEEPER)


def test_one_that_registers_anew_without_queue_mode_is_asked_at_once(world_of):
    async def check(server, peer):
        await asyncio.sleep(1000.0)
        waiting = [begin(server.read("dev", path)) for path in (STATE, VERSION)]
        await asyncio.sleep(1.0)
        await peer.register(b"</3/0>,</5/0>", b"lwm2m=1.1", b"lt=86400")
        await asyncio.gather(*waiting)
        await asyncio.sleep(1000.0)
        await server.read("dev", VERSION)
        assert peer.asked_for(1) == ["/5/0/3", "/3/0/3", "/3/0/3"]

    run_with(world_of, check, *SLEEPER)


@pytest.mark.parametrize("queue", [{"awake_s": 3.0}, {"margin_s": -1.0}, {"awake_s": 0.0, "margin_s": 0.0}])
def test_settings_that_make_no_sense(queue):
    with pytest.raises(UsageError):
        QueueSettings(**queue)
