"""The commands of the documents, run as they are written, but for the port."""

import re
import shlex
import subprocess
import sys

import pytest

LIMIT_S = 60


def command_lines(text):
    found = re.findall(r"^\$ lwm2m-fota (.+)$", text, flags=re.MULTILINE)
    return {words[0] if words[0] != "package" else words[1]: words for words in map(shlex.split, found)}


@pytest.mark.parametrize("document", ["README.md", "docs/howto/update-a-device.md"])
def test_the_commands_of_a_document_update_its_device(root, tmp_path, start, document):
    lines = command_lines((root / document).read_text(encoding="utf-8"))
    (tmp_path / "firmware.bin").write_bytes(b"firmware" * 1000)
    for name in ("create", "verify"):
        if name in lines:
            command = [sys.executable, "-m", "lwm2m_fota.cli", *lines[name]]
            subprocess.run(command, cwd=tmp_path, check=True, timeout=LIMIT_S, capture_output=True)
    # the last of two options counts; the port of the documents may be taken here
    server = start(*lines["update"], "--listen", "127.0.0.1:0", cwd=tmp_path)
    port = server.until("listening")["port"]
    device = start(*(word.replace(":5683", f":{port}") for word in lines["device"]), cwd=tmp_path)
    assert server.end() == 0, server.events
    assert server.events[-1]["line"] == "updated: 1.0.0 -> 1.2.0"
    assert "warning" not in server.names()
    device.until("booted", version="1.2.0")
