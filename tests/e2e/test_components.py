"""Components of Object 33629 over real sockets: a batch, a dependency, a conflict, a rollback, and kills in between."""

import asyncio
import json
import signal

import pytest

from lwm2m_fota.cli.state_dir import running_images
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.slots import BatchSlotInstaller
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.update_outcome import Failed
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectLink
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle
from lwm2m_fota.transport.udp import UdpTransport

COMPONENTS = ("--object", "33629", "--component", "app=1.0.0", "--component", "modem=1.0.0")


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_demo_of_three_components(run, method):
    done = run("demo", "--object", "33629", "--components", "3", "--method", method, "--size", 20_000, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    last = events[-1]
    assert (last["event"], last["ok"], last["state"], last["result"], last["equal"]) == ("demo", True, 0, 1, True)
    delivered = [event["component"] for event in events if event["event"] == "transferred"]
    assert delivered == ["modem", "app", "sensor"]  # the app needs the modem
    assert sum(event["event"] == "rebooting" for event in events) == 1
    states = {
        name: [
            (event["state"], event["result"])
            for event in events
            if event["event"] == "state" and event["component"] == name
        ]
        for name in ("app", "modem", "sensor")
    }
    assert set(map(tuple, states.values())) == {((1, 0), (2, 0), (3, 0), (0, 1))}


@pytest.mark.parametrize(
    ("scene", "arguments", "sent", "result"),
    [
        ("dependency", ("--object", "33629", "--components", "3"), ["app"], 13),
        ("rollback", ("--object", "33629", "--components", "3"), ["app", "modem", "sensor"], 8),
        ("rollback", (), [None], 8),
    ],
)
def test_a_demo_of_what_fails(run, scene, arguments, sent, result):
    done = run("demo", *arguments, "--scene", scene, "--size", 20_000, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    last = events[-1]
    assert (last["event"], last["ok"], last["scene"], last["result"], last["equal"]) == (
        "demo",
        True,
        scene,
        result,
        True,
    )
    assert [event["component"] for event in events if event["event"] == "package"] == sent
    conflicts = [event["conflicts"] for event in events if event["event"] == "state" and event["result"] == 13]
    assert conflicts == ([["modem"]] if scene == "dependency" else [])
    boots = [event["boot"] for event in events if event["event"] == "booted"]
    assert boots == (["normal", "pending", "reverted"] if scene == "rollback" else ["normal"])
    assert {event["state"] for event in events if event["event"] == "shown"} >= {0}


def test_a_dependency_is_between_components(cli):
    done = cli("demo", "--scene", "dependency")
    assert done.exit_code == 2
    assert "at least 2 components" in done.stderr


def packages(bench):
    app = bench.signed("app.bin", b"app" * 9000, version="2.0.0", needs=("1=1.1.0",))
    return {"app": app, "modem": bench.signed("modem.bin", b"modem" * 3000)}


def installed(bench):
    images = running_images(bench.folder / "state", (0, 1))
    return [image and image.read_at(0, image.size_bytes) for image in images.values()]


def outcome(server):
    server.end()
    return server.events[-1]


def test_a_batch_is_installed_with_one_reboot(bench):
    both = packages(bench)
    server = bench.update_components(both)
    device = bench.device(server.until("listening")["port"], *COMPONENTS)
    device.until("registered")
    end = outcome(server)
    assert (end["status"], end["line"]) == (0, "updated: app, modem")
    assert end["components"] == [
        {"name": "app", "before": "1.0.0", "after": "2.0.0", "updated": True},
        {"name": "modem", "before": "1.0.0", "after": "1.1.0", "updated": True},
    ]
    device.until("state", component="app", state=0, result=1)
    device.signal(signal.SIGKILL)
    device.end()
    assert installed(bench) == [path.read_bytes() for path in both.values()]
    assert device.names().count("rebooting") == 1


def test_a_dependency_that_is_not_there_is_result_13(bench):
    server = bench.update_components({"app": packages(bench)["app"]}, "--method", "push")
    device = bench.device(server.until("listening")["port"], *COMPONENTS)
    end = outcome(server)
    assert end["status"] == 1
    assert "(device.dependency-error; Update Result 13 dependency error)" in end["line"]
    device.until("state", component="app", state=2, result=13)
    device.until("state", component="app", state=0)  # tidied
    device.signal(signal.SIGKILL)
    device.end()
    assert installed(bench) == [None, None]


def test_a_batch_that_dies_on_trial_goes_back_as_a_whole(bench):
    server = bench.update_components(packages(bench))
    port = server.until("listening")["port"]
    device = bench.device(port, *COMPONENTS)
    device.until("rebooting")
    server.signal(signal.SIGSTOP)  # nobody accepts the registration that would confirm the trial
    device.until("booted", boot="pending")
    device.signal(signal.SIGKILL)
    device.end()
    server.signal(signal.SIGCONT)
    again = bench.device(port, *COMPONENTS)
    assert again.until("booted")["boot"] == "reverted"
    end = outcome(server)
    assert end["status"] == 1
    assert "(device.update-failed; Update Result 8 update failed)" in end["line"]
    assert [each["updated"] for each in end["components"]] == [False, False]
    again.signal(signal.SIGKILL)
    again.end()
    assert installed(bench) == [None, None]


KILLS = [("modem", 1, 0), ("app", 2, 0), ("app", 3, 0)]


@pytest.mark.parametrize(("component", "state", "result"), KILLS)
def test_a_device_that_is_killed_comes_back_and_is_updated(bench, component, state, result):
    both = packages(bench)
    server = bench.update_components(both, "--method", "pull")
    port = server.until("listening")["port"]
    device = bench.device(port, *COMPONENTS, "--lifetime", "60")
    device.until("state", component=component, state=state, result=result)
    device.signal(signal.SIGKILL)
    device.end()
    again = bench.device(port, *COMPONENTS, "--lifetime", "60")
    end = outcome(server)
    assert (end["status"], end["line"]) == (0, "updated: app, modem")
    again.until("state", component="modem", state=0, result=1)
    again.signal(signal.SIGKILL)
    again.end()
    assert installed(bench) == [path.read_bytes() for path in both.values()]


def test_a_package_for_a_busy_component_is_a_conflict_that_names_it():
    """In this process, since the command line makes no packages for several components."""
    key = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
    bundle = MemoryPackageSource(make_bundle(key, {"app": ("2", b"A" * 5000), "modem": ("2", b"M" * 5000)}))
    profile = AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(1, "modem")))

    async def main():
        async with Lwm2mServer(UdpTransport("127.0.0.1", 0)) as server:
            pump = Pump(UdpTransport("127.0.0.1", 0))
            slots = {each: (MemoryImageStore(), MemoryImageStore()) for each in (0, 1)}
            device = AdvancedFirmwareDevice(
                profile=profile,
                images={0: MemoryImageStore(), 1: MemoryImageStore()},
                installer=BatchSlotInstaller(MemoryStateStore(), slots, {0: "1", 1: "1"}),
                trust=TrustPolicy(keys=(key.public_key,)),
                formats=default_formats().with_format(BundleFormat()),
                state=MemoryStateStore(),
                reboot=list,
                fetchers=(CoapFetcher(pump),),
            )
            settings = ClientSettings(registration=RegistrationSettings(endpoint="dev"))
            uri = f"coap://127.0.0.1:{server.local_address[1]}"
            async with Lwm2mClient(pump, uri, device, settings, reboot=list) as client:
                await client.registered()
                await server.push("dev", Path.of(33629, 1, 0), bundle_of_one(key), lambda _: None)
                outcome = await Updater(server, server.packages).update("dev", {"app": bundle})
                named = await server.read("dev", Path.of(33629, 0, 17))
                states = [int(device.component(each).machine.state) for each in (0, 1)]
                return outcome, [value for _, value in named], states

    def bundle_of_one(key):
        return MemoryPackageSource(make_bundle(key, {"modem": ("1.5", b"m" * 3000)}))

    outcome, named, states = asyncio.run(main())
    assert isinstance(outcome, Failed)
    assert (outcome.result, outcome.diagnosis.code) == (12, "device.conflicting-state")
    assert named == [ObjectLink(33629, 1)]
    assert states == [0, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--endpoint", "dev"),
        ("FILE", "--endpoint", "dev", "--component", "app=FILE"),
        ("--endpoint", "dev", "--component", "app=FILE", "--component", "app=FILE"),
        ("--endpoint", "dev", "--component", "app=NOWHERE"),
        ("--endpoint", "dev", "--component", "app"),
        ("--endpoint", "dev", "--component", "app=FILE", "--expect-version", "1"),
        ("FILE", "--endpoint", "dev", "--severity", "3"),
        ("FILE", "--endpoint", "dev", "--max-defer", "-1"),
        ("FILE", "--endpoint", "dev", "--auto-upgrade", "perhaps"),
        ("FILE", "--endpoint", "dev", "--execute", "twice"),
    ],
)
def test_a_file_or_components_and_not_both(cli, tmp_path, arguments):
    path = tmp_path / "package.bin"
    path.write_bytes(b"package")
    done = cli("update", *(each.replace("FILE", str(path)) for each in arguments))
    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_a_component_without_a_byte_is_refused_before_anyone_listens(cli, tmp_path):
    empty, good = tmp_path / "empty.bin", tmp_path / "good.bin"
    empty.write_bytes(b"")
    good.write_bytes(b"good")
    done = cli("update", "--endpoint", "dev", "--component", f"app={good}", "--component", f"modem={empty}", "--json")
    assert done.exit_code == 6
    assert json.loads(done.stdout.splitlines()[-1])["line"] == "not sent: an empty file is no package"
