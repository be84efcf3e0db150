"""Write the reference pages that follow from tables in the code, and the page of public vectors where they are there.

Usage: python docs/generate.py
"""

import os
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

for name, page in PAGES:
    (REFERENCE / name).write_text(page(), encoding="utf-8")
    print(f"wrote {REFERENCE / name}")
