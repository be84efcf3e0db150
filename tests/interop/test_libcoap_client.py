"""libcoap's client against our device and our package server: every read, write and block size, over real UDP."""

import signal

import pytest

from lwm2m_fota.content.codec import decode
from lwm2m_fota.lwm2m.object_list import ObjectList, read_object_list
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

pytestmark = pytest.mark.interop

SIZES = [16, 32, 64, 128, 256, 512, 1024]
PACKAGE, PACKAGE_URI, UPDATE, STATE = "/5/0/0", "/5/0/1", "/5/0/2", "/5/0/3"
OPAQUE = "42"
BLOCK1, BLOCK2 = 27, 23


def resources(entries):
    return {path.ids[2:]: value for path, value in entries}


@pytest.fixture
def file(tmp_path):
    """`file(b"...")` is a file with these bytes."""

    def write(data):
        (tmp_path / "input").write_bytes(data)
        return tmp_path / "input"

    return write


def test_it_reads_our_device(run, board, host, coap_client, met):
    async def main():
        async with board(host) as device:
            assert (await coap_client(device.uri(STATE))).body == b"0"
            assert (await coap_client(device.uri("/5/0/5"))).body == b"0"
            assert (await coap_client(device.uri("/3/0/3"))).body == b"1.0.0"
            assert (await coap_client("-N", device.uri(STATE))).body == b"0"

    run(main())
    met("coap-client-notls", "coap", "reads, over IPv4 and IPv6", "the value")


@pytest.mark.parametrize("content_format", [11542, 110, 112, 11544])
def test_it_reads_a_whole_instance_in_the_format_that_it_accepts(run, board, coap_client, content_format, met):
    async def main():
        async with board() as device:
            answer = await coap_client("-A", content_format, device.uri("/5/0"))
        entries = decode(answer.body, content_format, Path.of(5, 0), standard_definitions())
        assert resources(entries) == {
            (1,): "", (3,): 0, (5,): 0, (6,): "", (7,): "", (8, 0): 0, (9,): 2, (11,): 1, (12,): 0, (13,): 0,
        }  # fmt: skip

    run(main())
    met("coap-client-notls", "coap", "reads an instance in TLV, SenML JSON and CBOR, LwM2M CBOR", "equal values")


PATHS = b'[{"n":"/5/0/3"},{"n":"/3/0/3"},{"n":"/32768/0/0"},{"n":"/9/0"}]'


@pytest.mark.parametrize("accept", [110, 112, 11544])
@pytest.mark.parametrize("size", [16, 64, 1024])
def test_it_reads_several_paths_with_fetch(run, board, coap_client, file, long_text, accept, size, met):
    """The request and the answer go in blocks of one size."""

    async def main():
        async with board() as device:
            answer = await coap_client(
                "-m", "fetch", "-t", 110, "-A", accept, "-b", size, "-f", file(PATHS), device.uri("")
            )  # fmt: skip
        entries = decode(answer.body, accept, Path(()), standard_definitions())
        assert {str(path): value for path, value in entries} == {
            "/5/0/3": 0,
            "/3/0/3": "1.0.0",
            "/32768/0/0": long_text,
        }

    run(main())
    met("coap-client-notls", "coap", "Read-Composite (FETCH)", "equal values")


@pytest.mark.parametrize("content_format", [110, 320])
def test_it_writes_several_paths_with_ipatch(run, board, coap_client, file, content_format, met):
    async def main():
        async with board() as device:
            patch = file(b'[{"n":"/5/0/11","v":2},{"n":"/32768/0/1","vs":"patched"}]')
            answer = await coap_client("-m", "ipatch", "-t", content_format, "-f", patch, device.uri(""))
            assert answer.said == ""
            assert device.kept == "patched"
            assert (await coap_client(device.uri("/5/0/11"))).body == b"2"
            refused = file(b'[{"n":"/32768/0/1","vs":"again"},{"n":"/5/0/3","v":2}]')
            answer = await coap_client("-m", "ipatch", "-t", content_format, "-f", refused, device.uri(""))
            assert answer.said.startswith("4.05")
            assert device.kept == "patched"

    run(main())
    met("coap-client-notls", "coap", "Write-Composite (iPATCH)", "equal values")


def test_it_attaches_attributes_and_finds_them(run, board, coap_client, met):
    async def main():
        async with board() as device:
            assert (await coap_client("-m", "put", device.uri("/5/0/3?pmin=10&pmax=60&gt=1"))).said == ""
            # the next run of libcoap's client has another port, and attributes belong to who has attached them
            answer = await coap_client("-A", 40, "-p", 56830, device.uri("/5/0/3"))
            assert answer.body == b"</5/0/3>"
            assert (await coap_client("-m", "put", "-p", 56830, device.uri("/5/0/3?gt=1&lt=2"))).said[:4] == "4.00"
            assert (await coap_client("-m", "put", "-p", 56830, device.uri("/5/0/3?gt=2&pmin=5"))).said == ""
            answer = await coap_client("-A", 40, "-p", 56830, device.uri("/5/0/3"))
            assert answer.body == b"</5/0/3>;pmin=5;gt=2"

    run(main())
    met("coap-client-notls", "coap", "Write-Attributes, Discover", "shown")


