"""The harness itself: inputs can be had again, and whatever must not happen is found."""

import importlib
import subprocess
import sys
import types

import pytest

from lwm2m_fota.errors import CborError, UsageError


@pytest.fixture(scope="module")
def fuzz(root):
    """The modules of the harness."""
    sys.path.insert(0, str(root))  # it is no part of the installed package
    try:
        yield types.SimpleNamespace(
            **{name: importlib.import_module(f"fuzz.{name}") for name in ("inputs", "run", "target")}
        )
    finally:
        sys.path.remove(str(root))


@pytest.fixture
def made(fuzz, monkeypatch):
    """`made(check)` gives a check 400 inputs: the report."""

    def run(check, seed=1, first=0, count=400):
        monkeypatch.delitem(fuzz.target.TARGETS, "mine", raising=False)
        fuzz.target.add("mine", check, {"good": b"good bytes", "other": bytes(20)})
        return fuzz.run.run("mine", seed, first, count)

    yield run
    fuzz.target.TARGETS.pop("mine", None)


def test_an_input_follows_from_its_number_alone(fuzz):
    target = fuzz.target.Target("t", bytes, {"a": b"abcdefgh", "b": bytes(9)})
    every = list(fuzz.inputs.make_inputs(target, 1, 0, 300))
    assert [number for number, _, _ in every] == list(range(300))
    for first in (0, 1, 63, 64, 65, 299):
        assert list(fuzz.inputs.make_inputs(target, 1, first, 1)) == [every[first]]
    assert list(fuzz.inputs.make_inputs(target, 2, 0, 300)) != every
    assert len({data for _, _, data in every}) > 150
    assert len({origin for _, origin, _ in every}) == 9


def test_refusals_in_our_words_are_no_findings(made):
    def check(data):
        if data[:4] != b"good" and any(data):
            raise CborError("no")

    report = made(check)
    assert (report.inputs, report.findings) == (400, ())
    assert 0 < report.refused < 400


@pytest.mark.parametrize("error", [KeyError, UsageError, RecursionError, MemoryError, AssertionError])
def test_any_other_error_is_found_once_and_can_be_had_again(made, error):
    def check(data):
        if data.startswith(b"good") and len(data) > 10:
            raise error("a mistake")

    (finding,) = made(check).findings
    assert error.__name__ in finding.what
    assert finding.data[:4] == b"good"
    (again,) = made(check, first=finding.number, count=1).findings
    assert again == finding
    text = "\n".join(made(check).lines())
    assert f"python -m fuzz --only mine --seed 1 --first {finding.number} --count 1" in text
    assert finding.data.hex() in text


def test_what_takes_too_long_is_found(made, fuzz, monkeypatch):
    monkeypatch.setattr(fuzz.run, "MAX_INPUT_S", 0.05)

    def check(data):
        while data.startswith(b"good") and len(data) > 10:
            pass

    (finding,) = made(check, count=60).findings
    assert "more than 0.05 s" in finding.what


HOARDER = """
import os
from fuzz import run, target
kept = []
target.add("mine", lambda _: kept.append(b"x" * ((len(kept) > 220) << 20)), {"good": b"good"})
if os.fork() == 0:  # a process that was executed has the peak of its parent
    print("\\n".join(run.run("mine", 1, 0, 300).lines()), flush=True)
    os._exit(0)
os.wait()
"""


def test_what_takes_too_much_memory_is_found(root):
    done = subprocess.run([sys.executable, "-c", HOARDER], capture_output=True, text=True, cwd=root, check=True)
    assert "300 inputs, 0 refused, 299 taken, 1 findings" in done.stdout
    assert "the process has grown by more than 33554432 bytes" in done.stdout


def test_a_seed_that_is_refused_is_a_mistake_of_the_target(made):
    def check(data):
        raise CborError("no")

    with pytest.raises(ValueError, match="a seed of mine is refused"):
        made(check)


def test_targets_have_names_of_their_own_and_seeds(fuzz, made):
    made(bytes)
    for name, seeds in (("mine", {"a": b""}), ("another", {})):
        with pytest.raises(ValueError, match=name):
            fuzz.target.add(name, bytes, seeds)


def test_several_pieces_in_one_input(fuzz):
    assert fuzz.target.chunks(fuzz.target.joined(b"a", b"", b"bcd")) == [b"a", b"", b"bcd"]
    assert fuzz.target.chunks(b"\0\5ab") == [b"ab"]
    assert fuzz.target.chunks(b"\0") == [b""]
