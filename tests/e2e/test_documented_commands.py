"""The commands of the documents, run as they are written, but for the port."""

import re
import shlex
import subprocess
import sys

import pytest

LIMIT_S = 60
ANYWHERE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1):568[34]")


def command_lines(text, name):
    """All lines of a document with this command, as words."""
    found = map(shlex.split, re.findall(r"^\$ lwm2m-fota (.+)$", text, flags=re.MULTILINE))
    return [words for words in found if name in words[:2]]


def here(words, port=0):
    """The same words, with a port that is free."""
    words = [ANYWHERE.sub(f"127.0.0.1:{port}", word) for word in words]
    return [*words, "--listen", "127.0.0.1:0"] if words[0] == "update" and "--listen" not in words else words


@pytest.mark.parametrize(
    ("document", "number"),
    [("README.md", 0), ("docs/howto/update-a-device.md", 0), ("docs/howto/update-a-device.md", 1)],
)
def test_the_commands_of_a_document_update_its_device(root, tmp_path, start, document, number):
    text = (root / document).read_text(encoding="utf-8")
    (tmp_path / "firmware.bin").write_bytes(b"firmware" * 1000)
    (tmp_path / "my-device.psk").touch(0o600)
    (tmp_path / "my-device.psk").write_text("000102030405060708090a0b0c0d0e0f\n")
    for words in (*command_lines(text, "create"), *command_lines(text, "verify")):
        command = [sys.executable, "-m", "lwm2m_fota.cli", *words]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=LIMIT_S, capture_output=True)
    server = start(*here(command_lines(text, "update")[number]), cwd=tmp_path)
    port = server.until("listening")["port"]
    device = start(*here(command_lines(text, "device")[number], port), cwd=tmp_path)
    assert server.end() == 0, server.events
    assert server.events[-1]["line"] == "updated: 1.0.0 -> 1.2.0"
    assert "warning" not in server.names()
    device.until("booted", version="1.2.0")
