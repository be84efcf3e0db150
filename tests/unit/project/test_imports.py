"""What importing the package costs, and which package the tests see."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lwm2m_fota

PURE_ROOMS = ("model", "errors", "cbor", "machines", "coap", "content", "credentials", "package", "lwm2m")
EXTRA_PACKAGES = {"click", "rich", "hypothesis", "pytest", "aiocoap", "OpenSSL", "httpx", "starlette", "uvicorn"}


def modules_after(*names: str) -> set[str]:
    """The modules of a fresh interpreter that has imported `names`."""
    code = f"import sys, {', '.join(names)}; print('\\n'.join(sys.modules))"
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTEST"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return set(done.stdout.split())


def test_the_top_level_loads_neither_asyncio_nor_an_extra():
    loaded = modules_after("lwm2m_fota")
    assert "lwm2m_fota" in loaded
    assert not loaded & (EXTRA_PACKAGES | {"asyncio"})


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_loads_neither_asyncio_nor_an_extra(room):
    name = f"lwm2m_fota.{room}"
    root = Path(lwm2m_fota.__file__).parent
    folder = root / room
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    dotted = [".".join(file.relative_to(root.parent).with_suffix("").parts) for file in files]
    loaded = modules_after(*(module.removesuffix(".__init__") for module in dotted))
    assert name in loaded
    assert not loaded & (EXTRA_PACKAGES | {"asyncio"})


@pytest.mark.skipif("LWM2M_FOTA_WHEEL" not in os.environ, reason="runs from the source tree; nox tests the wheel")
def test_the_wheel_is_under_test_not_the_source_tree(root):
    assert not Path(lwm2m_fota.__file__).resolve().is_relative_to(root / "src")


def test_the_package_says_that_it_is_typed():
    assert Path(lwm2m_fota.__file__).with_name("py.typed").exists()
