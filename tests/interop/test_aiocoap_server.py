"""Our client side against resources of aiocoap: uploads, downloads, resuming, observing, and a whole pull.

How aiocoap's client and server carry an update as a whole is in tests/e2e/test_examples.py.
"""

import asyncio

import pytest

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import ResponseError
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.memory import MemoryPackageSource

aiocoap = pytest.importorskip("aiocoap", reason="aiocoap is not installed (pip install aiocoap)")
resource = pytest.importorskip("aiocoap.resource")

pytestmark = pytest.mark.interop

SZX = range(7)
PACKAGE_URI = Path.of(5, 0, 1)


class Package(resource.ObservableResource):
    """A resource that aiocoap cuts into blocks, and puts together from blocks."""

    def __init__(self, data=b""):
        super().__init__()
        self.data = data
        self.asked = []  # the block numbers of all requests
        self.reached = asyncio.Event()  # half of the package was asked for

    async def render_to_pipe(self, request):
        block = request.request.opt.block2
        self.asked.append(0 if block is None else block.block_number)
        if block is not None and block.start * 2 >= len(self.data):
            self.reached.set()
        await super().render_to_pipe(request)

    async def render_get(self, request):
        response = aiocoap.Message(payload=self.data)
        resource.hashing_etag(request, response)
        return response

    async def render_put(self, request):
        self.data = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


class Slow(resource.Resource):
    """Answers after an empty acknowledgement, which aiocoap sends by itself after a while."""

    def __init__(self):
        super().__init__()
        self.may_answer = asyncio.Event()

    async def render_get(self, request):
        await self.may_answer.wait()
        return aiocoap.Message(payload=b"at last")


@pytest.mark.parametrize("szx", SZX)
def test_what_we_upload_there_comes_back_in_blocks_of_each_size(run, origin, pump, sink, package, host, szx, met):
    size = 16 << szx
    image = package(max(500, 10 * size + 7))

    async def main():
        held = Package()
        async with origin(host, fw=held) as server, pump(host) as ours:
            peer = await ours.resolve(*server.address)
            request = Request(Code.PUT, path_options(["fw"]), source_bytes=len(image), szx=szx)
            assert (await ours.upload(peer, request, MemoryPackageSource(image))).code == Code.CHANGED
            assert held.data == image
            await CoapFetcher(ours, szx=szx).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert sink.data == image
            assert sink.lengths[0] == size
            assert all(length % size == 0 for length in sink.lengths[:-1])
            assert sink.is_complete

    run(main())
    met("aiocoap server", "coap", "we upload and fetch, blocks of each size", "equal bytes")


def test_without_q_block_there_we_fall_back_to_block2(run, origin, pump, sink, package, met):
    image = package(20_000)

    async def main():
        async with origin(fw=Package(image)) as server, pump() as ours:
            await CoapFetcher(ours, q_block=QBlock()).fetch(server.uri("/fw"), sink, offset=0, etag=None)
            assert (sink.data, sink.restarts, sink.is_complete) == (image, 0, True)

    run(main())
    met("aiocoap server", "coap", "we fetch by Q-Block2", "falls back to Block2")


def test_without_q_block_there_we_push_with_block1(run, origin, pump, package, met):
    image = package(20_000)

    async def main():
        held = Package()
        async with origin(fw=held) as server, pump() as ours:
            peer = await ours.resolve(*server.address)
            probe = Request(Code.GET, path_options(["fw"]), q_block=QBlock())
            await ours.call(peer, probe)
            assert ours.knows_q_block(peer) is False
            request = Request(Code.PUT, path_options(["fw"]), source_bytes=len(image), q_block=QBlock())
            assert (await ours.upload(peer, request, MemoryPackageSource(image))).code == Code.CHANGED
            assert held.data == image

    run(main())
    met("aiocoap server", "coap", "we upload by Q-Block1, once it was asked", "falls back to Block1")


def test_we_resume_there_at_an_offset(run, origin, pump, sink, package, met):
    image = package(5000)

    async def main():
        async with origin(fw=Package(image)) as server, pump() as ours:
            fetcher = CoapFetcher(ours, szx=5)
            sink.stop_at = 2000
            with pytest.raises(ResponseError, match="stopped"):
                await fetcher.fetch(server.uri("/fw"), sink, offset=0, etag=None)
            sink.stop_at = None
            await fetcher.fetch(server.uri("/fw"), sink, offset=2048, etag=sink.etags[0])
            assert (sink.data, sink.restarts, sink.is_complete) == (image, 0, True)

    run(main())
    met("aiocoap server", "coap", "we resume a fetch", "equal bytes")


