"""Parts of the commands that their processes do not show: outcomes, names, the missing extra, the demo's verdict."""

import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from lwm2m_fota import cli as room
from lwm2m_fota.cli.app import cli
from lwm2m_fota.cli.demo import _Demo
from lwm2m_fota.cli.demo_options import DemoOptions, Scene
from lwm2m_fota.cli.demo_packages import Package, Packages
from lwm2m_fota.cli.demo_road import Road
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.state_dir import StateDir, running_image
from lwm2m_fota.cli.update import end_of
from lwm2m_fota.cli.update_log import peer_name
from lwm2m_fota.cli.ways import any_address_towards
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.errors import MissingExtraError, StorageError
from lwm2m_fota.machines.update_outcome import (
    Cancelled,
    ComponentEnd,
    Diagnosis,
    Failed,
    Succeeded,
    TimedOut,
    Undetermined,
)
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.model.enums import State, UpdateResult

ANY = "0.0.0.0"  # noqa: S104 - compared, not bound to
WHY = Diagnosis("a.code", "Something happened.", "Do something.")
TRANSFER = UpdateStage.TRANSFERRING
APP, MODEM = (
    ComponentEnd(
        name=name,
        instance=0,
        version_before="1",
        version_after="2",
        state=State(0),
        result=UpdateResult(1),
        updated=done,
    )
    for name, done in (("app", True), ("modem", False))
)


