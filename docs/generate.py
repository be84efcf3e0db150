"""Write the reference pages that follow from tables in the code, and the page of public vectors where they are there.

Usage: python docs/generate.py

Diagrams are drawn by Graphviz (`dot`, Debian package graphviz) if they have changed; each carries the digest of what it
was drawn from, so that a test finds the stale ones without it.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import vectors
import verdicts
from lwm2m_fota.machines import component_describe, describe, update_describe

REFERENCE = Path(__file__).parent / "reference"

PAGES = (
    *describe.PAGES,
    ("advanced-machine.md", component_describe.advanced_machine_page),
    ("update-machine.md", update_describe.page),
    ("verdicts.md", verdicts.page),
)

SHARED = Path(os.environ.get("LWM2M_FOTA_SHARED", Path(__file__).resolve().parents[2] / "shared"))
if (SHARED / "spec").is_dir():
    PAGES += (("vectors.md", lambda: vectors.page(SHARED / "spec" / "vectors")),)

DIAGRAMS = (
    *describe.DIAGRAMS,
    ("advanced-machine.svg", component_describe.advanced_diagram),
    *update_describe.DIAGRAMS,
)


def draw(path: Path, source: str) -> bool:
    """Draw a diagram, unless the file is of this source; whether it was drawn."""
    mark = f"<!-- source: {hashlib.sha256(source.encode()).hexdigest()} -->"
    if path.exists() and mark in path.read_text(encoding="utf-8"):
        return False
    command = [shutil.which("dot") or "dot", "-Tsvg"]
    drawn = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout  # noqa: S603
    path.write_text(f"{drawn.rstrip()}\n{mark}\n", encoding="utf-8")
    return True


for name, source in DIAGRAMS:
    if draw(REFERENCE / name, source()):
        print(f"drew {REFERENCE / name}")
for name, page in PAGES:
    (REFERENCE / name).write_text(page(), encoding="utf-8")
    print(f"wrote {REFERENCE / name}")
