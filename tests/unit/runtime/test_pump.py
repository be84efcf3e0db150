"""The pump over a network in memory, on virtual time."""

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest

from lwm2m_fota.coap.endpoint import Request, Response, Stream
from lwm2m_fota.coap.events import BodyRestarted
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, decode, encode, pack_uint
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import (
    BlockwiseError,
    InvalidUriError,
    PeerResetError,
    PeerTimeoutError,
    StorageError,
    TransportError,
    UsageError,
)
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.sim.loop import run
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.udp import UdpTransport

GET, POST, PUT = 1, 2, 3
CHANGED, CONTENT, CONTINUE, NOT_FOUND, BROKEN = 0x44, 0x45, 0x5F, 0x84, 0xA0
SERVER, CLIENT = "10.0.0.1", "10.0.0.2"
BODY = bytes(range(256)) * 10


class Wire(MemoryNetwork):
    """A network that keeps what it carries, and drops what it is told to."""

    def __init__(self, **more):
        super().__init__(**more)
        self.carried = []
        self.drop = lambda message: False

    def fate(self, data, source, destination):
        message = decode(data)
        self.carried.append((source[0], message))
        return () if self.drop(message) else (0.01,)


class Pair:
    """A client and a server on one wire; the server answers with `self.answer`."""

    def __init__(self, wire=None, **client):
        self.wire = wire or Wire()
        self.server = Pump(self.wire.transport(SERVER, 5683), entropy=SeededEntropy(1))
        self.client = Pump(self.wire.transport(CLIENT, 5683), entropy=SeededEntropy(2), **client)
        self.peer = (SERVER, 5683)
        self.problems = []
        self.requests = []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.problems.append(context))
        await self.server.open()
        await self.client.open()
        return self

    async def __aexit__(self, *_):
        await self.client.close()
        await self.server.close()

    def serve(self, answer):
        def on_request(received, now):
            self.requests.append(received)
            return answer(received.message)

        self.server.on_request = on_request

    def file(self, body=BODY, szx=6):
        """Serve a body by Block2."""

        def answer(message):
            value = message.uint(23) or 0
            num, size = value >> 4, 16 << min(value & 7 if message.first(23) is not None else 6, szx)
            part = body[num * size : (num + 1) * size]
            more = (num + 1) * size < len(body)
            block = pack_uint(num << 4 | more << 3 | size.bit_length() - 5)
            return Response(CONTENT, ((4, b"e"), (23, block)), part)

        self.serve(answer)

    def store(self, body):
        """Take a body by Block1 into a bytearray."""

        def answer(message):
            value = message.uint(27)
            if value is None:
                body[:] = message.payload
                return Response(CHANGED)
            if value >> 4 == 0:
                body.clear()
            body.extend(message.payload)
            return Response(CONTINUE if value & 8 else CHANGED, ((27, message.first(27)),))

        self.serve(answer)


class Source:
    def __init__(self, body, error=None):
        self.body, self.error = body, error
        self.size_bytes = len(body)

    def read_at(self, offset, length):
        if self.error is not None and offset:
            raise self.error
        return self.body[offset : offset + length]


class Sink:
    def __init__(self, error=None, restart_error=None):
        self.body = bytearray()
        self.restarts = []
        self.error, self.restart_error = error, restart_error

    def block(self, arrived):
        if self.error is not None and arrived.offset:
            raise self.error
        assert arrived.offset == len(self.body)
        self.body += arrived.payload

    def restarted(self, reason):
        if self.restart_error is not None:
            raise self.restart_error
        self.restarts.append(reason)
        self.body.clear()


def with_pair(test, **more):
    """Run `test(pair)` on virtual time; returns the pair, with what it returned in `result`."""

    async def main():
        async with Pair(**more) as pair:
            pair.result = await test(pair)
            pair.calls = [dict(pump._calls) for pump in (pair.client, pair.server)]
        return pair

    return run(main())


def request(code=GET, path=b"x", **more):
    return Request(code, ((11, path),), **more)


# -- calls


def test_a_call_is_answered():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT, ((12, b""),), b"hello " + message.first(11)))
        answer = await pair.client.call(pair.peer, request())
        return answer.code, answer.options, answer.payload, pair.client.now()

    pair = with_pair(test)
    assert pair.result == (CONTENT, ((12, b""),), b"hello x", 0.02)
    assert pair.calls == [{}, {}]
    assert pair.problems == []


