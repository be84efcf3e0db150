"""The project's checks: `nox` runs all but the benchmarks.

`nox -s tests -- -k name` passes arguments on to pytest; the word `full` among them turns the seeded slice of each
long run into the whole of it. Every session installs pinned versions: constraints/ci.txt.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True

PYPROJECT: Final = nox.project.load_toml("pyproject.toml")
RUNNING: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS: Final = sorted({*nox.project.python_versions(PYPROJECT), RUNNING}, key=lambda text: int(text.split(".")[1]))
CONSTRAINTS: Final = ("-c", "constraints/ci.txt")
DEPENDENCIES: Final[list[str]] = PYPROJECT["project"]["dependencies"]
EXTRAS: Final[dict[str, list[str]]] = PYPROJECT["project"]["optional-dependencies"]
WORK: Final = Path(".nox", "work").resolve()  # the wheel, and coverage data on their way between sessions
ORDINARY_LIMIT_S: Final = 120
FULL_LIMIT_S: Final = 7_200
INTEROP_LIMIT_S: Final = 60
# A worker without work takes some from the other: what is slow stands together, at the beginning.
PARALLEL: Final = ("-n", "2", "--dist", "worksteal")

nox.options.sessions = ["lint", "types", "docs", f"tests-{RUNNING}", "coverage", "mutants", "model"]


def install(session: nox.Session, *groups: str, package: bool = False) -> None:
    """Install dependency groups, and with `package` what the package and its extras need."""
    needs = [*DEPENDENCIES, *(need for extra in EXTRAS.values() for need in extra)] if package else []
    session.install(*CONSTRAINTS, *needs, *nox.project.dependency_groups(PYPROJECT, *groups))


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest from the wheel's environment; `full` among the session's arguments asks for the long runs."""
    given = [argument for argument in session.posargs if argument != "full"]
    full = "full" in session.posargs
    limit = FULL_LIMIT_S if full else ORDINARY_LIMIT_S
    env = {"LWM2M_FOTA_WHEEL": "1", "LWM2M_FOTA_FULL": "1" if full else None}
    session.run("pytest", f"--timeout={limit}", *arguments, *given, env=env)


def install_wheel(session: nox.Session) -> None:
    """Install the wheel that the `build` session left, with its extras and the test group."""
    (wheel,) = (WORK / "wheel").glob("*.whl")
    session.install(
        *CONSTRAINTS,
        *nox.project.dependency_groups(PYPROJECT, "test"),
        f"{wheel}[{','.join(EXTRAS)}]",
    )
    # The version of a development wheel does not change, so pip would keep the one of the last run.
    session.install("--no-deps", "--force-reinstall", str(wheel))


def install_cwt(session: nox.Session) -> None:
    """Install cwt into an environment of its own, and tell the session where it is."""
    python = str(WORK / "cwt" / "bin" / "python")
    session.run("python", "-m", "venv", str(WORK / "cwt"))
    session.run(python, "-m", "pip", "install", "-q", "-c", "constraints/cwt.txt", "cwt", external=True)
    session.env["LWM2M_FOTA_CWT"] = python


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the wheel, once for all sessions that test it."""
    session.install(*CONSTRAINTS, *PYPROJECT["build-system"]["requires"])
    shutil.rmtree(WORK / "wheel", ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", f"{WORK}/wheel", ".")


@nox.session(python=PYTHONS, requires=["build"])
def tests(session: nox.Session) -> None:
    """Test the built wheel, not the source tree; leave coverage data for the `coverage` session."""
    install_wheel(session)
    data = WORK / "coverage" / f"data.{session.python}"
    data.parent.mkdir(parents=True, exist_ok=True)
    session.env["COVERAGE_FILE"] = str(data)
    run_pytest(session, *PARALLEL, "--cov", "--cov-report=")


@nox.session(requires=[f"tests-{RUNNING}"])
def coverage(session: nox.Session) -> None:
    """Report what the tests covered and hold every room to its bound."""
    install(session, "coverage")
    report = WORK / "coverage" / "report.json"
    session.env["COVERAGE_FILE"] = str(WORK / "coverage" / "report")
    # Of the running Python alone: data that another one left may be older than the source.
    session.run("coverage", "combine", "-q", "--keep", str(WORK / "coverage" / f"data.{RUNNING}"))
    session.run("coverage", "report")
    session.run("coverage", "json", "-q", "-o", str(report))
    session.run("python", "tools/coverage_rooms.py", str(report))


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly: the package, the typing tests, the benchmarks, the tools and this file."""
    install(session, "types", package=True)
    session.run("mypy", "--strict")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the import contracts."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a reference that leads nowhere is an error."""
    install(session, "docs", package=True)
    shutil.rmtree("docs/reference/api", ignore_errors=True)
    output = "docs/_build/html"
    session.run("sphinx-build", "-j", "2", "-n", "-W", "--keep-going", "-q", "docs", output)
    session.log(f"open {output}/index.html")


