"""`lwm2m-fota demo --format suit`: envelopes go over sockets, and the payloads in them are installed."""

import json

import pytest


@pytest.mark.parametrize("options", [("--method", "push"), ("--method", "pull", "--object", 33629, "--components", 2)])
def test_suit_envelopes_arrive_and_their_payloads_are_installed(run, options):
    done = run("demo", "--format", "suit", "--size", 5000, *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["ok"], last["equal"]) == (True, True)