def test_without_a_handler_nothing_is_found():
    async def test(pair):
        return (await pair.client.call(pair.peer, request())).code

    assert with_pair(test).result == NOT_FOUND


def test_a_long_answer_is_gathered_up_to_a_bound():
    async def test(pair):
        pair.file()
        whole = await pair.client.call(pair.peer, request())
        with pytest.raises(BlockwiseError):
            await pair.client.call(pair.peer, request(), max_body_bytes=len(BODY) - 1)
        return bytes(whole.payload)

    assert with_pair(test).result == BODY


def test_a_late_answer_comes_by_respond():
    async def test(pair):
        pair.serve(lambda message: None)
        waiting = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(10)
        pair.server.respond(pair.requests[0].exchange, Response(CONTENT, (), b"late"))
        answer = await waiting
        await asyncio.sleep(1)
        return answer.payload

    pair = with_pair(test)
    assert pair.result == b"late"
    # request, empty acknowledgement, confirmable response, acknowledgement
    assert [(source, message.type, message.code) for source, message in pair.wire.carried] == [
        (CLIENT, 0, GET),
        (SERVER, 2, 0),
        (SERVER, 0, CONTENT),
        (CLIENT, 2, 0),
    ]


def test_a_lost_datagram_is_sent_again():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT))
        lost = iter([True, False])
        pair.wire.drop = lambda message: next(lost, False)
        await pair.client.call(pair.peer, request())
        return pair.client.now()

    pair = with_pair(test)
    assert 2.0 < pair.result < 3.1
    assert len(pair.wire.carried) == 3


def test_silence_ends_after_all_retransmissions():
    async def test(pair):
        pair.wire.drop = lambda message: True
        with pytest.raises(PeerTimeoutError):
            await pair.client.call(pair.peer, request())
        return pair.client.now()

    pair = with_pair(test)
    assert 62 <= pair.result <= 93
    assert len(pair.wire.carried) == 5
    assert pair.calls == [{}, {}]


def test_parameters_of_one_peer():
    async def test(pair):
        pair.wire.drop = lambda message: True
        pair.client.set_parameters(pair.peer, TransmissionParameters(max_retransmit=0))
        with pytest.raises(PeerTimeoutError):
            await pair.client.call(pair.peer, request())

    assert len(with_pair(test).wire.carried) == 1


def test_a_reset_ends_a_call():
    async def test(pair):
        transport = pair.wire.transport("10.0.0.3", 5683)

        class Refuser:
            def datagram_received(self, data, peer):
                transport.send(encode(Message(3, 0, decode(data).mid)), peer)

            def unreachable(self, peer): ...

            def ended(self, peer): ...

            def drained(self): ...

        await transport.open(Refuser())
        with pytest.raises(PeerResetError):
            await pair.client.call(("10.0.0.3", 5683), request())
        await transport.close()

    with_pair(test)


def test_a_call_fails_at_once_when_its_session_ends():
    async def test(pair):
        pair.wire.drop = lambda message: True
        call = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(0)
        pair.client.ended(pair.peer)
        pair.client.drained()
        with pytest.raises(TransportError, match="has ended"):
            await call

    with_pair(test)


def test_an_unreachable_peer_fails_at_once_where_that_is_believed():
    async def test(pair):
        with pytest.raises(TransportError):
            await pair.client.call(("10.0.0.9", 1), request())
        return pair.client.now()

    pair = with_pair(test, wire=Wire(reports_unreachable=True), limits=EndpointLimits(fail_on_unreachable=True))
    assert pair.result < 0.1


def test_a_limit_that_is_reached_fails_the_call():
    async def test(pair):
        pair.serve(lambda message: None)
        first = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(0)
        with pytest.raises(TransportError):
            await pair.client.call(pair.peer, request())
        first.cancel()
        await asyncio.wait([first])

    assert with_pair(test, limits=EndpointLimits(calls_per_peer=1)).calls[0] == {}


def test_a_call_that_is_cancelled_is_forgotten():
    async def test(pair):
        pair.serve(lambda message: None)
        waiting = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        pair.server.respond(pair.requests[0].exchange, Response(CONTENT))
        await asyncio.sleep(10)

    pair = with_pair(test)
    assert pair.calls == [{}, {}]
    assert pair.problems == []


