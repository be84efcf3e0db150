"""Every fetcher that is here, held to the suite for those of others."""

import contextlib
from typing import ClassVar

import pytest

from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.packages import PackageServer
from lwm2m_fota.sim import loop
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.fetchers import FetcherConformance
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.udp import UdpTransport
from lwm2m_fota.web.fetcher import HttpFetcher
from lwm2m_fota.web.host import HttpPackageHost

QUICK = TransmissionParameters(ack_timeout_s=0.05, max_retransmit=1)
SEVERAL = TransmissionParameters(nstart=8)


class Hosted:
    """An origin whose packages are those of a host of this library."""

    def __init__(self, host, stop, fetcher):
        self._host = host
        self.stop = stop
        self.fetcher = fetcher

    def _publish(self, data, token=None):
        return self._host.publish(MemoryPackageSource(data), self._host.schemes[0], lambda _: None, token)

    def publish(self, data):
        return self._publish(data).uri

    def replace(self, uri, data):
        self._publish(data, token_of(uri))

    def withdraw(self, uri):
        self._host.withdraw(token_of(uri))


def token_of(uri):
    return uri.rpartition("/")[2]


@contextlib.asynccontextmanager
async def coap_host(transport):
    """A package server on a transport, and what stops it."""
    pump = Pump(transport)
    host = PackageServer(lambda: "coap://{}:{}".format(*transport.local_address), pump.entropy, pump.now)
    pump.on_request = lambda received, _: host.handle(received.message, received.peer)
    await pump.open()
    yield host, pump.close
    await pump.close()


class TestBlock2(FetcherConformance):
    parameters = None
    options: ClassVar = {}

    @contextlib.asynccontextmanager
    async def origin(self):
        network = MemoryNetwork()
        async with coap_host(network.transport("10.0.0.1", 5683)) as (host, stop):
            device = Pump(network.transport("10.0.0.2"), parameters=self.parameters)
            await device.open()
            yield Hosted(host, stop, CoapFetcher(device, **self.options))
            await device.close()

    def run(self, main):
        loop.run(main)


class TestSmallBlocks(TestBlock2):
    options: ClassVar = {"szx": 2}


class TestWindow(TestBlock2):
    parameters = SEVERAL
    options: ClassVar = {"window": 8}


class TestSets(TestBlock2):
    options: ClassVar = {"q_block": QBlock()}


class TestUdp(FetcherConformance):
    @contextlib.asynccontextmanager
    async def origin(self):
        async with coap_host(UdpTransport("127.0.0.1")) as (host, stop):
            device = Pump(UdpTransport("127.0.0.1"), parameters=QUICK)
            await device.open()
            yield Hosted(host, stop, CoapFetcher(device))
            await device.close()


class TestHttp(FetcherConformance):
    @contextlib.asynccontextmanager
    async def origin(self):
        async with HttpPackageHost() as host:
            yield Hosted(host, host.stop, HttpFetcher())


class TestAiocoap(FetcherConformance):
    szx = None

    @contextlib.asynccontextmanager
    async def origin(self):
        aiocoap = pytest.importorskip("aiocoap", reason="aiocoap is not installed (pip install aiocoap)")
        from lwm2m_fota.adapters.aiocoap import AiocoapFetcher

        async with coap_host(UdpTransport("127.0.0.1")) as (host, stop):
            context = await aiocoap.Context.create_client_context()
            try:
                yield Hosted(host, stop, AiocoapFetcher(context, szx=self.szx))
            finally:
                await context.shutdown()


class TestAiocoapWithSmallBlocks(TestAiocoap):
    szx = 3
