"""A client of two servers: accounts of their own, rights, whose update it is, and what is sent without a request."""

import asyncio

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import PreSharedKey
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient, OtherServer, ServerAccount
from lwm2m_fota.errors import ResponseError, StorageError, TransportError, UnsupportedProtocolError, UsageError
from lwm2m_fota.lwm2m.operations import WriteMode
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, Operations
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.storage.memory import MemoryPackageSource, MemoryStateStore
from lwm2m_fota.transport.dtls import DtlsTransport
from lwm2m_fota.transport.memory import MemoryNetwork

HOSTS = {101: "192.0.2.1", 102: "192.0.2.3"}
DEVICE_HOST = "192.0.2.2"
STATE, RESULT, VERSION = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3)
PACKAGE, URI, UPDATE = Path.of(5, 0, 0), Path.of(5, 0, 1), Path.of(5, 0, 2)
CHANGED, UNAUTHORIZED, BUSY = 0x44, 0x81, 0xA3
FIRST, SECOND = 101, 102


class Site:
    """Two servers, 101 and 102, and a client with an account at each.

    Args:
        accounts: what is special of an account, by server.
        owner: where the client keeps whose update it is.
        objects: more objects of the client.
        settings: of the client.
    """

    def __init__(self, kit, accounts=None, *, owner=None, objects=(), **settings):
        self.kit = kit
        self.network = LossyNetwork(1, latency_s=0.01)
        self.board = kit.Board()
        self.owner = owner
        self.objects = objects
        self.servers = {}
        for number, host in HOSTS.items():
            transport = self.network.transport(host, 5683)
            self.servers[number] = Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(number)))
        special = accounts or {}
        self.accounts = [
            ServerAccount(uri=f"coap://{host}", server_id=number, **special.get(number, {}))
            for number, host in HOSTS.items()
        ]
        self.settings = ClientSettings(registration=RegistrationSettings(endpoint="dev", lifetime_s=100), **settings)
        self.troubles = []
        self.client = None

    async def __aenter__(self):
        for server in self.servers.values():
            await server.start()
        await self.on()
        return self

    async def __aexit__(self, *_):
        await self.client.stop()
        for server in self.servers.values():
            await server.stop()

    async def on(self):
        """The client comes up, and registers at both."""
        pump = Pump(self.network.transport(DEVICE_HOST, 5683), entropy=SeededEntropy(3))
        firmware = self.board.make()
        self.client = Lwm2mClient(
            pump,
            self.accounts,
            firmware,
            self.settings,
            reboot=list,
            objects=self.objects,
            owner=self.owner,
            on_trouble=self.troubles.append,
        )
        await self.client.start()
        for number in self.servers:
            await self.client.registered(number)

    async def again(self):
        await self.client.stop()
        await self.on()

    async def read(self, number, path):
        (entry,) = await self.servers[number].read("dev", path)
        return entry[1]

    async def code(self, action):
        """The code of an operation of a server."""
        try:
            await action
        except ResponseError as error:
            return error.response_code
        return CHANGED

    async def write(self, number, path, value):
        return await self.code(self.servers[number].write("dev", path, value))

    async def push(self, number, package=b"\x00"):
        return await self.code(
            self.servers[number].push("dev", PACKAGE, MemoryPackageSource(package), lambda done: None)
        )

    async def execute(self, number, path=UPDATE):
        return await self.code(self.servers[number].execute("dev", path))


def at_a_site(kit, main, accounts=None, **options):
    async def whole():
        async with Site(kit, accounts, **options) as site:
            await main(site)

    run(whole())


def instance_of(number):
    return {FIRST: 0, SECOND: 1}[number]


# -- accounts


def test_each_server_has_an_account_of_its_own(kit):
    async def main(site):
        for number in HOSTS:
            own = instance_of(number)
            assert await site.read(number, Path.of(1, own, 0)) == number
            assert await site.write(number, Path.of(1, own, 1), 60 + own) == CHANGED
            entries = dict(await site.servers[number].read("dev", Path.of(1)))
            assert {path.instance_id for path in entries} == {own}  # the account of the other is not its business
            assert await site.write(number, Path.of(1, 1 - own, 1), 7) == UNAUTHORIZED
        await asyncio.sleep(1.0)
        assert [server.registration("dev").lifetime_s for server in site.servers.values()] == [60, 61]
        assert site.servers[FIRST].registration("dev").object_versions[1] == "1.1"

    at_a_site(kit, main)