def test_a_call_that_is_cancelled_in_the_turn_of_its_answer_is_no_problem():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT))
        waiting = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(0)
        (call,) = pair.client._calls.values()
        call.future.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    pair = with_pair(test)
    assert (pair.result, pair.calls, pair.problems) == (True, [{}, {}], [])


def test_a_request_that_contradicts_itself_leaves_nothing():
    async def test(pair):
        with pytest.raises(UsageError):
            await pair.client.call(pair.peer, Request(CONTENT))

    assert with_pair(test).calls == [{}, {}]


def test_resolve_and_local_address():
    async def test(pair):
        pair.wire.names["server"] = SERVER
        assert await pair.client.resolve("server", 5683) == pair.peer
        assert pair.client.local_address == (CLIENT, 5683)
        with pytest.raises(InvalidUriError):
            await pair.client.resolve("nobody", 5683)

    with_pair(test)


# -- uploads and downloads


def test_upload():
    stored, progress = bytearray(), []

    async def test(pair):
        pair.store(stored)
        sent = request(PUT, source_bytes=len(BODY), szx=4)
        return (await pair.client.upload(pair.peer, sent, Source(BODY), progress.append)).code

    assert with_pair(test).result == CHANGED
    assert stored == BODY
    assert progress[:3] == [0, 256, 768]  # one block at first, then more at a time
    assert progress == sorted(progress)
    assert max(after - before for before, after in pairwise([*progress, len(BODY)])) <= 4096


def test_upload_without_anyone_to_tell():
    stored = bytearray()

    async def test(pair):
        pair.store(stored)
        await pair.client.upload(pair.peer, request(PUT, source_bytes=len(BODY)), Source(BODY))

    with_pair(test)
    assert stored == BODY


@pytest.mark.parametrize("error", [StorageError("the disk is gone"), RuntimeError("a bug")])
def test_a_source_that_fails_fails_the_upload(error):
    async def test(pair):
        pair.store(bytearray())
        with pytest.raises(type(error)) as caught:
            await pair.client.upload(pair.peer, request(PUT, source_bytes=len(BODY)), Source(BODY, error))
        assert caught.value is error
        pair.serve(lambda message: Response(CONTENT))
        return (await pair.client.call(pair.peer, request())).code

    pair = with_pair(test)
    assert (pair.result, pair.calls, pair.problems) == (CONTENT, [{}, {}], [])


def test_a_source_that_gives_too_little_fails_the_upload():
    async def test(pair):
        pair.store(bytearray())
        with pytest.raises(UsageError):
            await pair.client.upload(pair.peer, request(PUT, source_bytes=len(BODY)), Source(BODY[:1500]))

    assert with_pair(test).calls == [{}, {}]


def test_a_listener_to_progress_that_fails_fails_the_upload():
    async def test(pair):
        pair.store(bytearray())
        with pytest.raises(ZeroDivisionError):
            await pair.client.upload(
                pair.peer, request(PUT, source_bytes=len(BODY)), Source(BODY), lambda offset: 1 // (offset - 1024)
            )

    assert with_pair(test).calls == [{}, {}]


def test_download():
    async def test(pair):
        pair.file(szx=4)
        sink = Sink()
        answer = await pair.client.download(pair.peer, request(), sink, Stream())
        return bytes(sink.body), answer.code, bytes(answer.payload)

    assert with_pair(test).result == (BODY, CONTENT, b"")


def test_a_body_that_changes_begins_anew():
    async def test(pair):
        versions = iter([b"1", b"1", *[b"2"] * 10])

        def answer(message):
            num = (message.uint(23) or 0) >> 4
            more = num < 2
            return Response(CONTENT, ((4, next(versions)), (23, pack_uint(num << 4 | more << 3))), b"%d" % num * 16)

        pair.serve(answer)
        sink = Sink()
        await pair.client.download(pair.peer, request(), sink, Stream(szx=0))
        return bytes(sink.body), len(sink.restarts)

    assert with_pair(test).result == (b"0" * 16 + b"1" * 16 + b"2" * 16, 1)


