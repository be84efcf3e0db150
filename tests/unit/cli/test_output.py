"""What commands print: JSON, lines, a bar on a terminal, and nothing where nobody listens."""

import io
import json
import os
from types import SimpleNamespace

import pytest

from lwm2m_fota.cli import output
from lwm2m_fota.cli.events import EVENTS, authority, count, shown
from lwm2m_fota.cli.output import Output
from lwm2m_fota.machines.update_steps import STEPS

VALUES = {
    "at": 0, "awaits": "an answer", "boot": "pending", "bytes": 1000, "bytes_per_s": 2000, "code": "x.y", "component": None, "components": [],
    "conflicts": [],
    "diagnosis": "it is late", "endpoint": "dev", "equal": True, "expired": True, "hint": "Look.", "host": "::1",
    "instance": 1, "name": "modem",
    "limit_s": 1200, "line": "because", "lwm2m": "1.1", "message": "a word", "num": 3, "number": 2, "offset": 3072,
    "ok": True, "outcome": "failed", "peer": "127.0.0.1:1", "port": 5683, "result": 1, "scene": "update", "seconds": 0.5,
    "server": "coap://x", "staged_bytes": 1, "stage": "Cleanup", "state": 0, "status": 1, "step": "push",
    "then": "it ends", "total": 2000, "total_s": 3.0, "transfer_s": 1.0, "update_s": 2.0, "uris": ["coap://[::1]:5683", "coaps://[::1]:5684"], "version": "1.0",
}  # fmt: skip

LINES = {
    ("demo", "busy"): "busy with a package of another server",
    ("demo", "demo"): "State 0 idle, Result 1 success; the installed bytes are equal\n"
    "transfer 1.00 s (2,000 bytes/s), update 2.00 s, all 3.00 s\nsuccess",
    ("demo", "package"): "package: 1,000 bytes, version 1.0, with a fresh key",
    ("demo", "power-cut"): "the power of the device is cut, during the trial",
    ("demo", "error"): "Error: a word",
    ("device", "booted"): "booted version 1.0, on trial",
    ("device", "component"): "  component modem, version 1.0",
    ("device", "error"): "Error: a word",
    ("device", "rebooting"): "rebooting",
    ("device", "registered"): "registered at coap://x",
    ("device", "started"): "started; 1 byte are staged",
    ("device", "state"): "State 0 idle, Result 1 success: it is late",
    ("device", "stopped"): "stopped",
    ("device", "trouble"): "not registered: a word; trying on",
    ("update", "first-block"): "  127.0.0.1:1 fetches the package from byte 3,072 on",
    ("update", "gone"): "dev is gone: its registration lapsed",
    ("update", "listening"): "listening on coap://[::1]:5683 coaps://[::1]:5684, waiting for dev",
    ("update", "notice"): "notice: a word",
    ("update", "outcome"): "because\nLook.",
    ("update", "progress"): "  1,000 of 2,000 bytes, 2,000 bytes/s",
    ("update", "registered"): "dev registered from 127.0.0.1:1, LwM2M 1.1",
    ("update", "shown"): "  State 0 idle, Result 1 success, version 1.0",
    ("update", "stage"): "2/4 Cleanup",
    ("update", "step"): None,
    ("update", "transferred"): "  1,000 bytes in 0.50 s, verified; 2,000 bytes/s",
    ("update", "waiting"): "  waiting for an answer\n  at most 1,200 s, then it ends",
    ("update", "warning"): "  warning: a word (x.y)",
}


class Pipe(io.StringIO):
    """Standard output into a file, or to a terminal."""

    def __init__(self, *, terminal=False):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


def take_over(monkeypatch, stdout):
    """Give the module streams of its own: those of the process belong to pytest."""
    streams = SimpleNamespace(stdout=stdout, stderr=Pipe())
    monkeypatch.setattr(output, "sys", streams)
    return streams


@pytest.fixture
def stdout(monkeypatch):
    return take_over(monkeypatch, Pipe()).stdout


@pytest.fixture
def terminal(monkeypatch):
    pipe = take_over(monkeypatch, Pipe(terminal=True)).stdout
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return pipe


def values_of(command, event):
    return {field: VALUES[field] for field in EVENTS[command][event].fields}


def test_every_event_has_its_line():
    lines = {}
    for command, events in EVENTS.items():
        for event, kind in events.items():
            line = kind.line(values_of(command, event))
            lines[command, event] = None if line is None else line.text
    assert lines == LINES


@pytest.mark.parametrize(
    ("command", "event", "changed", "text"),
    [
        ("demo", "demo", {"ok": False}, "FAILED: because"),
        (
            "demo",
            "demo",
            {"scene": "rollback", "result": 8, "transfer_s": None},
            "Result 8 was shown; the device runs what it ran before\nall 3.00 s\nsuccess",
        ),
        ("demo", "busy", {"component": "modem"}, "modem: busy with a package of another server"),
        ("device", "booted", {"boot": "reverted"}, "booted version 1.0: the new one was not confirmed"),
        ("device", "started", {"staged_bytes": 0}, "started"),
        ("device", "state", {"diagnosis": "", "result": 99}, "State 0 idle, Result 99 unknown 99"),
        ("device", "state", {"diagnosis": "", "component": "app"}, "app: State 0 idle, Result 1 success"),
        (
            "device",
            "state",
            {"diagnosis": "", "result": 13, "component": "app", "conflicts": ["modem", "gps"]},
            "app: State 0 idle, Result 13 dependency error, in conflict with modem, gps",
        ),
        ("update", "shown", {"component": "app"}, "  app: State 0 idle, Result 1 success, version 1.0"),
        ("update", "progress", {"component": "app", "bytes_per_s": None}, "  app: 1,000 of 2,000 bytes"),
        (
            "update",
            "outcome",
            {
                "components": [
                    {"name": "app", "before": "1", "after": "2", "updated": True},
                    {"name": "modem", "before": None, "after": None, "updated": False},
                ],
            },
            "because\n  app: 1 -> 2\n  modem: unknown version\nLook.",
        ),
        ("update", "gone", {"expired": False}, "dev is gone: it deregistered"),
        ("update", "outcome", {"hint": ""}, "because"),
        ("update", "progress", {"bytes_per_s": None}, "  1,000 of 2,000 bytes"),
        ("update", "shown", {"version": None}, "  State 0 idle, Result 1 success"),
    ],
)
def test_lines_follow_their_values(command, event, changed, text):
    assert EVENTS[command][event].line(values_of(command, event) | changed).text == text