def test_registrations_go_their_own_ways(kit):
    async def main(site):
        assert site.client.is_registered
        site.network.cut((HOSTS[FIRST], 5683))
        await asyncio.sleep(200.0)
        assert not site.client.is_registered_at(FIRST)
        assert site.client.is_registered_at(SECOND)
        assert site.client.is_registered
        assert await site.read(SECOND, STATE) == 0
        site.network.heal((HOSTS[FIRST], 5683))
        await site.client.registered(FIRST)
        await site.client.stop(deregister=True)
        assert [server.registration("dev") for server in site.servers.values()] == [None, None]
        assert not site.client.is_registered

    at_a_site(kit, main)


def test_accounts_may_register_in_ways_of_their_own(kit):
    special = {SECOND: {"registration": RegistrationSettings(endpoint="other", lifetime_s=77, lwm2m_version="1.2")}}

    async def main(site):
        assert site.servers[SECOND].registration("other").lifetime_s == 77
        assert site.servers[FIRST].registration("dev").lwm2m_version == "1.1"

    at_a_site(kit, main, special)


def test_a_server_over_an_endpoint_of_its_own(kit):
    async def main():
        site = Site(kit)
        pump = Pump(site.network.transport(DEVICE_HOST, 6000), entropy=SeededEntropy(9))
        site.accounts[1] = ServerAccount(uri=f"coap://{HOSTS[SECOND]}", server_id=SECOND, pump=pump)
        async with site:
            ports = [server.registration("dev").peer.peer[1] for server in site.servers.values()]
            assert ports == [5683, 6000]
            heard = []
            await site.servers[SECOND].observe("dev", STATE, heard.append)
            assert await site.push(FIRST, site.kit.signed()) == CHANGED
            await asyncio.sleep(1.0)
            assert heard[-1] == [(STATE, 2)]

    run(main())


def test_a_server_that_moves_to_another_address_keeps_no_session_at_the_former(kit):
    psk = PreSharedKey("dev", Secret(b"key"))

    async def main():
        network = MemoryNetwork()
        store = MemoryCredentialStore([PskEntry(psk)])
        former, latter = (DtlsTransport(network.transport(host, 5684), store=store) for host in HOSTS.values())
        network.names["server"] = HOSTS[FIRST]
        pump = Pump(DtlsTransport(network.transport(DEVICE_HOST, 5684), keyring=Keyring([Held(None, psk)])))
        accounts = [ServerAccount(uri="coaps://server")]
        settings = ClientSettings(registration=RegistrationSettings(endpoint="dev", lifetime_s=100))
        client = Lwm2mClient(pump, accounts, kit.Board().make(), settings, reboot=list)
        async with Lwm2mServer(former) as before, Lwm2mServer(latter) as after:
            await client.start()
            await client.registered()
            session = before.registration("dev").peer.peer
            assert former._endpoint.is_standing(session)
            network.names["server"] = HOSTS[SECOND]
            client.update_registration()
            await asyncio.sleep(10.0)
            assert after.registration("dev") is not None
            assert not former._endpoint.is_standing(session)
            await client.stop()

    run(main())


def test_accounts_that_make_no_sense(kit):
    board = kit.Board()
    pump = Pump(LossyNetwork(1).transport(DEVICE_HOST, 5683))
    settings = ClientSettings(registration=RegistrationSettings(endpoint="dev"))
    twice = [ServerAccount(uri="coap://192.0.2.1"), ServerAccount(uri="coap://192.0.2.3")]
    for accounts, error in (
        ([], UsageError),
        (twice, UsageError),
        ([ServerAccount(uri="coaps://192.0.2.1")], UnsupportedProtocolError),
    ):
        with pytest.raises(error):
            Lwm2mClient(pump, accounts, board.make(), settings, reboot=list)
    client = Lwm2mClient(pump, "coap://192.0.2.1", board.make(), settings, reboot=list)
    with pytest.raises(UsageError, match="7"):
        client.is_registered_at(7)


