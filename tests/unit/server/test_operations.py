"""Operations of LwM2M 1.1 and 1.2 on devices: several values, several paths, attributes; and what is remembered."""

import asyncio

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.errors import ContentError, MalformedError, PeerTimeoutError, ResponseError, UsageError
from lwm2m_fota.lwm2m.operations import WriteMode
from lwm2m_fota.model.paths import Path
from lwm2m_fota.sim.loop import run

GET, POST, PUT, FETCH, IPATCH = 1, 2, 3, 5, 7
CHANGED, CONTENT = 0x44, 0x45
BAD_REQUEST, NOT_FOUND, NOT_ALLOWED, NOT_ACCEPTABLE, UNSUPPORTED, BUSY = 0x80, 0x84, 0x85, 0x86, 0x8F, 0xA3
OBSERVE, CONTENT_FORMAT, URI_QUERY, ACCEPT = 6, 12, 15, 17
JSON, SENML, TLV, LWM2M_CBOR = b"\x6e", b"\x70", b"\x2d\x16", b"\x2d\x18"
STATE, RESULT, VERSION, INSTANCE = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3), Path.of(5, 0)
PATHS = (STATE, RESULT, VERSION)
ASKED_JSON = b'[{"n":"/5/0/3"},{"n":"/5/0/5"},{"n":"/3/0/3"}]'
ASKED_CBOR = cbor.dumps([{0: "/5/0/3"}, {0: "/5/0/5"}, {0: "/3/0/3"}])
VALUES = {STATE: 2, RESULT: 0, VERSION: "1.0"}
ANSWER_CBOR = cbor.dumps([{0: "/5/0/3", 2: 2}, {0: "/5/0/5", 2: 0}, {0: "/3/0/3", 3: "1.0"}])
ANSWER_JSON = b'[{"n":"/5/0/3","v":2},{"n":"/5/0/5","v":0},{"n":"/3/0/3","vs":"1.0"}]'


def content(payload, content_format, *options):
    return Response(CONTENT, tuple(sorted(((CONTENT_FORMAT, content_format), *options))), payload)


def run_with(world_of, check, *, links=b"</3/0>,</5/0>", query=(b"lwm2m=1.1",)):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            await peer.register(links, *query)
            return await check(world.server, peer)

    return run(main())


def shown(message):
    """Method, path, format of the body, format wanted, body."""
    path = "/" + "/".join(message.path())
    return message.code, path, message.first(CONTENT_FORMAT), message.first(ACCEPT), message.payload


# -- Read-Composite


def test_several_paths_are_read_with_one_request(world_of):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = content(ANSWER_CBOR, SENML)
        assert dict(await server.read_composite("dev", PATHS)) == VALUES
        assert [shown(message) for message in peer.asked] == [(FETCH, "/", SENML, SENML, ASKED_CBOR)]

    run_with(world_of, check)


@pytest.mark.parametrize("refusal", [UNSUPPORTED, NOT_ACCEPTABLE])
def test_a_device_that_knows_one_form_only_is_asked_in_that_one_from_then_on(world_of, refusal):
    def answer(received):
        cbor_asked = received.message.first(CONTENT_FORMAT) == SENML
        return Response(refusal) if cbor_asked else content(ANSWER_JSON, JSON)

    async def check(server, peer):
        peer.answers[FETCH, "/"] = answer
        for _ in range(2):
            assert dict(await server.read_composite("dev", PATHS)) == VALUES
        assert [shown(message)[2:] for message in peer.asked] == [
            (SENML, SENML, ASKED_CBOR),
            (JSON, JSON, ASKED_JSON),
            (JSON, JSON, ASKED_JSON),
        ]

    run_with(world_of, check)


@pytest.mark.parametrize("refusal", [NOT_ALLOWED, NOT_FOUND, BAD_REQUEST, 0xA0, 0xA1])
def test_a_device_that_refuses_is_asked_once_for_each_registration(world_of, refusal):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = Response(refusal)
        with pytest.raises(ResponseError) as caught:
            await server.read_composite("dev", PATHS)
        assert caught.value.response_code == refusal
        for _ in range(3):
            with pytest.raises(ResponseError, match="before") as caught:
                await server.read_composite("dev", PATHS)
            assert caught.value.response_code == NOT_ALLOWED
        assert len(peer.asked) == 1
        await peer.update()
        with pytest.raises(ResponseError, match="before"):
            await server.read_composite("dev", PATHS)
        await peer.register(b"</5/0>", b"lwm2m=1.1")  # perhaps with other firmware
        peer.answers[FETCH, "/"] = content(ANSWER_CBOR, SENML)
        assert dict(await server.read_composite("dev", PATHS)) == VALUES

    run_with(world_of, check)