@pytest.mark.parametrize("error", [StorageError("full"), RuntimeError("a bug")])
@pytest.mark.parametrize("where", ["block", "restart"])
def test_a_sink_that_fails_fails_the_download(error, where):
    async def test(pair):
        versions = iter([b"1", *[b"2" if where == "restart" else b"1"] * 10])

        def answer(message):
            num = (message.uint(23) or 0) >> 4
            return Response(CONTENT, ((4, next(versions)), (23, pack_uint(num << 4 | 8))), bytes(16))

        pair.serve(answer)
        sink = Sink(restart_error=error) if where == "restart" else Sink(error=error)
        with pytest.raises(type(error)) as caught:
            await pair.client.download(pair.peer, request(), sink, Stream(szx=0))
        await asyncio.sleep(300)
        return caught.value is error

    pair = with_pair(test)
    assert (pair.result, pair.calls, pair.problems) == (True, [{}, {}], [])
    # the request for block 0 of the other version was on its way when the sink failed; nothing followed it
    assert len(pair.requests) == (3 if where == "restart" else 2)


def test_a_sink_that_fails_on_the_last_block_fails_the_download():
    async def test(pair):
        pair.file(body=bytes(1500))
        with pytest.raises(StorageError):
            await pair.client.download(pair.peer, request(), Sink(error=StorageError("full")), Stream())

    assert with_pair(test).calls == [{}, {}]


def test_blocks_for_a_call_that_is_gone_are_passed_over():
    """A sink that gives up its own call in the middle of a turn."""

    async def test(pair):
        pair.file(body=bytes(1500))

        class Quitter(Sink):
            def block(self, arrived):
                pair.client.forget(arrived.call)

        waiting = asyncio.ensure_future(pair.client.download(pair.peer, request(), Quitter(), Stream()))
        await asyncio.sleep(1)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    pair = with_pair(test)
    assert (pair.calls, pair.problems) == ([{}, {}], [])


def test_a_sink_that_gives_up_its_call_and_fails_too_is_no_problem():
    async def test(pair):
        pair.file(body=bytes(1500))

        class Quitter(Sink):
            def block(self, arrived):
                pair.client.forget(arrived.call)
                raise StorageError("full")

        waiting = asyncio.ensure_future(pair.client.download(pair.peer, request(), Quitter(), Stream()))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert with_pair(test).problems == []


def test_events_of_calls_that_are_gone_are_passed_over():
    """What the endpoint still had to say of a call that ended in the same turn."""

    async def test(pair):
        pair.serve(lambda message: Response(CONTENT))
        pump = pair.client
        waiting = asyncio.ensure_future(pump.call(pair.peer, request()))
        await asyncio.sleep(0)
        kept, pump._calls = pump._calls, {}
        await asyncio.sleep(1)
        pump._hand_out(BodyRestarted(1, "gone"))
        (call,) = kept.values()
        call.future.cancel()
        await asyncio.wait([waiting])
        stored = bytearray()
        pair.store(stored)
        waiting = asyncio.ensure_future(pump.upload(pair.peer, request(PUT, source_bytes=3000), Source(bytes(3000))))
        await asyncio.sleep(0)
        pump._calls.clear()
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert with_pair(test).problems == []


# -- observations


class Observed:
    """A resource that is observed by one client."""

    def __init__(self, pair):
        self.pair, self.value, self.token, self.peer, self.sequence = pair, 0, None, None, 0
        pair.server.on_request = self.answer
        self.cancelled = 0

    def answer(self, received, now):
        observe = received.message.uint(6)
        if observe == 0:
            self.token, self.peer = received.message.token, received.peer
            return self.response()
        self.cancelled += observe == 1
        return Response(CONTENT, (), b"%d" % self.value)

    def response(self):
        self.sequence += 1
        return Response(CONTENT, ((6, pack_uint(self.sequence)),), b"%d" % self.value)

    def change(self, response=None, *, confirmable=True):
        self.value += 1
        self.pair.server.notify(self.peer, self.token, response or self.response(), confirmable=confirmable)


def test_observe_and_cancel():
    heard = []

    async def test(pair):
        resource = Observed(pair)
        observation = await pair.client.observe(
            pair.peer, request(observe=True), lambda message: heard.append(bytes(message.payload))
        )
        assert observation.first.payload == b"0"
        for confirmable in (True, False):
            resource.change(confirmable=confirmable)
            await asyncio.sleep(1)
        observation.cancel()
        observation.cancel()
        await asyncio.sleep(1)
        return resource.cancelled

    pair = with_pair(test)
    assert (pair.result, heard, pair.calls) == (1, [b"1", b"2"], [{}, {}])


