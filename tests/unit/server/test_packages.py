"""The package server: what it serves, to whom, for how long, and what it tells of it."""

import asyncio
import hashlib
import logging
import random

import pytest

from lwm2m_fota.coap.endpoint import Request, Stream
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import ResponseError, StorageError, UsageError
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.runtime.entropy import SeededEntropy, SystemEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.packages import PackageServer, PackageServerLimits
from lwm2m_fota.server.publications import BlockServed, digest_of
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.fetchers import RecordingSink

GET, POST, PUT, DELETE, FETCH = 1, 2, 3, 4, 5
CONTENT, BAD_REQUEST, BAD_OPTION, NOT_FOUND, NOT_ALLOWED = 0x45, 0x80, 0x82, 0x84, 0x85
NOT_ACCEPTABLE, SERVER_ERROR = 0x86, 0xA0
IF_MATCH, URI_HOST, ETAG, IF_NONE_MATCH, OBSERVE, URI_PORT, URI_PATH = 1, 3, 4, 5, 6, 7, 11
CONTENT_FORMAT, URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, Q_BLOCK2, PROXY_URI = 12, 15, 17, 23, 27, 28, 31, 35
DATA = random.Random(5).randbytes(2500)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Shelf:
    """A package server by hand, with a clock by hand."""

    def __init__(self, entropy=None, **limits):
        self.clock, self.blocks, self.progress = Clock(), [], []
        self.server = PackageServer(
            lambda: "coap://h:1",
            entropy or SeededEntropy(1),
            self.clock,
            PackageServerLimits(**limits),
            self.blocks.append,
        )

    def publish(self, data=DATA, token=None):
        source = MemoryPackageSource(data) if isinstance(data, bytes) else data
        return self.server.publish(source, "coap", self.progress.append, token)

    def ask(self, token, *options, code=GET, path=None, peer="peer"):
        segments = ((URI_PATH, each.encode()) for each in (path or ("fw", token)))
        return self.server.handle(Message(0, code, 1, b"t", sort_options((*segments, *options)), b""), peer)