def test_it_discovers_our_objects(run, board, coap_client, met):
    async def main():
        async with board() as device:
            answer = await coap_client("-A", 40, device.uri("/5"))
        assert read_object_list(answer.body) == ObjectList(objects={5: "1.1"}, instances=(Path.of(5, 0),))
        assert b",</5/0/0>,</5/0/1>,</5/0/2>,</5/0/3>,</5/0/5>," in answer.body

    run(main())
    met("coap-client-notls", "coap", "Discover", "every link")


@pytest.mark.parametrize(
    ("arguments", "path", "code"),
    [
        ((), "/9/9", "4.04"),
        ((), "/5/1/3", "4.04"),
        ((), "/5/0/4", "4.04"),
        ((), PACKAGE, "4.05"),
        (("-m", "post"), UPDATE, "4.05"),
        (("-m", "delete"), "/5/0", "4.05"),
        (("-A", "41"), STATE, "4.06"),
        (("-m", "put", "-e", "1"), STATE, "4.05"),
        (("-m", "put", "-e", "x", "-t", "50"), PACKAGE_URI, "4.15"),
        (("-O", "65001,x"), STATE, "4.02"),  # a critical option that nobody knows
        (("-O", "17,0x000000"), STATE, "4.02"),  # Accept has two bytes at most
        (("-O", "35,coap://192.0.2.1/"), STATE, "5.05"),
        (("-m", "put"), "/5/0/8/7?pmin=1", "4.04"),
        (("-m", "fetch", "-e", "[]", "-t", "110"), "/", "4.00"),
        (("-m", "ipatch", "-e", "%5b%7b%22n%22:%22/5/0/2%22,%22v%22:1%7d%5d", "-t", "110"), "/", "4.05"),
    ],
)
def test_it_hears_what_is_wrong(run, board, coap_client, arguments, path, code, met):
    async def main():
        async with board() as device:
            answer = await coap_client(*arguments, device.uri(path))
            assert answer.said.startswith(code)
            assert answer.body == b""
            assert (await coap_client(device.uri(STATE))).body == b"0"

    run(main())
    met("coap-client-notls", "coap", "bad requests", "the code for each")


@pytest.mark.parametrize(("uri", "result"), [("not a uri", b"7"), ("ftp://192.0.2.1/fw", b"9")])
def test_it_writes_a_uri_that_leads_nowhere_and_reads_why(run, board, coap_client, uri, result, met):
    """The Write itself succeeds: what is wrong shows in Update Result alone."""

    async def main():
        async with board() as device:
            assert (await coap_client("-m", "put", "-e", uri, device.uri(PACKAGE_URI))).said == ""
            while (await coap_client(device.uri(STATE))).body == b"1":
                pass
            assert (await coap_client(device.uri(STATE))).body == b"0"
            assert (await coap_client(device.uri("/5/0/5"))).body == result

    run(main())
    met("coap-client-notls", "coap", "writes bad URIs", "the result for each")


def test_it_writes_values_confirmably_or_not(run, board, coap_client, met):
    async def main():
        async with board() as device:
            for text, options in (("acknowledged", ()), ("not acknowledged", ("-N",))):
                answer = await coap_client(*options, "-m", "put", "-e", text, device.uri("/32768/0/1"))
                assert (answer.body, answer.said) == (b"", "")
                assert (await coap_client(device.uri("/32768/0/1"))).body == text.encode()

    run(main())
    met("coap-client-notls", "coap", "writes, CON and NON", "equal values")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [(), ("-N",)], ids=["con", "non"])