def test_words():
    assert (count(0), count(1), count(1048752)) == ("0 bytes", "1 byte", "1,048,752 bytes")
    assert (authority("h", 1), authority("::1", 1)) == ("h:1", "[::1]:1")
    assert shown(3, 2) == "State 3 updating, Result 2 not enough storage"


def test_json_is_one_object_a_line(stdout):
    say = Output("update", as_json=True)
    say("listening", host="::", port=1, uris=[], endpoint="d")
    say.relay("device", "device", "rebooting", {}, hidden=True)
    say.fail("no")
    say.close()
    first, second, third = map(json.loads, stdout.getvalue().splitlines())
    assert first.pop("at") > 1e9
    assert first == {"event": "listening", "host": "::", "port": 1, "uris": [], "endpoint": "d"}
    assert (second["event"], second["source"]) == ("rebooting", "device")
    assert (third["event"], third["message"]) == ("error", "no")


def test_lines_are_not_wrapped_where_no_terminal_is(stdout):
    say = Output("update", as_json=False)
    say("notice", message="word " * 40)
    say("step", step="push")
    say.relay("device", "device", "rebooting", {}, hidden=True)
    assert stdout.getvalue() == f"notice: {'word ' * 40}\n"


def test_what_others_say_cannot_move_the_cursor(stdout):
    """Versions and diagnoses are those of devices and packages; a line may have a second one of its own."""
    say = Output("update", as_json=False)
    say("notice", message="a\x1b[31m\x07\u202eb\rc \u00fc\nd")
    assert stdout.getvalue() == "notice: a\\x1b[31m\\x07\\u202eb\\rc \u00fc\nd\n"


def test_an_error_of_people_goes_to_stderr(monkeypatch):
    streams = take_over(monkeypatch, Pipe())
    Output("device", as_json=False).fail("no")
    assert (streams.stdout.getvalue(), streams.stderr.getvalue()) == ("", "Error: no\n")


def test_lines_of_a_demo_begin_with_the_time_and_their_source(stdout, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 5.0)
    say = Output("demo", as_json=False, timed=True)
    say("package", bytes=1, version="1", component=None)
    say.relay("device", "device", "rebooting", {}, hidden=False)
    assert (
        stdout.getvalue()
        == "  0.00 s  demo    package: 1 byte, version 1, with a fresh key\n  0.00 s  device  rebooting\n"
    )


def test_progress_without_a_terminal_is_a_line_a_second(stdout, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    say = Output("update", as_json=False)
    for now in (100.0, 100.9, 101.0, 101.9, 102.5):
        say("progress", bytes=round(now * 10), total=2000, bytes_per_s=None, component=None)
    assert stdout.getvalue() == "  1,010 of 2,000 bytes\n  1,025 of 2,000 bytes\n"


def test_on_a_terminal_a_bar_shows_the_progress_and_goes(terminal):
    say = Output("update", as_json=False)
    say("progress", bytes=500_000, total=1_000_000, bytes_per_s=1, component=None)
    say("progress", bytes=750_000, total=1_000_000, bytes_per_s=1, component=None)
    say("transferred", bytes=1_000_000, seconds=1.0, bytes_per_s=1_000_000, component=None)
    text = terminal.getvalue()
    shown, hidden, after = text.partition("\x1b[?25h")  # the cursor is back
    assert "\x1b[?25l" in shown
    assert "0.8/1.0 MB" in shown
    assert hidden
    assert "1,000,000 bytes in 1.00 s" in after


def test_on_a_terminal_long_lines_are_folded_below_themselves(terminal):
    say = Output("update", as_json=False)
    say("warning", code="a.b", message="some words " * 12)
    lines = terminal.getvalue().replace("\x1b[33m", "").replace("\x1b[0m", "").splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("  warning: some words ")
    assert lines[1].startswith("    ")


@pytest.fixture
def broken(monkeypatch):
    """Standard output into a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        take_over(monkeypatch, stream)
        yield stream


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_listening_is_no_error(broken, as_json):
    say = Output("device", as_json=as_json)
    for _ in range(1000):  # more than a buffer
        say("trouble", message="x" * 100)
    broken.flush()


def test_no_standard_output_at_all_is_no_error(monkeypatch):
    take_over(monkeypatch, None)
    for as_json in (True, False):
        say = Output("device", as_json=as_json)
        say("rebooting")
        say.close()


@pytest.mark.parametrize("step", list(STEPS))
def test_no_wait_is_told_in_more_than_80_columns(step):
    """With the 18 columns before it of a demo: the time, and who says it."""
    info = STEPS[step]
    then = {info.then, "the update times out"}
    for each in then:
        values = {"step": step.value, "awaits": info.awaits, "limit_s": 86_400, "then": each}
        line = EVENTS["update"]["waiting"].line(values)
        assert max(map(len, line.text.split("\n"))) <= 80 - 18
