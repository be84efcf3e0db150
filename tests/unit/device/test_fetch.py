"""Packages over CoAP: Block2 from an origin, over a network in memory."""

import pytest

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import sort_options
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import PreSharedKey
from lwm2m_fota.device.fetch import CoapFetcher, protocols_of
from lwm2m_fota.errors import (
    BlockwiseError,
    InvalidUriError,
    PeerTimeoutError,
    ResponseError,
    StorageFullError,
    TransportError,
    UnsupportedProtocolError,
)
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.packages import PackageServer
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.dtls import DtlsTransport
from lwm2m_fota.transport.memory import MemoryNetwork

DATA = bytes(range(256)) * 10 + b"end"
OTHER = bytes(reversed(range(256))) * 12


class Sink:
    def __init__(self, fails_at=None):
        self.data = bytearray()
        self.etags, self.sizes, self.restarts, self.lasts = set(), set(), [], 0
        self.fails_at = fails_at

    def block(self, offset, payload, *, etag, size_bytes, last):
        if offset == self.fails_at:
            raise StorageFullError("full")
        assert offset == len(self.data)
        self.data += payload
        self.etags.add(etag)
        self.sizes.add(size_bytes)
        self.lasts += last

    def restarted(self, reason):
        self.restarts.append(reason)
        self.data.clear()


class Origin:
    """A package server at 10.0.0.1."""

    def __init__(self, network):
        self.pump = Pump(network.transport("10.0.0.1", 5683))
        self.blocks = []
        self.packages = PackageServer(
            lambda: "coap://10.0.0.1", self.pump.entropy, self.pump.now, on_block=self.blocks.append
        )
        self.pump.on_request = lambda received, _: self.packages.handle(received.message, received.peer)

    def publish(self, data):
        return self.packages.publish(MemoryPackageSource(data), "coap", lambda _: None)


def on_network(main):
    def test():
        async def whole():
            network = MemoryNetwork()
            origin = Origin(network)
            device = Pump(network.transport("10.0.0.2"))
            await origin.pump.open()
            await device.open()
            await main(origin, device)
            await device.close()
            await origin.pump.close()

        run(whole())

    test.__name__ = main.__name__
    return test


@on_network
async def test_a_package_comes_block_by_block(origin, device):
    fetcher, sink = CoapFetcher(device), Sink()
    uri = origin.publish(DATA).uri
    assert fetcher.schemes == {"coap"}
    await fetcher.resolve(uri)
    await fetcher.fetch(uri, sink, offset=0, etag=None)
    assert bytes(sink.data) == DATA
    assert (len(sink.etags), sink.sizes, sink.lasts, sink.restarts) == (1, {len(DATA)}, 1, [])
    assert [each.length for each in origin.blocks] == [1024, 1024, 515]


@on_network
async def test_smaller_blocks_can_be_asked_for(origin, device):
    sink = Sink()
    await CoapFetcher(device, szx=4).fetch(origin.publish(DATA).uri, sink, offset=0, etag=None)
    assert bytes(sink.data) == DATA
    assert all(each.length % 256 == 0 for each in origin.blocks[:-1])
    assert (origin.blocks[0].length, origin.blocks[-1].length) == (256, 3)


@on_network
async def test_blocks_come_by_sets_where_the_origin_knows_that(origin, device):
    fetcher, sink = CoapFetcher(device, szx=2, q_block=QBlock()), Sink()
    await fetcher.fetch(origin.publish(DATA).uri, sink, offset=0, etag=None)
    assert bytes(sink.data) == DATA
    assert [each.length for each in origin.blocks] == [64, 576, 1152, 771]  # block 0, the rest of a set, then sets


@on_network
async def test_a_fetch_by_sets_goes_on_where_another_ended(origin, device):
    uri, fetcher = origin.publish(DATA).uri, CoapFetcher(device, szx=2, q_block=QBlock())
    first = Sink(fails_at=64)
    with pytest.raises(StorageFullError):
        await fetcher.fetch(uri, first, offset=0, etag=None)
    (etag,) = first.etags
    rest = Sink()
    rest.data += DATA[:64]
    await fetcher.fetch(uri, rest, offset=64, etag=etag)
    assert bytes(rest.data) == DATA


@on_network
async def test_a_fetch_goes_on_where_another_ended(origin, device):
    uri = origin.publish(DATA).uri
    first = Sink(fails_at=1024)
    with pytest.raises(StorageFullError):
        await CoapFetcher(device).fetch(uri, first, offset=0, etag=None)
    (etag,) = first.etags
    rest = Sink()
    rest.data += DATA[:1024]
    origin.blocks.clear()
    await CoapFetcher(device).fetch(uri, rest, offset=1024, etag=etag)
    assert bytes(rest.data) == DATA
    assert origin.blocks[0].offset == 1024