def test_every_form_refused(world_of):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = Response(UNSUPPORTED)
        with pytest.raises(ResponseError) as caught:
            await server.read_composite("dev", PATHS)
        assert caught.value.response_code == UNSUPPORTED
        assert len(peer.asked) == 2
        with pytest.raises(ResponseError, match="every form"):
            await server.read_composite("dev", PATHS)
        assert len(peer.asked) == 2

    run_with(world_of, check)


def test_an_answer_that_makes_no_sense_is_a_refusal(world_of):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = content(b"\xff", SENML)
        with pytest.raises(MalformedError):
            await server.read_composite("dev", PATHS)
        with pytest.raises(ResponseError, match="before"):
            await server.read_composite("dev", PATHS)

    run_with(world_of, check)


def test_a_busy_or_silent_device_says_nothing_of_what_it_can(world_of):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = Response(BUSY)
        with pytest.raises(ResponseError):
            await server.read_composite("dev", PATHS)
        peer.answers[FETCH, "/"] = lambda received: None
        with pytest.raises(PeerTimeoutError):
            await server.read_composite("dev", PATHS)
        peer.answers[FETCH, "/"] = content(ANSWER_CBOR, SENML)
        assert dict(await server.read_composite("dev", PATHS)) == VALUES

    run_with(world_of, check)


def test_a_refusal_of_a_device_that_has_left_is_not_remembered(world_of):
    async def check(server, peer):
        exchanges = []
        peer.answers[FETCH, "/"] = lambda received: exchanges.append(received.exchange)
        asking = asyncio.ensure_future(server.read_composite("dev", PATHS))
        await asyncio.sleep(0.1)
        await peer.leave()
        peer.pump.respond(exchanges[0], Response(NOT_ALLOWED))
        with pytest.raises(ResponseError):
            await asking
        assert server._ways == {}

    run_with(world_of, check)


@pytest.mark.parametrize(
    ("links", "query"),
    [(b"</5/0>", b"lwm2m=1.0"), (b'</lwm2m>;rt="oma.lwm2m",</lwm2m/5/0>', b"lwm2m=1.1")],
)
def test_old_devices_and_those_with_an_alternate_path_are_not_even_asked(world_of, links, query):
    async def check(server, peer):
        for operation in (
            server.read_composite("dev", PATHS),
            server.observe_composite("dev", PATHS, print),
            server.write_composite("dev", [(STATE, 1)]),
        ):
            with pytest.raises(ResponseError):
                await operation
        assert peer.asked == []

    run_with(world_of, check, links=links, query=(query,))


@pytest.mark.parametrize(
    ("ct", "several", "first"),
    [
        (b"", SENML, SENML),
        (b";ct=112", SENML, SENML),
        (b";ct=110", JSON, JSON),
        (b';ct="11544 110 60"', JSON, JSON),
        (b";ct=11544", LWM2M_CBOR, SENML),
        (b";ct=11542", TLV, SENML),
        (b";ct=40", SENML, SENML),
    ],
)
def test_the_formats_that_a_device_lists_are_used(world_of, ct, several, first):
    async def check(server, peer):
        for operation in (server.read("dev", INSTANCE), server.read_composite("dev", PATHS)):
            with pytest.raises(ResponseError):
                await operation
        return [peer.asked[0].first(ACCEPT), peer.asked[1].first(CONTENT_FORMAT)]

    links = b'</>;rt="oma.lwm2m"' + ct + b",</5/0>"
    assert run_with(world_of, check, links=links) == [several, first]


# -- Observe-Composite


def test_several_paths_are_observed_with_one_request(world_of):
    async def check(server, peer):
        heard, tokens = [], []

        def answer(received):
            tokens.append(received.message.token)
            return content(ANSWER_CBOR, SENML, (OBSERVE, b"\x01"))

        peer.answers[FETCH, "/"] = answer
        first, subscription = await server.observe_composite("dev", PATHS, lambda entries: heard.append(dict(entries)))
        assert dict(first) == VALUES
        (message,) = peer.asked
        assert (*shown(message), message.uint(OBSERVE)) == (FETCH, "/", SENML, SENML, ASKED_CBOR, 0)
        later = content(cbor.dumps([{0: "/5/0/3", 2: 3}]), SENML, (OBSERVE, b"\x02"))
        peer.pump.notify(("192.0.2.1", 5683), tokens[0], later, confirmable=False)
        await asyncio.sleep(0.1)
        assert heard == [{STATE: 3}]
        subscription.cancel()
        await asyncio.sleep(0.1)
        assert (peer.asked[1].code, peer.asked[1].uint(OBSERVE), peer.asked[1].payload) == (FETCH, 1, ASKED_CBOR)

    run_with(world_of, check)