def test_the_default_periods_of_an_account_count_for_its_server_alone(kit):
    async def main(site):
        heard = {number: [] for number in HOSTS}
        begin = site.kit.now()
        for number, server in site.servers.items():
            await server.observe(
                "dev", STATE, lambda entries, number=number: heard[number].append(site.kit.now() - begin)
            )
        assert await site.push(SECOND, site.kit.signed()) == CHANGED
        await asyncio.sleep(30.0)
        assert heard[FIRST][0] >= 20.0
        assert heard[SECOND][0] < 2.0
        assert await site.write(FIRST, Path.of(1, 0, 2), 0) == CHANGED
        assert await site.write(FIRST, Path.of(1, 0, 3), 5) == CHANGED
        await asyncio.sleep(30.0)
        assert len(heard[FIRST]) >= 5  # pmax

    at_a_site(kit, main, {FIRST: {"min_period_s": 20}})


def test_a_new_registration_at_one_server_leaves_the_observations_of_the_other(kit):
    async def main(site):
        for server in site.servers.values():
            await server.observe("dev", STATE, list)
        assert len(site.client._dispatcher.observers) == 2
        site.client._at(FIRST).moved()
        await asyncio.sleep(1.0)
        assert [each.peer.peer[0] for each, _ in site.client._dispatcher.observers._observers.values()] == [
            HOSTS[SECOND]
        ]

    at_a_site(kit, main)


# -- a change of address or of objects


class Growing:
    """An object whose instances come and go; nothing can be done with them."""

    definition = ObjectDefinition(
        id=33000,
        name="Growing",
        version="1.0",
        urn="",
        lwm2m_version="1.0",
        multiple=True,
        mandatory=False,
        resources=(),
    )

    def __init__(self):
        self.ids = [0]

    def instances(self):
        return self.ids

    def resources(self, instance_id):
        return ()

    def streams(self, path):
        return False

    def listen(self, listener):
        pass


def test_a_change_of_address_makes_a_new_registration_and_one_of_objects_an_update(kit):
    growing = Growing()

    async def main(site):
        before = [server.registration("dev") for server in site.servers.values()]
        assert all(Path.of(33000, 1) not in each.instances for each in before)
        growing.ids.append(1)
        site.client.objects_changed()
        await asyncio.sleep(1.0)
        after = [server.registration("dev") for server in site.servers.values()]
        assert [each.id for each in after] == [each.id for each in before]
        assert all(Path.of(33000, 1) in each.instances for each in after)
        site.client.address_changed()
        await asyncio.sleep(1.0)
        anew = [server.registration("dev") for server in site.servers.values()]
        assert all(new.id != old.id for new, old in zip(anew, after, strict=True))

    at_a_site(kit, main, objects=(growing,))


def test_a_change_of_binding_is_an_update(kit):
    special = {SECOND: {"registration": RegistrationSettings(endpoint="dev", binding="UT")}}

    async def main(site):
        site.client.binding_changed(queue_mode=True)
        await asyncio.sleep(1.0)
        told = [server.registration("dev") for server in site.servers.values()]
        assert [(each.binding, each.queue_mode) for each in told] == [("U", True), ("UT", True)]
        site.client.binding_changed(queue_mode=False)
        await asyncio.sleep(1.0)
        assert await site.write(SECOND, Path.of(1, 1, 7), "T") == CHANGED
        await asyncio.sleep(1.0)
        after = [server.registration("dev") for server in site.servers.values()]
        assert [each.id for each in after] == [each.id for each in told]
        assert [(each.binding, each.queue_mode) for each in after] == [("U", False), ("T", False)]
        with pytest.raises(UsageError, match="only U is spoken here"):
            site.client.binding_changed("T")

    at_a_site(kit, main, special)


# -- rights


