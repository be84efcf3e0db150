"""Our client side against libcoap's server: uploads and downloads in every block size, resuming, observing."""

import asyncio

import attrs
import pytest

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import ResponseError
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.memory import MemoryPackageSource

pytestmark = pytest.mark.interop

SZX = range(7)
PACKAGE_URI = Path.of(5, 0, 1)


def put(image, szx=6, name="fw"):
    return Request(Code.PUT, path_options([name]), source_bytes=len(image), szx=szx)


def get(name, *queries):
    return Request(Code.GET, sort_options((*path_options([name]), *((Option.URI_QUERY, query) for query in queries))))


async def upload(ours, server, image, szx=6):
    peer = await ours.resolve(*server.address)
    return await ours.upload(peer, put(image, szx), MemoryPackageSource(image))


@pytest.mark.parametrize("szx", SZX)
def test_what_we_upload_there_comes_back_in_blocks_of_each_size(run, coap_server, pump, sink, package, host, szx, met):
    size = 16 << szx
    image = package(max(500, 10 * size + 7))

    async def main():
        async with coap_server(host) as server, pump(host) as ours:
            progress = []
            peer = await ours.resolve(*server.address)
            answer = await ours.upload(peer, put(image, szx), MemoryPackageSource(image), progress.append)
            assert answer.code == Code.CREATED
            assert progress[:2] == [0, size]
            assert all(done % size == 0 for done in progress)
            await CoapFetcher(ours, szx=szx).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert sink.data == image
            assert sink.is_complete
            assert sink.lengths[0] == size
            assert all(length % size == 0 for length in sink.lengths[:-1])
            assert (
                await ours.upload(peer, put(image[::-1], szx), MemoryPackageSource(image[::-1]))
            ).code == Code.CHANGED
            assert (await ours.call(peer, get("fw"))).payload == image[::-1]

    run(main())
    met("coap-server-notls", "coap", "we upload and fetch, blocks of each size", "equal bytes")


def test_without_q_block_there_we_fall_back_to_block2(run, coap_server, pump, sink, package, met):
    image = package(5000)

    async def main():
        async with coap_server() as server, pump() as ours:
            await upload(ours, server, image)
            await CoapFetcher(ours, q_block=QBlock()).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert (sink.data, sink.restarts, sink.is_complete) == (image, 0, True)
            sink.data = image[:2048]
            await CoapFetcher(ours, q_block=QBlock()).fetch(server.uri("/fw"), sink, offset=2048, etag=sink.etags[0])
            assert (sink.data, sink.restarts, sink.is_complete) == (image, 0, True)

    run(main())
    met("coap-server-notls", "coap", "we fetch by Q-Block2", "falls back to Block2")


def test_without_q_block_there_we_push_with_block1(run, coap_server, pump, sink, package, met):
    image = package(20_000)

    async def main():
        async with coap_server() as server, pump() as ours:
            peer = await ours.resolve(*server.address)
            request = attrs.evolve(put(image), q_block=QBlock())
            assert (await ours.upload(peer, request, MemoryPackageSource(image))).code == Code.CREATED
            assert ours.knows_q_block(peer) is False
            await CoapFetcher(ours).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert sink.data == image

    run(main())
    met("coap-server-notls", "coap", "we upload by Q-Block1 unasked", "falls back to Block1")


@pytest.mark.parametrize("szx", [0, 3, 6])
def test_we_resume_there_at_an_offset(run, coap_server, pump, sink, package, szx, met):
    image = package(5000)

    async def main():
        async with coap_server() as server, pump() as ours:
            await upload(ours, server, image)
            fetcher = CoapFetcher(ours, szx=szx)
            sink.stop_at = 2000
            with pytest.raises(ResponseError, match="stopped"):
                await fetcher.fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert len(sink.data) < len(image)
            sink.stop_at = None
            (etag,) = set(sink.etags)
            assert etag
            offset = len(sink.data)
            sink.lengths.clear()
            await fetcher.fetch(server.uri("/fw"), sink, offset=offset, etag=etag)
            assert sink.data == image
            assert sum(sink.lengths) == len(image) - offset
            assert (sink.restarts, sink.is_complete) == (0, True)

    run(main())
    met("coap-server-notls", "coap", "we resume a fetch", "equal bytes")


