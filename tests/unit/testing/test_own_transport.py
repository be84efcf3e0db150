"""The transport of the guide: short, held to the suite, and fetched over."""

import contextlib
import importlib.util
from pathlib import Path

from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.transports import TransportConformance

GUIDE = Path(__file__).parents[3] / "docs" / "examples" / "own_transport.py"
MAX_LINES = 60
PACKAGE = bytes(range(256)) * 100

spec = importlib.util.spec_from_file_location("own_transport", GUIDE)
own_transport = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own_transport)
LoopTransport = own_transport.LoopTransport


class TestOwnTransport(TransportConformance):
    def pair(self):
        return LoopTransport(), LoopTransport()

    def twin(self, transport):
        return LoopTransport(*transport.local_address)

    def test_a_package_is_fetched_over_it(self):
        async def main():
            received = bytearray()

            class Sink:
                def block(self, offset, payload, **_):
                    assert offset == len(received)
                    received.extend(payload)

            device = Pump(LoopTransport())
            await device.open()
            async with Lwm2mServer(LoopTransport()) as server, contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(device.close)
                uri = server.packages.publish(MemoryPackageSource(PACKAGE), "coap", lambda _: None).uri
                await CoapFetcher(device).fetch(uri, Sink(), offset=0, etag=None)
            assert bytes(received) == PACKAGE

        self.run(main())


def test_it_is_short():
    assert len(GUIDE.read_text(encoding="utf-8").splitlines()) < MAX_LINES