def test_forget_says_nothing_and_refuses_what_still_comes():
    heard, lost = [], []

    async def test(pair):
        resource = Observed(pair)
        pair.server.on_observer_lost = lambda peer, token: lost.append((peer, token))
        observation = await pair.client.observe(pair.peer, request(observe=True), heard.append)
        observation.forget()
        observation.forget()
        await asyncio.sleep(1)
        sent = len(pair.wire.carried)
        resource.change()
        await asyncio.sleep(1)
        return sent, resource

    pair = with_pair(test)
    sent, resource = pair.result
    assert (sent, resource.cancelled, heard) == (2, 0, [])
    assert lost == [((CLIENT, 5683), resource.token)]
    assert pair.wire.carried[-1][1].type == 3


def test_a_lost_observer_that_nobody_asks_for_is_no_problem():
    async def test(pair):
        resource = Observed(pair)
        (await pair.client.observe(pair.peer, request(observe=True), print)).forget()
        resource.change()
        await asyncio.sleep(1)

    assert with_pair(test).problems == []


def test_the_error_that_ends_an_observation_is_heard():
    heard = []

    async def test(pair):
        resource = Observed(pair)
        observation = await pair.client.observe(pair.peer, request(observe=True), heard.append)
        resource.change(Response(NOT_FOUND))
        await asyncio.sleep(1)
        calls = dict(pair.client._calls)
        observation.cancel()
        await asyncio.sleep(1)
        return calls, resource.cancelled

    pair = with_pair(test)
    assert pair.result == ({}, 0)
    assert [message.code for message in heard] == [NOT_FOUND]


def test_an_observation_that_was_not_taken_is_a_plain_answer():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT, (), b"plain"))
        observation = await pair.client.observe(pair.peer, request(observe=True), print)
        assert dict(pair.client._calls) == {}
        observation.cancel()
        await asyncio.sleep(1)
        return observation.first.payload, len(pair.requests)

    assert with_pair(test).result == (b"plain", 1)


def test_an_observation_that_is_cancelled_before_its_answer_is_forgotten():
    async def test(pair):
        pair.serve(lambda message: None)
        waiting = asyncio.ensure_future(pair.client.observe(pair.peer, request(observe=True), print))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert with_pair(test).calls == [{}, {}]


def test_an_observation_without_an_answer_fails():
    async def test(pair):
        pair.wire.drop = lambda message: True
        with pytest.raises(PeerTimeoutError):
            await pair.client.observe(pair.peer, request(observe=True), print)

    assert with_pair(test).calls == [{}, {}]


# -- handlers that fail


def test_a_request_handler_that_fails_is_answered_5_00_and_the_turn_goes_on():
    """Three requests arrive in one turn; the second one meets a bug."""

    async def test(pair):
        def answer(message):
            if message.first(11) == b"2":
                raise ZeroDivisionError("a bug")
            return Response(CONTENT)

        pair.serve(answer)
        pumps = [Pump(pair.wire.transport(f"10.0.1.{number}", 5683)) for number in range(1, 4)]
        for pump in pumps:
            await pump.open()
        answers = await asyncio.gather(
            *(pump.call(pair.peer, request(path=b"%d" % number)) for number, pump in enumerate(pumps, 1))
        )
        for pump in pumps:
            await pump.close()
        return [answer.code for answer in answers], pair.client.now()

    pair = with_pair(test)
    assert pair.result == ([CONTENT, BROKEN, CONTENT], 0.02)
    (problem,) = pair.problems
    assert isinstance(problem["exception"], ZeroDivisionError)
    assert problem["message"] == "a handler failed on RequestReceived"


@pytest.mark.parametrize("fails_at", [1024, 4096])
def test_a_body_that_fails_is_answered_5_00(fails_at):
    class Body:
        size_bytes = 8000

        def block(self, offset, length):
            if offset >= fails_at:
                raise ZeroDivisionError("a bug")
            return bytes(length)

    async def test(pair):
        pair.serve(lambda message: Response(CONTENT, ((23, b"\x0e"),), bytes(1024), True, Body()))
        sink = Sink()
        answer = await pair.client.download(pair.peer, request(), sink, Stream())
        return answer.code, len(sink.body)

    pair = with_pair(test)
    assert pair.result == (BROKEN, fails_at)
    (problem,) = pair.problems
    assert problem["message"] == "a handler failed on BodyWanted"


