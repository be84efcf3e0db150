"""The pure rooms, read as text: what the import contracts cannot see.

The contracts catch `import time`; they do not catch `__import__("time")`, `open()` or a clock reached by another name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lwm2m_fota

PACKAGE = Path(lwm2m_fota.__file__).parent
PURE_ROOMS = ("model", "errors", "cbor", "machines", "coap", "content", "credentials", "package", "lwm2m")
MODULES = {
    "asyncio", "concurrent", "datetime", "importlib", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "selectors", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "uuid",
}  # fmt: skip
CALLS = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
METHODS = {"import_module", "monotonic", "perf_counter", "time_ns", "today", "token_bytes", "urandom", "utcnow"}
ALLOWED = {("cbor.py", "io")}  # cbor2 reads from a stream: an in-memory one


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def impurities(source: str, name: str = "x.py") -> Iterator[str]:
    """One line for each import or call that a pure room must not have."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{node.lineno} async"
                continue
            case ast.Call(func=ast.Name(id=called)) if called in CALLS:
                yield f"{node.lineno} {called}()"
                continue
            case ast.Call(func=ast.Attribute(attr=called)) if called in METHODS:
                yield f"{node.lineno} .{called}()"
                continue
            case _:
                continue
        for module in modules:
            first = module.partition(".")[0]
            if first in MODULES and (name, first) not in ALLOWED:
                yield f"{node.lineno} import {module}"


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_has_no_io_clock_entropy_or_task(room):
    found = {
        str(file.relative_to(PACKAGE)): rows
        for file in files_of(room)
        if (rows := list(impurities(file.read_text(encoding="utf-8"), str(file.relative_to(PACKAGE)))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import urandom",
        "def f():\n    import socket as s",
        "t = __import__('time')",
        "print('x')",
        "x = os.urandom(4)",
        "now = loop.monotonic()",
        "async def f(): ...",
        "import asyncio.events",
        "import io",
    ],
)
def test_the_reader_finds_what_it_looks_for(source):
    assert list(impurities(source))


@pytest.mark.parametrize("source", ["import enum", "from lwm2m_fota.model import time", "x.now", "reopen(1)"])
def test_the_reader_lets_the_rest_pass(source):
    assert not list(impurities(source))


def test_the_strict_loader_may_wrap_bytes_in_a_stream():
    assert not list(impurities("import io", "cbor.py"))
