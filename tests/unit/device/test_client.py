"""A client at its server, over a network in memory: registration, requests, notifications, start and stop."""

import asyncio

import attrs
import pytest

from lwm2m_fota import cbor
from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.message import path_options, sort_options
from lwm2m_fota.content.codec import encode_paths
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient, OpenTo
from lwm2m_fota.errors import SnapshotError, StorageError, TransportError, UnsupportedProtocolError
from lwm2m_fota.lwm2m.dispatch import DispatchSettings
from lwm2m_fota.lwm2m.operations import Read
from lwm2m_fota.lwm2m.registration import Registrar, RegistrationSettings
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork

SERVER, DEVICE = "10.0.0.1", "10.0.0.2"
GET, POST, PUT, DELETE, FETCH = 1, 2, 3, 4, 5


class Site:
    """A scripted server, and a client on a board.

    Attributes:
        requests: what the client sent: code, path, queries.
        answers: codes to answer instead of the usual, by code of the request.
    """

    def __init__(self, kit, *, board=None, network=None, **settings):
        self.kit = kit
        self.network = network or LossyNetwork(1)
        self.board = board or kit.Board()
        self.server = Pump(self.network.transport(SERVER, 5683))
        self.server.on_request = self._on_request
        self.requests = []
        self.answers = {}
        self.troubles = []
        self.reboots = []
        registration = RegistrationSettings(endpoint="dev", lifetime_s=100)
        self.settings = ClientSettings(**{"registration": registration, **settings})
        self.client = None

    def _on_request(self, received, now):
        message = received.message
        self.requests.append((message.code, "/".join(message.path()), message.queries()))
        code = self.answers.get(message.code)
        if code is not None:
            return Response(code)
        if message.code == POST and message.path() == ("rd",):
            return Response(0x41, sort_options(((8, b"rd"), (8, b"7"))))
        return Response(0x42 if message.code == DELETE else 0x44)

    def make(self):
        self.client_pump = Pump(self.network.transport(DEVICE, 5683))
        self.client = Lwm2mClient(
            self.client_pump,
            f"coap://{SERVER}",
            self.board.make(),
            self.settings,
            reboot=lambda: self.reboots.append(1),
            on_trouble=self.troubles.append,
        )
        return self.client

    async def open(self):
        await self.server.open()
        client = self.make()
        await client.start()
        return client

    async def close(self):
        await self.client.stop()
        await self.server.close()

    async def ask(self, code, path, payload=b"", *, pump=None, **named):
        request = Request(code, path_options(path.strip("/").split("/")), payload, **named)
        return await (pump or self.server).call((DEVICE, 5683), request)

    def sent(self):
        return [(code, path) for code, path, _ in self.requests]


def with_site(main):
    def test(kit, quiet):
        async def whole():
            seen = quiet()
            site = Site(kit)
            await main(site)
            if site.client is not None:
                await site.close()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            loop = asyncio.get_running_loop()
            assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
            assert seen == []

        run(whole())

    test.__name__ = main.__name__
    return test


@with_site
async def test_it_registers_shows_its_objects_and_stays_registered(site):
    client = await site.open()
    assert not client.is_registered
    await client.registered()
    assert client.is_registered
    code, path, queries = site.requests[0]
    assert (code, path) == (POST, "rd")
    assert {"ep=dev", "lt=100", "lwm2m=1.1", "b=U"} <= set(queries)
    await asyncio.sleep(120.0)
    assert site.sent() == [(POST, "rd"), (POST, "rd/7"), (POST, "rd/7")]
    assert site.troubles == []


@with_site
async def test_it_deregisters_when_asked_to(site):
    client = await site.open()
    await client.registered()
    await client.stop(deregister=True)
    assert site.sent() == [(POST, "rd"), (DELETE, "rd/7")]
    assert not client.is_registered


@with_site
async def test_a_server_that_does_not_answer_does_not_hold_up_the_end(site):
    client = await site.open()
    await client.registered()
    site.network.cut((SERVER, 5683))
    begin = site.kit.now()
    await client.stop(deregister=True)
    assert site.kit.now() - begin == pytest.approx(3.0)


@with_site
async def test_it_tries_again_until_a_server_takes_it(site):
    site.answers = {POST: 0xA3}
    client = await site.open()
    await asyncio.sleep(10.0)
    assert not client.is_registered
    assert len(site.requests) == 3  # after 2 s and 4 s
    assert site.troubles == ["the server answered 5.03 SERVICE_UNAVAILABLE"] * 3
    site.answers = {}
    await client.registered()


@with_site
async def test_it_says_why_there_is_no_server(site):
    site.network.cut((SERVER, 5683))
    client = await site.open()
    await asyncio.sleep(100.0)
    assert len(site.troubles) == 1
    assert not client.is_registered
    site.network.heal((SERVER, 5683))
    await client.registered()


