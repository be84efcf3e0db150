"""`lwm2m-fota update` and `lwm2m-fota device` as two processes: every exit status, and one line that says why."""

import os
import signal
import socket

import pytest

from lwm2m_fota.cli.events import EVENTS
from lwm2m_fota.cli.keys import new_key


def check_fields(process, command):
    for event in process.events:
        assert event.keys() - {"event", "at"} == set(EVENTS[command][event["event"]].fields)


def outcome(process):
    """The last event of an update, which carries the exit status too."""
    status = process.end()
    last = process.events[-1]
    assert (last["event"], last["status"]) == ("outcome", status), process.events
    assert "\n" not in last["line"]
    assert process.errors == ""
    check_fields(process, "update")
    return status, last["line"]


@pytest.mark.parametrize(("method", "step"), [("auto", "write-uri"), ("pull", "write-uri"), ("push", "push")])
def test_a_device_is_updated_reboots_and_goes_on(bench, method, step):
    server, device = bench.pair(bench.package, "--method", method, "--expect-version", "1.1.0")
    assert outcome(server) == (0, "updated: 1.0.0 -> 1.1.0")
    assert "warning" not in server.names()
    assert step in [event.get("step") for event in server.events]
    device.until("registered")
    device.until("booted", version="1.1.0", boot="pending")
    device.until("registered")
    device.signal()
    device.signal(signal.SIGINT)  # the second one does not wait for a server that has gone
    assert device.end() == 0
    assert device.names()[-1] == "stopped"
    check_fields(device, "device")


def test_another_version_than_expected_is_a_warning(bench):
    server, _ = bench.pair(bench.package, "--expect-version", "9.9.9")
    assert outcome(server) == (0, "updated: 1.0.0 -> 1.1.0")
    (warning,) = (event for event in server.events if event["event"] == "warning")
    assert warning["code"] == "execute.version-mismatch"


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "not sent: an empty file is no package"), (b"\0", "not sent: a package of one NUL byte means reset")],
)
def test_nothing_and_the_reset_byte_are_refused_before_anyone_listens(bench, data, words):
    server = bench.update(bench.file("odd.bin", data))
    status, line = outcome(server)
    assert status == 6
    assert line.startswith(words)
    assert server.names() == ["outcome"]


def test_a_file_of_unknown_format_is_sent_with_a_notice_and_the_device_judges(bench):
    server, device = bench.pair(bench.file("plain.bin", b"no known format" * 100))
    status, line = outcome(server)
    assert status == 1
    assert line.endswith("(device.unsupported-package; Update Result 6 unsupported package)")
    assert server.names()[0] == "notice"
    shown = device.until("state", result=6)
    assert shown["state"] == 0
    assert "unknown format" in shown["diagnosis"]


def unsigned(bench):
    from lwm2m_fota.cli.package import make

    raw = bench.file("raw.bin", b"firmware")
    make(raw, bench.folder / "unsigned.bin", "2.0.0", None)
    return bench.folder / "unsigned.bin"


def signed_by_another(bench):
    return bench.signed("other.bin", b"firmware", key=new_key())


def truncated(bench):
    return bench.file("truncated.bin", bench.package.read_bytes()[:-1])


@pytest.mark.parametrize("package", [unsigned, signed_by_another, truncated])
@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_package_that_cannot_be_trusted_fails_with_result_5(bench, package, method):
    server, device = bench.pair(package(bench), "--method", method)
    status, line = outcome(server)
    assert status == 1
    assert line.endswith("Update Result 5 integrity failure)")
    assert "notice" not in server.names()
    device.until("state", state=0, result=5)
    device.signal()
    device.signal(signal.SIGINT)
    assert device.end() == 0
    assert [event["version"] for event in device.events if event["event"] == "booted"] == ["1.0.0"]


def test_without_trust_every_package_is_refused(bench):
    server, device = bench.pair(bench.package, "--method", "push", trust=False)
    assert outcome(server)[0] == 1
    device.until("state", state=0, result=5)


def test_a_package_larger_than_the_device_fails_with_result_2(bench):
    server, _ = bench.pair(bench.package, "--method", "pull", device=("--capacity", "1024"))
    status, line = outcome(server)
    assert status == 1
    assert line.endswith("Update Result 2 not enough storage)")


def test_a_device_that_never_comes_times_out(bench):
    server = bench.update(None, "--timeout", "0.2")
    status, line = outcome(server)
    assert status == 3
    assert line == "timed out while preparing update: The device did not register in time (prepare.not-registered)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels(bench, number):
    server = bench.update()
    server.until("listening")
    server.signal(number)
    assert outcome(server) == (4, "cancelled while preparing update")