@pytest.mark.parametrize("asks_as_another", [False, True])
def test_a_package_that_changed_there_is_begun_anew_or_ended_as_it_was(
    run, coap_server, pump, sink, package, asks_as_another, met
):
    """libcoap goes on serving what a session began to fetch; another session gets the new version. Never both."""
    old, new = package(5000), package(6000, "2.0.0")

    async def main():
        async with coap_server() as server, pump() as ours, pump() as another:
            await upload(ours, server, old)
            sink.stop_at = 2048
            with pytest.raises(ResponseError, match="stopped"):
                await CoapFetcher(ours, szx=5).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            sink.stop_at = None
            await upload(ours, server, new)
            fetcher = CoapFetcher(another if asks_as_another else ours, szx=5)
            await fetcher.fetch(server.uri("/fw"), sink, offset=len(sink.data), etag=sink.etags[0])
            expected = (new, 1) if asks_as_another else (old, 0)
            assert (sink.data, sink.restarts) == expected

    run(main())
    met("coap-server-notls", "coap", "the package changes in mid-fetch", "the new one, or the old, whole")


def test_what_is_not_there_is_an_error_with_its_code(run, coap_server, pump, sink, met):
    async def main():
        async with coap_server() as server, pump() as ours:
            with pytest.raises(ResponseError) as caught:
                await CoapFetcher(ours).fetch(server.uri("/nothing"), sink, offset=0, etag=None)
            assert caught.value.response_code == Code.NOT_FOUND

    run(main())
    met("coap-server-notls", "coap", "we fetch what is not there", "4.04")


def test_lost_answers_are_asked_for_again(run, coap_server, pump, sink, package, met):
    """It loses its third, fifth and sixth datagram; our endpoint is tuned to repeat itself soon."""
    image = package(5000)
    soon = TransmissionParameters(ack_timeout_s=0.1)

    async def main():
        async with coap_server("127.0.0.1", "-l", "3,5,6") as server, pump(parameters=soon) as ours:
            await upload(ours, server, image)
            await CoapFetcher(ours, szx=5).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert sink.data == image

    run(main())
    met("coap-server-notls", "coap", "answers get lost", "equal bytes")


def test_we_observe_the_time_there_and_cancel(run, coap_server, pump, met):
    async def main():
        async with coap_server() as server, pump() as ours:
            peer = await ours.resolve(*server.address)
            heard = asyncio.Queue()
            observation = await ours.observe(
                peer, Request(Code.GET, path_options(["time"]), observe=True), heard.put_nowait
            )
            assert observation.first.code == Code.CONTENT
            told = [observation.first, *[await heard.get() for _ in range(3)]]
            sequence = [message.uint(Option.OBSERVE) for message in told]
            assert sequence == sorted(set(sequence))
            assert len({message.payload for message in told}) >= 3  # it may tell the second it began in once more
            observation.cancel()
            await server.told("removed subscription")
            assert heard.empty()

    run(main())
    met("coap-server-notls", "coap", "we observe and cancel", "notified, then not")


def test_its_separate_response_is_awaited(run, coap_server, pump, met):
    async def main():
        async with coap_server() as server, pump() as ours:
            answer = await ours.call(await ours.resolve(*server.address), get("async", b"1"))
            assert (answer.code, bytes(answer.payload)) == (Code.CONTENT, b"done")
            assert await server.told("t:CON", "c:2.05")  # in a message of its own, which we acknowledged:
            assert await server.told("t:ACK", "c:0.00")

    run(main())
    met("coap-server-notls", "coap", "separate response", "awaited")


def test_our_device_pulls_from_there(run, coap_server, pump, board, package, met):
    image = package(5000)

    async def main():
        async with coap_server() as server, pump() as ours, board() as device:
            await upload(ours, server, image)
            downloaded = device.state_reached(2)
            uri = server.uri("/fw")
            device.firmware.handle(Write(PACKAGE_URI, [(PACKAGE_URI, uri)]), ours.now())
            await downloaded
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("coap-server-notls", "coap", "our device pulls", "verified package")