@with_site
async def test_a_server_that_forgot_it_meets_a_new_registration(site):
    client = await site.open()
    await client.registered()
    site.answers = {POST: 0x84}
    client.update_registration()
    await asyncio.sleep(0.01)
    assert not client.is_registered
    site.answers = {}
    await client.registered()
    assert site.sent()[:3] == [(POST, "rd"), (POST, "rd/7"), (POST, "rd")]


@with_site
async def test_a_written_lifetime_and_a_trigger_lead_to_updates(site):
    await site.open()
    await site.client.registered()
    assert (await site.ask(GET, "/1/0/1")).payload == b"100"
    assert (await site.ask(PUT, "/1/0/1", b"60")).code == 0x44
    await asyncio.sleep(0.01)
    assert site.requests[-1] == (POST, "rd/7", ("lt=60",))
    assert (await site.ask(GET, "/1/0/1")).payload == b"60"
    count = len(site.requests)
    assert (await site.ask(POST, "/1/0/8")).code == 0x44
    await asyncio.sleep(0.01)
    assert len(site.requests) == count + 1
    assert (await site.ask(POST, "/3/0/4")).code == 0x44
    assert site.reboots == [1]


@with_site
async def test_before_it_is_started_nothing_is_sent_and_stopping_is_harmless(site):
    client = site.make()
    client.update_registration()
    client.address_changed()
    client.objects_changed()
    await site.server.open()
    await client.stop(deregister=True)
    assert site.requests == []


@pytest.mark.parametrize(("open_to", "code"), [(OpenTo.SERVER, 0x81), (OpenTo.ANYONE, 0x45)])
def test_requests_of_strangers(kit, open_to, code):
    async def main():
        site = Site(kit, open_to=open_to)
        await site.open()
        await site.client.registered()
        stranger = Pump(site.network.transport("10.0.0.9"))
        await stranger.open()
        assert (await site.ask(GET, "/5/0/3", pump=stranger)).code == code
        assert (await site.ask(GET, "/5/0/3")).code == 0x45
        assert (await site.ask(GET, "/0/0/0")).code == 0x81
        await stranger.close()
        await site.close()

    run(main())


async def observe(site, path):
    heard = []
    request = Request(GET, path_options(path.strip("/").split("/")), observe=True)
    observation = await site.server.observe((DEVICE, 5683), request, lambda message: heard.append(message.payload))
    return heard, observation


@pytest.mark.parametrize("confirmable", [True, False])
def test_observers_hear_of_every_change_the_result_before_the_state(kit, confirmable):
    async def main():
        site = Site(kit, confirmable_notifications=confirmable)
        await site.open()
        await site.client.registered()
        heard, _ = await observe(site, "/5/0/3")
        await kit.push(site.board.device, kit.signed(), pace_s=0.01)
        kit.execute(site.board.device)
        await asyncio.sleep(0.05)
        assert heard == [b"1", b"2", b"3"]
        await site.close()

    run(main())


@with_site
async def test_an_observer_that_is_gone_is_forgotten(site):
    await site.open()
    await site.client.registered()
    _, observation = await observe(site, "/5/0/3")
    assert len(site.client._dispatcher.observers) == 1
    observation.forget()
    site.kit.write(site.board.device, 11, 2)
    await site.kit.push(site.board.device, site.kit.signed(), until=256)
    await asyncio.sleep(0.05)
    assert len(site.client._dispatcher.observers) == 0


@with_site
async def test_an_observation_ends_where_the_value_can_no_longer_be_read(site):
    await site.open()
    await site.client.registered()
    await observe(site, "/5/0/3")
    handle = site.board.device.handle

    def unreadable(operation, now):
        if isinstance(operation, Read):
            raise StorageError("worn out")
        return handle(operation, now)

    site.board.device.handle = unreadable
    await site.kit.push(site.board.device, site.kit.signed(), until=256)
    await asyncio.sleep(0.05)
    assert len(site.client._dispatcher.observers) == 0


@with_site
async def test_a_new_registration_begins_without_observations(site):
    client = await site.open()
    await client.registered()
    await observe(site, "/5/0/3")
    site.answers = {POST: 0x84}
    client.update_registration()
    await asyncio.sleep(0.01)
    site.answers = {}
    await client.registered()
    assert len(client._dispatcher.observers) == 0


async def attach(site, path, *queries):
    options = (*path_options(path.strip("/").split("/")), *((15, query) for query in queries))
    assert (await site.server.call((DEVICE, 5683), Request(PUT, options))).code == 0x44


@with_site
async def test_notifications_heed_the_attributes_of_the_server(site):
    await site.open()
    await site.client.registered()
    await attach(site, "/5/0", b"pmin=10", b"pmax=60")
    heard, _ = await observe(site, "/5/0/3")
    begin = site.kit.now()
    await site.kit.push(site.board.device, site.kit.signed())
    await asyncio.sleep(9.0)
    assert heard == []
    await asyncio.sleep(1.5)
    assert heard == [b"2"]
    await asyncio.sleep(begin + 69.5 - site.kit.now())
    assert heard == [b"2"]
    await asyncio.sleep(1.0)
    assert heard == [b"2", b"2"]


