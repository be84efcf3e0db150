"""`lwm2m-fota device` as a process: its folder, its lock, its end."""

import os
import signal
import socket
from pathlib import Path

import pytest

from lwm2m_fota.cli.state_dir import StateDir


@pytest.fixture
def silent_port():
    """A port where somebody listens who never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def device(run, state_dir, *options):
    """A device that must end by itself."""
    return run("device", "--server", "coap://127.0.0.1:9", "--endpoint", "dev", "--state-dir", state_dir, *options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_in_place_of_the_folder_is_one_line(run, tmp_path):
    path = tmp_path / "state"
    path.write_text("mine")
    done = device(run, path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: the state folder {path} cannot be used: File exists\n"
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line(run):
    done = device(run, "/dev/null/state")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: the state folder /dev/null/state cannot be used: Not a directory\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_one_line(run, tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    done = device(run, folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: the state folder {folder} cannot be used: Permission denied\n"


@pytest.mark.parametrize("name", ["firmware.json", "boot.json"])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 99}', b"[" * 100_000])
def test_damaged_state_is_one_line_and_nothing_is_lost(run, tmp_path, name, data):
    state_dir = StateDir(tmp_path)
    state_dir.installer("1.0.0")
    state_dir.close()
    (tmp_path / name).write_bytes(data)
    (tmp_path / "staged.bin").write_bytes(b"half a package")
    before = contents(tmp_path)
    done = device(run, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Error: the state folder {tmp_path}: ")
    assert contents(tmp_path) == before


def test_a_folder_has_one_process_at_a_time(bench, start, silent_port):
    first = bench.device(silent_port)
    first.until("started")
    second = bench.device(silent_port)
    assert second.end() == 1
    (event,) = second.events
    assert event["event"] == "error"
    assert event["message"] == f"the state folder {bench.folder / 'state'} is in use by another process"
    assert second.errors == ""
    first.signal(signal.SIGKILL)
    first.end()
    third = bench.device(silent_port)
    third.until("started")  # the lock went with its process


def test_a_reboot_keeps_the_options(bench):
    options = ("--version", "0.9", "--object-version", "1.0", "--lifetime", "77", "--capacity", "9000")
    server, device = bench.pair(None, "--method", "push", device=options)
    server.until("registered")
    device.until("started")
    before = device.popen.pid
    server.until("registered")
    assert server.end() == 0
    assert server.events[-1]["line"] == "updated: 0.9 -> 1.1.0"
    device.until("booted", version="1.1.0")
    device.until("started")
    assert device.popen.pid == before
    command_line = Path(f"/proc/{before}/cmdline")
    if command_line.exists():
        assert command_line.read_text().split("\0")[-12:-1] == [*map(str, device.popen.args[-11:])]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_deregisters_and_ends_well(bench, number):
    server = bench.update(bench.signed("large.bin", bytes(1 << 24)))
    device = bench.device(server.until("listening")["port"])
    server.until("first-block")
    device.signal(number)
    assert device.end() == 0
    assert device.names()[-1] == "stopped"
    gone = server.until("gone")
    assert gone["expired"] is False


def test_a_silent_server_is_told_and_waited_for(bench, silent_port):
    device = bench.device(silent_port)
    assert device.until("trouble")["message"] == f"no answer from coap://127.0.0.1:{silent_port} so far"
    device.signal()
    assert device.end() == 0


def test_a_server_that_cannot_be_found_is_told_once(bench):
    device = bench.device(5683, host="nowhere.invalid")
    assert device.until("trouble")["message"].startswith("cannot resolve 'nowhere.invalid'")
    device.signal()
    assert device.end() == 0
    assert device.names() == ["booted", "started", "trouble", "stopped"]


def test_a_key_that_is_not_there_is_one_line(run, tmp_path):
    done = device(run, tmp_path / "state", "--trust", tmp_path / "none.pem")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: cannot read the key {tmp_path / 'none.pem'}: No such file or directory\n"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("127.0.0.1:5683", "absolute"),
        ("coap:5683", "host"),
        ("coap://", "host"),
        ("coap://127.0.0.1:99999", "port"),
        ("coap+ws://127.0.0.1", "not a CoAP scheme"),
        ("http://127.0.0.1", "http"),
        ("coap://127.0.0.1/rd", "neither path nor query"),
    ],
)
def test_a_wrong_server_uri_is_told_before_anything_begins(cli, tmp_path, uri, words):
    done = cli("device", "--server", uri, "--endpoint", "dev", "--state-dir", tmp_path / "state")
    assert done.exit_code == 2
    assert f"Invalid value for '--server': '{uri}' is not coap://HOST[:PORT]: " in done.output
    assert words in done.output
    assert not (tmp_path / "state").exists()


def test_a_digest_that_is_none_is_told_before_anything_begins(cli, tmp_path):
    where = ("--server", "coap://127.0.0.1", "--endpoint", "dev", "--state-dir", tmp_path / "state")
    done = cli("device", *where, "--sha256", "beef")
    assert done.exit_code == 1
    assert "64 hex digits" in done.output