def test_rights_of_an_account(kit):
    async def main(site):
        assert await site.read(SECOND, STATE) == 0
        assert await site.write(SECOND, URI, "") == UNAUTHORIZED
        assert await site.execute(SECOND, Path.of(3, 0, 4)) == UNAUTHORIZED
        assert await site.write(SECOND, Path.of(1, 1, 1), 90) == CHANGED  # its own account is its own
        assert await site.execute(SECOND, Path.of(1, 1, 8)) == CHANGED
        assert await site.write(FIRST, URI, "") == CHANGED

    at_a_site(kit, main, {SECOND: {"rights": Operations.READ}})


# -- whose update it is


@pytest.mark.parametrize(("policy", "code"), [({}, BUSY), ({"other_server": OtherServer.REFUSED}, UNAUTHORIZED)])
def test_who_has_begun_an_update_owns_it_until_it_is_over(kit, policy, code):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        assert await site.read(SECOND, STATE) == 2
        for refused in (site.push(SECOND), site.write(SECOND, URI, ""), site.execute(SECOND)):
            assert await refused == code
        assert await site.write(SECOND, Path.of(1, 1, 1), 90) == CHANGED  # everything else is as ever
        assert await site.read(FIRST, STATE) == 2
        assert await site.push(FIRST) == CHANGED  # one NUL byte: back to Idle
        assert await site.push(SECOND, site.kit.signed()) == CHANGED
        assert await site.push(FIRST) == code

    at_a_site(kit, main, **policy)


def test_a_policy_lets_every_server_go_on_with_the_update_of_another(kit):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        assert await site.push(SECOND) == CHANGED
        assert await site.read(FIRST, STATE) == 0

    at_a_site(kit, main, other_server=OtherServer.SERVED)


def test_the_owner_has_time_to_look_at_the_result(kit):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed(key=None)) != CHANGED  # not signed
        assert await site.read(FIRST, RESULT) not in {0, 1}
        await asyncio.sleep(58.0)
        assert await site.push(SECOND, site.kit.signed()) == BUSY
        await asyncio.sleep(4.0)
        assert await site.push(SECOND, site.kit.signed()) == CHANGED

    at_a_site(kit, main)


def test_the_owner_itself_may_begin_again_at_once(kit):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed(key=None)) != CHANGED
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        await asyncio.sleep(100.0)
        assert await site.push(SECOND) == BUSY

    at_a_site(kit, main)


@pytest.mark.parametrize(("kept", "code"), [(True, BUSY), (False, CHANGED)])
def test_the_owner_outlives_a_restart_if_it_is_stored(kit, kept, code):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        await site.again()
        assert await site.read(SECOND, STATE) == 2
        assert await site.push(SECOND) == code
        assert await site.push(FIRST) == CHANGED
        await site.again()
        assert await site.push(SECOND, site.kit.signed()) == CHANGED

    at_a_site(kit, main, owner=MemoryStateStore() if kept else None)


def test_what_is_stored_and_is_no_server_is_nobody(kit):
    async def main(site):
        site.owner.save(b"damaged")
        await site.again()
        assert await site.push(SECOND, site.kit.signed()) == CHANGED

    at_a_site(kit, main, owner=MemoryStateStore())


def test_an_owner_that_is_gone_for_good_can_be_released(kit):
    async def main(site):
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        site.client.release_update()
        assert await site.push(SECOND) == CHANGED

    at_a_site(kit, main, owner=MemoryStateStore())


def test_a_store_that_fails_does_not_refuse_the_update(kit):
    class Broken(MemoryStateStore):
        def save(self, data):
            raise StorageError("worn out")

    async def main(site):
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        assert await site.push(SECOND) == BUSY
        await site.again()
        assert await site.push(SECOND) == CHANGED

    at_a_site(kit, main, owner=Broken())


# -- Send

REPORTS = (STATE, RESULT, VERSION)


def listen(site, number):
    heard = []
    site.servers[number].reported("dev", heard.append)
    return heard


async def allow(site, number, *, muted=False):
    await site.servers[number].write_values(
        "dev", Path.of(1, instance_of(number)), [(Path.of(1, instance_of(number), 23), muted)], WriteMode.UPDATE
    )


