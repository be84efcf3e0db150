"""The commands over every scheme, as processes: what they prove, and what happens where it does not fit."""

import json

import pytest

from lwm2m_fota.transport.tls import HAS_PSK

KEY = "000102030405060708090a0b0c0d0e0f"
EVERY = ("coap", "coaps", "coap+tcp", "coaps+tcp", "http", "https")


def listeners(*schemes):
    return [part for scheme in schemes for part in ("--listen", f"{scheme}://127.0.0.1:0")]


@pytest.mark.parametrize("scheme", ["coaps", "coap+tcp", "coaps+tcp"])
def test_a_demo_over_each_scheme(run, scheme):
    done = run("demo", "--size", 20_000, "--method", "pull", *listeners(scheme), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (listening,) = (event for event in events if event["event"] == "listening")
    (uri,) = listening["uris"]
    assert uri == f"{scheme}://127.0.0.1:{listening['port']}"
    managed = next(event for event in events if event["event"] == "registered" and event["source"] == "device")
    assert managed["server"] == uri


def test_a_demo_over_all_schemes_at_once(run):
    options = (*listeners(*EVERY), "--package-scheme", "https")
    done = run("demo", "--size", 20_000, "--method", "pull", *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (listening,) = (event for event in events if event["event"] == "listening")
    assert [uri.partition(":")[0] for uri in listening["uris"]] == list(EVERY)
    assert len({uri.rpartition(":")[2] for uri in listening["uris"]}) == len(EVERY)
    managed = next(event for event in events if event["event"] == "registered" and event["source"] == "device")
    assert managed["server"].startswith("coaps://")  # not over plain CoAP: the name is closed there


class Pair:
    """A server and a device with files of credentials."""

    def __init__(self, bench, authority):
        self._bench = bench
        self._authority = authority

    def psk(self, name, key=KEY, identity="dev"):
        path = self._bench.file(name, key.encode())
        path.chmod(0o600)
        return ("--psk-identity", identity, "--psk-key-file", path)

    def certificate(self, name, *hosts, authority=None, **more):
        folder = self._bench.folder
        cert, key = self._authority.sign(name, hosts, **more).write(folder, name)
        key.chmod(0o600)
        believed = self._bench.file(f"{name}.ca.pem", (authority or self._authority).certificate)
        return ("--cert", cert, "--key", key, "--ca", believed)

    def __call__(self, scheme, server, device):
        update = self._bench.update(None, *server, listen=f"{scheme}://127.0.0.1:0")
        (uri,) = update.until("listening")["uris"]
        return update, self._bench.device(0, *device, "--server", uri)


@pytest.fixture
def pair(bench, authority):
    return Pair(bench, authority)


@pytest.mark.parametrize("scheme", ["coaps", "coaps+tcp"])
def test_a_device_is_updated_with_certificates(pair, scheme):
    server, _ = pair(scheme, pair.certificate("server", "127.0.0.1"), pair.certificate("dev"))
    assert server.end() == 0, [*server.events, server.errors]


@pytest.mark.skipif(not HAS_PSK, reason="needs Python 3.13")
def test_a_device_is_updated_over_tls_with_a_key(pair):
    server, _ = pair("coaps+tcp", pair.psk("a"), pair.psk("b"))
    assert server.end() == 0, [*server.events, server.errors]


@pytest.mark.parametrize("wrong", ["key", "certificate"])
def test_who_cannot_prove_itself_is_never_there_and_nothing_secret_is_told(pair, wrong):
    ours, theirs = pair.psk("ours"), pair.psk("theirs", "ff" * 16)
    if wrong == "certificate":
        ours, theirs = pair.certificate("server", "127.0.0.1"), pair.certificate("dev", days=(-9, -2))
    server, device = pair("coaps", ours, theirs)
    device.until("trouble")
    server.signal()
    assert server.end() == 4
    assert "registered" not in server.names()
    if wrong == "certificate":  # a record under a wrong key is dropped, and the handshake ends with its time
        assert "no session with ('127.0.0.1', " in server.errors
    device.signal()
    assert device.end() == 0
    said = json.dumps([*server.events, *device.events]) + server.errors + device.errors
    assert KEY not in said
    assert "ff" * 16 not in said


def test_the_name_of_a_device_with_a_key_is_closed_to_plain_coap(bench, pair):
    server = bench.update(None, "--listen", "coaps://127.0.0.1:0", *pair.psk("ours"), listen="coap://127.0.0.1:0")
    plain, secure = server.until("listening")["uris"]
    assert (plain.partition(":")[0], secure.partition(":")[0]) == ("coap", "coaps")
    device = bench.device(0, "--server", plain)
    assert "4.03" in device.until("trouble")["message"]
    assert "registered" not in server.names()


def test_a_download_that_lacks_its_credential_is_result_9_and_named(bench, pair):
    """The key is for the host that manages; the packages are said to be at another one."""
    options = (
        "--listen",
        "coaps://0.0.0.0:0",
        "--package-scheme",
        "coaps",
        "--advertise",
        "127.0.0.2",
        "--method",
        "pull",
    )
    server = bench.update(None, *options, *pair.psk("ours"), listen="coap+tcp://127.0.0.1:0")
    port = server.until("listening")["uris"][1].rpartition(":")[2]
    uri = f"coaps://127.0.0.1:{port}"
    device = bench.device(0, *pair.psk("theirs"), "--server", uri)
    shown = device.until("state", result=9)
    assert shown["diagnosis"] == (
        f"pull.credential-missing: no credential for coaps://127.0.0.2:{port}: it needs a pre-shared key or a "
        f"certificate; there is a pre-shared key for {uri}"
    )
    assert server.end() == 1
    assert "Update Result 9" in server.events[-1]["line"]


@pytest.mark.parametrize("components", [False, True])
def test_a_device_goes_to_hosts_that_are_allowed_and_no_other(bench, components):
    """The packages are said to be at another address than the management."""
    options = ("--advertise", "127.0.0.2", "--method", "pull")
    named = ("--object", 33629, "--component", "app=1.0.0") if components else ()
    updating = bench.update_components({"app": bench.package}, *options) if components else bench.update(None, *options)
    device = bench.device(updating.until("listening")["port"], *named, "--allow-host", "127.0.0.1")
    shown = device.until("state", result=7)
    assert shown["diagnosis"] == "pull.host-not-allowed: 127.0.0.2 is not among the allowed hosts"
    assert updating.end() == 1
    assert "Update Result 7" in updating.events[-1]["line"]
    device.signal()
    assert device.end() == 0


@pytest.mark.parametrize("host", ["coap://127.0.0.1", "127.0.0.256", ""])
def test_an_allowed_host_is_one(cli, tmp_path, host):
    options = ("--server", "coap://127.0.0.1", "--endpoint", "dev", "--state-dir", tmp_path / "state")
    done = cli("device", *options, "--allow-host", "updates.example", "--allow-host", host)
    assert done.exit_code == 2
    assert f"Invalid value for '--allow-host': '{host}' is no HOST or HOST:PORT" in done.output
    assert not (tmp_path / "state").exists()


def test_what_is_pushed_comes_from_no_host(bench):
    server, _ = bench.pair(None, "--method", "push", device=["--allow-host", "updates.example"])
    assert server.end() == 0
