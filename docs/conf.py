"""Sphinx configuration: Markdown pages; the API reference and the page of limits are made anew at every build."""

import re
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.highlighting import lexers

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
sys.path[:0] = [str(SOURCE), str(ROOT / "docs")]

import limits  # noqa: E402 - the paths come first
from lwm2m_fota import __version__  # noqa: E402

project = "lwm2m-fota"
author = "the lwm2m-fota developers"
copyright = "2026, the lwm2m-fota developers"
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build", "reference/api/modules.rst"]
html_theme = "furo"
html_title = f"lwm2m-fota {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": True}
apidoc_modules = [
    {
        "path": str(SOURCE / "lwm2m_fota"),
        "destination": "reference/api",
        "module_first": True,
        "separate_modules": True,
        "max_depth": 1,
    }
]

# No inventory is fetched, so that a build needs no network: names of other packages stay unlinked.
# Names of ours are checked, except private ones and what a `TypeVar` or an alias leaves undotted.
_FOREIGN = "|".join(
    sorted(
        {
            *sys.stdlib_module_names,
            "OpenSSL",
            "httpx",
            "starlette",
            "uvicorn",
            "aiocoap",
            "attr",
            "attrs",
            "cbor2",
            "click",
            "cryptography",
            "hypothesis",
            "rich",
        }
    )
)
nitpick_ignore_regex = [
    (r"py:.*", rf"(?:{_FOREIGN})(?:\..*)?"),
    (r"py:.*", r"(?:lwm2m_fota\..*\.)?_.*"),
    (r"py:.*", r"[A-Za-z]\w*"),
    (r"py:.*", r".*[^\w.].*"),  # pieces of an annotation that Sphinx cuts at a comma
]


# `type` is also the name of attributes; the first of several targets is as good as the others.
suppress_warnings = ["ref.python"]
lexers["mermaid"] = TextLexer()

_CODE_SPAN = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])(\w)?")


def literal(span: re.Match[str]) -> str:
    """A Markdown code span as a literal of reStructuredText; a letter right after it is allowed, as in Markdown."""
    code, letter = span.groups()
    return f"``{code}``" + (f"\\ {letter}" if letter else "")


def read_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn Google sections into fields, as the napoleon extension does, with two differences.

    `name` is code, as in Markdown. And "Wait: until the id is free" below an attribute is a sentence, where napoleon
    sees a type and its description; types stand in annotations.
    """
    kind = "method" if what in {"attribute", "data", "property"} else what
    config = Config(napoleon_use_ivar=True, napoleon_numpy_docstring=False)
    marked = _CODE_SPAN.sub(literal, "\n".join(lines)).split("\n")
    lines[:] = GoogleDocstring(marked, config, app, kind, name, obj, options).lines()


def set_apart(app: Sphinx, name: str, source: list[str]) -> None:
    """Keep the API out of the tree that stands beside every page: hundreds of modules in each take minutes to write."""
    del app
    if name == "reference/api/lwm2m_fota":
        source[0] = f":orphan:\n\n{source[0]}"


def write_limits(app: Sphinx) -> None:
    """Make the page of limits anew."""
    del app
    (ROOT / "docs" / "reference" / "limits.md").write_text(limits.page(), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register what is made at every build."""
    app.connect("builder-inited", write_limits)
    app.connect("source-read", set_apart)
    app.connect("autodoc-process-docstring", read_docstring)
