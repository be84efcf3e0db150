"""`lwm2m-fota demo --format suit`: envelopes go over sockets, and the payloads in them are installed."""

import json

import pytest


@pytest.mark.parametrize("options", [("--method", "push"), ("--method", "pull", "--object", 33629, "--components", 2)])
def test_suit_envelopes_arrive_and_their_payloads_are_installed(run, options):
    done = run("demo", "--format", "suit", "--size", 5000, *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["ok"], last["equal"]) == (True, True)


@pytest.mark.parametrize(("takes", "status"), [(("--takes", "main", "--takes", "app"), 0), ((), 1)])
def test_a_device_takes_what_is_for_a_component_that_it_is_told_to_be(bench, run, takes, status):
    key, public = bench.folder / "suit.pem", bench.folder / "suit.public.pem"
    firmware, package = bench.file("app.bin", b"app" * 3000), bench.folder / "app.suit"
    options = ("--component", "app", "--version", "2.0.0", "--counter", "1", "--key", key, "--new-key")
    made = run("package", "create", "--format", "suit", *options, firmware, package)
    assert made.returncode == 0, made.stderr
    server = bench.update(package, "--expect-version", "2.0.0")
    bench.device(server.until("listening")["port"], *takes, "--trust", public, trust=False)
    end = server.until("outcome")
    assert end["status"] == status, end
    assert ("Update Result 6" in end["line"]) is (status == 1)


def test_the_firmware_of_a_component_has_its_own_name(cli, tmp_path):
    options = ("--server", "coap://127.0.0.1", "--endpoint", "dev", "--state-dir", tmp_path, "--takes", "app")
    done = cli("device", *options, "--object", "33629", "--component", "app=1.0")
    assert done.exit_code == 2
    assert "--takes is for Object 5" in done.output
