"""aiocoap's client against our device, our package server and our registration interface."""

import asyncio

import pytest

from lwm2m_fota.content.codec import decode, encode_paths
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

aiocoap = pytest.importorskip("aiocoap", reason="aiocoap is not installed (pip install aiocoap)")

pytestmark = pytest.mark.interop

BLOCK1, BLOCK2 = 27, 23
OPAQUE, TEXT, LINK, TLV, SENML_JSON, SENML_CBOR, LWM2M_CBOR = 42, 0, 40, 11542, 110, 112, 11544
ETCH_JSON, ETCH_CBOR = 320, 322
SZX = range(7)


async def ask(context, code, uri, payload=b"", szx=6, **options):
    message = aiocoap.Message(code=code, uri=uri, payload=payload, **options)
    message.remote.maximum_block_size_exp = szx
    return await context.request(message).response


async def read(context, uri, **options):
    answer = await ask(context, aiocoap.GET, uri, **options)
    assert answer.code == aiocoap.CONTENT
    return answer.payload


def test_it_reads_our_device(run, board, host, theirs, met):
    async def main():
        async with board(host) as device, theirs() as context:
            assert await read(context, device.uri("/5/0/3")) == b"0"
            assert await read(context, device.uri("/3/0/3")) == b"1.0.0"
            for accept in (TLV, SENML_JSON, SENML_CBOR, LWM2M_CBOR):
                answer = await ask(context, aiocoap.GET, device.uri("/5/0"), accept=accept)
                assert answer.opt.content_format == accept
                entries = decode(answer.payload, accept, Path.of(5, 0), standard_definitions())
                assert dict(entries)[Path.of(5, 0, 9)] == 2
            assert (await read(context, device.uri("/5"), accept=LINK)).startswith(b"</5>;ver=1.1,</5/0>,")

    run(main())
    met("aiocoap client", "coap", "reads in each format, over IPv4 and IPv6", "equal values")


@pytest.mark.parametrize(
    ("code", "path", "options", "expected"),
    [
        (aiocoap.GET, "/9/9", {}, aiocoap.NOT_FOUND),
        (aiocoap.GET, "/5/0/0", {}, aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.GET, "/5/0/3", {"accept": 41}, aiocoap.NOT_ACCEPTABLE),
        (aiocoap.POST, "/5/0/2", {}, aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.DELETE, "/5/0", {}, aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.FETCH, "/5/0", {}, aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.PUT, "/5/0/1", {"payload": b"x", "content_format": 50}, aiocoap.UNSUPPORTED_CONTENT_FORMAT),
        (aiocoap.GET, "/5/0/3", {"if_none_match": True}, aiocoap.BAD_OPTION),
    ],
)
def test_it_hears_what_is_wrong(run, board, theirs, code, path, options, expected, met):
    async def main():
        async with board() as device, theirs() as context:
            assert (await ask(context, code, device.uri(path), **options)).code == expected

    run(main())
    met("aiocoap client", "coap", "bad requests", "the code for each")


def test_it_writes_confirmably_or_not(run, board, theirs, met):
    async def main():
        async with board() as device, theirs() as context:
            for tuning in (aiocoap.Reliable, aiocoap.Unreliable):
                message = aiocoap.Message(
                    code=aiocoap.PUT, uri=device.uri("/32768/0/1"), payload=b"kept", transport_tuning=tuning
                )
                assert (await context.request(message).response).code == aiocoap.CHANGED
                assert device.kept == "kept"
                device.kept = ""

    run(main())
    met("aiocoap client", "coap", "writes, CON and NON", "equal values")


@pytest.mark.parametrize("content_format", [SENML_JSON, SENML_CBOR, ETCH_JSON, ETCH_CBOR])
@pytest.mark.parametrize("szx", [0, 6])
def test_it_reads_and_writes_several_paths(run, board, theirs, long_text, content_format, szx, met):
    """Its FETCH leaves the paths out of requests for later blocks."""
    paths = [Path.parse(text) for text in ("/5/0/3", "/3/0/3", "/32768/0/0")]
    values = dict(zip(paths, (0, "1.0.0", long_text), strict=True))
    patch = b'[{"n":"/5/0/11","v":2},{"n":"/32768/0/1","vs":"patched"}]'

    async def main():
        async with board() as device, theirs() as context:
            for accept in (SENML_JSON, SENML_CBOR, LWM2M_CBOR):
                answer = await ask(
                    context, aiocoap.FETCH, device.uri(""), encode_paths(paths, content_format), szx=szx,
                    content_format=content_format, accept=accept, block2=(0, False, szx),
                )  # fmt: skip
                assert (answer.code, answer.opt.content_format) == (aiocoap.CONTENT, accept)
                assert dict(decode(answer.payload, accept, Path(()), standard_definitions())) == values
            written = await ask(context, aiocoap.iPATCH, device.uri(""), patch, content_format=SENML_JSON, szx=szx)
            assert (written.code, device.kept) == (aiocoap.CHANGED, "patched")
            assert await read(context, device.uri("/5/0/11")) == b"2"

    run(main())
    met("aiocoap client", "coap", "Read-Composite (FETCH), Write-Composite (iPATCH)", "equal values")