def test_a_device_that_refuses_to_be_observed_so_is_asked_once(world_of):
    async def check(server, peer):
        peer.answers[FETCH, "/"] = Response(NOT_ALLOWED)
        for _ in range(2):
            with pytest.raises(ResponseError):
                await server.observe_composite("dev", PATHS, print)
        assert len(peer.asked) == 1

    run_with(world_of, check)


def test_another_form_is_tried_for_an_observation_too(world_of):
    def answer(received):
        cbor_asked = received.message.first(CONTENT_FORMAT) == SENML
        return Response(UNSUPPORTED) if cbor_asked else content(ANSWER_JSON, JSON, (OBSERVE, b"\x01"))

    async def check(server, peer):
        peer.answers[FETCH, "/"] = answer
        first, _ = await server.observe_composite("dev", PATHS, print)
        assert dict(first) == VALUES

    run_with(world_of, check)


# -- writes


@pytest.mark.parametrize(
    ("mode", "method", "query", "content_format", "payload"),
    [
        (WriteMode.UPDATE, POST, b"lwm2m=1.0", TLV, bytes.fromhex("c10b02c40d00015180")),
        (WriteMode.REPLACE, PUT, b"lwm2m=1.0", TLV, bytes.fromhex("c10b02c40d00015180")),
        (WriteMode.UPDATE, POST, b"lwm2m=1.1", SENML, cbor.dumps([{-2: "/5/0/", 0: "11", 2: 2}, {0: "13", 2: 86400}])),
    ],
)
def test_several_values_of_an_instance(world_of, mode, method, query, content_format, payload):
    async def check(server, peer):
        peer.answers[method, "/5/0"] = Response(CHANGED)
        await server.write_values("dev", INSTANCE, [(INSTANCE / 11, 2), (INSTANCE / 13, 86400)], mode)
        assert [shown(message) for message in peer.asked] == [(method, "/5/0", content_format, None, payload)]

    run_with(world_of, check, query=(query,))


def test_a_partial_update_is_what_is_meant_if_nothing_is_said(world_of):
    async def check(server, peer):
        peer.answers[POST, "/5/0"] = Response(CHANGED)
        await server.write_values("dev", INSTANCE, [(INSTANCE / 11, 2)])
        assert peer.asked_for(POST) == ["/5/0"]

    run_with(world_of, check)


def test_values_go_in_a_format_that_the_device_takes_from_then_on(world_of):
    def answer(received):
        return Response(CHANGED if received.message.first(CONTENT_FORMAT) == TLV else UNSUPPORTED)

    async def check(server, peer):
        peer.answers[POST, "/5/0"] = answer
        for _ in range(2):
            await server.write_values("dev", INSTANCE, [(INSTANCE / 11, 2)])
        assert [message.first(CONTENT_FORMAT) for message in peer.asked] == [SENML, JSON, LWM2M_CBOR, TLV, TLV]

    run_with(world_of, check)


def test_values_that_are_refused(world_of):
    async def check(server, peer):
        peer.answers[POST, "/5/0"] = Response(UNSUPPORTED)
        with pytest.raises(ResponseError) as caught:
            await server.write_values("dev", INSTANCE, [(INSTANCE / 11, 2)])
        assert (caught.value.response_code, len(peer.asked)) == (UNSUPPORTED, 4)
        peer.answers[POST, "/5/0"] = Response(NOT_ALLOWED)
        with pytest.raises(ResponseError):
            await server.write_values("dev", INSTANCE, [(INSTANCE / 11, 2)])
        assert len(peer.asked) == 5
        with pytest.raises(ContentError):
            await server.write_values("dev", INSTANCE, [(INSTANCE / 11, "x")])
        with pytest.raises(UsageError):
            await server.write_values("dev", INSTANCE, [(VERSION, "x")])
        assert len(peer.asked) == 5

    run_with(world_of, check)


