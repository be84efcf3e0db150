"""The server over a network in memory: registrations, operations and what goes wrong with them."""

import asyncio
import random

import pytest

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.content.link import Link
from lwm2m_fota.errors import (
    BlockwiseError,
    ContentError,
    MalformedError,
    PeerTimeoutError,
    ResponseError,
    StorageError,
    TransportError,
    UsageError,
)
from lwm2m_fota.lwm2m.registry import Registered, RegistryLimits, Removed, Updated
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.ports import Joined, Left
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.udp import UdpTransport

GET, POST, PUT, DELETE = 1, 2, 3, 4
CREATED, DELETED, CHANGED, CONTENT, CONTINUE = 0x41, 0x42, 0x44, 0x45, 0x5F
BAD_REQUEST, BAD_OPTION, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = 0x80, 0x82, 0x83, 0x84, 0x85
NOT_ACCEPTABLE, INCOMPLETE, CONFLICT, PRECONDITION_FAILED, TOO_LARGE, UNAVAILABLE = 0x86, 0x88, 0x89, 0x8C, 0x8D, 0xA3
IF_MATCH, OBSERVE, URI_PORT, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, ACCEPT = 1, 6, 7, 8, 11, 12, 17
BLOCK2, BLOCK1, SIZE2, SIZE1 = 23, 27, 28, 60
TEXT, LINK, OPAQUE, SENML_CBOR, TLV = b"", b"\x28", b"\x2a", b"\x70", b"\x2d\x16"

STATE, RESULT, VERSION, INSTANCE = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3), Path.of(5, 0)
PACKAGE, URI, UPDATE = Path.of(5, 0, 0), Path.of(5, 0, 1), Path.of(5, 0, 2)


def content(payload, content_format=TEXT, *options):
    return Response(CONTENT, tuple(sorted(((CONTENT_FORMAT, content_format), *options))), payload)


def codes(world, peer):
    return [message.code for message in peer.asked]


# -- registrations ----------------------------------------------------------------------------------------------


def test_a_device_registers_updates_and_leaves(world_of):
    events, presences = [], []

    async def main():
        async with world_of(on_event=events.append) as world:
            peer = await world.peer()
            watch = world.server.watch("dev", presences.append)
            answer = await peer.register(b"</3/0>,</5>;ver=1.1,</5/0>", b"lt=60", b"lwm2m=1.1", b"b=U")
            assert answer.code == CREATED
            assert len(peer.location) == 2
            assert peer.location[0] == "rd"
            found = world.server.registration("dev")
            assert found.objects == {3: None, 5: "1.1"}
            assert (found.lifetime_s, found.lwm2m_version, found.expires_at) == (60, "1.1", 60.01)
            assert world.server.registrations() == (found,)
            assert (await peer.update(b"lt=90")).code == CHANGED
            assert world.server.registration("dev").lifetime_s == 90
            assert (await peer.leave()).code == DELETED
            assert world.server.registration("dev") is None
            assert (await peer.update()).code == NOT_FOUND
            watch.cancel()
            watch.cancel()
            await peer.register()
            await asyncio.sleep(1)

    run(main())
    assert [type(event) for event in events] == [Registered, Updated, Removed, Registered]
    assert [type(presence) for presence in presences] == [Joined, Left]
    assert presences[1].expired is False


@pytest.mark.parametrize(
    ("lwm2m", "links", "versions"),
    [
        ((), b'</>;rt="oma.lwm2m";ct=11543,</1/0>,</3/0>,</5/0>', {1: "1.0", 3: "1.0", 5: "1.0"}),
        ((b"lwm2m=1.1",), b"</1>;ver=1.1,</1/0>,</5/0>", {1: "1.1", 5: "1.0"}),
        ((b"lwm2m=1.2",), b"</1>;ver=1.2,</1/0>,</5>;ver=1.2,</5/0>", {1: "1.2", 5: "1.2"}),
    ],
)
def test_object_lists_of_every_version_of_lwm2m(world_of, lwm2m, links, versions):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register(links, *lwm2m)
            return world.server.registration("dev").object_versions

    assert run(main()) == versions