def test_it_observes_several_paths_at_once(run, board, package_server, theirs, package, met):
    async def main():
        async with package_server() as server, board(server_uri=server.uri("")) as device, theirs() as context:
            await device.client.registered()  # a device begins a registration without observers
            paths = encode_paths([Path.of(5, 0, 3), Path.of(5, 0, 5)], SENML_CBOR)
            message = aiocoap.Message(
                code=aiocoap.FETCH, uri=device.uri(""), payload=paths, content_format=SENML_CBOR, observe=0
            )
            request = context.request(message)
            values = asyncio.Queue()

            async def follow():
                async for notification in request.observation:
                    entries = decode(notification.payload, SENML_CBOR, Path(()), standard_definitions())
                    values.put_nowait(tuple(value for _, value in entries))

            following = asyncio.create_task(follow())
            assert len(decode((await request.response).payload, SENML_CBOR, Path(()), standard_definitions())) == 2
            await ask(context, aiocoap.PUT, device.uri("/5/0/0"), package(5000), content_format=OPAQUE)
            while await values.get() != (2, 0):
                pass
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(main())
    met("aiocoap client", "coap", "Observe-Composite", "every state")


@pytest.mark.parametrize("szx", SZX)
def test_it_reads_and_writes_a_long_value_in_blocks(run, board, theirs, long_text, szx, met):
    size = 16 << szx

    async def main():
        async with board() as device, theirs() as context:
            answer = await ask(context, aiocoap.GET, device.uri("/32768/0/0"), block2=(0, False, szx))
            assert answer.payload == long_text.encode()
            assert len(device.blocks(BLOCK2)) == -(-len(long_text) // size)
            written = await ask(context, aiocoap.PUT, device.uri("/32768/0/1"), long_text.encode(), szx=szx)
            assert written.code == aiocoap.CHANGED
            assert device.kept == long_text
            assert len(device.blocks(BLOCK1)) == -(-len(long_text) // size)

    run(main())
    met("aiocoap client", "coap", "reads and writes in blocks of each size", "equal bytes")


@pytest.mark.parametrize("szx", SZX)
def test_it_pushes_a_package_in_blocks_of_each_size_and_has_it_installed(run, board, theirs, package, szx, met):
    size = 16 << szx
    image = package(max(500, 10 * size + 7))

    async def main():
        async with board() as device, theirs() as context:
            pushed = await ask(context, aiocoap.PUT, device.uri("/5/0/0"), image, szx=szx, content_format=OPAQUE)
            assert pushed.code == aiocoap.CHANGED
            assert {16 << block.szx for block in device.blocks(BLOCK1)} == {size}
            assert await read(context, device.uri("/5/0/3")) == b"2"
            assert (await ask(context, aiocoap.POST, device.uri("/5/0/2"))).code == aiocoap.CHANGED
            await device.reboot()
            assert await read(context, device.uri("/5/0/5")) == b"1"
            assert await read(context, device.uri("/3/0/3")) == b"1.1.0"
            assert device.running == image

    run(main())
    met("aiocoap client", "coap", "pushes and installs, blocks of each size", "equal bytes")


def test_it_observes_state_and_result_while_it_pushes(run, board, package_server, theirs, package, met):
    image = package(5000)

    async def main():
        async with package_server() as server, board(server_uri=server.uri("")) as device, theirs() as context:
            await device.client.registered()  # a device begins a registration without observers
            values = asyncio.Queue()
            message = aiocoap.Message(code=aiocoap.GET, uri=device.uri("/5/0/3"), observe=0)
            request = context.request(message)

            async def follow():
                async for notification in request.observation:
                    values.put_nowait(notification.payload)

            following = asyncio.create_task(follow())
            assert (await request.response).payload == b"0"
            await ask(context, aiocoap.PUT, device.uri("/5/0/0"), image, content_format=OPAQUE)
            while await values.get() != b"2":  # it keeps the newest value alone, so 1 may be missing
                pass
            await ask(context, aiocoap.PUT, device.uri("/5/0/1"), b"", content_format=TEXT)
            assert await values.get() == b"0"
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(main())
    met("aiocoap client", "coap", "observes", "every state")


@pytest.mark.parametrize("szx", SZX)
def test_it_fetches_a_published_package(run, package_server, host, theirs, package, szx, met):
    image = package(max(500, 10 * (16 << szx) + 7))

    async def main():
        async with package_server(host) as server, theirs() as context:
            uri = server.publish(image)
            answer = await ask(context, aiocoap.GET, uri, block2=(0, False, szx))
            assert answer.payload == image
            assert len(answer.opt.etag) == 8
            assert server.offsets(16 << szx) == list(range(0, len(image), 16 << szx))
            server.withdraw(uri)
            assert (await ask(context, aiocoap.GET, uri)).code == aiocoap.NOT_FOUND

    run(main())
    met("aiocoap client", "coap", "fetches a package, blocks of each size", "equal bytes")


def test_it_registers_updates_and_leaves_with_a_long_object_list(run, package_server, theirs, met):
    """The list of 300 objects comes in blocks."""
    links = ",".join(f"</{number}/0>" for number in range(1, 301)).encode()

    async def main():
        async with package_server() as server, theirs() as context:
            root = server.uri("/rd")
            uri = f"{root}?ep=theirs&lt=60&lwm2m=1.1&b=U"
            answer = await ask(context, aiocoap.POST, uri, links, szx=5, content_format=LINK)
            assert answer.code == aiocoap.CREATED
            (registration,) = server.registrations()
            assert answer.opt.location_path == ("rd", registration.id)
            assert len(registration.instances) == 300
            location = f"{root}/{registration.id}"
            assert (await ask(context, aiocoap.POST, f"{location}?lt=90")).code == aiocoap.CHANGED
            assert [each.lifetime_s for each in server.registrations()] == [90]
            assert (await ask(context, aiocoap.DELETE, location)).code == aiocoap.DELETED
            assert server.registrations() == ()

    run(main())
    met("aiocoap client", "coap", "registers with a long list, updates, leaves", "known, and gone")