def test_a_cancelled_transfer_leaves_the_device_idle(bench):
    server, device = bench.pair(bench.signed("large.bin", bytes(1 << 24)), "--method", "pull")
    server.until("first-block")
    server.signal(signal.SIGINT)
    assert outcome(server) == (4, "cancelled while transferring package")
    # what comes first: Cancel (10), or the end of the package that is no longer offered (7)
    assert device.until("state", state=0)["result"] in {7, 10}


def test_a_second_signal_does_not_wait_for_a_device_that_is_silent(bench):
    server, device = bench.pair(bench.signed("large.bin", bytes(1 << 24)), "--method", "pull")
    server.until("first-block")
    device.signal(signal.SIGSTOP)
    server.signal(signal.SIGINT)
    server.until("stage", stage="Cleanup")
    server.signal(signal.SIGINT)
    assert outcome(server) == (4, "cancelled; the device is left as it is")


def test_an_address_in_use_is_told_from_a_failed_update(bench):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        status, line = outcome(bench.update(listen=f"127.0.0.1:{port}"))
    assert status == 7
    assert line == f"cannot serve: cannot bind to 127.0.0.1 port {port}: Address already in use"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
@pytest.mark.parametrize(("listen", "host"), [("[::1]:0", "[::1]"), ("[::]:0", "127.0.0.1")])
def test_ipv6(bench, listen, host):
    server = bench.update(None, "--method", "pull", listen=listen)
    bench.device(server.until("listening")["port"], host=host)
    assert outcome(server)[0] == 0
    peers = {event["peer"].rpartition(":")[0] for event in server.events if event["event"] == "registered"}
    assert peers == {host}


@pytest.mark.parametrize(
    ("options", "host"),
    [((), "127.0.0.1"), (("--advertise", "there.invalid"), "there.invalid"), (("--advertise", "[::1]"), "[::1]")],
)
def test_the_package_uri_names_a_host_and_never_a_wildcard(bench, options, host):
    large = bench.signed("large.bin", bytes(1 << 24))
    server = bench.update(large, "--method", "pull", *options, listen="0.0.0.0:0")
    port = server.until("listening")["port"]
    device = bench.device(port)
    device.until("state", state=1)
    stored = (bench.folder / "state" / "firmware.json").read_text()
    assert f"coap://{host}:{port}/fw/" in stored
    server.signal()
    assert outcome(server) == (4, "cancelled while transferring package")


def test_a_long_wait_is_explained(bench):
    server = bench.update()
    waiting = server.until("waiting")
    assert (waiting["step"], waiting["awaits"]) == ("registration", "the device to register")
    assert 800 < waiting["limit_s"] <= 900
    server.signal()
    assert outcome(server)[0] == 4


def test_people_read_lines(bench, run):
    done = run("update", bench.package, "--endpoint", "dev", "--listen", "127.0.0.1:0", "--timeout", "0.2")
    assert done.returncode == 3
    assert done.stdout.splitlines()[-2:] == [
        "timed out while preparing update: The device did not register in time (prepare.not-registered)",
        "Look whether the device is switched on.",
    ]


def test_nobody_reading_the_output_does_not_end_an_update_or_a_device(bench, start):
    reading, writing = os.pipe()
    server = bench.update(bench.package, "--method", "push")
    port = server.until("listening")["port"]
    os.close(reading)
    device = start(
        *("device", "--server", f"coap://127.0.0.1:{port}", "--endpoint", "dev"),
        *("--state-dir", bench.folder / "state", "--trust", bench.public),
        stdout=writing,
    )
    os.close(writing)
    assert outcome(server) == (0, "updated: 1.0.0 -> 1.1.0")  # over a reboot
    device.signal()
    device.signal(signal.SIGINT)
    assert device.end() == 0
    assert device.errors == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--listen", "5683"), "is not [SCHEME://]HOST:PORT"),
        (("--listen", "::1:5683"), "is not [SCHEME://]HOST:PORT"),
        (("--listen", "[127.0.0.1]:5683"), "is not [SCHEME://]HOST:PORT"),
        (("--listen", "127.0.0.1:65536"), "is not a port"),
        (("--advertise", "two words"), "is not a host"),
        (("--timeout", "0"), "is not a positive number of seconds"),
        (("--timeout", "nan"), "is not a positive number of seconds"),
        (("--timeout", "soon"), "is not a positive number of seconds"),
        (("--method", "mail"), "'mail' is not one of"),
        (("--endpoint", ""), "a name has 1 to 255 bytes"),
        (("--endpoint", "n" * 256), "a name has 1 to 255 bytes"),
    ],
)
def test_wrong_usage_is_told_before_anything_begins(bench, cli, arguments, words):
    done = cli("update", bench.package, *(() if "--endpoint" in arguments else ("--endpoint", "dev")), *arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path, cli):
    done = cli("update", tmp_path / "none.bin", "--endpoint", "dev")
    assert done.exit_code == 2
    assert "none.bin" in done.output