def block(num, szx, *, more=False):
    value = num << 4 | more << 3 | szx
    return (BLOCK2, value.to_bytes((value.bit_length() + 7) // 8, "big"))


def told(response):
    options = dict(response.options)
    value = int.from_bytes(options[BLOCK2], "big")
    return value >> 4, bool(value & 8), value & 7


# -- publications -----------------------------------------------------------------------------------------------


def test_a_uri_has_an_unguessable_token():
    shelf = Shelf(SystemEntropy())
    publications = [shelf.publish() for _ in range(50)]
    assert len({each.token for each in publications}) == 50
    for each in publications:
        assert each.uri == f"coap://h:1/fw/{each.token}"
        assert len(bytes.fromhex(each.token)) == 16
    bits = sum(int(each.token, 16).bit_count() for each in publications) / 50
    assert 55 < bits < 73


def test_only_coap_is_served():
    shelf = Shelf()
    assert shelf.server.schemes == ("coap",)
    with pytest.raises(UsageError, match="https"):
        shelf.server.publish(MemoryPackageSource(b"x"), "https", print)


def test_a_package_is_served_until_it_is_withdrawn():
    shelf = Shelf()
    token, other = shelf.publish().token, shelf.publish().token
    assert shelf.ask(token).code == CONTENT
    shelf.server.withdraw(token)
    shelf.server.withdraw(token)
    assert shelf.ask(token).code == NOT_FOUND
    assert shelf.ask(other).code == CONTENT


def test_a_path_expires_after_its_last_request():
    shelf = Shelf(lifetime_s=100.0)
    token = shelf.publish().token
    shelf.clock.now += 99
    assert shelf.ask(token).code == CONTENT
    shelf.clock.now += 99
    assert shelf.ask(token, code=POST).code == NOT_ALLOWED  # a request that brings nothing keeps nothing alive
    shelf.clock.now += 1
    assert shelf.ask(token).code == NOT_FOUND


def test_publications_are_bounded_and_expired_ones_make_room():
    shelf = Shelf(lifetime_s=100.0, max_publications=2)
    first = shelf.publish()
    shelf.publish()
    with pytest.raises(StorageError, match="too many"):
        shelf.publish()
    shelf.server.withdraw(first.token)
    shelf.publish()
    shelf.clock.now += 100
    shelf.publish()
    shelf.publish()
    with pytest.raises(StorageError):
        shelf.publish()


def test_a_publication_can_be_taken_up_under_its_token():
    token = Shelf().publish().token
    shelf = Shelf(SystemEntropy())
    assert shelf.publish(token=token).uri == f"coap://h:1/fw/{token}"
    assert shelf.ask(token).code == CONTENT
    for bad in ("", "x", "A" * 32, token + "0", "../" + token, token[:-1] + "/", token[:-1] + "\n"):
        with pytest.raises(UsageError, match="token"):
            shelf.publish(token=bad)


def test_a_publication_takes_the_place_of_one_with_its_token():
    shelf = Shelf(max_publications=1)
    token = shelf.publish(b"old").token
    assert shelf.publish(b"new", token=token).token == token
    assert shelf.ask(token).payload == b"new"
    with pytest.raises(StorageError):
        shelf.publish()


def test_a_source_is_hashed_once_while_it_is_served():
    class Counting:
        size_bytes = 3000
        reads = 0

        def read_at(self, offset, length):
            self.reads += 1
            return bytes(length)

    shelf, source = Shelf(), Counting()
    tokens = [shelf.publish(source).token for _ in range(3)]
    assert source.reads == 1
    etags = {dict(shelf.ask(token).options)[ETAG] for token in tokens}
    assert etags == {hashlib.sha256(bytes(3000)).digest()[:8]}


def test_the_digest_is_of_all_bytes_and_not_of_a_source_that_ends_early():
    data = random.Random(1).randbytes((1 << 18) + 5)
    assert digest_of(MemoryPackageSource(data)) == hashlib.sha256(data).digest()

    class Short:
        size_bytes = 10

        def read_at(self, offset, length):
            return b"short"

    with pytest.raises(StorageError, match="ends before"):
        digest_of(Short())


# -- blocks -----------------------------------------------------------------------------------------------------


def test_a_request_without_block2_is_answered_with_the_first_block_etag_and_size():
    shelf = Shelf()
    answer = shelf.ask(shelf.publish().token)
    options = dict(answer.options)
    assert answer.code == CONTENT
    assert told(answer) == (0, True, 6)
    assert options[ETAG] == hashlib.sha256(DATA).digest()[:8]
    assert int.from_bytes(options[SIZE2], "big") == 2500
    assert options[CONTENT_FORMAT] == b"\x2a"
    assert list(answer.options) == sorted(answer.options)
    assert answer.payload == DATA[:1024]
    assert answer.idempotent


def test_a_small_package_goes_whole():
    shelf = Shelf()
    answer = shelf.ask(shelf.publish(b"x" * 1024).token)
    assert answer.payload == b"x" * 1024
    assert [number for number, _ in answer.options] == [ETAG, CONTENT_FORMAT]


@pytest.mark.parametrize("szx", range(7))
def test_every_block_size_gives_the_same_bytes(szx):
    shelf, size = Shelf(), 16 << szx
    token, body, num = shelf.publish().token, b"", 0
    while True:
        answer = shelf.ask(token, block(num, szx))
        assert told(answer)[::2] == (num, szx)
        body += answer.payload
        if not told(answer)[1]:
            break
        assert len(answer.payload) == size
        num += 1
    assert body == DATA
    assert num == -(-2500 // size) - 1


def test_the_server_may_prefer_smaller_blocks():
    shelf = Shelf(max_szx=2)
    token = shelf.publish().token
    assert told(shelf.ask(token)) == (0, True, 2)
    answer = shelf.ask(token, block(1, 6))
    assert told(answer) == (16, True, 2)
    assert answer.payload == DATA[1024:1088]


def test_a_device_resumes_at_any_block_in_any_order():
    shelf = Shelf()
    token = shelf.publish().token
    for num in (2, 0, 1, 2):
        assert shelf.ask(token, block(num, 6, more=True)).payload == DATA[num * 1024 : num * 1024 + 1024]


@pytest.mark.parametrize(
    ("option", "code"),
    [
        (block(3, 6), BAD_REQUEST),
        (block(0xFFFFF, 6), BAD_REQUEST),
        ((BLOCK2, b"\x07"), BAD_REQUEST),
        ((BLOCK2, b"\x00\x00\x00\x06"), BAD_OPTION),
    ],
)
def test_blocks_that_are_not_there(option, code):
    shelf = Shelf()
    assert shelf.ask(shelf.publish().token, option).code == code
    assert shelf.progress == shelf.blocks == []


def test_the_end_of_a_package_of_whole_blocks_is_told():
    shelf = Shelf()
    token = shelf.publish(bytes(2048)).token
    assert told(shelf.ask(token, block(1, 6))) == (1, False, 6)
    assert shelf.ask(token, block(2, 6)).code == BAD_REQUEST


# -- requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [POST, PUT, DELETE, FETCH])
def test_only_get(code):
    shelf = Shelf()
    assert shelf.ask(shelf.publish().token, code=code).code == NOT_ALLOWED


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([(URI_HOST, b"h"), (URI_PORT, b"\x01"), (URI_QUERY, b"a"), (URI_QUERY, b"b")], CONTENT),
        ([(ETAG, b"x"), (OBSERVE, b""), (SIZE2, b""), (60, b"\x01"), (2048, b"elective")], CONTENT),
        ([(ACCEPT, b"\x2a")], CONTENT),
        ([(ACCEPT, b"")], NOT_ACCEPTABLE),
        ([(ACCEPT, b"\x32")], NOT_ACCEPTABLE),
        ([(IF_MATCH, b"x")], BAD_OPTION),
        ([(IF_NONE_MATCH, b"")], BAD_OPTION),
        ([(BLOCK1, b"\x06")], BAD_OPTION),
        ([(Q_BLOCK2, b"\x06")], BAD_OPTION),
        ([(PROXY_URI, b"coap://x/")], 0xA5),  # RFC 7252 section 5.10.2
        ([(2049, b"")], BAD_OPTION),
        ([(BLOCK2, b"\x06"), (BLOCK2, b"\x16")], BAD_OPTION),
    ],
)
def test_options(options, code):
    shelf = Shelf()
    assert shelf.ask(shelf.publish().token, *options).code == code


@pytest.mark.parametrize("path", [("fw",), ("fw", ""), ("fw", "0" * 32), ("fw", "TOKEN", "x"), ("fw", "TOKEN", "")])
def test_paths_that_lead_nowhere(path):
    shelf = Shelf()
    token = shelf.publish().token
    path = tuple(token if each == "TOKEN" else each for each in path)
    assert shelf.server.serves(path)
    assert shelf.ask("", path=path).code == NOT_FOUND
    assert not shelf.server.serves(())
    assert not shelf.server.serves(("rd",))


# -- what goes wrong --------------------------------------------------------------------------------------------


def test_a_file_that_changes_underneath_is_served_no_further_and_the_device_learns_no_path(tmp_path, caplog):
    file = tmp_path / "secret-name.bin"
    file.write_bytes(DATA)
    shelf = Shelf()
    token = shelf.publish(FilePackageSource(file)).token
    assert shelf.ask(token).code == CONTENT
    file.write_bytes(DATA + b"more")
    with caplog.at_level(logging.WARNING):
        answer = shelf.ask(token, block(1, 6))
    assert (answer.code, answer.payload) == (SERVER_ERROR, b"")
    assert "secret-name.bin" in caplog.text
    assert shelf.progress == [1024]


def test_a_source_that_gives_less_than_it_says_is_not_served_short():
    class Shrinks:
        size_bytes, left = 3000, 3000

        def read_at(self, offset, length):
            return bytes(min(length, max(0, self.left - offset)))

    shelf, source = Shelf(), Shrinks()
    token = shelf.publish(source).token
    source.left = 1500
    assert shelf.ask(token, block(0, 6)).code == CONTENT
    assert shelf.ask(token, block(1, 6)).code == SERVER_ERROR


# -- the blocks behind one that was served -------------------------------------------------------------------------


def test_further_blocks_can_be_had_from_the_body_of_an_answer():
    shelf = Shelf()
    body = shelf.ask(shelf.publish().token, block(0, 4)).body
    assert body.size_bytes == len(DATA)
    assert body.block(256, 512) == DATA[256:768]
    assert shelf.progress == [256, 768]
    assert shelf.blocks[1] == BlockServed("peer", shelf.blocks[0].token, 0, 256, 512)


def test_a_body_ends_when_its_package_is_withdrawn_replaced_or_expires():
    shelf = Shelf(lifetime_s=60.0)
    for end in (shelf.server.withdraw, lambda token: shelf.publish(b"other" * 100, token), lambda _: None):
        token = shelf.publish().token
        body = shelf.ask(token, block(0, 4)).body
        shelf.clock.now += 59.0
        assert body.block(256, 256) == DATA[256:512]
        shelf.clock.now += 59.0
        end(token)
        shelf.clock.now += 1.0
        assert body.block(512, 256).code == NOT_FOUND


def test_a_body_that_cannot_be_read_is_answered_5_00(tmp_path):
    file = tmp_path / "package.bin"
    file.write_bytes(DATA)
    shelf = Shelf()
    body = shelf.ask(shelf.publish(FilePackageSource(file)).token, block(0, 4)).body
    file.write_bytes(DATA[:300])
    assert body.block(256, 256).code == SERVER_ERROR


# -- what is told -----------------------------------------------------------------------------------------------


def test_progress_is_told_once_for_each_furthest_block():
    shelf = Shelf()
    token = shelf.publish().token
    for num in (0, 0, 1, 0, 1, 2, 2, 0):
        shelf.ask(token, block(num, 6))
    assert shelf.progress == [1024, 2048, 2500]
    assert len(shelf.blocks) == 8
    assert shelf.blocks[5] == BlockServed("peer", token, 2, 2048, 452)


def test_a_package_server_without_ears_or_limits():
    server = PackageServer(lambda: "coap://h", SeededEntropy(1), lambda: 0.0)
    token = server.publish(MemoryPackageSource(b"x"), "coap", lambda _: None).token
    assert (
        server.handle(Message(0, GET, 1, b"", ((URI_PATH, b"fw"), (URI_PATH, token.encode())), b""), 0).code == CONTENT
    )


def test_ears_that_fail_do_not_stop_the_package(world_of, faults):
    def broken(_):
        raise ValueError("of the user")

    async def main():
        async with world_of(on_block=broken) as world:
            uri = world.server.packages.publish(MemoryPackageSource(DATA), "coap", broken).uri
            peer = await world.peer()
            answer = await peer.send(GET, uri.split("/")[3:])
            return answer.payload

    assert run(main()) == DATA
    assert len(faults) == 6


class Sink:
    def __init__(self):
        self.data = bytearray()

    def block(self, arrived):
        assert arrived.offset == len(self.data)
        self.data += arrived.payload

    def restarted(self, reason):
        raise AssertionError(reason)


@pytest.mark.parametrize("seed", range(5))
def test_repeats_over_a_lossy_network_do_no_harm(world_of, seed):
    async def main():
        network = LossyNetwork(seed, loss=0.2, duplicate=0.2, latency_s=0.05, reorder_s=0.3)
        blocks, progress, sink = [], [], Sink()
        async with world_of(network=network, on_block=blocks.append) as world:
            uri = world.server.packages.publish(MemoryPackageSource(DATA * 4), "coap", progress.append).uri
            peer = await world.peer()
            path = tuple((URI_PATH, each.encode()) for each in uri.split("/")[3:])
            server = await peer.pump.resolve("192.0.2.1", 5683)
            await peer.pump.download(server, Request(GET, path), sink, Stream(max_body_bytes=20_000))
            await asyncio.sleep(300)
        return bytes(sink.data), progress, blocks

    data, progress, blocks = run(main())
    assert data == DATA * 4
    assert progress == sorted(set(progress))
    assert progress[-1] == 10_000
    assert {each.num for each in blocks} == set(range(10))


# -- too many at a time

UNAVAILABLE, MAX_AGE = 0xA3, 14


def first_block(shelf, token, peer):
    return shelf.ask(token, block(0, 6), peer=peer)


def test_so_many_packages_are_on_their_way_and_one_more_comes_later():
    shelf = Shelf(transfers=TransferLimits(in_all=2, idle_s=30.0))
    token = shelf.publish().token
    assert [first_block(shelf, token, peer).code for peer in ("a", "b")] == [CONTENT] * 2
    shelf.clock.now += 10
    served = len(shelf.blocks)
    answer = first_block(shelf, token, "c")
    assert (answer.code, answer.options) == (UNAVAILABLE, ((MAX_AGE, b"\x14"),))
    assert len(shelf.blocks) == served
    assert shelf.ask(token, block(1, 6), peer="b").code == CONTENT
    assert shelf.ask(token, block(2, 6), peer="b").code == CONTENT  # the last one: "b" is done
    assert first_block(shelf, token, "c").code == CONTENT
    assert first_block(shelf, token, "b").code == UNAVAILABLE
    shelf.clock.now += 20
    assert first_block(shelf, token, "b").code == CONTENT  # nothing was heard of "a"
    assert shelf.ask(token, block(2, 6), peer="a").code == CONTENT  # an end needs no place


def test_packages_of_one_peer_are_bounded():
    shelf = Shelf(transfers=TransferLimits(in_all=8, per_peer=1))
    one, two = shelf.publish().token, shelf.publish().token
    assert first_block(shelf, one, "a").code == CONTENT
    assert first_block(shelf, two, "a").code == UNAVAILABLE
    assert first_block(shelf, two, "b").code == CONTENT


def test_a_device_that_is_refused_comes_back_when_it_was_told():
    """Two devices and one place: the second one fetches when the first has its package."""

    async def main():
        network = LossyNetwork(seed=1, latency_s=0.05)
        limits = PackageServerLimits(transfers=TransferLimits(in_all=1))
        server = Lwm2mServer(network.transport("192.0.2.1", 5683), ServerSettings(packages=limits))
        first, second = (Pump(network.transport(host)) for host in ("192.0.2.2", "192.0.2.3"))
        async with server:
            uri = server.packages.publish(MemoryPackageSource(DATA * 20), "coap", lambda _: None).uri
            await first.open()
            await second.open()
            got = RecordingSink()
            running = asyncio.ensure_future(CoapFetcher(first).fetch(uri, got, offset=0, etag=None))
            await asyncio.sleep(1.0)
            with pytest.raises(ResponseError) as caught:
                await CoapFetcher(second).fetch(uri, RecordingSink(), offset=0, etag=None)
            assert caught.value.response_code == UNAVAILABLE
            assert 0 < caught.value.retry_after_s <= 93
            await running
            again = RecordingSink()
            await CoapFetcher(second).fetch(uri, again, offset=0, etag=None)
            assert bytes(got.data) == bytes(again.data) == DATA * 20
            await first.close()
            await second.close()

    run(main())


def test_blocks_read_ahead_need_a_place_too():
    """A body that is handed out by the endpoint itself asks for each batch."""
    shelf = Shelf(transfers=TransferLimits(in_all=1, idle_s=5.0))
    token = shelf.publish().token
    body = first_block(shelf, token, "a").body
    shelf.clock.now += 5
    assert first_block(shelf, token, "b").code == CONTENT
    assert body.block(1024, 1024).code == UNAVAILABLE
    shelf.clock.now += 5
    assert body.block(1024, 1024) == DATA[1024:2048]
