"""Both ends of each scheme, over loopback: what hosts a package, and what fetches it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import PreSharedKey
from lwm2m_fota.device.fetch import CoapFetcher, PackageFetcher
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.ports import PackageHost
from lwm2m_fota.transport.base import DatagramTransport
from lwm2m_fota.transport.dtls import DtlsTransport
from lwm2m_fota.transport.tcp import TcpTransport
from lwm2m_fota.transport.udp import UdpTransport
from lwm2m_fota.web.fetcher import HttpFetcher
from lwm2m_fota.web.host import HttpPackageHost

_PSK: Final = PreSharedKey("device", Secret(bytes(range(16))))


@contextlib.asynccontextmanager
async def serving(scheme: str) -> AsyncIterator[PackageHost]:
    """A host of packages."""
    if scheme == "http":
        async with HttpPackageHost() as host:
            yield host
        return
    transports: dict[str, DatagramTransport] = {
        "coap": UdpTransport(),
        "coap+tcp": TcpTransport(),
        "coaps": DtlsTransport(UdpTransport(), store=MemoryCredentialStore([PskEntry(_PSK)])),
    }
    async with Lwm2mServer(transports[scheme]) as server:
        yield server.packages


@contextlib.asynccontextmanager
async def fetching(scheme: str, window: int = 1, q_block: QBlock | None = None) -> AsyncIterator[PackageFetcher]:
    """What a device fetches with; over CoAP, `window` blocks at a time, or by sets of them."""
    if scheme == "http":
        yield HttpFetcher()
        return
    transports: dict[str, DatagramTransport] = {
        "coap": UdpTransport(),
        "coap+tcp": TcpTransport(None),
        "coaps": DtlsTransport(UdpTransport(), keyring=Keyring([Held(None, _PSK)])),
    }
    pump = Pump(transports[scheme], parameters=TransmissionParameters(nstart=window))
    await pump.open()
    try:
        yield CoapFetcher(pump, window=window, q_block=q_block)
    finally:
        await pump.close()