def test_a_package_that_changed_there_is_begun_anew(run, origin, pump, sink, package, met):
    old, new = package(5000), package(6000, "2.0.0")

    async def main():
        held = Package(old)
        async with origin(fw=held) as server, pump() as ours:
            fetcher = CoapFetcher(ours, szx=5)
            await fetcher.fetch(server.uri("/fw"), sink, offset=0, etag=None)
            etag = sink.etags[0]
            held.data = new
            await ours.call(await ours.resolve(*server.address), Request(Code.GET, path_options(["fw"])))
            del sink.data[1024:]
            await fetcher.fetch(server.uri("/fw"), sink, offset=1024, etag=etag)
            assert (sink.data, sink.restarts) == (new, 1)

    run(main())
    met("aiocoap server", "coap", "the package changes in mid-fetch", "the new one, whole")


def test_what_is_not_there_is_an_error_with_its_code(run, origin, pump, sink, met):
    async def main():
        async with origin() as server, pump() as ours:
            with pytest.raises(ResponseError) as caught:
                await CoapFetcher(ours).fetch(server.uri("/nothing"), sink, offset=0, etag=None)
            assert caught.value.response_code == Code.NOT_FOUND

    run(main())
    met("aiocoap server", "coap", "we fetch what is not there", "4.04")


def test_we_observe_there_and_cancel(run, origin, pump, met):
    async def main():
        held = Package(b"one")
        async with origin(fw=held) as server, pump() as ours:
            peer = await ours.resolve(*server.address)
            heard = asyncio.Queue()
            request = Request(Code.GET, path_options(["fw"]), observe=True)
            observation = await ours.observe(peer, request, heard.put_nowait)
            assert bytes(observation.first.payload) == b"one"
            for value in (b"two", b"three"):
                await ours.call(peer, Request(Code.PUT, path_options(["fw"]), value))
                message = await heard.get()
                assert bytes(message.payload) == value
                assert message.uint(Option.OBSERVE) is not None
            observation.cancel()
            await ours.call(peer, Request(Code.GET, path_options(["fw"])))
            assert held._observations == set()

    run(main())
    met("aiocoap server", "coap", "we observe and cancel", "notified, then not")


def test_its_separate_response_is_awaited(run, origin, pump, met):
    async def main():
        slow = Slow()
        async with origin(slow=slow) as server, pump() as ours:
            peer = await ours.resolve(*server.address)
            asyncio.get_running_loop().call_later(0.3, slow.may_answer.set)  # it acknowledges after 0.1 s
            answer = await ours.call(peer, Request(Code.GET, path_options(["slow"])))
            assert bytes(answer.payload) == b"at last"

    run(main())
    met("aiocoap server", "coap", "separate response", "awaited")


def write_uri(device, uri):
    device.firmware.handle(Write(PACKAGE_URI, [(PACKAGE_URI, uri)]), asyncio.get_running_loop().time())


def test_our_device_pulls_from_there(run, origin, board, package, met):
    image = package(50_000)

    async def main():
        async with origin(fw=Package(image)) as server, board() as device:
            downloaded = device.state_reached(2)
            write_uri(device, server.uri("/fw"))
            await downloaded
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("aiocoap server", "coap", "our device pulls", "verified package")


def test_our_device_begins_anew_where_it_cannot_resume(run, origin, board, package, met):
    """aiocoap answers 4.08 to whoever asks for the rest without having asked for the beginning."""
    image = package(100_000)

    async def main():
        held = Package(image)
        async with origin(fw=held) as server, board() as device:
            write_uri(device, server.uri("/fw"))
            await held.reached.wait()
            await device.halt()
            held.asked.clear()
            await device.boot()  # at another port: another peer to aiocoap
            assert device.firmware.state == 1
            assert device.firmware.staged_bytes > 0
            await device.state_reached(2)
            assert device.firmware.staged_bytes == len(image)
            anew = held.asked.index(0)
            assert anew > 0  # first it asked for the rest
            assert held.asked[anew:] == list(range(98))

    run(main())
    met("aiocoap server", "coap", "our device cannot resume", "begins anew")
