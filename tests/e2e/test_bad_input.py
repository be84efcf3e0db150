"""Bad packages, bad URIs and full flash over real sockets: the right words, nothing installed, and a good update after.

The tables are transcribed from SPEC 2 (Update Result), 3.1 (T2, T7, T9 to T13) and 17 (verdicts). Codes are those of
CoAP: 68 is 2.04 Changed, 128 is 4.00 Bad Request, 141 is 4.13 Request Entity Too Large.
"""

import asyncio
import contextlib

import attrs
import pytest

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.message import Message, decode, encode, path_options
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.firmware import FirmwareDevice, FirmwareSettings
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.errors import InvalidUriError
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.transport.udp import UdpTransport

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
STRANGER = PrivateKey.from_seed(KeyType.ED25519, bytes(32))
CAPACITY_BYTES = 16_384


def signed(body_bytes=8_000, key=KEY):
    body = (bytes(range(251)) * (body_bytes // 251 + 1))[:body_bytes]
    return create_mcuboot(body, version=ImageVersion.parse("1.1.0"), key=key)


GOOD = signed()

# name: the package, the Update Result, the code that answers the push
PACKAGES = {
    "unsigned": (signed(key=None), 5, 128),
    "signed by a stranger": (signed(key=STRANGER), 5, 128),
    "a byte changed": (GOOD[:5000] + bytes([GOOD[5000] ^ 1]) + GOOD[5001:], 5, 128),
    "truncated": (GOOD[:-40], 5, 128),
    "with more behind its end": (GOOD + b"more", 5, 128),
    "oversized": (signed(20_000), 2, 141),
    "garbage": (b"\x7fELF" + bytes(3000), 6, 128),
    "three bytes": (b"abc", 6, 128),
}

# name: the URI, the Update Result or None where the write itself is refused, the code that answers the write
URIS = {
    "unknown scheme": ("ftp://127.0.0.1/fw", 9, 68),
    "secure scheme that is not spoken": ("coaps://127.0.0.1/fw", 9, 68),
    "no URI at all": ("not a uri", 7, 68),
    "no host": ("coap:///fw", 7, 68),
    "no such port": ("coap://127.0.0.1:99999/fw", 7, 68),
    "unresolvable host": ("coap://nobody.invalid/fw", 7, 68),
    "255 bytes, unresolvable": ("coap://nobody.invalid/".ljust(255, "x"), 7, 68),
    "over 255 bytes": ("coap://nobody.invalid/".ljust(256, "x"), None, 128),
    "a path that is not there": ("coap://127.0.0.1:{port}/fw/none", 7, 68),
    "nobody listens": ("coap://127.0.0.1:1/fw", 4, 68),
    "empty, which is a reset": ("", 0, 68),
}

QUICK = DownloadPolicy(
    max_attempts_without_progress=2,
    retry_initial_s=0.02,
    retry_max_s=0.05,
    no_progress_limit_s=0.6,
    checkpoint_bytes=2048,
    checkpoint_gap_s=0.0,
)


class NamedTransport:
    """UDP whose names are known without asking the resolver of the machine."""

    def __init__(self):
        self._udp = UdpTransport()

    def __getattr__(self, name):
        return getattr(self._udp, name)

    async def resolve(self, host, port):
        if host.endswith(".invalid"):
            raise InvalidUriError(f"cannot resolve {host!r}: no such name (RFC 2606)")
        return await self._udp.resolve(host, port)


class LyingStore:
    """A store whose flash is smaller than it says."""

    def __init__(self, real_bytes, told_bytes):
        self._store = MemoryImageStore(real_bytes)
        self.capacity_bytes = told_bytes

    def __getattr__(self, name):
        return getattr(self._store, name)

    def open(self, size_bytes):
        self._store.open(None)


class TersePeer:
    """UDP of a peer that, where it is asked to, leaves Size1 and Size2 out of its messages."""

    def __init__(self):
        self._udp = UdpTransport()
        self.tells_size = True

    def __getattr__(self, name):
        return getattr(self._udp, name)

    def send(self, data, peer):
        if not self.tells_size:
            message = decode(data)
            options = tuple(option for option in message.options if option[0] not in {28, 60})
            data = encode(Message(message.type, message.code, message.mid, message.token, options, message.payload))
        self._udp.send(data, peer)


class Site:
    """A server and a device in one loop, over real sockets; the server observes State and Result."""

    def __init__(self, *, images=None, capacity_bytes=CAPACITY_BYTES):
        self.images = images or MemoryImageStore(capacity_bytes)
        self.record = MemoryStateStore()
        self.slots = (MemoryImageStore(CAPACITY_BYTES), MemoryImageStore(CAPACITY_BYTES))
        self.state = MemoryStateStore()
        self.rebooting = asyncio.Event()
        self.told = {3: [], 5: []}
        self.news = asyncio.Event()

    async def __aenter__(self):
        self.transport = TersePeer()
        self.server = Lwm2mServer(self.transport)
        await self.server.start()
        await self.power_on()
        return self

    async def __aexit__(self, *_):
        await self.client.stop()
        await self.server.stop()

    async def power_on(self):
        installer = SlotInstaller(self.record, self.slots, "1.0.0")
        installer.boot()
        pump = Pump(NamedTransport())
        self.rebooting.clear()
        self.device = FirmwareDevice(
            profile=FirmwareProfile(),
            trust=TrustPolicy(keys=(KEY.public_key,)),
            images=self.images,
            state=self.state,
            installer=installer,
            reboot=self.rebooting.set,
            fetchers=(CoapFetcher(pump),),
            settings=FirmwareSettings(download=QUICK, settle_s=0.01),
        )
        settings = ClientSettings(registration=RegistrationSettings(endpoint="dev"))
        port = self.server.local_address[1]
        self.client = Lwm2mClient(pump, f"coap://127.0.0.1:{port}", self.device, settings, reboot=self.rebooting.set)
        await self.client.start()
        await self.client.registered()
        for resource_id, told in self.told.items():
            path = Path.of(5, 0, resource_id)
            await self.server.observe("dev", path, lambda entries, told=told: self.hear(told, entries))

    async def shown(self):
        """State and Result, as read by the server."""
        return tuple([(await self.server.read("dev", Path.of(5, 0, each)))[0][1] for each in (3, 5)])

    def hear(self, told, entries):
        told.append(entries[0][1])
        self.news.set()

    async def heard(self, state, result, limit_s=5.0):
        """Until observers were told this State and this Result last."""
        async with asyncio.timeout(limit_s):
            while (self.told[3][-1:], self.told[5][-1:]) != ([state], [result]):
                self.news.clear()
                await self.news.wait()

    async def settled(self, limit_s=10.0):
        """The same once no transfer runs."""
        async with asyncio.timeout(limit_s):
            while (shown := await self.shown())[0] == 1:  # noqa: ASYNC110 - as a server that polls
                await asyncio.sleep(0.01)
        return shown

    async def write_uri(self, uri):
        """The code that answers a write of Package URI."""
        request = Request(3, path_options(("5", "0", "1")), uri.encode())
        at = self.server.registration("dev").peer
        return (await at.pump.call(at.peer, request)).code

    async def push(self, data):
        """The code that answers a push, and its Size1."""
        request = Request(3, path_options(("5", "0", "0")), source_bytes=len(data))
        at = self.server.registration("dev").peer
        answer = await at.pump.upload(at.peer, request, MemoryPackageSource(data))
        return answer.code, answer.uint(60)

    def publish(self, data):
        """A URI of our own package server."""
        return self.server.packages.publish(MemoryPackageSource(data), "coap", lambda _: None).uri

    def nothing_installed(self):
        return all(slot.size_bytes == 0 and slot.sealed is None for slot in self.slots) and self.record.load() is None

    async def good_update(self, *, pulls):
        """The same device takes a good package, in the other way of delivery too."""
        if pulls:
            assert await self.write_uri(self.publish(GOOD)) == 0x44
        else:
            assert await self.push(GOOD) == (0x44, None)
        assert await self.settled() == (2, 0)
        await self.server.execute("dev", Path.of(5, 0, 2))
        async with asyncio.timeout(10.0):
            await self.rebooting.wait()
        await self.client.stop()
        await self.power_on()
        assert await self.shown() == (0, 1)
        assert self.slots[1].read_at(0, CAPACITY_BYTES) == GOOD
        assert self.device.version == "1.1.0"


def at_a_site(check, **options):
    async def main():
        async with asyncio.timeout(30.0), Site(**options) as site:
            await check(site)

    asyncio.run(main())


@pytest.mark.parametrize("pulls", [False, True], ids=["push", "pull"])
@pytest.mark.parametrize("case", PACKAGES)
def test_a_bad_package(case, pulls):
    data, result, code = PACKAGES[case]

    async def check(site):
        if pulls:
            assert await site.write_uri(site.publish(data)) == 68
        else:
            assert (await site.push(data))[0] == code
        assert await site.settled() == (0, result)
        assert site.nothing_installed()
        assert site.images.size_bytes == 0
        assert site.device.diagnosis
        await site.heard(0, result)
        await site.good_update(pulls=not pulls)

    at_a_site(check)


@pytest.mark.parametrize("case", URIS)
def test_a_bad_uri(case):
    uri, result, code = URIS[case]

    async def check(site):
        nobody = uri == "coap://127.0.0.1:1/fw"
        assert await site.write_uri(uri.format(port=site.server.local_address[1])) == code
        assert await site.settled() == (0, result or 0)
        assert site.nothing_installed()
        if result:
            assert site.device.diagnosis.startswith("pull.")
            await site.heard(0, result)
        if nobody:
            assert site.device.diagnosis == "pull.no-progress"
        await site.good_update(pulls=True)

    at_a_site(check)


@pytest.mark.parametrize("goes", ["silent", "busy for good", "gone: 4.04"])
def test_a_server_that_goes_away_in_mid_pull(goes):
    """T9: Result 4 once the retries are used up; but a package that is withdrawn leads nowhere, T12."""
    result = 7 if goes == "gone: 4.04" else 4

    async def check(site):
        transport = UdpTransport()
        pump = Pump(transport)
        origin = Lwm2mServer(transport, pump=pump)
        await origin.start()
        served, enough = [], asyncio.Event()
        answer = pump.on_request

        def fading(received, now):
            if len(served) < 4:
                served.append(received)
                if len(served) == 4:
                    enough.set()
                return attrs.evolve(answer(received, now), body=None)  # each block comes by here
            if goes == "silent":
                return None  # the transport below is closed in a moment
            return Response(0xA3 if goes == "busy for good" else 0x84)

        pump.on_request = fading
        uri = origin.packages.publish(MemoryPackageSource(GOOD), "coap", lambda _: None).uri
        assert await site.write_uri(uri) == 68
        if goes == "silent":
            async with asyncio.timeout(5.0):
                await enough.wait()
            await origin.stop()
        assert await site.settled() == (0, result)
        assert len(served) == 4
        assert site.nothing_installed()
        assert site.images.size_bytes == 0
        await site.heard(0, result)
        assert site.told[3] == [1, 0]
        with contextlib.suppress(Exception):
            await origin.stop()
        await site.good_update(pulls=True)

    at_a_site(check)


@pytest.mark.parametrize("how", ["size told", "size not told", "flash smaller than it says"])
@pytest.mark.parametrize("pulls", [False, True], ids=["push", "pull"])
def test_flash_that_is_full(pulls, how):
    """T7: announced in Size1 or Size2, the package is refused before a byte is stored; else where it ends."""
    images = LyingStore(4096, CAPACITY_BYTES) if how == "flash smaller than it says" else MemoryImageStore(4096)

    async def check(site):
        site.transport.tells_size = how != "size not told"
        blocks = []
        staging = site.device._bays._bays[0]._staging
        add = staging.add
        staging.add = lambda offset, data: (blocks.append(offset), add(offset, data))[1]
        if pulls:
            assert await site.write_uri(site.publish(GOOD)) == 68
        else:
            assert await site.push(GOOD) == (141, 4096)
        assert await site.settled() == (0, 2)
        assert blocks == ([] if how == "size told" else [0, 1024, 2048, 4096])  # the third time it is two blocks
        assert site.nothing_installed()
        assert site.images.size_bytes == 0
        await site.heard(0, 2)
        await site.client.stop()
        site.images = MemoryImageStore(CAPACITY_BYTES)  # somebody made room
        await site.power_on()
        assert await site.shown() == (0, 2)
        await site.good_update(pulls=not pulls)

    at_a_site(check, images=images)


def test_a_push_is_refused_with_its_first_block_where_that_tells_enough():
    """4.13 with Size1, after which no second try with smaller blocks makes sense (SPEC 9.1)."""

    async def check(site):
        blocks = []
        handle = site.device.handle
        site.device.handle = lambda operation, now: (blocks.append(operation), handle(operation, now))[1]
        assert await site.push(signed(20_000)) == (141, CAPACITY_BYTES)
        pushed = [each for each in blocks if type(each).__name__ == "WriteBlock"]
        assert len(pushed) == 1
        assert pushed[0].size_bytes == len(signed(20_000))
        assert await site.shown() == (0, 2)
        await site.good_update(pulls=False)

    at_a_site(check)