def test_a_registration_lapses_after_its_lifetime_and_not_before(world_of):
    async def main():
        presences = []
        async with world_of() as world:
            peer = await world.peer()
            world.server.watch("dev", presences.append)
            await peer.register(b"</5/0>", b"lt=100")
            await asyncio.sleep(60)
            await peer.update()
            await asyncio.sleep(99)
            assert world.server.registration("dev") is not None
            await asyncio.sleep(2)
            assert world.server.registration("dev") is None
        return presences

    joined, left = run(main())
    assert isinstance(joined, Joined)
    assert left.expired


def test_a_server_that_was_stopped_lets_registrations_lapse_when_it_starts_again(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register(b"</5/0>", b"lt=100")
            await world.server.stop()
            await asyncio.sleep(500)
            assert world.server.registration("dev") is not None
            with pytest.raises(TransportError):
                await world.server.read("dev", STATE)
            await world.server.start()
            await asyncio.sleep(1)
            return world.server.registration("dev")

    assert run(main()) is None


def test_waiting_for_a_device(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            waiting = asyncio.ensure_future(world.server.registered("dev"))
            given_up = asyncio.ensure_future(world.server.registered("dev"))
            await asyncio.sleep(1)
            assert not waiting.done()
            given_up.cancel()
            await peer.register()
            found = await waiting
            assert await world.server.registered("dev") is found
            await peer.register()  # a listener that has what it waited for hears no more
            await asyncio.sleep(1)
            return found.endpoint

    assert run(main()) == "dev"


def test_a_wait_that_begins_with_the_leaving_is_for_the_next_coming(world_of):
    waits = []

    async def main():
        def on_event(event):
            if isinstance(event, Removed):  # before those who watch are told of it
                waits.append(asyncio.ensure_future(world.server.registered("dev")))

        async with world_of(on_event=on_event) as world:
            peer = await world.peer()
            await peer.register()
            await peer.leave()
            await asyncio.sleep(1)
            assert not waits[0].done()
            await peer.register()
            return (await waits[0]).epoch

    assert run(main()) == 2


def test_two_devices_are_kept_apart(world_of):
    async def main():
        async with world_of() as world:
            one, two = await world.peer("one", "192.0.2.2"), await world.peer("two", "192.0.2.3")
            await one.register()
            await two.register()
            one.answers[GET, "/5/0/3"], two.answers[GET, "/5/0/3"] = content(b"1"), content(b"2")
            values = await asyncio.gather(world.server.read("one", STATE), world.server.read("two", STATE))
            await one.leave()
            assert [each.endpoint for each in world.server.registrations()] == ["two"]
            return values

    assert run(main()) == [[(STATE, 1)], [(STATE, 2)]]


def observing(peer, path="/5/0/3"):
    """Let a peer take observations; their tokens."""
    tokens = []

    def answer(received):
        message = received.message
        if message.uint(OBSERVE) == 0:
            tokens.append(message.token)
            return content(b"0", TEXT, (OBSERVE, b"\x01"))
        return content(b"0")

    peer.answers[GET, path] = answer
    return tokens


def notify(peer, token, number, payload):
    response = content(payload, TEXT, (OBSERVE, bytes([number])))
    peer.pump.notify(("192.0.2.1", 5683), token, response, confirmable=False)


@pytest.mark.parametrize("way", ["registers anew", "leaves", "moves"])
def test_observations_of_a_former_registration_are_forgotten_without_a_word(world_of, way):
    async def main():
        heard = []
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            tokens = observing(peer)
            _, subscription = await world.server.observe("dev", STATE, heard.append)
            notify(peer, tokens[0], 2, b"1")
            await asyncio.sleep(1)
            if way == "registers anew":
                await peer.register()
            elif way == "leaves":
                await peer.leave()
            else:
                moved = await world.peer("dev", "192.0.2.9")
                moved.location = peer.location
                await moved.update()
            notify(peer, tokens[0], 3, b"2")
            await asyncio.sleep(1)
            subscription.cancel()  # harmless
            await asyncio.sleep(1)
            assert [each.uint(OBSERVE) for each in peer.asked] == [0]  # nothing was cancelled at the device
        return heard

    assert run(main()) == [[(STATE, 1)]]


def test_a_device_that_ends_an_observation_is_not_heard(world_of):
    async def main():
        heard = []
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            tokens = observing(peer)
            await world.server.observe("dev", STATE, heard.append)
            peer.pump.notify(("192.0.2.1", 5683), tokens[0], Response(NOT_FOUND), confirmable=True)
            await asyncio.sleep(1)
        return heard

    assert run(main()) == []


def test_an_observation_that_is_cancelled_ends_at_the_device(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            observing(peer)
            _, subscription = await world.server.observe("dev", STATE, lambda _: None)
            subscription.cancel()
            subscription.cancel()
            await asyncio.sleep(1)
            return [each.uint(OBSERVE) for each in peer.asked]

    assert run(main()) == [0, 1]


def test_an_observation_that_is_answered_after_a_new_registration_counts_for_nothing(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            exchanges = []

            def later(received):
                exchanges.append(received.exchange)

            peer.answers[GET, "/5/0/3"] = later
            asking = asyncio.ensure_future(world.server.observe("dev", STATE, lambda _: None))
            await asyncio.sleep(0.5)
            await peer.register()
            peer.pump.respond(exchanges[0], content(b"0", TEXT, (OBSERVE, b"\x01")))
            with pytest.raises(TransportError, match="anew"):
                await asking

    run(main())


def test_a_change_of_address_is_told_like_a_registration(world_of):
    async def main():
        presences = []
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            world.server.watch("dev", presences.append)
            moved = await world.peer("dev", "192.0.2.9")
            moved.location = peer.location
            moved.answers[GET, "/5/0/3"] = content(b"1")
            before = world.server.registration("dev")
            await moved.update()
            await peer.update()  # and back
            await peer.update()  # no change
            await moved.update()
            assert await world.server.read("dev", STATE) == [(STATE, 1)]
            await asyncio.sleep(1)
            return before.epoch, presences

    epoch, presences = run(main())
    assert [each.registration.epoch - epoch for each in presences] == [1, 2, 3]
    assert all(isinstance(each, Joined) for each in presences)


def test_an_alternate_path_goes_before_every_path(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register(b'</lwm2m>;rt="oma.lwm2m",</lwm2m/5/0>')
            peer.answers[GET, "/lwm2m/5/0/3"] = content(b"2")
            return await world.server.read("dev", STATE)

    assert run(main()) == [(STATE, 2)]


@pytest.mark.parametrize(
    ("code", "path", "query", "options", "expected"),
    [
        (GET, ("rd",), (), (), NOT_ALLOWED),
        (PUT, ("rd", "x"), (), (), NOT_ALLOWED),
        (DELETE, ("rd",), (), (), NOT_ALLOWED),
        (POST, ("rd", "x", "y"), (), (), NOT_FOUND),
        (POST, ("rd", "unknown"), (), (), NOT_FOUND),
        (DELETE, ("rd", "unknown"), (), (), NOT_FOUND),
        (POST, ("rd",), (), (), BAD_REQUEST),
        (POST, ("rd",), (b"ep=a", b"ep=b"), (), BAD_REQUEST),
        (POST, ("rd",), (b"ep=a", b"lt=-1"), (), BAD_REQUEST),
        (POST, ("rd",), (b"ep=a", b"lwm2m=2.0"), (), PRECONDITION_FAILED),
        (POST, ("rd",), (b"ep=a", b"pid=6:1234abcd"), (), CONFLICT),
        (POST, ("rd",), (b"ep=\xff",), (), BAD_REQUEST),
        (POST, ("rd",), (b"ep=a",), ((IF_MATCH, b"x"),), BAD_OPTION),
        (POST, ("rd",), (b"ep=a",), ((URI_PORT, b"\x16\x33"), (URI_PORT, b"\x16\x33")), BAD_OPTION),
        (POST, ("rd",), (b"ep=a",), ((URI_PORT, b"\x16\x33"),), CREATED),
        (GET, (), (), (), NOT_FOUND),
        (GET, (".well-known", "core"), (), (), NOT_FOUND),
        (POST, ("bs",), (b"ep=a",), (), NOT_FOUND),
        (GET, ("fw",), (), (), NOT_FOUND),
    ],
)
def test_what_devices_may_ask(world_of, code, path, query, options, expected):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            return (await peer.send(code, path, query, b"", options)).code

    assert run(main()) == expected


def test_a_path_that_is_no_text_and_a_list_that_is_none_are_bad_requests(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            assert (await peer.send(GET, (), (), b"", ((URI_PATH, b"\xff"),))).code == BAD_REQUEST
            answer = await peer.send(POST, ("rd",), (b"ep=a",), b"<")
            assert answer.code == BAD_REQUEST
            assert answer.payload.decode()

    run(main())


def test_the_registry_is_bounded(world_of):
    async def main():
        async with world_of(ServerSettings(registry=RegistryLimits(max_registrations=1))) as world:
            one, two = await world.peer("one", "192.0.2.2"), await world.peer("two", "192.0.2.3")
            assert (await one.register()).code == CREATED
            refused = await two.register()
            assert (refused.code, refused.uint(14)) == (UNAVAILABLE, 60)  # Max-Age
            assert (await one.register()).code == CREATED

    run(main())


def test_another_root(world_of):
    async def main():
        async with world_of(ServerSettings(root="register")) as world:
            peer = await world.peer()
            answer = await peer.send(POST, ("register",), (b"ep=dev",))
            assert answer.first(LOCATION_PATH) == b"register"

    run(main())


LONG = b",".join(b"</%d/0>" % each for each in range(10, 400))


def test_a_long_object_list_comes_in_blocks(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            answer = await peer.register(LONG, b"lwm2m=1.1")
            assert answer.code == CREATED
            assert len(world.server.registration("dev").objects) == 390
            assert (await peer.update(links=LONG + b",</9/0>")).code == CHANGED
            assert len(world.server.registration("dev").objects) == 391

    run(main())


def test_blocks_of_a_registration_by_hand(world_of):
    async def main():
        events = []
        async with world_of(on_event=events.append) as world:
            raw = await world.raw()

            async def block(value, payload, *options):
                return await raw.ask(POST, ("rd",), (BLOCK1, value), *options, query=(b"ep=dev",), payload=payload)

            async def codes_of(*blocks):
                return [(await block(*each)).code for each in blocks]

            half = b"</3/0>,</5/0>,</7"  # 17 bytes: a block of 16 and the rest
            first, last = half[:16], half[16:] + b"/0>"
            assert await codes_of((b"\x10", last)) == [INCOMPLETE]
            assert await codes_of((b"\x08", first), (b"\x10", last)) == [CONTINUE, CREATED]
            again = await block(b"\x10", last)  # the answer to the last block was lost: the same answer, no second one
            assert again.code == CREATED
            assert len(events) == 1
            assert again.first(BLOCK1) == b"\x10"
            assert again.first(LOCATION_PATH) == b"rd"
            assert await codes_of((b"\x08", first), (b"\x08", first), (b"\x10", last)) == [CONTINUE, CONTINUE, CREATED]
            assert await codes_of((b"\x08", first), (b"\x18", first), (b"\x18", first)) == [
                CONTINUE,
                CONTINUE,
                CONTINUE,
            ]
            assert await codes_of((b"\x08", b"short"), (b"\x0f", b"")) == [BAD_REQUEST, BAD_REQUEST]
            assert await codes_of((b"\x00\x00\x00\x08", first)) == [BAD_OPTION]
            assert await codes_of((b"\x0e", bytes(1024), (SIZE1, b"\x01\x00\x01"))) == [TOO_LARGE]
            assert await codes_of((b"\x00", b"</5/0>")) == [CREATED]  # a single block
            return len(events)

    assert run(main()) == 3


def test_a_body_in_one_piece_takes_the_place_of_one_in_blocks(world_of):
    async def main():
        async with world_of() as world:
            raw = await world.raw()

            async def register(payload, *options):
                return (await raw.ask(POST, ("rd",), *options, query=(b"ep=dev",), payload=payload)).code

            assert await register(b"</5/0>,</5/1>,<x", (BLOCK1, b"\x08")) == CONTINUE
            assert await register(b"</5/0>") == CREATED
            return await register(b">", (BLOCK1, b"\x10"))

    assert run(main()) == INCOMPLETE


# -- operations -------------------------------------------------------------------------------------------------


def run_with(world_of, check, *, links=b"</3/0>,</5/0>", query=(b"lwm2m=1.1",), settings=None):
    """Run `check(server, peer)` with a registered peer."""

    async def main():
        async with world_of(settings) as world:
            peer = await world.peer()
            await peer.register(links, *query)
            return await check(world.server, peer)

    return run(main())


@pytest.mark.parametrize(
    ("answer", "path", "entries"),
    [
        (content(b"3"), STATE, [(STATE, 3)]),
        (Response(CONTENT, (), b"3"), STATE, [(STATE, 3)]),
        (content(b"\xc1\x03\x03", TLV), STATE, [(STATE, 3)]),
        (content(bytes.fromhex("81a200662f352f302f330202"), SENML_CBOR), STATE, [(STATE, 2)]),
        (content(bytes.fromhex("c10301c10505"), TLV), INSTANCE, [(STATE, 1), (RESULT, 5)]),
    ],
)
def test_read_takes_any_known_format(world_of, answer, path, entries):
    async def check(server, peer):
        peer.answers[GET, str(path)] = answer
        return await server.read("dev", path)

    assert run_with(world_of, check) == entries


@pytest.mark.parametrize(
    ("path", "query", "accept"),
    [
        (STATE, b"lwm2m=1.0", b""),
        (INSTANCE, b"lwm2m=1.0", TLV),
        (INSTANCE, b"lwm2m=1.1", SENML_CBOR),
        (Path.of(5, 0, 8), b"lwm2m=1.1", SENML_CBOR),
        (Path.of(9999, 0, 1), b"lwm2m=1.2", SENML_CBOR),
    ],
)
def test_read_asks_for_the_format_that_fits(world_of, path, query, accept):
    async def check(server, peer):
        with pytest.raises(ResponseError):
            await server.read("dev", path)
        return peer.asked[0].first(ACCEPT)

    assert run_with(world_of, check, query=(query,)) == accept


@pytest.mark.parametrize("refusal", [NOT_ACCEPTABLE, BAD_OPTION])
def test_a_device_that_does_not_know_the_format_is_asked_without_one(world_of, refusal):
    async def check(server, peer):
        def answer(received):
            refused = received.message.first(ACCEPT) is not None
            return Response(refusal) if refused else content(b"1")

        peer.answers[GET, "/5/0/3"] = answer
        return await server.read("dev", STATE)

    assert run_with(world_of, check) == [(STATE, 1)]


def test_a_body_in_blocks_is_read_whole_and_bounded(world_of):
    body = ("x" * 3000).encode()

    def serve(data):
        def answer(received):
            number = (received.message.uint(BLOCK2) or 6) >> 4
            part = data[number * 1024 : number * 1024 + 1024]
            more = 8 if len(data) > number * 1024 + 1024 else 0
            option = (number << 4 | more | 6).to_bytes(3, "big").lstrip(b"\x00")
            return content(part, TEXT, (BLOCK2, option))

        return answer

    async def check(server, peer):
        peer.answers[GET, "/3/0/3"] = serve(body)
        assert await server.read("dev", VERSION) == [(VERSION, body.decode())]
        peer.answers[GET, "/3/0/3"] = serve(bytes(70000))
        with pytest.raises(BlockwiseError):
            await server.read("dev", VERSION)

    run_with(world_of, check)


@pytest.mark.parametrize(
    "answer",
    [
        content(b"x"),
        content(b"\xc1", TLV),
        content(b"\x81", SENML_CBOR),
        content(b"3", b"\x32"),
        content(b"\xff\xfe\xfd", SENML_CBOR),
    ],
)
def test_what_cannot_be_understood_is_a_malformed_answer(world_of, answer):
    async def check(server, peer):
        peer.answers[GET, "/5/0/3"] = answer
        with pytest.raises(MalformedError):
            await server.read("dev", STATE)
        with pytest.raises(MalformedError):
            await server.observe("dev", STATE, lambda _: None)

    run_with(world_of, check)


def test_an_error_answer_carries_its_code_and_its_text(world_of):
    async def check(server, peer):
        peer.answers[GET, "/5/0/3"] = Response(FORBIDDEN, (), "nö".encode() + b"\xff" + b"." * 300)
        with pytest.raises(ResponseError) as caught:
            await server.read("dev", STATE)
        return caught.value

    error = run_with(world_of, check)
    assert error.response_code == FORBIDDEN
    assert error.diagnostic.startswith("nö\ufffd...")
    assert len(error.diagnostic) < 201
    assert "/5/0/3" in str(error)


def test_writes_and_executes(world_of):
    async def check(server, peer):
        for method, path in ((PUT, "/5/0/1"), (PUT, "/5/0/0"), (POST, "/5/0/2")):
            peer.answers[method, path] = Response(CHANGED)
        await server.write("dev", URI, "coap://x/y")
        await server.write("dev", PACKAGE, b"\x00")
        await server.execute("dev", UPDATE)
        await server.execute("dev", UPDATE, b"0='1'")
        with pytest.raises(ResponseError):
            await server.write("dev", Path.of(1, 0, 1), 60)
        with pytest.raises(ContentError):
            await server.write("dev", Path.of(1, 0, 1), "one")
        return [(each.code, each.path(), each.first(CONTENT_FORMAT), each.payload) for each in peer.asked]

    assert run_with(world_of, check) == [
        (PUT, ("5", "0", "1"), TEXT, b"coap://x/y"),
        (PUT, ("5", "0", "0"), OPAQUE, b"\x00"),
        (POST, ("5", "0", "2"), None, b""),
        (POST, ("5", "0", "2"), TEXT, b"0='1'"),
        (PUT, ("1", "0", "1"), TEXT, b"60"),
    ]


def test_discover_gives_links(world_of):
    async def check(server, peer):
        peer.answers[GET, "/5/0"] = content(b"</5/0>,</5/0/3>", LINK)
        found = await server.discover("dev", INSTANCE)
        assert peer.asked[0].first(ACCEPT) == LINK
        peer.answers[GET, "/5/0"] = content(b"<", LINK)
        with pytest.raises(ContentError):
            await server.discover("dev", INSTANCE)
        return found

    assert run_with(world_of, check) == (Link("/5/0"), Link("/5/0/3"))


def test_nobody_is_asked_who_is_not_registered(world_of):
    async def check(server, peer):
        source = MemoryPackageSource(b"x")
        for asking in (
            server.read("other", STATE),
            server.write("other", URI, ""),
            server.execute("other", UPDATE),
            server.discover("other", INSTANCE),
            server.push("other", PACKAGE, source, lambda _: None),
            server.observe("other", STATE, lambda _: None),
        ):
            with pytest.raises(TransportError, match="other is not registered"):
                await asking

    run_with(world_of, check)


def test_no_answer_is_a_timeout_after_93_s_at_most(world_of):
    async def check(server, peer):
        await peer.pump.close()
        started = asyncio.get_running_loop().time()
        with pytest.raises(PeerTimeoutError):
            await server.read("dev", STATE)
        return asyncio.get_running_loop().time() - started

    assert 62 <= run_with(world_of, check) <= 93.1


def test_a_stopped_server_fails_what_runs(world_of):
    async def check(server, peer):
        peer.answers[GET, "/5/0/3"] = lambda received: None
        asking = asyncio.ensure_future(server.read("dev", STATE))
        await asyncio.sleep(1)
        await server.stop()
        with pytest.raises(TransportError, match="closed"):
            await asking

    run_with(world_of, check)


def taking(peer, *, refuse_at=None, code=BAD_REQUEST):
    """Let a peer take a body in blocks; what it has taken."""
    taken = bytearray()

    def answer(received):
        message = received.message
        value = message.uint(BLOCK1)
        if value is None:
            taken[:] = message.payload
            return Response(CHANGED)
        if refuse_at is not None and value >> 4 == refuse_at:
            return Response(code)
        taken.extend(message.payload)
        more = bool(value & 8)
        return Response(CONTINUE if more else CHANGED, ((BLOCK1, message.first(BLOCK1)),))

    peer.answers[PUT, "/5/0/0"] = answer
    return taken


@pytest.mark.parametrize("size", [1, 1024, 1025, 5000])
def test_a_push_streams_the_package_and_tells_its_progress_to_the_end(world_of, size):
    data, progress = random.Random(1).randbytes(size), []

    async def check(server, peer):
        taken = taking(peer)
        await server.push("dev", PACKAGE, MemoryPackageSource(data), progress.append)
        assert peer.asked[0].first(CONTENT_FORMAT) == OPAQUE
        return bytes(taken)

    assert run_with(world_of, check) == data
    assert progress[-1] == size
    assert progress == sorted(progress)


def test_a_push_that_is_refused_or_cannot_be_read(world_of):
    class Unreadable:
        size_bytes = 5000

        def read_at(self, offset, length):
            if offset:
                raise StorageError("gone")
            return bytes(length)

    async def check(server, peer):
        taking(peer, refuse_at=2)
        progress = []
        with pytest.raises(ResponseError) as caught:
            await server.push("dev", PACKAGE, MemoryPackageSource(bytes(5000)), progress.append)
        assert caught.value.response_code == BAD_REQUEST
        assert progress[-1] == 3072
        with pytest.raises(StorageError):
            await server.push("dev", PACKAGE, Unreadable(), progress.append)

    run_with(world_of, check)


def blocks_put(peer):
    """How many blocks came at a time."""
    return [message.blocks for message in peer.asked if message.code == PUT]


def push_by_sets(world_of, state, *, times=1):
    """Push 25 blocks to a device that answers so to a read of its State: the blocks at a time, and the reads."""
    data = random.Random(1).randbytes(25_000)

    async def main():
        async with world_of(ServerSettings(q_block=QBlock())) as world:
            peer = await world.peer()
            await peer.register()
            peer.answers[GET, "/5/0/3"] = state
            taken = taking(peer)
            for _ in range(times):
                taken.clear()
                progress = []
                await world.server.push("dev", PACKAGE, MemoryPackageSource(data), progress.append)
                assert bytes(taken) == data
                assert progress[-1] == 25_000
                assert progress == sorted(progress)
            return blocks_put(peer), peer.asked_for(GET)

    return run(main())


def test_a_push_goes_by_sets_to_a_device_that_understands_them(world_of):
    with_block2 = content(b"0", TEXT, (23, b"\x06"))
    assert push_by_sets(world_of, with_block2) == ([10, 10, 5], ["/5/0/3"])


def test_what_a_device_understands_is_asked_once(world_of):
    with_block2 = content(b"0", TEXT, (23, b"\x06"))
    assert push_by_sets(world_of, with_block2, times=2) == ([10, 10, 5] * 2, ["/5/0/3"])
    blocks, probed = push_by_sets(world_of, content(b"0", TEXT), times=2)  # without the option: it does not know it
    assert (blocks[0], probed) == (1, ["/5/0/3"])


def test_a_push_goes_block_by_block_where_nothing_is_known(world_of):
    blocks, probed = push_by_sets(world_of, Response(NOT_FOUND))
    assert (blocks[0], probed) == (1, ["/5/0/3"])


# -- callbacks of users -----------------------------------------------------------------------------------------


def test_a_callback_that_fails_harms_nobody(world_of, faults):
    def broken(*_):
        raise ValueError("of the user")

    async def main():
        async with world_of(on_event=broken) as world:
            peer = await world.peer()
            heard = []
            world.server.watch("dev", broken)
            world.server.watch("dev", heard.append)
            assert (await peer.register(b"</5/0>", b"lt=50")).code == CREATED
            tokens = observing(peer)
            await world.server.observe("dev", STATE, broken)
            notify(peer, tokens[0], 2, b"1")
            data = taking(peer)
            await world.server.push("dev", PACKAGE, MemoryPackageSource(bytes(2000)), broken)
            assert len(data) == 2000
            await asyncio.sleep(60)
            assert world.server.registration("dev") is None  # its timer was set all the same
            return [type(each) for each in heard]

    assert run(main()) == [Joined, Left]
    assert len(faults) >= 6
    assert {type(fault) for fault in faults} == {ValueError}


# -- the wire ---------------------------------------------------------------------------------------------------


def test_whatever_arrives_the_server_goes_on(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register()
            stranger = await world.raw()
            rng = random.Random(7)
            seeds = [b"", b"\x40", b"\x40\x01\x00\x01", bytes.fromhex("4002000142726441ff")]
            for each in range(500):
                data = bytearray(rng.choice(seeds) + rng.randbytes(rng.randrange(40)))
                if data and each % 2:
                    data[0] = 0x40 | data[0] & 0x38
                stranger.send(bytes(data))
                await asyncio.sleep(0.01)
            peer.answers[GET, "/5/0/3"] = content(b"0")
            found = await world.server.read("dev", STATE)
            return found, len(world.server.registrations())

    assert run(main()) == ([(STATE, 0)], 1)


@pytest.mark.parametrize(
    ("host", "settings", "uri"),
    [
        ("192.0.2.1", None, "coap://192.0.2.1:5683/fw/"),
        ("2001:db8::1", None, "coap://[2001:db8::1]:5683/fw/"),
        ("192.0.2.1", ServerSettings(advertise_host="fw.example"), "coap://fw.example:5683/fw/"),
        ("192.0.2.1", ServerSettings(advertise_host=lambda: "2001:db8::9"), "coap://[2001:db8::9]:5683/fw/"),
        ("192.0.2.1", ServerSettings(advertise_host=lambda: None), "coap://192.0.2.1:5683/fw/"),
    ],
)
def test_the_uri_of_a_package_names_a_host_that_devices_reach(world_of, host, settings, uri):
    async def main():
        async with world_of(settings, server=(host, 5683)) as world:
            return world.server.packages.publish(MemoryPackageSource(b"x"), "coap", lambda _: None).uri

    assert run(main()).startswith(uri)


def test_an_endpoint_of_its_own():
    async def main():
        network = MemoryNetwork()
        async with Lwm2mServer(network.transport()) as server:
            return server.local_address

    assert run(main())[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_smoke_over_real_sockets(host):
    async def main():
        client = Pump(UdpTransport(host, 0), entropy=SeededEntropy(3), parameters=TransmissionParameters())
        async with Lwm2mServer(UdpTransport(host, 0)) as server:
            client.on_request = lambda received, now: content(b"1")
            await client.open()
            peer = await client.resolve(*server.local_address)
            options = ((URI_PATH, b"rd"), (CONTENT_FORMAT, LINK), (15, b"ep=dev"))
            assert (await client.call(peer, Request(POST, options, b"</5/0>"))).code == CREATED
            await server.registered("dev")
            assert await server.read("dev", STATE) == [(STATE, 1)]
            uri = server.packages.publish(MemoryPackageSource(b"package"), "coap", lambda _: None).uri
            path = tuple((URI_PATH, part.encode()) for part in uri.split("/")[3:])
            found = await client.call(peer, Request(GET, path))
            await client.close()
            return found.payload

    assert asyncio.run(main()) == b"package"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - what is refused
def test_no_package_is_offered_at_an_address_that_means_all_of_them(host):
    async def publish():
        server = Lwm2mServer(MemoryNetwork().transport(host, 5683))
        async with server:
            with pytest.raises(UsageError, match="advertise_host"):
                server.packages.publish(MemoryPackageSource(b"package"), "coap", lambda _: None)

    run(publish())