@on_network
async def test_another_version_begins_at_its_first_byte(origin, device):
    sink = Sink()
    sink.data += DATA[:1024]
    await CoapFetcher(device).fetch(origin.publish(OTHER).uri, sink, offset=1024, etag=b"\x01")
    assert bytes(sink.data) == OTHER
    assert len(sink.restarts) == 1


@on_network
async def test_what_the_origin_refuses_is_told(origin, device):
    origin.pump.on_request = lambda *_: Response(0x84, sort_options(()), b"gone\nfor good")
    with pytest.raises(ResponseError, match="gone") as caught:
        await CoapFetcher(device).fetch("coap://10.0.0.1/fw/0", Sink(), offset=0, etag=None)
    assert caught.value.response_code == 0x84


@on_network
async def test_a_refusal_does_not_say_what_may_be_a_secret(origin, device):
    with pytest.raises(ResponseError) as caught:
        await CoapFetcher(device).fetch("coap://10.0.0.1/fw/secret?key=secret", Sink(), offset=0, etag=None)
    assert str(caught.value).startswith("GET coap://10.0.0.1: 4.04")
    assert "secret" not in str(caught.value)


@on_network
async def test_a_package_over_the_limit_is_refused(origin, device):
    with pytest.raises(BlockwiseError):
        await CoapFetcher(device, max_body_bytes=2000).fetch(origin.publish(DATA).uri, Sink(), offset=0, etag=None)


@on_network
async def test_hosts_that_are_not_there(origin, device):
    for uri in ("coap://nobody.invalid/x", "no uri"):
        with pytest.raises(InvalidUriError):
            await CoapFetcher(device).resolve(uri)
        with pytest.raises(InvalidUriError):
            await CoapFetcher(device).fetch(uri, Sink(), offset=0, etag=None)
    uri = origin.publish(DATA).uri
    await origin.pump.close()
    with pytest.raises(PeerTimeoutError):
        await CoapFetcher(device).fetch(uri, Sink(), offset=0, etag=None)


@on_network
async def test_an_endpoint_fetches_its_own_scheme_alone(origin, device):
    with pytest.raises(UnsupportedProtocolError):
        await CoapFetcher(device).resolve("coaps://10.0.0.1/fw")
    with pytest.raises(UnsupportedProtocolError):
        await CoapFetcher(device).fetch("coaps://10.0.0.1/fw", Sink(), offset=0, etag=None)


def test_a_scheme_without_a_credential_is_not_offered():
    network, psk = MemoryNetwork(), PreSharedKey("device", Secret(b"key"))
    without = CoapFetcher(Pump(DtlsTransport(network.transport())))
    with_key = CoapFetcher(Pump(DtlsTransport(network.transport(), keyring=Keyring([Held(None, psk)]))))
    plain = CoapFetcher(Pump(network.transport()))
    assert [fetcher.schemes for fetcher in (without, with_key, plain)] == [set(), {"coaps"}, {"coap"}]
    assert protocols_of([without, plain]) == (0,)
    assert protocols_of([with_key, plain]) == (0, 1)
    assert protocols_of([]) == ()


@pytest.mark.parametrize("lost", ["while it answers", "for good"])
def test_a_session_that_goes_silent_is_given_up_so_that_the_next_attempt_opens_another(lost):
    async def main():
        network, psk = LossyNetwork(1), PreSharedKey("device", Secret(b"key"))
        store = MemoryCredentialStore([PskEntry(psk)])
        device = Pump(DtlsTransport(network.transport("10.0.0.2"), keyring=Keyring([Held(None, psk)])))
        await device.open()
        async with Lwm2mServer(DtlsTransport(network.transport("10.0.0.1", 5684), store=store)) as server:
            uri = server.packages.publish(MemoryPackageSource(DATA), "coaps", lambda _: None).uri
            fetcher, sink = CoapFetcher(device), Sink()
            await fetcher.resolve(uri)
            peer = await device.resolve("10.0.0.1", 5684)
            network.cut(("10.0.0.1", 5684))
            with pytest.raises(PeerTimeoutError):
                await fetcher.fetch(uri, sink, offset=0, etag=None)
            if lost == "for good":
                with pytest.raises(TransportError, match="no answer"):
                    await fetcher.resolve(uri)
            network.heal(("10.0.0.1", 5684))
            await fetcher.fetch(uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA
            assert await device.resolve("10.0.0.1", 5684) is not peer
        await device.close()

    run(main())
