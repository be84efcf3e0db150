"""The mutation of tables: what is made wrong, and that only a failed test counts as a kill."""

import importlib
import subprocess
import sys

import attrs
import pytest

from lwm2m_fota.errors import UsageError

LIMIT_S = 60


@pytest.fixture(scope="module")
def mutate(root):
    sys.path.insert(0, str(root))  # proofs are no part of the installed package
    try:
        yield importlib.import_module("proof.mutants.mutate")
    finally:
        sys.path.remove(str(root))


@attrs.frozen
class Row:
    name: str
    number: int

    def __attrs_post_init__(self):
        if self.number < 0:
            raise UsageError("negative")


def tables(mutants):
    return [(mutant.mistake, [(row.name, row.number) for row in mutant.names()["T"]]) for mutant in mutants]


def test_rows_are_dropped_changed_and_added(mutate):
    choices = {"number": mutate.others((1, 2, -3))}
    made = mutate.rows(
        [Row("a", 1), Row("b", 2)], choices, lambda row: row.name, lambda table: {"T": table}, [Row("c", 3)]
    )
    assert tables(made) == [
        ("drop", [("b", 2)]),
        ("number", [("a", 2), ("b", 2)]),
        ("drop", [("a", 1)]),
        ("number", [("a", 1), ("b", 1)]),
        ("add", [("a", 1), ("b", 2), ("c", 3)]),
    ]


def test_cells_are_dropped_changed_and_added(mutate):
    table, extra = {"x": Row("a", 1)}, {"y": Row("b", 2)}
    made = mutate.cells(table, {"number": mutate.others((1, 5))}, lambda wrong: {"T": wrong}, extra)
    assert [mutant.names()["T"] for mutant in made] == [
        {},
        {"x": Row("a", 5)},
        {"x": Row("a", 1), "y": Row("b", 2)},
    ]


def test_sequences_lose_change_exchange_and_gain(mutate):
    wrong = list(mutate.sequences("abc")(("a", "b")))
    assert sorted(wrong) == sorted(
        [("b",), ("b", "b"), ("c", "b"), ("a",), ("a", "a"), ("a", "c"), ("b", "a"), ("a", "b", "c")]
    )


def test_sets_lose_or_gain_one(mutate):
    assert set(mutate.sets("ab")(frozenset("a"))) == {frozenset(), frozenset("ab")}


HARNESS = """
import pathlib, sys, types
from proof.mutants.mutate import Mutant
from proof.mutants.run import Children, prepare
prepare()
law = types.ModuleType("law")
law.TABLE = (1, 2)
sys.modules["law"] = law
folder = pathlib.Path(sys.argv[1])
(folder / "test_a.py").write_text("import law\\ndef test():\\n    assert law.TABLE[0] == 1\\n")
(folder / "test_b.py").write_text("import law\\ndef test():\\n    assert law.TABLE != (1, 3)\\n")
tables = {"right": (1, 2), "first": (2, 2), "second": (1, 3), "unseen": (1, 4), "broken": ()}
def names(table):
    if not table:
        raise RuntimeError("no table")
    return {"TABLE": table}
mutants = [Mutant("change", name, lambda table=table: names(table)) for name, table in tables.items()]
children = Children(law, [folder / "test_a.py", folder / "test_b.py"], folder, 2)
print(*(f"{verdict.what}={verdict.code}" for verdict in children.all(mutants)))
print(law.TABLE, len(list(folder.glob("*.log"))))
"""


def test_only_a_failed_test_is_a_kill(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=LIMIT_S,
        check=True,
    )
    verdicts, table = done.stdout.splitlines()
    assert verdicts == "right=0 first=1 second=1 unseen=0 broken=99"
    assert table == "(1, 2) 0"


def test_a_table_that_was_taken_over_says_nothing(root):
    script = (
        "import lwm2m_fota.machines.profile\n"
        "from proof.mutants.run import HarnessError, run\n"
        "try:\n    run(['device refusals'], full=False, seed=1, workers=1)\n"
        "except HarnessError as error:\n    print('no verdict:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, timeout=LIMIT_S, check=True
    )
    assert done.stdout.startswith("no verdict: ")
    assert "lwm2m_fota.machines.table" in done.stderr + done.stdout
