"""An encrypted update of two components of Object 33629, one of which depends on the other, over real sockets."""

import asyncio

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.slots import BatchSlotInstaller
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.update_outcome import Failed, Succeeded
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitDependency, SuitOptions, create_suit
from lwm2m_fota.package.formats.suit.profiles import SuitProfile
from lwm2m_fota.package.keyring import DecryptionKey, TrustedKey
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.transport.udp import UdpTransport

MAKER, SUPPLIER, DEVICE, EPHEMERAL = (PrivateKey.from_seed(KeyType.P256, bytes([each]) * 32) for each in range(1, 5))
IMAGES = {"app": b"application" * 700, "modem": b"modem" * 900}
PROFILE = SuitProfile.ESP256_ECDH_A128GCM


def component(name, number, uri=None):
    encryption = PROFILE.encryption(
        DEVICE.public_key, secret=bytes([number]) * 16, nonce=bytes(12), ephemeral=EPHEMERAL
    )
    return SuitComponent(id=(name.encode(),), image=IMAGES[name], version="2.0", uri=uri, encryption=encryption)


def made(uri=None):
    """The application, in an envelope with that of the modem, which its supplier has signed."""
    return create_suit(
        [component("app", 2, uri)],
        options=SuitOptions(sequence_number=3),
        signers=[PROFILE.signer(MAKER)],
        dependencies=[SuitDependency(envelope=of_the_modem())],
    )


def of_the_modem():
    """The envelope of the modem, which its supplier has signed."""
    return create_suit(
        [component("modem", 1)], options=SuitOptions(sequence_number=7), signers=[PROFILE.signer(SUPPLIER)]
    ).data


class Board:
    """A device with two components, and all that outlives its reboots."""

    def __init__(self):
        slots = {each: (MemoryImageStore(), MemoryImageStore()) for each in (0, 1)}
        self.installer = BatchSlotInstaller(MemoryStateStore(), slots, {0: "1.0", 1: "1.0"})
        self.boots = 0
        self._images = {0: MemoryImageStore(), 1: MemoryImageStore()}
        self._state = MemoryStateStore()
        keys = [TrustedKey(key.public_key, authority=name) for key, name in ((MAKER, "maker"), (SUPPLIER, "supplier"))]
        self._trust = TrustPolicy(keys=keys, decryption_keys=[DecryptionKey(DEVICE)])

    async def live(self, server_uri):
        """Be switched on, over and over: each life ends with a reboot."""
        while True:
            self.boots += 1
            self.installer.boot()
            pump = Pump(UdpTransport("127.0.0.1", 0))
            reboots = asyncio.Event()
            device = AdvancedFirmwareDevice(
                profile=AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(1, "modem"))),
                images=self._images,
                installer=self.installer,
                trust=self._trust,
                state=self._state,
                reboot=reboots.set,
                fetchers=(CoapFetcher(pump),),
            )
            settings = ClientSettings(registration=RegistrationSettings(endpoint="dev"))
            async with Lwm2mClient(pump, server_uri, device, settings, reboot=reboots.set):
                await reboots.wait()

    def running(self):
        """The images that run, in the order of the components."""
        images = (self.installer.running_image(instance) for instance in (0, 1))
        return [image and image.read_at(0, image.size_bytes) for image in images]


async def updated(board, package_of):
    """Update both components with one package, over UDP: how it ended."""
    async with Lwm2mServer(UdpTransport("127.0.0.1", 0)) as server:
        package = MemoryPackageSource(package_of(server))
        lives = asyncio.ensure_future(board.live(f"coap://127.0.0.1:{server.local_address[1]}"))
        try:
            return await Updater(server, server.packages).update("dev", {"app": package, "modem": package})
        finally:
            lives.cancel()
            await asyncio.wait([lives])


@pytest.mark.parametrize("is_detached", [False, True])
def test_both_are_decrypted_installed_together_and_run(is_detached):
    def package_of(server):
        if not is_detached:
            return made().data
        payload = MemoryPackageSource(made("coap://elsewhere").detached["coap://elsewhere"])
        return made(server.packages.publish(payload, "coap", lambda _: None).uri).data

    board = Board()
    outcome = asyncio.run(updated(board, package_of))
    assert isinstance(outcome, Succeeded), outcome
    ends = [(each.name, each.version_before, each.version_after, each.updated) for each in outcome.components]
    assert ends == [("app", "1.0", "2.0", True), ("modem", "1.0", "2.0", True)]
    assert board.running() == [IMAGES["app"], IMAGES["modem"]]
    assert board.boots == 2  # one reboot for both


def test_without_the_manifest_that_it_depends_on_nothing_is_installed():
    members = dict(cbor.loads(made().data).value)
    assert members.pop("#0") == of_the_modem()
    alone = cbor.dumps(cbor.Tag(107, members))
    board = Board()
    outcome = asyncio.run(updated(board, lambda _: alone))
    assert isinstance(outcome, Failed), outcome
    assert outcome.result == 5
    assert board.running() == [None, None]
    assert board.boots == 1