def test_both_commands_hand_down_how_sets_of_blocks_go(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr("lwm2m_fota.cli.device.run_device", lambda options, _say: given.append(options.q_block) or 0)
    monkeypatch.setattr("lwm2m_fota.cli.update.run_update", lambda options, _say: given.append(options.q_block) or 0)
    package = tmp_path / "package.bin"
    package.write_bytes(b"package")
    device = ["device", "--server", "coap://127.0.0.1", "--endpoint", "dev", "--state-dir", str(tmp_path)]
    update = ["update", str(package), "--endpoint", "dev"]
    for more in ([], ["--q-block", "fixed"], ["--q-block", "measured"]):
        for command in (device, update):
            assert CliRunner().invoke(cli, [*command, *more]).exit_code == 0
    fixed, measured = QBlock(), QBlock(timers=QTimers.MEASURED)
    assert given == [None, None, fixed, fixed, measured, measured]


@pytest.mark.parametrize(
    ("outcome", "status", "kind", "line", "hint"),
    [
        (Succeeded(version_before="1", version_after="2"), 0, "succeeded", "updated: 1 -> 2", ""),
        (
            Succeeded(version_before="1", version_after="2", components=(APP, MODEM)), 0, "succeeded",
            "updated: app, modem", "",
        ),
        (
            Succeeded(version_before=None, version_after=None), 0, "succeeded",
            "updated: unknown version -> unknown version", "",
        ),
        (
            Failed(stage=TRANSFER, result=UpdateResult(5), diagnosis=WHY), 1, "failed",
            "failed while transferring package: Something happened (a.code; Update Result 5 integrity failure)",
            "Do something.",
        ),
        (
            Failed(stage=TRANSFER, result=None, diagnosis=WHY), 1, "failed",
            "failed while transferring package: Something happened (a.code)", "Do something.",
        ),
        (
            TimedOut(stage=TRANSFER, diagnosis=WHY), 3, "timedout",
            "timed out while transferring package: Something happened (a.code)", "Do something.",
        ),
        (Cancelled(stage=TRANSFER), 4, "cancelled", "cancelled while transferring package", ""),
        (Undetermined(diagnosis=WHY), 5, "undetermined", "undetermined: Something happened (a.code)", "Do something."),
    ],
)  # fmt: skip
def test_an_outcome_is_an_exit_status_and_a_line(outcome, status, kind, line, hint):
    end = end_of(outcome)
    assert (end.status, end.outcome, end.line, end.hint) == (status, kind, line, hint)


def test_how_each_component_came_out_is_told():
    end = end_of(Failed(stage=TRANSFER, result=None, diagnosis=WHY, components=(APP, MODEM)))
    assert end.components == (
        {"name": "app", "before": "1", "after": "2", "updated": True},
        {"name": "modem", "before": "1", "after": "2", "updated": False},
    )


def test_a_device_that_never_came_is_named_whatever_limit_passed():
    end = end_of(TimedOut(stage=UpdateStage.PREPARING, diagnosis=WHY), came=False)
    assert end.status == 3
    assert "(prepare.not-registered)" in end.line


def test_peers_have_names():
    assert peer_name(("127.0.0.1", 1)) == "127.0.0.1:1"
    assert peer_name(("::ffff:127.0.0.1", 1, 0, 0)) == "127.0.0.1:1"
    assert peer_name(("fe80::1", 1, 0, 2)) == "[fe80::1]:1"
    assert peer_name("memory") == "memory"


def test_a_device_takes_the_family_of_its_server(monkeypatch):
    def resolves(*families):
        def getaddrinfo(host, port, family):
            if family not in families:
                raise socket.gaierror(socket.EAI_NONAME, "none")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return any_address_towards("coap://server.example")

    assert resolves(socket.AF_INET, socket.AF_INET6) == ANY
    assert resolves(socket.AF_INET) == ANY
    assert resolves(socket.AF_INET6) == "::"
    assert resolves() == ANY


# -- the state folder


def test_a_state_folder_is_locked_until_it_is_closed(tmp_path):
    first = StateDir(tmp_path / "deep" / "state")
    with pytest.raises(StorageError, match="in use by another process"):
        StateDir(tmp_path / "deep" / "state")
    first.close()
    StateDir(tmp_path / "deep" / "state").close()


def test_a_device_without_an_update_runs_the_factory_image(tmp_path):
    assert running_image(tmp_path) is None


# -- the demo's verdict


class Verdict:
    """A demo whose processes have said these things and left these bytes."""

    def __init__(self, folder, capsys, names=("",)):
        self._capsys = capsys
        self._names = names
        self._package = folder / "package"
        self._package.write_bytes(b"the package")
        self.state_dir = folder / "state"
        self._told = []

    def installed(self, data):
        state_dir = StateDir(self.state_dir)
        state_dir.installer("1")
        state_dir.close()
        (self.state_dir / "slot-a.bin").write_bytes(data)
        (self.state_dir / "slot-a.bin.sealed").write_bytes(str(len(data)).encode())

    def staged(self, data):
        self.state_dir.mkdir(exist_ok=True)
        (self.state_dir / "staged-0.bin").write_bytes(data)
        (self.state_dir / "staged-0.bin.sealed").write_bytes(str(len(data)).encode())

    def told(self, event, **values):
        self._told.append({"event": event, "at": 0, **values})

    def __call__(self, scene=Scene.UPDATE):
        say = Output("demo", as_json=False)
        sent = [Package(name, self._package, len(b"the package")) for name in self._names]
        packages = Packages(sent, sent[0] if scene is Scene.CONFLICT else None)
        options = DemoOptions(file=None, size_bytes=1, method="push", components=len(self._names), scene=scene)
        demo = _Demo(options, Road((), ()), self.state_dir, self._names, packages, self._package, say, time.monotonic())
        for event in self._told:
            demo._tell("server", event)
        return int(demo._judge()), self._capsys.readouterr().out.splitlines()[-1]


@pytest.fixture
def verdict(tmp_path, capsys):
    return Verdict(tmp_path, capsys)


def succeed(verdict, state=0, result=1):
    verdict.told("registered", endpoint="d", peer="p", lwm2m="1.1")
    verdict.told("transferred", bytes=11, seconds=1.0, bytes_per_s=11, component=None)
    verdict.told("shown", state=state, result=result, version=None, component=None)
    verdict.told("outcome", outcome="succeeded", status=0, line="updated", hint="", components=[])


def test_equal_bytes_and_0_and_1_are_a_success(verdict):
    verdict.installed(b"the package")
    succeed(verdict)
    assert verdict() == (0, "success")


def fail_with(verdict, *results):
    succeed(verdict)
    for result in results:
        verdict.told("shown", state=2, result=result, version=None, component=None)
    verdict.told("outcome", outcome="failed", status=1, line="it failed", hint="", components=[])


def test_a_scene_that_fails_is_a_success_if_it_shows_its_result_and_nothing_is_installed(verdict):
    fail_with(verdict, 8, 10)
    assert verdict(Scene.ROLLBACK) == (0, "success")


def test_a_scene_with_another_result_or_in_which_something_is_installed_is_a_failure(verdict):
    fail_with(verdict, 5)
    assert verdict(Scene.ROLLBACK) == (1, "FAILED: it failed")
    verdict.installed(b"the package")
    fail_with(verdict, 8)
    assert verdict(Scene.ROLLBACK) == (1, "FAILED: it failed")


def test_a_conflict_is_a_success_if_the_busy_component_still_holds_its_package(verdict):
    verdict.staged(b"the package")
    fail_with(verdict, 12)
    assert verdict(Scene.CONFLICT) == (0, "success")


@pytest.mark.parametrize("data", [b"THE package", b"the packag", None])
def test_a_conflict_over_which_the_busy_component_loses_its_package_is_a_failure(verdict, data):
    if data is not None:
        verdict.staged(data)
    fail_with(verdict, 12)
    assert verdict(Scene.CONFLICT) == (1, "FAILED: it failed")


def test_a_conflict_whose_state_folder_is_in_use_is_a_failure(verdict):
    verdict.staged(b"the package")
    fail_with(verdict, 12)
    in_use = StateDir(verdict.state_dir)
    assert verdict(Scene.CONFLICT) == (1, "FAILED: it failed")
    in_use.close()


@pytest.mark.parametrize("data", [b"THE package", b"the packag", b"the package!"])
def test_other_bytes_are_a_failure(verdict, data):
    verdict.installed(data)
    succeed(verdict)
    assert verdict() == (1, "FAILED: the installed bytes are not those that were sent")


def test_no_bytes_are_a_failure(verdict):
    succeed(verdict)
    assert verdict() == (1, "FAILED: the installed bytes are not those that were sent")


def test_a_state_folder_that_cannot_be_read_is_a_failure(verdict):
    verdict.installed(b"the package")
    (verdict.state_dir / "boot.json").write_text("{")
    succeed(verdict)
    assert verdict() == (1, "FAILED: the installed bytes are not those that were sent")


@pytest.mark.parametrize(("state", "result"), [(0, 0), (2, 1), (0, 8)])
def test_another_state_or_result_is_a_failure(verdict, state, result):
    verdict.installed(b"the package")
    succeed(verdict, state, result)
    assert verdict() == (1, "FAILED: State and Result are not 0 and 1")


def test_a_failed_update_is_a_failure_for_its_own_reason(verdict):
    verdict.told("outcome", outcome="failed", status=1, line="it broke", hint="", components=[])
    assert verdict() == (1, "FAILED: it broke")


@pytest.mark.parametrize(
    ("modem", "data", "line"),
    [
        ((0, 1), b"the package", "success"),
        ((2, 13), b"the package", "FAILED: State and Result are not 0 and 1"),
        (None, b"the package", "FAILED: State and Result are not 0 and 1"),
        ((0, 1), b"THE package", "FAILED: the installed bytes are not those that were sent"),
    ],
)
def test_every_component_of_a_demo_counts(tmp_path, capsys, modem, data, line):
    verdict = Verdict(tmp_path, capsys, ("app", "modem"))
    state_dir = StateDir(verdict.state_dir)
    images = [pair[0] for pair in state_dir.batch_installer({0: "1", 1: "1"})._slots.values()]
    for image, installed in zip(images, (b"the package", data), strict=True):
        image.write_at(0, installed)
        image.seal()
    state_dir.close()
    for name, shown in (("app", (0, 1)), ("modem", modem)):
        verdict.told("transferred", bytes=11, seconds=1.0, bytes_per_s=11, component=name)
        if shown:
            verdict.told("shown", state=shown[0], result=shown[1], version=None, component=name)
    verdict.told("outcome", outcome="succeeded", status=0, line="updated", hint="", components=[])
    assert verdict() == (0 if line == "success" else 1, line)


def test_a_process_that_ends_too_soon_is_a_failure(verdict):
    assert verdict() == (1, "FAILED: a process ended too soon")


def test_a_demo_that_has_no_room_for_its_files_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    done = CliRunner().invoke(cli, ["demo"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: cannot prepare the demo: ")
    assert done.stderr.count("\n") == 1


# -- the missing extra


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_names_the_command_that_helps(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from lwm2m_fota.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lwm2m-fota: the command line needs: pip install 'lwm2m-fota[cli]'\n"


def test_the_extra_is_an_error_of_ours(monkeypatch):
    room.require_extra()
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lwm2m-fota\[cli\]'"):
        room.require_extra()
