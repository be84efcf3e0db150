"""`lwm2m-fota demo` as a newcomer runs it."""

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from lwm2m_fota.cli.events import EVENTS
from lwm2m_fota.cli.trace_file import read_file
from lwm2m_fota.machines.device_trace import replay

OVERHEAD_BYTES = 176  # header, digest, key hash and signature of an Ed25519 package
STAGES = ["Preparing update", "Transferring package", "Executing update", "Cleanup"]
COMMANDS = {"demo": "demo", "server": "update", "device": "device"}


def events_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_success(done, package_bytes):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    events = events_of(done)
    assert events[0]["event"] == "package"
    assert events[0]["bytes"] == package_bytes
    last = events[-1]
    assert last["event"] == "demo"
    assert (last["ok"], last["state"], last["result"], last["equal"]) == (True, 0, 1, True)
    assert last["bytes"] == package_bytes
    assert 0 < last["transfer_s"] < last["update_s"] < last["total_s"]
    return events


@pytest.mark.parametrize("method", ["push", "pull"])
@pytest.mark.parametrize(
    ("firmware_bytes", "package_bytes"),
    [(1, 177), (847, 1023), (848, 1024), (849, 1025), (1 << 20, 1048752), (1 << 24, 16777392)],
)
def test_every_size_arrives_whole_by_push_and_by_pull(run, method, firmware_bytes, package_bytes):
    assert package_bytes - firmware_bytes == OVERHEAD_BYTES
    done = run("demo", "--method", method, "--size", firmware_bytes, "--json")
    events = check_success(done, package_bytes)
    assert [event["stage"] for event in events if event["event"] == "stage"] == STAGES
    (transferred,) = (event for event in events if event["event"] == "transferred")
    assert transferred["bytes"] == package_bytes
    fetched = [event["offset"] for event in events if event["event"] == "first-block"]
    assert fetched == ([0] if method == "pull" else [])
    for event in events:
        fields = EVENTS[COMMANDS[event["source"]]][event["event"]].fields
        assert event.keys() - {"event", "at", "source"} == set(fields)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_packages_go_by_sets_of_blocks_too(run, method):
    done = run("demo", "--method", method, "--q-block", "measured", "--size", 300_000, "--json")
    check_success(done, 300_000 + OVERHEAD_BYTES)


def test_a_file_is_the_firmware(run, tmp_path):
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(b"\0")  # one NUL is a package that means reset; signed, it is a firmware like any other
    check_success(run("demo", firmware, "--json"), 1 + OVERHEAD_BYTES)
    assert [path.name for path in tmp_path.iterdir()] == ["firmware.bin"]


def test_people_see_stages_states_bytes_and_a_verdict_in_80_columns(run):
    done = run("demo", "--size", 100_000)
    assert done.returncode == 0
    text = done.stdout
    for stage in STAGES:
        assert stage in text
    for state in ("State 1 downloading", "State 2 downloaded", "State 3 updating", "State 0 idle, Result 1 success"):
        assert state in text
    assert "100,176 bytes in " in text
    assert " bytes/s" in text
    assert text.splitlines()[-1].endswith("success")
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_an_empty_file_is_refused_before_anything_begins(run, tmp_path):
    empty = tmp_path / "empty.bin"
    empty.touch()
    done = run("demo", empty)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: {empty} is empty: that is no firmware\n"
    done = run("demo", empty, "--json")
    (event,) = events_of(done)
    assert (done.returncode, done.stderr, event["event"]) == (1, "", "error")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_and_no_file_behind(start, tmp_path, number):
    demo = start("demo", "--size", 1 << 24, env=os.environ | {"TMPDIR": str(tmp_path)})
    demo.until("progress", source="server")
    demo.signal(number)
    assert demo.end() == 4
    assert demo.names()[-1] == "error"
    assert "Traceback" not in demo.errors
    assert list(tmp_path.iterdir()) == []
    assert [line for line in command_lines() if str(tmp_path).encode() in line] == []


def command_lines():
    """Of all processes, where the system has /proc."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_plain_image_is_known_by_its_digest(run, method):
    check_success(run("demo", "--format", "plain", "--size", 30_000, "--method", method, "--json"), 30_000)


def test_a_plain_image_is_for_no_component(run):
    done = run("demo", "--format", "plain", "--object", "33629")
    assert done.returncode == 2
    assert "names no component" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "installed"),
    [
        (("--method", "push"), "install, attempt 1"),
        (("--method", "pull", "--listen", "coaps://127.0.0.1:0"), "install, attempt 1"),
        (("--object", "33629", "--components", "3", "--method", "pull"), "install 0, 1, 2, attempt 1"),
        (("--object", "33629", "--components", "2", "--scene", "rollback"), "install 0, 1, attempt 1"),
    ],
)
def test_both_sides_are_recorded_without_secrets_replayed_and_drawn(run, tmp_path, arguments, installed):
    done = run("demo", *arguments, "--size", 20_000, "--trace", tmp_path / "t.jsonl", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"t.jsonl", "t-device.jsonl"}
    for name, words in (("t.jsonl", "outcome: "), ("t-device.jsonl", installed)):
        path = tmp_path / name
        drawn = run("trace", path)
        assert (drawn.returncode, drawn.stderr) == (0, "")
        assert words in drawn.stdout
        assert max(map(len, path.read_text("utf-8").splitlines())) < 10_000  # no package is in it
        assert re.search(r"coaps?://[^/\"]*/(?!\.\.\.\")", path.read_text("utf-8")) is None
    machine = replay(read_file(tmp_path / "t-device.jsonl"))
    states = [machine] if "33629" not in arguments else [each.machine for each in machine.components]
    shown = {(int(each.state), int(each.result)) for each in states}
    assert shown == ({(0, 10)} if "rollback" in arguments else {(0, 1)})
    assert drawn.stdout.count("Note over Device: starts") == 2