def test_an_answer_that_cannot_be_sent_is_answered_5_00():
    async def test(pair):
        pair.serve(lambda message: Response(GET))
        code = (await pair.client.call(pair.peer, request())).code
        pair.serve(lambda message: Response(CONTENT, ((70_000, b""),)))
        return code, (await pair.client.call(pair.peer, request())).code

    pair = with_pair(test)
    assert pair.result == (BROKEN, BROKEN)
    assert len(pair.problems) == 2


def test_a_listener_that_fails_hears_the_next_notification():
    heard = []

    async def test(pair):
        resource = Observed(pair)

        def on_notify(message):
            heard.append(bytes(message.payload))
            raise ZeroDivisionError

        await pair.client.observe(pair.peer, request(observe=True), on_notify)
        resource.change()
        await asyncio.sleep(1)
        resource.change()
        await asyncio.sleep(1)

    pair = with_pair(test)
    assert heard == [b"1", b"2"]
    assert [problem["message"] for problem in pair.problems] == ["a handler failed on Notified"] * 2


def test_a_listener_that_fails_on_the_end_leaves_no_call():
    async def test(pair):
        resource = Observed(pair)
        await pair.client.observe(pair.peer, request(observe=True), lambda message: 1 / 0)
        resource.change(Response(NOT_FOUND))
        await asyncio.sleep(1)

    pair = with_pair(test)
    assert (pair.calls, len(pair.problems)) == ([{}, {}], 1)


def test_a_handler_of_lost_observers_that_fails_is_reported():
    async def test(pair):
        resource = Observed(pair)
        pair.server.on_observer_lost = lambda peer, token: 1 / 0
        (await pair.client.observe(pair.peer, request(observe=True), print)).forget()
        resource.change()
        await asyncio.sleep(1)

    assert [problem["message"] for problem in with_pair(test).problems] == ["a handler failed on ObserverLost"]


def test_what_a_handler_sends_leaves_in_the_same_turn():
    async def test(pair):
        resource = Observed(pair)
        plain = resource.answer

        def on_request(received, now):
            if received.message.code == POST:
                resource.change(confirmable=False)
            return plain(received, now)

        pair.server.on_request = on_request
        heard = []
        await pair.client.observe(pair.peer, request(observe=True), lambda message: heard.append(pair.client.now()))
        start = pair.client.now()
        await pair.client.call(pair.peer, request(POST))
        return heard, start

    heard, start = with_pair(test).result
    assert heard == [start + 0.02]


# -- time


class CountingLoop:
    """Counts the timer callbacks of one pump."""

    def __init__(self, pump):
        self.fired = 0
        self._pump, self._fire = pump, pump._fire
        pump._fire = self

    def __call__(self):
        self.fired += 1
        self._fire()


def test_the_timer_does_not_spin():
    """Five transmissions and the end: the clock is looked at a few times, not without pause."""

    async def test(pair):
        count = CountingLoop(pair.client)
        pair.wire.drop = lambda message: True
        with pytest.raises(PeerTimeoutError):
            await pair.client.call(pair.peer, request())
        await asyncio.sleep(1000)
        return count.fired

    assert 6 <= with_pair(test).result <= 12


def test_many_calls_share_one_timer_that_rests_in_the_end():
    async def test(pair):
        count = CountingLoop(pair.client)
        pair.serve(lambda message: Response(CONTENT))
        for _ in range(500):
            await pair.client.call(pair.peer, request())
        await asyncio.sleep(1000)
        return count.fired, pair.client._timer, pair.client._endpoint.next_deadline()

    fired, timer, deadline = with_pair(test).result
    assert fired < 60
    assert (timer, deadline) == (None, None)


def test_an_earlier_deadline_moves_the_timer_and_none_stops_it():
    async def test(pair):
        pump = pair.client
        seen = []
        for deadline in (50.0, 20.0, 30.0, None, None):
            pump._arm(deadline)
            seen.append(None if pump._timer is None else pump._timer.when())
        return seen

    assert with_pair(test).result == [50.0, 20.0, 20.0, None, None]


