"""Queue mode over random histories: nothing meets a sleeping device, and what is asked is carried out in order."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.message import path_options, sort_options
from lwm2m_fota.errors import TransportError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.turns import QueueSettings
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.sleepy import SleepyTransport

SERVER = ("192.0.2.1", 5683)
AWAKE_S, MARGIN_S, LATENCY_S = 20.0, 2.0, 0.25
REBOOT = Path.of(3, 0, 4)
REGISTER = sort_options(
    (*path_options(("rd",)), *((15, query) for query in (b"ep=dev", b"lwm2m=1.1", b"b=U", b"Q", b"lt=86400")))
)

steps = st.lists(
    st.tuples(st.floats(0.0, 30.0), st.sampled_from(["ask", "ask", "wake", "give up", "leave", "register"])),
    max_size=25,
)


class Site:
    """A server, and a device that sleeps and answers one request after the other."""

    def __init__(self):
        network = LossyNetwork(1, latency_s=LATENCY_S)
        transport = network.transport(*SERVER)
        settings = ServerSettings(queue=QueueSettings(awake_s=AWAKE_S, margin_s=MARGIN_S))
        self.server = Lwm2mServer(transport, settings, pump=Pump(transport, entropy=SeededEntropy(1)))
        self.sleepy = SleepyTransport(network.transport("192.0.2.2"), AWAKE_S)
        self.device = Pump(self.sleepy, entropy=SeededEntropy(2))
        self.device.on_request = self._on_request
        self.heard = []
        self.location = ()
        self.asked = {}

    def _on_request(self, received, now):
        self.heard.append(bytes(received.message.payload))
        return Response(0x44)

    async def register(self):
        answer = await self.device.call(SERVER, Request(2, REGISTER, b"</3/0>"))
        self.location = tuple(value.decode() for number, value in answer.options if number == 8)

    async def wake(self):
        await self.device.call(SERVER, Request(2, path_options(self.location)))

    async def leave(self):
        await self.device.call(SERVER, Request(4, path_options(self.location)))

    def ask(self):
        number = str(len(self.asked)).encode()
        self.asked[number] = asyncio.ensure_future(self.server.execute("dev", REBOOT, number))

    def give_up(self):
        waiting = [each for each in self.asked.values() if not each.done()]
        if waiting:
            waiting[0].cancel()

    async def step(self, what):
        match what:
            case "ask":
                self.ask()
            case "give up":
                self.give_up()
            case "wake":
                await self.wake()
            case "leave":
                await self.leave()
            case "register":
                await self.register()


@given(steps)
def test_nothing_meets_a_sleeping_device_and_everything_goes_in_order(history):
    async def main():
        site = Site()
        async with site.server:
            await site.device.open()
            await site.register()
            for pause_s, what in history:
                await asyncio.sleep(pause_s)
                await site.step(what)
            await asyncio.sleep(100.0)
            await site.register()
            outcomes = await asyncio.gather(*site.asked.values(), return_exceptions=True)
            await site.device.close()
        assert site.sleepy.missed == 0
        done = [number for number, outcome in zip(site.asked, outcomes, strict=True) if outcome is None]
        assert [number for number in site.heard if number in done] == done
        assert all(each is None or isinstance(each, asyncio.CancelledError | TransportError) for each in outcomes)

    run(main())