@with_site
async def test_a_server_that_wants_confirmable_notifications_gets_them(site):
    site.settings = attrs.evolve(site.settings, confirmable_notifications=False)
    await site.open()
    await site.client.registered()
    await attach(site, "/5/0/3", b"con=1")
    heard, _ = await observe(site, "/5/0/3")
    site.network.weather.loss = 1.0
    await site.kit.push(site.board.device, site.kit.signed())
    await asyncio.sleep(1.0)
    site.network.weather.loss = 0.0
    await asyncio.sleep(10.0)
    assert heard == [b"1", b"2"]  # they were sent again


@with_site
async def test_several_paths_are_observed_together(site):
    await site.open()
    await site.client.registered()
    payload = encode_paths([Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3)], 112)
    heard = []
    request = Request(FETCH, ((12, b"\x70"),), payload, observe=True)
    observation = await site.server.observe((DEVICE, 5683), request, lambda message: heard.append(message.payload))
    assert len(cbor.loads(observation.first.payload)) == 3
    await site.kit.push(site.board.device, site.kit.signed())
    await asyncio.sleep(0.05)
    assert cbor.loads(heard[-1])[0] == {0: "/5/0/3", 2: 2}
    assert len(cbor.loads(heard[-1])) == 3
    observation.cancel()
    await asyncio.sleep(0.05)
    assert len(site.client._dispatcher.observers) == 0


# ---- trials


async def on_trial(site):
    """A device that has just started a new image."""
    kit, board = site.kit, site.board
    await board.on()
    await kit.push(board.device, kit.signed())
    kit.execute(board.device)
    await asyncio.sleep(1.0)
    await board.off()


@with_site
async def test_being_registered_is_the_health_check(site):
    await on_trial(site)
    client = await site.open()
    assert site.board.shows == (3, 0)
    await client.registered()
    assert site.board.shows == (0, 1)
    assert site.board.slots.boot_report().status.value == "normal"


@with_site
async def test_a_health_check_that_cannot_be_stored_is_repeated_with_the_next_update(site):
    await on_trial(site)
    site.board.installer_raises = {"confirm": [StorageError("worn out")]}
    client = await site.open()
    await client.registered()
    await asyncio.sleep(1.0)
    assert site.board.shows == (3, 0)
    await asyncio.sleep(50.0)
    assert site.board.shows == (0, 1)
    assert client.is_registered


@with_site
async def test_a_device_that_finds_no_server_goes_back_to_its_former_image(site):
    await on_trial(site)
    site.network.cut((SERVER, 5683))
    reboots = site.board.reboots
    await site.open()
    await asyncio.sleep(605.0)
    assert site.board.reboots == reboots + 1


# ---- start and stop


@with_site
async def test_a_start_that_fails_leaves_the_address_free(site):
    site.board.memory[0].save(b"damaged")
    client = site.make()
    with pytest.raises(SnapshotError):
        await client.start()
    site.board.memory[0].clear()
    await site.open()
    await site.client.registered()


@with_site
async def test_an_address_that_is_taken_is_told(site):
    other = Pump(site.network.transport(DEVICE, 5683))
    await other.open()
    with pytest.raises(TransportError):
        await site.make().start()
    await other.close()
    site.client = None


@with_site
async def test_while_it_stops_nothing_begins(site):
    client = await site.open()
    await client.registered()
    answers = []

    async def slow_stop(stop=site.board.device.stop):
        site.board.device.stop = stop
        answers.append((await site.ask(PUT, "/5/0/1", b"coap://h/x")).code)
        await stop()

    site.board.device.stop = slow_stop
    await client.stop()
    assert answers == [0xA3]
    assert site.board.shows == (0, 0)


@with_site
async def test_it_can_be_used_as_a_context(site):
    await site.server.open()
    async with site.make() as client:
        await client.registered()
    assert site.sent() == [(POST, "rd")]  # it leaves without a word, as for a restart
    with pytest.raises(TransportError):
        await site.ask(GET, "/3/0/0")
    await site.server.close()
    site.client = None


def test_a_fault_in_the_registration_is_shown(kit, quiet, monkeypatch):
    async def main():
        seen = quiet()
        site = Site(kit)
        await site.server.open()
        client = site.make()
        client._on_trouble = None
        site.answers = {POST: 0xA3}
        await client.start()
        await asyncio.sleep(0.5)
        monkeypatch.setattr(Registrar, "poll", lambda *_: 1 / 0)
        await asyncio.sleep(5.0)
        assert [type(error) for error in seen] == [ZeroDivisionError]
        await site.close()

    run(main())


def test_only_plain_coap_servers(kit):
    async def main():
        site = Site(kit, dispatch=DispatchSettings())
        with pytest.raises(UnsupportedProtocolError):
            Lwm2mClient(Pump(site.server._transport), "coaps://h", site.board.make(), site.settings, reboot=list)

    run(main())