def test_the_timer_of_a_deadline_that_moved_looks_again():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT))
        await pair.client.call(pair.peer, request())
        before = pair.client._timer.when()
        pair.client._timer.cancel()
        pair.client._fire()
        return before, pair.client._timer.when()

    before, after = with_pair(test).result
    assert before <= after


def test_thousands_of_requests_leave_nothing_behind():
    async def test(pair):
        pair.serve(lambda message: Response(CONTENT, (), message.first(11)))
        for index in range(3000):
            answer = await pair.client.call(pair.peer, request(path=b"%d" % index))
            assert answer.payload == b"%d" % index
        sizes = [len(pump._calls) for pump in (pair.client, pair.server)]
        await asyncio.sleep(1000)
        return sizes, len(pair.client._endpoint._client._calls), len(pair.server._endpoint._serving)

    async def main():
        async with Pair(wire=MemoryNetwork()) as pair:
            return await test(pair)

    assert run(main()) == ([0, 0], 0, 0)


def test_what_a_call_delivered_to_is_let_go():
    async def test(pair):
        pair.file(body=bytes(3000))
        sink = Sink()
        await pair.client.download(pair.peer, request(), sink, Stream())
        gone = weakref.ref(sink)
        del sink
        gc.collect()
        return gone()

    assert with_pair(test).result is None


# -- open and close


def test_close_fails_what_runs_and_stops_the_timer():
    async def test(pair):
        pair.serve(lambda message: None)
        calls = [asyncio.ensure_future(pair.client.call(pair.peer, request())) for _ in range(3)]
        resource = asyncio.ensure_future(pair.client.observe(pair.peer, request(observe=True), print))
        await asyncio.sleep(1)
        await pair.client.close()
        results = await asyncio.gather(*calls, resource, return_exceptions=True)
        with pytest.raises(TransportError):
            await pair.client.call(pair.peer, request())
        return [type(result) for result in results], pair.client._timer, len(pair.client._endpoint._client._calls)

    pair = with_pair(test)
    assert pair.result == ([TransportError] * 4, None, 0)
    assert pair.problems == []


def test_close_with_an_observation_that_runs_and_twice():
    async def test(pair):
        Observed(pair)
        observation = await pair.client.observe(pair.peer, request(observe=True), print)
        sent = len(pair.wire.carried)
        await pair.client.close()
        await pair.client.close()
        observation.cancel()
        return len(pair.wire.carried) - sent

    pair = with_pair(test)
    assert (pair.result, pair.calls, pair.problems) == (0, [{}, {}], [])


def test_a_pump_that_is_opened_again_begins_without_old_calls():
    async def test(pair):
        pair.serve(lambda message: None)
        waiting = asyncio.ensure_future(pair.client.call(pair.peer, request()))
        await asyncio.sleep(1)
        await pair.client.close()
        await asyncio.wait([waiting])
        sent = len(pair.wire.carried)
        await pair.client.open()
        pair.serve(lambda message: Response(CONTENT))
        code = (await pair.client.call(pair.peer, request(path=b"new"))).code
        await asyncio.sleep(300)
        return code, [message.first(11) for source, message in pair.wire.carried[sent:] if source == CLIENT]

    assert with_pair(test).result == (CONTENT, [b"new"])


def test_before_it_is_open_nothing_is_sent():
    async def main():
        pump = Pump(MemoryNetwork().transport())
        with pytest.raises(TransportError):
            await pump.call(("10.0.0.1", 1), request())
        with pytest.raises(UsageError):
            _ = pump.local_address
        pump.drained()
        await pump.close()

    run(main())


def test_an_address_in_use_leaves_it_closed():
    async def main():
        wire = MemoryNetwork()
        async with Pair(wire) as pair:
            second = Pump(wire.transport(CLIENT, 5683))
            with pytest.raises(TransportError):
                await second.open()
            with pytest.raises(TransportError):
                await second.call(pair.peer, request())

    run(main())


# -- bursts


def test_a_burst_leaves_one_by_one_where_the_transport_knows_no_bursts():
    async def test(pair):
        heard = []
        pair.serve(lambda message: heard.append(message.mid) or Response(CONTENT))
        burst = tuple(encode(Message(1, GET, mid, b"", ((11, b"x"),))) for mid in (7, 8, 9))
        pair.client._endpoint.outbox.append((burst, pair.peer))
        pair.client._transmit()
        await asyncio.sleep(1)
        return heard, pair.client._endpoint.outbox

    heard, left = with_pair(test).result
    assert (sorted(heard), left) == ([7, 8, 9], [])


