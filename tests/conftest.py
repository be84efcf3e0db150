"""What all tests share: how much to run, and where the material of others lies."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
FULL = os.environ.get("LWM2M_FOTA_FULL") == "1"
SHARED = Path(os.environ.get("LWM2M_FOTA_SHARED", ROOT.parent / "shared"))

settings.register_profile("slice", deadline=None, derandomize=True)
settings.register_profile("full", deadline=None, max_examples=2_000)
settings.load_profile("full" if FULL else "slice")


def pytest_report_header() -> list[str]:
    """Say what this run covers, so that a short run is never taken for the long one."""
    material = "present" if (SHARED / "spec").is_dir() else "absent: the tests that compare with it are skipped"
    return [
        f"long runs: {'full' if FULL else 'seeded slice (nox -s tests -- full runs all)'}",
        f"registry files and vectors of others: {material}",
    ]


@pytest.fixture(scope="session")
def counts() -> Callable[[int, int], int]:
    """`counts(20, 50)` is 20 in an ordinary run and 50 in a full one."""

    def choose(ordinary: int, full: int) -> int:
        return full if FULL else ordinary

    return choose


@pytest.fixture(scope="session")
def spec() -> Path:
    """The folder of registry XML and of vectors that come from others (`oma/`, `vectors/cose`, `vectors/suit*`).

    They are not ours to ship: set LWM2M_FOTA_SHARED to the folder above `spec`, or keep it beside the project.
    """
    folder = SHARED / "spec"
    if not folder.is_dir():
        pytest.skip("registry files and vectors of others are absent (LWM2M_FOTA_SHARED)")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT
