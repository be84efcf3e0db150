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


def shown_by(component, events):
    told = [event for event in events if event["event"] == "state" and event["component"] == component]
    return [(event["state"], event["result"]) for event in told]


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
    for name in ("app", "modem", "sensor"):
        assert shown_by(name, events) == [(1, 0), (2, 0), (3, 0), (0, 1)]


BOOTS = {
    "dependency": ["normal"],
    "conflict": ["normal", "normal"],  # one for each of its servers
    "rollback": ["normal", "pending", "reverted"],
}


@pytest.mark.parametrize(
    ("scene", "arguments", "sent", "result"),
    [
        ("dependency", ("--object", "33629", "--components", "3"), ["app"], 13),
        ("conflict", ("--object", "33629", "--components", "2"), ["modem", "app"], 12),
        ("conflict", ("--object", "33629", "--method", "pull"), ["modem", "app"], 12),
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
    named = [event["conflicts"] for event in events if event["event"] == "state" and event["result"] in {12, 13}]
    assert named == ([] if scene == "rollback" else [["modem"]])
    boots = [event["boot"] for event in events if event["event"] == "booted"]
    assert boots == BOOTS[scene]
    assert {event["state"] for event in events if event["event"] == "shown"} >= {0}


def test_in_a_conflict_the_busy_component_keeps_what_it_holds(run):
    done = run("demo", "--object", "33629", "--scene", "conflict", "--size", 20_000, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    before, after = events[: names.index("busy")], events[names.index("busy") :]
    assert after[0]["component"] == "modem"
    assert shown_by("modem", before) == [(1, 0), (2, 0)]
    assert (shown_by("modem", after), shown_by("app", after)) == ([], [(1, 0), (0, 12)])
    held = next(event["bytes"] for event in events if event["event"] == "package" and event["component"] == "modem")
    assert next(event["staged_bytes"] for event in after if event["event"] == "started") == held
    assert not {"rebooting", "transferred"} & set(names)


def test_a_device_that_does_not_come_up_cannot_be_made_busy(run, tmp_path):
    nowhere = tmp_path / "nowhere" / "trace.jsonl"
    done = run("demo", "--object", "33629", "--scene", "conflict", "--size", 1, "--trace", nowhere, "--json")
    assert done.returncode == 1
    device, demo = [json.loads(line) for line in done.stdout.splitlines()][-2:]
    assert (device["event"], device["source"]) == ("error", "device")
    assert (demo["event"], demo["message"]) == ("error", "the device has not taken the package of modem")


@pytest.mark.parametrize(
    ("scene", "arguments"),
    [
        ("dependency", ()),
        ("dependency", ("--object", "33629", "--components", "1")),
        ("dependency", ("--object", "33629", "--format", "suit")),
        ("conflict", ()),
        ("conflict", ("--object", "33629", "--components", "1")),
        ("conflict", ("--object", "33629", "--format", "mcuboot")),
        ("conflict", ("--object", "33629", "--format", "plain")),
    ],
)
def test_some_scenes_are_between_components_and_of_one_format(cli, scene, arguments):
    done = cli("demo", *arguments, "--scene", scene)
    assert done.exit_code == 2
    assert "give --object 33629, at least 2 components and no other --format" in done.stderr
    assert {"dependency": "MCUboot images", "conflict": "SUIT envelope"}[scene] in done.stderr


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


def test_an_envelope_for_a_component_that_holds_another_is_a_conflict_by_commands_alone(bench, run):
    """One update makes the modem busy and then sends both, since a command leaves nothing half done behind it."""
    key, public = bench.folder / "suit.pem", bench.folder / "suit.public.pem"
    app, modem = bench.file("app.bin", b"app" * 3000), bench.file("modem.bin", b"modem" * 900)
    own, both = bench.folder / "modem.suit", bench.folder / "both.suit"
    suit = ("package", "create", "--format", "suit", "--counter", "1", "--key", key)
    made = run(*suit, "--new-key", "--component", "modem", "--version", "1.5.0", modem, own)
    made_both = run(*suit, "--component", "app", "--version", "2.0.0", "--add", f"modem@2.0.0={modem}", app, both)
    assert (made.returncode, made_both.returncode) == (0, 0), made.stderr + made_both.stderr
    server = bench.update_components({"modem": own, "app": both})
    device = bench.device(server.until("listening")["port"], *COMPONENTS, "--trust", public, trust=False)
    refused = device.until("state", component="app", state=0)
    assert (refused["result"], refused["conflicts"]) == (12, ["modem"])
    assert shown_by("modem", device.events) == [(1, 0), (2, 0)]
    end = outcome(server)
    assert (end["status"], [each["updated"] for each in end["components"]]) == (1, [False, False])
    assert "(device.conflicting-state; Update Result 12 conflicting state)" in end["line"]
    device.until("state", component="modem", state=0, result=10)  # tidied by the server that sent it
    device.signal(signal.SIGKILL)
    device.end()
    assert installed(bench) == [None, None]


def test_a_package_for_a_busy_component_is_a_conflict_that_names_it():
    """In this process, where a server can leave a component busy and read afterwards what is in resource 17."""
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