@nox.session(default=False, requires=["build"])
def lossy(session: nox.Session) -> None:
    """Run whole updates over a lossy network in virtual time; `nox -s lossy -- full` for 1,000 pushes and pulls."""
    install_wheel(session)
    run_pytest(session, *PARALLEL, "tests/e2e/test_lossy.py", "tests/e2e/test_fleet.py")


@nox.session(default=False, requires=["build"])
def kills(session: nox.Session) -> None:
    """Kill a device process in mid-pull, mid-installation and mid-reboot; `nox -s kills -- full` for 50 kills."""
    install_wheel(session)
    run_pytest(session, "tests/e2e/test_kills.py")


@nox.session(default=False, requires=["build"])
def interop(session: nox.Session) -> None:
    """Meet the programs of others, within a minute: libcoap (Debian package libcoap3-bin), aiocoap, imgtool."""
    install_wheel(session)
    session.env["LWM2M_FOTA_INTEROP"] = "check"
    run_pytest(session, f"--session-timeout={INTEROP_LIMIT_S}", "tests/interop", "tests/e2e/test_examples.py")


@nox.session(default=False, requires=["build"])
def fuzz(session: nox.Session) -> None:
    """Give every parser random and damaged inputs: 20,000 each, `nox -s fuzz -- full` for a million."""
    install_wheel(session)
    run_pytest(session, *PARALLEL, "tests/fuzz")


@nox.session(name="interop-imgtool", default=False, requires=["build"])
def interop_imgtool(session: nox.Session) -> None:
    """Meet MCUboot's own tool: its images verify here, ours there."""
    install_wheel(session)
    run_pytest(session, "tests/interop/test_imgtool.py")


@nox.session(name="interop-cwt", default=False, requires=["build"])
def interop_cwt(session: nox.Session) -> None:
    """Meet cwt, a COSE library that needs an older cbor2 and so runs in an environment of its own."""
    install_wheel(session)
    install_cwt(session)
    run_pytest(session, "tests/interop_cwt")


@nox.session
def mutants(session: nox.Session) -> None:
    """Make the machines' tables wrong, each mistake in turn, and see that a test notices; `-- full` for all of them."""
    install(session, "test", package=True)
    session.install("--no-deps", "--force-reinstall", ".")
    session.run("python", "-m", "proof", "mutants", *session.posargs)


@nox.session
def model(session: nox.Session) -> None:
    """Explore every state of device, server and network, within bounds; `-- full` for the larger ones."""
    install(session, "test", package=True)
    session.install("--no-deps", "--force-reinstall", ".")
    session.run("python", "-m", "proof", "model", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure: `nox -s bench -- transfer --check`, or `machines`, `verify` and others."""
    install(session, "bench", package=True)
    session.install("--no-deps", "--force-reinstall", ".")
    if "verify" in session.posargs:
        install_cwt(session)
    session.run("python", "-m", "benchmarks", *session.posargs)