def test_a_server_that_allows_it_is_sent_what_changes(kit):
    async def main(site):
        first, second = listen(site, FIRST), listen(site, SECOND)
        await allow(site, FIRST)
        await asyncio.sleep(1.0)
        assert [dict(each) for each in first] == [{STATE: 0, RESULT: 0, VERSION: "1.0.0"}]
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        await asyncio.sleep(1.0)
        states = [dict(each).get(STATE) for each in first[1:]]
        assert (states[0], states[-1]) == (1, 2)
        assert all(VERSION not in dict(each) for each in first[1:])
        assert second == []
        await allow(site, FIRST, muted=True)
        count = len(first)
        assert await site.push(FIRST) == CHANGED
        await asyncio.sleep(1.0)
        assert len(first) == count
        assert site.troubles == []

    at_a_site(kit, main, reports=REPORTS)


def test_after_a_registration_everything_is_sent(kit):
    async def main(site):
        heard = listen(site, SECOND)
        await asyncio.sleep(1.0)
        site.client.update_registration()
        await asyncio.sleep(1.0)
        assert [dict(each) for each in heard] == [{STATE: 0, RESULT: 0, VERSION: "1.0.0"}]
        site.client.address_changed()
        await asyncio.sleep(1.0)
        assert len(heard) == 2

    at_a_site(kit, main, {SECOND: {"may_report": True}}, reports=REPORTS)


def test_what_could_not_be_sent_goes_with_the_next_change_or_registration_message(kit):
    registration = RegistrationSettings(endpoint="dev", lifetime_s=1000)

    async def main(site):
        await asyncio.sleep(1.0)
        heard = listen(site, FIRST)
        for updates in (True, False):
            site.network.cut((HOSTS[FIRST], 5683))
            assert await site.push(SECOND, site.kit.signed()) == CHANGED
            await asyncio.sleep(100.0)
            assert "nothing was sent" in site.troubles.pop()
            assert heard == []
            site.network.heal((HOSTS[FIRST], 5683))
            if updates:
                site.client.update_registration()
            await asyncio.sleep(1.0)
            assert heard == [[(STATE, 2)]] * updates
            assert await site.push(SECOND) == CHANGED
            await asyncio.sleep(1.0)
            assert heard.pop() == [(STATE, 0)]
            heard.clear()

    at_a_site(kit, main, {FIRST: {"may_report": True, "registration": registration}}, reports=REPORTS)


def test_values_are_sent_on_demand(kit):
    async def main(site):
        heard = listen(site, FIRST)
        await site.client.send(FIRST, [VERSION])
        assert heard == [[(VERSION, "1.0.0")]]
        with pytest.raises(UsageError, match="102"):
            await site.client.send(SECOND, [VERSION])
        with pytest.raises(UsageError, match="7"):
            await site.client.send(7, [VERSION])
        await site.servers[FIRST].stop()
        await asyncio.sleep(200.0)
        with pytest.raises(TransportError, match="registered"):
            await site.client.send(FIRST, [VERSION])
        await site.servers[FIRST].start()

    at_a_site(kit, main, {FIRST: {"may_report": True}})


def test_a_server_that_knows_no_send_says_so(kit, monkeypatch):
    async def main(site):
        monkeypatch.setattr("lwm2m_fota.server.reports.PATH", "elsewhere")
        with pytest.raises(ResponseError) as caught:
            await site.client.send(FIRST, [VERSION])
        assert caught.value.response_code == 0x84

    at_a_site(kit, main, {FIRST: {"may_report": True}})


def test_a_server_of_lwm2m_1_0_is_sent_nothing(kit):
    special = {FIRST: {"may_report": True, "registration": RegistrationSettings(endpoint="dev", lwm2m_version="1.0")}}
    special[SECOND] = {"registration": special[FIRST]["registration"]}

    async def main(site):
        heard = listen(site, FIRST)
        with pytest.raises(UsageError):
            await site.client.send(FIRST, [VERSION])
        assert await site.push(FIRST, site.kit.signed()) == CHANGED
        await asyncio.sleep(1.0)
        assert (heard, site.troubles) == ([], [])

    at_a_site(kit, main, special, reports=REPORTS)
