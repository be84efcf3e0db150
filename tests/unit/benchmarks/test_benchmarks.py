"""The benchmarks run, and judge what they measured."""

import importlib
import json
import subprocess
import sys

import pytest

from lwm2m_fota.machines.rows import ROWS

LIMIT_S = 60


@pytest.fixture(scope="module")
def harness(root):
    sys.path.insert(0, str(root))  # benchmarks are no part of the installed package
    try:
        yield importlib.import_module("benchmarks.harness")
    finally:
        sys.path.remove(str(root))


@pytest.fixture
def transfer(root, tmp_path):
    pytest.importorskip("aiocoap")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks", "transfer", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    return run


def test_the_transfer_benchmark_writes_its_figures(transfer, tmp_path):
    path = tmp_path / "figures.json"
    done = transfer("--size", "3KiB", "5000", "--rounds", "1", "--disk", "--json", str(path))
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    keys = {"name", "value", "unit", "against", "ratio", "goal", "met"}
    assert all(set(figure) == keys and figure["value"] > 0 for figure in figures)
    goals = {figure["name"]: figure["goal"] for figure in figures if figure["goal"]}
    assert goals == {
        "transfer.pull.3KiB.cost": ">= 10",
        "transfer.pull.5000B.cost": "<= 1.2",
        "transfer.push.3KiB.cost": ">= 10",
        "transfer.push.5000B.cost": "<= 1.2",
    }
    names = {figure["name"] for figure in figures}
    assert {"transfer.pull.3KiB.aiocoap.cost", "transfer.push.5000B.rate", "transfer.pull.3KiB.disk.cpu"} <= names
    assert "aiocoap 0." in done.stdout


@pytest.fixture
def machines(root):
    pytest.importorskip("transitions")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    return run


def test_the_machines_benchmark_writes_its_figures(machines, tmp_path):
    path = tmp_path / "figures.json"
    few = ("--steps", "500", "--machines", "3000", "--rounds", "1")
    done = machines("-m", "benchmarks", "machines", *few, "--json", str(path))
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(path.read_text())}
    assert {name: figure["goal"] for name, figure in figures.items() if figure["goal"]} == {
        "machines.step.rate": ">= 400,000",
        "machines.step.speedup": ">= 3",
        "machines.memory": "<= 250",
    }
    assert figures["machines.rows"]["value"] == sum(row.object_id != 33629 for row in ROWS)
    assert all(figure["value"] > 0 for figure in figures.values())


def test_every_machine_that_is_kept_is_another_one(machines):
    script = "from benchmarks.machines_memory import device; print(len({device(number) for number in range(2000)}))"
    done = machines("-c", script)
    assert done.stdout == "2000\n", done.stderr


def test_goals_are_not_judged_by_few_rounds(transfer):
    done = transfer("--check", "--rounds", "4")
    assert done.returncode == 2
    assert "too few rounds" in done.stderr


@pytest.mark.parametrize("size", ["1", "0", "-4KiB", "many", "1.5MiB"])
def test_a_size_that_is_none_is_refused(transfer, size):
    assert transfer(f"--size={size}").returncode == 2


def test_a_bound_itself_meets_the_goal(harness):
    figure = harness.Figure(name="a", value=1.0, unit="s")
    assert harness.at_least(figure, "b", 10.0, 10.0).met
    assert not harness.at_least(figure, "b", 9.99, 10.0).met
    assert harness.at_most(figure, "b", 1.2, 1.2).met
    assert not harness.at_most(figure, "b", 1.21, 1.2).met


def test_only_a_goal_can_be_missed(harness):
    figure = harness.Figure(name="a", value=1.0, unit="s")
    bad = harness.at_most(figure, "b", 2.0, 1.0)
    assert harness.missed([figure, harness.at_most(figure, "b", 1.0, 1.0), bad]) == [bad]
    assert "MISSED" in harness.table([bad])


def test_contestants_warm_up_once_and_take_turns(harness):
    ran = []

    def contestant(name):
        def once():
            ran.append(name)
            return float(len(ran))

        return once

    measured = harness.alternate({name: contestant(name) for name in "ab"}, 3)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert measured == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_the_median_takes_wall_and_processor_apart(harness):
    costs = [harness.Cost(1.0, 6.0), harness.Cost(3.0, 4.0), harness.Cost(2.0, 5.0)]
    assert harness.median(costs) == harness.Cost(2.0, 5.0)
