"""The page of verdicts: made from the table in the code."""

from lwm2m_fota.package.verdicts import ACCEPTED_CODE, ACCEPTED_SENTENCE, VERDICTS

HEAD = """\
# Verdicts on packages

Every package gets one verdict: a code that stays, a sentence for people, and the Update Result by which the device
tells its server. The line of an error adds what exactly is wrong. This page is generated from the table in the code:
`python docs/generate.py`.

The result is that of Object 5 while the package is on its way or when it has arrived; "at Update" is shown where it
differs once Update was executed, "33629" where the other object has a result of its own.

| code | what it says | Update Result | at Update | 33629 |
|---|---|---|---|---|
"""


def page() -> str:
    """The page."""
    rows = [f"| `{ACCEPTED_CODE}` | {ACCEPTED_SENTENCE} | | | |\n"]
    for refusal, row in VERDICTS.items():
        others = " | ".join("" if each is None else str(int(each)) for each in (row.at_update, row.advanced))
        rows.append(f"| `{refusal.value}` | {row.sentence} | {int(row.result)} | {others} |\n")
    return HEAD + "".join(rows)
