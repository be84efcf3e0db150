"""An encrypted update of two components of Object 33629, one of them by a dependency, over real sockets."""

import asyncio

import pytest

from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.slots import BatchSlotInstaller
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
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
    inner = create_suit(
        [component("modem", 1)], options=SuitOptions(sequence_number=7), signers=[PROFILE.signer(SUPPLIER)]
    )
    return create_suit(
        [component("app", 2, uri)],
        options=SuitOptions(sequence_number=3),
        signers=[PROFILE.signer(MAKER)],
        dependencies=[SuitDependency(envelope=inner.data)],
    )


@pytest.mark.parametrize("is_detached", [False, True])
def test_both_are_fetched_decrypted_and_installed_together(is_detached):
    slots = {each: (MemoryImageStore(), MemoryImageStore()) for each in (0, 1)}
    keys = [TrustedKey(key.public_key, authority=name) for key, name in ((MAKER, "maker"), (SUPPLIER, "supplier"))]

    def device_of(pump, boots):
        return AdvancedFirmwareDevice(
            profile=AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(1, "modem"))),
            images={0: MemoryImageStore(), 1: MemoryImageStore()},
            installer=BatchSlotInstaller(MemoryStateStore(), slots, {0: "1.0", 1: "1.0"}),
            trust=TrustPolicy(keys=keys, decryption_keys=[DecryptionKey(DEVICE)]),
            state=MemoryStateStore(),
            reboot=boots.set,
            fetchers=(CoapFetcher(pump),),
        )

    async def main():
        async with Lwm2mServer(UdpTransport("127.0.0.1", 0)) as server:
            pump = Pump(UdpTransport("127.0.0.1", 0))
            boots = asyncio.Event()
            device = device_of(pump, boots)
            uri = f"coap://127.0.0.1:{server.local_address[1]}"
            settings = ClientSettings(registration=RegistrationSettings(endpoint="dev"))
            payload = (
                MemoryPackageSource(made("coap://elsewhere").detached["coap://elsewhere"]) if is_detached else None
            )
            where = None if payload is None else server.packages.publish(payload, "coap", lambda _: None).uri
            package = MemoryPackageSource(made(where).data)
            async with Lwm2mClient(pump, uri, device, settings, reboot=list) as client:
                await client.registered()
                both = {"app": package, "modem": package}
                update = asyncio.ensure_future(Updater(server, server.packages).update("dev", both))
                await boots.wait()
                update.cancel()
                return slots

    written = asyncio.run(main())
    for number, name in enumerate(IMAGES):
        image = written[number][1].sealed
        assert image.read_at(0, image.size_bytes) == IMAGES[name]
