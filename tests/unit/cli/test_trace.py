"""Traces on the command line: recorded by `--trace`, drawn by `trace`."""

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.app import cli
from lwm2m_fota.cli.diagram import MAX_WORDS, Arrow, Remark, mermaid, svg
from lwm2m_fota.cli.trace import items
from lwm2m_fota.cli.trace_file import MAX_LINE_BYTES, TraceFile, read_file
from lwm2m_fota.errors import SnapshotError, StorageError
from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.update import start, step
from lwm2m_fota.machines.update_policy import UpdatePlan, UpdatePolicy, Watch
from lwm2m_fota.machines.update_trace import first_line, line
from lwm2m_fota.model.paths import Path

PLAN = UpdatePlan(method="push", package_bytes=9, policy=UpdatePolicy(watch=Watch.READ_ONLY))
SHOWN = {Path.of(5, 0, 3): 0, Path.of(5, 0, 5): 0, Path.of(3, 0, 3): "1", Path.of(5, 0, 9): 2}
EVENTS = (
    ev.Registered(object_versions={5: "1.1"}),
    ev.ReadAnswered(1, SHOWN),
    ev.PushProgress(2, 4),
    ev.PullProgress(4),
    ev.ObserveAnswered(9, 0x45),
    ev.WriteAnswered(9, 0x44),
    ev.ExecuteAnswered(9, 0xFE),
    ev.ReadFailed(9, None),
    ev.ReadFailed(9, 0x84),
    ev.SourceFailed(9, "gone"),
    ev.RequestFailed(9, "silence"),
    ev.Notified(Path.of(5, 0, 3), 1),
    ev.Deregistered(),
    ev.Lapsed(),
    ev.Restarted(),
    ev.TimePassed(),
    ev.CancelRequested(),
)


@pytest.fixture
def traced(tmp_path):
    """The file of a trace with an event of every kind, and its lines."""
    machine = start(PLAN, 1.0)
    lines = [first_line(machine, 1.0)]
    for at, event in enumerate(EVENTS, 2):
        made = step(machine, event, float(at))
        lines.append(line(event, made.effects, made.machine, float(at)))
        machine = made.machine
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    return path


def test_what_happened_is_drawn_in_order(traced):
    drawn = items(read_file(traced))
    assert drawn[:8] == [
        Arrow("Device", "Server", "register /5 1.1"),
        Arrow("Server", "Device", "read /5/0/3, /5/0/5, /3/0/3, /5/0/8, /5/0/9, /5/0/13"),
        Remark("Server", "1.0 s: learn"),
        Arrow("Device", "Server", "/5/0/3 0, /5/0/5 0, /3/0/3 1, /5/0/9 2", answer=True),
        Arrow("Server", "Device", "push the package /5/0/0"),
        Remark("Server", "2.0 s: push"),
        Arrow("Server", "Device", "blocks up to byte 4"),
        Arrow("Device", "Server", "fetches up to byte 4"),
    ]
    assert Arrow("Device", "Server", "2.05 content", answer=True) in drawn
    assert Arrow("Device", "Server", "7.30", answer=True) in drawn
    assert Arrow("User", "Server", "cancel") in drawn
    assert Remark("Server", "stop push") in drawn
    assert drawn[-1] == Remark("Server", "still running")


@pytest.mark.parametrize("form", ["mermaid", "svg"])
def test_the_command_draws(traced, tmp_path, form):
    told = CliRunner().invoke(cli, ["trace", str(traced), "--format", form])
    assert told.exit_code == 0
    target = tmp_path / "drawn"
    written = CliRunner().invoke(cli, ["trace", str(traced), "--format", form, "--output", str(target)])
    assert (written.exit_code, written.output) == (0, "")
    assert target.read_text("utf-8") == told.output
    assert told.output.startswith("sequenceDiagram\n" if form == "mermaid" else "<svg ")


def test_a_replay_that_goes_another_way_is_an_error(traced):
    lines = traced.read_text("utf-8").splitlines()
    lines[2] = lines[2].replace('"step": "push"', '"step": "verify"')
    traced.write_text("\n".join(lines), "utf-8")
    told = CliRunner().invoke(cli, ["trace", str(traced)])
    assert told.exit_code == 1
    assert "line 3: push, and verify was recorded" in told.output


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "no machine"), (b"{", "line 1 is no JSON"), (b"[]\n", "no machine"), (b"\xff\n", "line 1 is no JSON")],
)
def test_what_is_no_trace_is_refused(tmp_path, data, words):
    path = tmp_path / "trace"
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match=words):
        read_file(path)


def test_a_line_is_not_read_without_bound(tmp_path):
    path = tmp_path / "trace"
    path.write_bytes(b'"' + b"x" * MAX_LINE_BYTES + b'"')
    with pytest.raises(SnapshotError, match="line 1 is over 1048576 bytes"):
        read_file(path)


def test_files_that_cannot_be_had_are_errors(tmp_path, traced):
    with pytest.raises(StorageError, match="cannot read"):
        read_file(tmp_path / "nothing")
    with pytest.raises(StorageError, match="cannot write the trace"):
        TraceFile(tmp_path)
    told = CliRunner().invoke(cli, ["trace", str(traced), "--output", str(tmp_path)])
    assert told.exit_code == 1
    assert "cannot write" in told.output


async def _write(path, *lines):
    async with TraceFile(path) as file:
        for each in lines:
            file(each)


def test_lines_are_written_as_they_come(tmp_path):
    import asyncio

    path = tmp_path / "trace"
    asyncio.run(_write(path, {"a": 1}, {"b": "é"}))
    assert [json.loads(each) for each in path.read_text("utf-8").splitlines()] == [{"a": 1}, {"b": "é"}]
    asyncio.run(_write(None, {"a": 1}))


# ---- diagrams


WHO = ("A", "B")
DRAWN = [Arrow("A", "B", "x < y; #1"), Arrow("B", "A", "ok", answer=True), Remark("B", "n\nm" + "w" * 99)]


def test_mermaid_keeps_its_own_marks_out_of_texts():
    lines = mermaid(WHO, DRAWN).splitlines()
    assert lines[:3] == ["sequenceDiagram", "    participant A", "    participant B"]
    assert lines[3] == "    A->>B: x #lt; y#59; #35;1"
    assert lines[4] == "    B-->>A: ok"
    assert lines[5] == "    Note over B: n m" + "w" * (MAX_WORDS - 6) + "..."


def test_svg_is_whole_and_needs_nothing_from_elsewhere():
    text = svg(WHO, DRAWN)
    root = ET.fromstring(text)  # noqa: S314 - our own
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:4] == ["A", "B", "x < y; #1", "ok"]
    assert text.count("stroke-dasharray") == 1
    assert text.count("://") == 1  # the name of the format
    assert "<script" not in text
