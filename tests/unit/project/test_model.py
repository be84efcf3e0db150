"""The exploration of the models: counts are compared, and wrong tables are really wrong."""

import importlib
import sys

import pytest


@pytest.fixture(scope="module")
def proof(root):
    sys.path.insert(0, str(root))  # proofs are no part of the installed package
    try:
        yield lambda name: importlib.import_module(f"proof.model.{name}")
    finally:
        sys.path.remove(str(root))


def test_other_counts_than_those_of_the_baseline_are_told(proof):
    run, found = proof("run"), proof("report").Found
    spaces = {"a": found(3, 7, ()), "b": found(1, 1, ())}
    assert run.check_counts(spaces, {"a": [3, 7], "b": [1, 1]}) == []
    (more,) = run.check_counts(spaces, {"a": [3, 8], "b": [1, 1]})
    assert more.startswith("a: [3, 7] states and transitions, [3, 8] in the baseline")
    assert len(run.check_counts(spaces, {"a": [3, 7], "c": [1, 1]})) == 2


def test_the_baseline_is_of_the_spaces_that_are_explored(proof):
    assert list(proof("run").read_baseline()) == list(proof("spaces").SPACES)


def test_a_finding_is_told_with_its_way(proof):
    finding = proof("report").Finding("rule", "seen", ("one", "two"))
    assert str(finding) == "rule: seen, after\n  1. one\n  2. two"


def test_every_wrong_table_is_another_one(proof):
    wrong = proof("wrong").WRONG
    assert len(wrong) >= 10
    assert len({each.name for each in wrong}) == len(wrong)
    for each in wrong:
        module = importlib.import_module(f"lwm2m_fota.machines.{each.module}")
        for name, value in each.names(module).items():
            assert value != getattr(module, name)
        assert each.space in proof("spaces").SPACES
