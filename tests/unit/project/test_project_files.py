"""Laws of the project's files: what it depends on, what is pinned, and what must not stand in the tree."""

import re
import subprocess
import tomllib

import pytest

NAME = re.compile(r"^[A-Za-z0-9._-]+")
PIN = re.compile(r"^[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ; [a-z_]+ [<>=!]+ '[^']+')?$")
TEXT_LIMIT_BYTES = 1_000_000

MARKS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b|^(<{7}|>{7}) ", re.MULTILINE)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work" + r"|root|opt/wheels|home/[a-z]+|Users/[A-Za-z]+)/[\w.]")
PRIVATE_KEY = re.compile(r"-----BEGIN (EC |RSA )?PRIVATE KEY-----")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tree(root):
    """Relative names and texts of the files under version control."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    names = [name for name in listed.decode().split("\0") if name and (root / name).is_file()]
    texts = {}
    for name in names:
        data = (root / name).read_bytes()
        if len(data) <= TEXT_LIMIT_BYTES and b"\0" not in data:
            texts[name] = data.decode("utf-8", errors="replace")
    return texts


def canonical(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pins(root) -> set[str]:
    lines = (root / "constraints" / "ci.txt").read_text(encoding="utf-8").splitlines()
    return {canonical(line) for line in lines if line and not line.startswith("#")}


def requirements(project) -> list[str]:
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    every = [project["project"]["dependencies"], *extras, *groups, project["build-system"]["requires"]]
    return [need for needs in every for need in needs if isinstance(need, str)]


def test_the_core_needs_three_packages_and_nothing_else(project):
    assert sorted(map(canonical, project["project"]["dependencies"])) == ["attrs", "cbor2", "cryptography"]


def test_every_requirement_is_pinned_for_ci(project, root):
    assert {canonical(need) for need in requirements(project)} - pins(root) == set()


def test_constraints_are_pins_and_nothing_else(root):
    lines = (root / "constraints" / "ci.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#") and not PIN.match(line)] == []


def test_no_mark_of_unfinished_work_is_left_behind(tree):
    assert [name for name, text in tree.items() if MARKS.search(text)] == []


def test_no_path_of_a_developers_machine_is_left_behind(tree):
    assert [name for name, text in tree.items() if MACHINE_PATHS.search(text)] == []


def test_no_private_key_stands_outside_the_tests(tree):
    holders = [name for name, text in tree.items() if PRIVATE_KEY.search(text)]
    assert [name for name in holders if not name.startswith("tests/")] == []


def test_ci_runs_what_readme_says(tree):
    assert "README.md" in tree[".ci/run"]
    assert "nox -s" not in tree[".ci/run"]