def test_it_reads_a_long_value_in_blocks(run, board, coap_client, long_text, size, options, met):
    async def main():
        async with board() as device:
            answer = await coap_client("-b", size, *options, device.uri("/32768/0/0"))
            assert answer.body == long_text.encode()
            assert len(device.blocks(BLOCK2)) == -(-len(long_text) // size)
            assert {16 << block.szx for block in device.blocks(BLOCK2)} == {size}

    run(main())
    met("coap-client-notls", "coap", "reads in blocks of each size", "equal bytes")


def test_it_writes_a_long_value_in_blocks(run, board, coap_client, file, long_text, met):
    async def main():
        async with board() as device:
            answer = await coap_client("-m", "put", "-b", 64, "-f", file(long_text.encode()), device.uri("/32768/0/1"))
            assert answer.said == ""
            assert device.kept == long_text
            assert len(device.blocks(BLOCK1)) == 40

    run(main())
    met("coap-client-notls", "coap", "writes in blocks", "equal bytes")


@pytest.mark.parametrize("size", SIZES)
def test_it_pushes_a_package_in_blocks_of_each_size_and_has_it_installed(
    run, board, coap_client, file, package, size, met
):
    image = package(max(500, 10 * size + 7))

    async def main():
        async with board() as device:
            answer = await coap_client(
                "-m", "put", "-t", OPAQUE, "-b", size, "-f", file(image), device.uri(PACKAGE)
            )  # fmt: skip
            assert answer.said == ""
            assert len(device.blocks(BLOCK1)) == -(-len(image) // size)
            assert (await coap_client(device.uri(STATE))).body == b"2"
            assert (await coap_client(device.uri("/5/0/7"))).body == b"1.1.0"
            assert (await coap_client("-m", "post", device.uri(UPDATE))).said == ""
            await device.reboot()
            assert (await coap_client(device.uri(STATE))).body == b"0"
            assert (await coap_client(device.uri("/5/0/5"))).body == b"1"
            assert (await coap_client(device.uri("/3/0/3"))).body == b"1.1.0"
            assert device.running == image

    run(main())
    met("coap-client-notls", "coap", "pushes and installs, blocks of each size", "equal bytes")


@pytest.mark.parametrize("size", [64, 1024])
def test_it_pushes_a_package_without_confirmation(run, board, coap_client, file, package, size, met):
    image = package(5000)

    async def main():
        async with board() as device:
            await coap_client("-N", "-m", "put", "-t", OPAQUE, "-b", size, "-f", file(image), device.uri(PACKAGE))
            assert (await coap_client(device.uri(STATE))).body == b"2"
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("coap-client-notls", "coap", "pushes without confirmation", "equal bytes")


def test_its_repeated_block_is_taken_once(run, board, coap_client, file, package, met):
    """It loses the third datagram that it sends, and repeats it after two to three seconds."""
    image = package(3000)

    async def main():
        async with board() as device:
            await coap_client("-l", 3, "-m", "put", "-t", OPAQUE, "-b", 512, "-f", file(image), device.uri(PACKAGE))
            assert (await coap_client(device.uri(STATE))).body == b"2"
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("coap-client-notls", "coap", "repeats a block", "taken once")


def test_its_repeated_request_is_answered_again(run, package_server, coap_client, package, met):
    """It loses the second and the fourth datagram that it sends."""
    image = package(5000)

    async def main():
        async with package_server() as server:
            answer = await coap_client("-l", "2,4", "-b", 512, server.publish(image))
            assert answer.body == image
            assert server.offsets(512) == list(range(0, len(image), 512))

    run(main())
    met("coap-client-notls", "coap", "asks for a block again", "equal bytes")


def test_its_broken_package_is_refused_and_the_device_goes_on(run, board, coap_client, file, package, met):
    image = package()
    broken = image[:-1] + bytes([image[-1] ^ 1])

    async def main():
        async with board() as device:
            put = ("-m", "put", "-t", OPAQUE, "-b", 256, "-f")
            answer = await coap_client(*put, file(broken), device.uri(PACKAGE))
            assert answer.said[:1] == "4"
            assert (await coap_client(device.uri(STATE))).body == b"0"
            assert (await coap_client(device.uri("/5/0/5"))).body == b"5"
            await coap_client(*put, file(image), device.uri(PACKAGE))
            assert (await coap_client(device.uri(STATE))).body == b"2"

    run(main())
    met("coap-client-notls", "coap", "pushes a broken package", "refused")


@pytest.mark.parametrize("reset", [(PACKAGE_URI, "-e", ""), (PACKAGE, "-e", "%00", "-t", OPAQUE)], ids=["uri", "nul"])
def test_it_resets_a_staged_package(run, board, coap_client, file, package, reset, met):
    path, *arguments = reset

    async def main():
        async with board() as device:
            await coap_client("-m", "put", "-t", OPAQUE, "-b", 512, "-f", file(package()), device.uri(PACKAGE))
            assert (await coap_client(device.uri(STATE))).body == b"2"
            assert (await coap_client("-m", "put", *arguments, device.uri(path))).said == ""
            assert (await coap_client(device.uri(STATE))).body == b"0"
            assert (await coap_client(device.uri("/5/0/5"))).body == b"0"
            assert device.firmware.staged_bytes == 0

    run(main())
    met("coap-client-notls", "coap", "resets a staged package", "idle")


def test_it_observes_the_state_while_a_push_runs_and_an_update_follows(
    run, board, package_server, coap_client, coap_observer, file, package, met
):
    async def main():
        async with package_server() as server, board(server_uri=server.uri("")) as device:
            await device.client.registered()  # a device begins a registration without observers
            async with coap_observer(device.uri(STATE)) as observer:
                assert await observer.read(1) == b"0"
                await coap_client("-m", "put", "-t", OPAQUE, "-b", 64, "-f", file(package()), device.uri(PACKAGE))
                assert await observer.read(2) == b"12"
                await coap_client("-m", "post", device.uri(UPDATE))
                assert await observer.read(1) == b"3"
                assert await observer.end(signal.SIGINT) == b"\n"

    run(main())
    met("coap-client-notls", "coap", "observes", "every state")


def test_its_written_uri_makes_our_device_pull(run, board, package_server, coap_client, package, met):
    image = package(5000)

    async def main():
        async with package_server() as server, board() as device:
            uri = server.publish(image)
            downloaded = device.state_reached(2)
            assert (await coap_client("-m", "put", "-e", uri, device.uri(PACKAGE_URI))).said == ""
            await downloaded
            assert (await coap_client(device.uri(PACKAGE_URI))).body.decode() == uri
            assert (await coap_client(device.uri(STATE))).body == b"2"
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("coap-client-notls", "coap", "writes a URI", "our device pulls")


@pytest.mark.parametrize("size", SIZES)
def test_it_fetches_a_published_package_in_blocks_of_each_size(
    run, package_server, host, coap_client, package, size, met
):
    image = package(max(500, 10 * size + 7))

    async def main():
        async with package_server(host) as server:
            answer = await coap_client("-b", size, server.publish(image))
            assert answer.body == image
            assert server.offsets(size) == list(range(0, len(image), size))

    run(main())
    met("coap-client-notls", "coap", "fetches a package, blocks of each size", "equal bytes")


@pytest.mark.parametrize("size", SIZES)
def test_it_fetches_one_block_from_the_middle(run, package_server, coap_client, package, size, met):
    """When it is told where to begin, libcoap 4.3.1 asks for that one block."""
    image = package(5 * size)

    async def main():
        async with package_server() as server:
            answer = await coap_client("-b", f"3,{size}", server.publish(image))
            assert answer.body == image[3 * size : 4 * size]
            assert [(each.num, each.offset) for each in server.served] == [(3, 3 * size)]

    run(main())
    met("coap-client-notls", "coap", "fetches one block", "equal bytes")


def test_it_fetches_a_package_without_confirmation_and_without_asking_for_a_size(
    run, package_server, coap_client, package, met
):
    image = package(5000)

    async def main():
        async with package_server() as server:
            uri = server.publish(image)
            assert (await coap_client(uri)).body == image
            assert (await coap_client("-N", uri)).body == image
            assert (await coap_client("-N", "-b", 128, uri)).body == image

    run(main())
    met("coap-client-notls", "coap", "fetches a package without confirmation", "equal bytes")


def test_it_finds_nothing_at_an_unknown_or_withdrawn_path(run, package_server, coap_client, package, met):
    async def main():
        async with package_server() as server:
            uri = server.publish(package())
            other = uri[:-1] + ("0" if uri[-1] != "0" else "1")
            assert (await coap_client(other)).said.startswith("4.04")
            assert (await coap_client("-m", "put", "-e", "x", uri)).said.startswith("4.05")
            server.withdraw(uri)
            assert (await coap_client(uri)).said.startswith("4.04")

    run(main())
    met("coap-client-notls", "coap", "fetches what is not there", "4.04")


def test_it_registers_updates_and_leaves(run, package_server, coap_client, file, met):
    """libcoap's client as a very simple LwM2M client: three requests of the registration interface."""

    async def main():
        async with package_server() as server:
            links = file(b'</>;rt="oma.lwm2m",</1/0>,</3/0>,</5>;ver=1.1,</5/0>')
            root = server.uri("/rd")
            answer = await coap_client(
                "-v", "6", "-m", "post", "-t", 40, "-f", links, f"{root}?ep=shell&lt=60&lwm2m=1.1&b=U"
            )  # fmt: skip
            (registration,) = server.registrations()
            assert (registration.endpoint, registration.lifetime_s) == ("shell", 60)
            assert registration.objects == {1: None, 3: None, 5: "1.1"}
            assert registration.id in answer.said
            assert (await coap_client("-m", "post", f"{root}/{registration.id}?lt=120")).said == ""
            assert [each.lifetime_s for each in server.registrations()] == [120]
            assert (await coap_client("-m", "delete", f"{root}/{registration.id}")).said == ""
            assert server.registrations() == ()
            assert (await coap_client("-m", "delete", f"{root}/{registration.id}")).said.startswith("4.04")

    run(main())
    met("coap-client-notls", "coap", "registers, updates, leaves", "known, and gone")