def test_a_burst_leaves_together_where_it_can():
    class Transport:
        def __init__(self):
            self.bursts = []

        def send_burst(self, datagrams, peer):
            self.bursts.append((datagrams, peer))

        scheme, sessions, send = "coap", None, None

    transport = Transport()
    pump = Pump(transport)
    pump._endpoint.outbox += [((b"1", b"2"), "peer")]
    pump._transmit()
    assert transport.bursts == [((b"1", b"2"), "peer")]


class Counting:
    """UDP that counts its bursts."""

    def __init__(self):
        self._udp = UdpTransport()
        self.bursts = []

    def __getattr__(self, name):
        return getattr(self._udp, name)

    def send_burst(self, datagrams, peer):
        self.bursts.append(len(datagrams))
        self._udp.send_burst(datagrams, peer)


def test_requests_of_a_window_leave_together():
    body = bytes(range(256)) * 4000

    class Body:
        size_bytes = len(body)

        def block(self, offset, length):
            return body[offset : offset + length]

    def answer(received, now):
        value = received.message.uint(23) or 0
        num = value >> 4
        payload = body[num * 1024 : num * 1024 + 1024]
        block = pack_uint(num << 4 | ((num + 1) * 1024 < len(body)) << 3 | 6)
        return Response(CONTENT, ((23, block), (28, pack_uint(len(body)))), payload, True, Body())

    async def main():
        ways = Counting(), Counting()
        client = Pump(ways[0], parameters=TransmissionParameters(nstart=8))
        server = Pump(ways[1])
        server.on_request = answer
        async with asyncio.timeout(20):
            await client.open()
            await server.open()
            sink = Sink()
            await client.download(server.local_address, request(), sink, Stream(window=8))
            await client.close()
            await server.close()
        return bytes(sink.body), ways[0].bursts

    got, bursts = asyncio.run(main())
    assert got == body
    assert max(bursts) > 2


def test_a_burst_that_comes_is_fed_datagram_by_datagram():
    async def test(pair):
        heard = []
        pair.serve(lambda message: heard.append(message.mid) or Response(CONTENT))
        datagrams = [encode(Message(1, GET, mid, b"", ((11, b"x"),), b"y" * (mid < 9))) for mid in (7, 8, 9)]
        pair.server.burst_received(b"".join(datagrams), len(datagrams[0]), (CLIENT, 5683))
        assert heard == []
        pair.server.drained()
        return heard

    assert with_pair(test).result == [7, 8, 9]


def block_of_a_body(num, *, mid):
    """A PUT of block `num` with more to come."""
    options = ((11, b"x"), (27, pack_uint(num << 4 | 8 | 6)))
    return encode(Message(0, PUT, mid, b"t", options, bytes(1024)))


def test_a_transport_may_send_what_answers_a_datagram_itself():
    async def test(pair):
        pair.store(bytearray())
        peer, server = (CLIENT, 5683), pair.server
        ways = []
        for num in range(8):
            before = len(pair.wire.carried)
            ways.append((server.answer(block_of_a_body(num, mid=num), peer) or b"", len(pair.wire.carried) - before))
        return ways

    ways = with_pair(test).result
    by_transport = [num for num, (answer, sent) in enumerate(ways) if answer and not sent]
    by_pump = [num for num, (answer, sent) in enumerate(ways) if not answer and sent]
    assert by_transport == [2, 4, 5, 6]  # blocks inside of batches of 1, 2, 4 ...
    assert by_pump == [0, 1, 3, 7]
    assert [decode(ways[num][0]).mid for num in by_transport] == by_transport


def test_an_answer_waits_behind_what_was_to_be_sent_before():
    async def test(pair):
        pair.store(bytearray())
        peer, server = (CLIENT, 5683), pair.server
        for num in range(2):
            server.answer(block_of_a_body(num, mid=num), peer)
        pair.wire.carried.clear()
        server.burst_received(b"\x40\x00\x00\x63", 4, peer)  # a ping: its Reset waits for the end of the batch
        answer = server.answer(block_of_a_body(2, mid=2), peer)
        return answer, [message.mid for _, message in pair.wire.carried]

    assert with_pair(test).result == (b"", [99, 2])