def test_values_of_several_objects(world_of):
    def answer(received):
        return Response(CHANGED if received.message.first(CONTENT_FORMAT) == JSON else UNSUPPORTED)

    async def check(server, peer):
        peer.answers[IPATCH, "/"] = answer
        await server.write_composite("dev", [(INSTANCE / 11, 2), (Path.of(1, 0, 1), 300)])
        assert shown(peer.asked[-1]) == (
            IPATCH,
            "/",
            JSON,
            None,
            b'[{"n":"/5/0/11","v":2},{"n":"/1/0/1","v":300}]',
        )
        peer.answers[IPATCH, "/"] = Response(NOT_FOUND)
        with pytest.raises(ResponseError) as caught:
            await server.write_composite("dev", [(INSTANCE / 11, 2)])
        assert caught.value.response_code == NOT_FOUND
        peer.answers[IPATCH, "/"] = Response(UNSUPPORTED)
        with pytest.raises(ResponseError) as caught:
            await server.write_composite("dev", [(INSTANCE / 11, 2)])
        assert caught.value.response_code == UNSUPPORTED

    run_with(world_of, check)


def test_nothing_is_asked_for_without_a_path_or_value(world_of):
    """A device would refuse that, and be taken for one that knows no composite operations."""

    async def check(server, peer):
        with pytest.raises(UsageError):
            await server.read_composite("dev", [])
        with pytest.raises(UsageError):
            await server.observe_composite("dev", [], lambda _: None)
        with pytest.raises(UsageError):
            await server.write_composite("dev", [])
        assert peer.asked == []
        peer.answers[FETCH, "/"] = content(ANSWER_CBOR, SENML)
        assert dict(await server.read_composite("dev", PATHS)) == VALUES

    run_with(world_of, check)


# -- attributes


def test_attributes_are_attached_and_taken_off(world_of):
    async def check(server, peer):
        peer.answers[PUT, "/5/0/3"] = Response(CHANGED)
        await server.write_attributes("dev", STATE, pmin=10, pmax=60, gt=1.5, con=None)
        (message,) = peer.asked
        assert message.queries() == ("pmin=10", "pmax=60", "gt=1.5", "con")
        assert (message.payload, message.first(CONTENT_FORMAT)) == (b"", None)

    run_with(world_of, check)


def test_attributes_are_written_as_their_grammar_has_them(world_of):
    async def check(server, peer):
        peer.answers[PUT, "/5/0/3"] = Response(CHANGED)
        await server.write_attributes("dev", STATE, pmin=10.0, gt=1e-05, con=True)
        for wrong in ({"pmin": True}, {"gt": float("nan")}, {"pmax": 0.5}, {"shape": 1}, {}):
            with pytest.raises(ContentError):
                await server.write_attributes("dev", STATE, **wrong)
        assert [message.queries() for message in peer.asked] == [("pmin=10", "gt=0.00001", "con=1")]

    run_with(world_of, check)


def test_discover_as_deep_as_asked(world_of):
    async def check(server, peer):
        peer.answers[GET, "/5"] = content(b"</5>;ver=1.1,</5/0>;pmin=10", b"\x28")
        links = await server.discover("dev", Path.of(5), depth=1)
        assert (links[1].target, links[1].attribute("pmin")) == ("/5/0", "10")
        await server.discover("dev", Path.of(5))
        assert [message.queries() for message in peer.asked] == [("depth=1",), ()]

    run_with(world_of, check)


# -- Accept


def test_a_device_that_refused_accept_is_not_given_one_again(world_of):
    def answer(received):
        return Response(NOT_ACCEPTABLE) if received.message.first(ACCEPT) is not None else content(b"1", b"")

    async def check(server, peer):
        peer.answers[GET, "/5/0/3"] = answer
        for _ in range(2):
            assert await server.read("dev", STATE) == [(STATE, 1)]
        assert [message.first(ACCEPT) for message in peer.asked] == [b"", None, None]
        peer.answers[GET, "/5/0/5"] = Response(NOT_ALLOWED)
        with pytest.raises(ResponseError):
            await server.read("dev", RESULT)
        await peer.register()
        assert await server.read("dev", STATE) == [(STATE, 1)]
        assert peer.asked[-2].first(ACCEPT) == b""

    run_with(world_of, check)


def test_a_path_that_cannot_be_read_either_way_says_nothing_of_accept(world_of):
    async def check(server, peer):
        peer.answers[GET, "/5/0/3"] = Response(NOT_ACCEPTABLE)
        for _ in range(2):
            with pytest.raises(ResponseError):
                await server.read("dev", STATE)
        assert [message.first(ACCEPT) for message in peer.asked] == [b"", None, b"", None]

    run_with(world_of, check)
