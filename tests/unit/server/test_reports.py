"""What devices send by themselves (Send, LwM2M Core 6.4.6)."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.model.paths import Path
from lwm2m_fota.sim.loop import run

POST, GET = 2, 1
CHANGED, CONTINUE = 0x44, 0x5F
BAD_REQUEST, BAD_OPTION, NOT_FOUND, NOT_ALLOWED = 0x80, 0x82, 0x84, 0x85
CONTENT_FORMAT, BLOCK1, OBSERVE = 12, 27, 6
JSON, SENML, TLV, LWM2M_CBOR = b"\x6e", b"\x70", b"\x2d\x16", b"\x2d\x18"
STATE, RESULT, VERSION = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3)
PAIR = cbor.dumps([{-2: "/5/0/", 0: "3", 2: 2}, {0: "5", 2: 0}])


async def send(peer, payload, content_format=SENML, *options):
    form = () if content_format is None else ((CONTENT_FORMAT, content_format),)
    return (await peer.send(POST, ("dp",), (), payload, (*form, *options))).code


def heard_by(world_of, main, links=b"</3/0>,</5/0>"):
    heard = []

    async def whole():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register(links, b"lwm2m=1.1")
            listening = world.server.reported("dev", lambda entries: heard.append(dict(entries)))
            await main(world, peer, listening)

    run(whole())
    return heard


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (SENML, PAIR),
        (JSON, b'[{"bn":"/5/0/","n":"3","v":2},{"n":"5","v":0}]'),
        (LWM2M_CBOR, bytes.fromhex("a1820500a203020500")),
    ],
)
def test_listeners_hear_what_a_device_sends(world_of, content_format, payload):
    async def main(world, peer, listening):
        assert await send(peer, payload, content_format) == CHANGED
        listening.cancel()
        listening.cancel()
        assert await send(peer, payload, content_format) == CHANGED

    assert heard_by(world_of, main) == [{STATE: 2, RESULT: 0}]


def test_each_device_is_heard_apart(world_of):
    async def main(world, peer, listening):
        other = await world.peer("other", "192.0.2.3")
        await other.register()
        assert await send(other, PAIR) == CHANGED
        again = []
        world.server.reported("dev", again.append)
        assert await send(peer, PAIR) == CHANGED
        assert again == [[(STATE, 2), (RESULT, 0)]]

    assert heard_by(world_of, main) == [{STATE: 2, RESULT: 0}]


def test_of_values_in_time_the_latest_is_heard(world_of):
    async def main(world, peer, listening):
        pack = [{-2: "/5/0/3", -3: 1_700_000_000, 2: 1, 6: 0}, {2: 2, 6: 5}, {2: 3, 6: 3}]
        assert await send(peer, cbor.dumps(pack)) == CHANGED

    assert heard_by(world_of, main) == [{STATE: 2}]


def test_resources_that_are_not_known_are_no_error(world_of):
    async def main(world, peer, listening):
        assert await send(peer, cbor.dumps([{0: "/5/0/99", 2: 1}, {0: "/5/0/3", 2: 1}])) == CHANGED

    assert heard_by(world_of, main) == [{STATE: 1, Path.of(5, 0, 99): 1}]


@pytest.mark.parametrize(
    ("content_format", "payload", "code"),
    [
        (None, PAIR, BAD_REQUEST),
        (TLV, bytes.fromhex("c10302"), BAD_REQUEST),
        (b"\x01\x40", PAIR, BAD_REQUEST),  # SenML-ETCH
        (SENML, b"\xff", BAD_REQUEST),
        (SENML, b"", BAD_REQUEST),
        (SENML, b"\x80", BAD_REQUEST),  # nothing is reported
        (JSON, b"[]", BAD_REQUEST),
        (LWM2M_CBOR, b"\xa0", BAD_REQUEST),
        (SENML, cbor.dumps([{0: "/5/0/3", 3: "x"}]), BAD_REQUEST),
        (SENML, cbor.dumps([{0: "/5/0/3"}]), BAD_REQUEST),
        (SENML, cbor.dumps([{0: "/5/1/3", 2: 1}]), NOT_FOUND),
        (SENML, cbor.dumps([{0: "/5/0/3", 2: 1}, {0: "/9/0/3", 2: 1}]), NOT_FOUND),
    ],
)
def test_what_is_refused_is_heard_by_nobody(world_of, content_format, payload, code):
    async def main(world, peer, listening):
        assert await send(peer, payload, content_format) == code

    assert heard_by(world_of, main) == []


def test_an_object_without_listed_instances_counts_as_a_whole(world_of):
    async def main(world, peer, listening):
        assert await send(peer, cbor.dumps([{0: "/5/7/3", 2: 1}])) == CHANGED

    assert heard_by(world_of, main, links=b"</5>") == [{Path.of(5, 7, 3): 1}]


def test_who_is_not_registered_is_not_heard(world_of):
    async def main(world, peer, listening):
        stranger = await world.peer("dev", "192.0.2.9")
        assert await send(stranger, PAIR) == NOT_FOUND
        await peer.leave()
        assert await send(peer, PAIR) == NOT_FOUND

    assert heard_by(world_of, main) == []


def test_what_else_may_be_asked_there(world_of):
    async def main(world, peer, listening):
        assert (await peer.send(GET, ("dp",))).code == NOT_ALLOWED
        assert (await peer.send(POST, ("dp", "x"))).code == NOT_FOUND
        assert await send(peer, PAIR, SENML, (1, b"x")) == BAD_OPTION

    assert heard_by(world_of, main) == []


def test_a_long_report_comes_in_blocks(world_of):
    long = cbor.dumps([{0: "/5/0/1", 3: "x" * 3000}])

    async def main(world, peer, listening):
        assert await send(peer, long) == CHANGED

    assert heard_by(world_of, main) == [{Path.of(5, 0, 1): "x" * 3000}]


def test_blocks_by_hand(world_of):
    async def main(world, peer, listening):
        raw = await world.raw("192.0.2.66")
        await raw.ask(POST, ("rd",), query=(b"ep=raw",), payload=b"</5/0>")
        half = len(PAIR) - 16

        async def block(value, payload):
            return (await raw.ask(POST, ("dp",), (CONTENT_FORMAT, SENML), (BLOCK1, value), payload=payload)).code

        assert [await block(b"\x08", PAIR[:16]), await block(b"\x10", PAIR[16:])] == [CONTINUE, CHANGED]
        assert await block(b"\x10", PAIR[16:]) == CHANGED  # again: the same answer, and nobody hears it twice
        assert [await block(b"\x08", PAIR[:16]), await block(b"\x10", b"\xff" * half)] == [CONTINUE, BAD_REQUEST]
        assert await block(b"\x10", b"\xff" * half) == BAD_REQUEST

    assert heard_by(world_of, main) == []


def test_a_listener_that_fails_harms_nobody(world_of, faults):
    async def main(world, peer, listening):
        world.server.reported("dev", lambda entries: 1 / 0)
        assert await send(peer, PAIR) == CHANGED

    assert heard_by(world_of, main) == [{STATE: 2, RESULT: 0}]
    assert [type(each) for each in faults] == [ZeroDivisionError]
