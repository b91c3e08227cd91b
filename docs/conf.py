"""The documentation as a site: `make docs`."""

import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
import diagram

import delineate

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "delineate"
SOURCE = re.compile(r"\((?:\.\./)+src/delineate/([\w/]+)\.py\)")
ROOMS = ("data", "deploy", "evaluation", "metrics", "ops", "system", "training", "values")
for room in ROOMS:  # names that are imported when they are asked for
    module = importlib.import_module(f"delineate.{room}")
    for name in module.__all__:
        getattr(module, name)

project, author, copyright = "delineate", "the delineate authors", "the delineate authors"  # noqa: A001
version = release = delineate.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
myst_heading_anchors = 3
default_role = "literal"
highlight_language = "text"
autodoc_default_options = {"members": True, "no-value": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
html_theme = "furo"
html_title = "delineate"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False


def write_sources(_: Sphinx) -> None:
    """Write a page of the site for each file of the package that a page links."""
    texts = "".join(file.read_text(encoding="utf-8") for file in DOCS.glob("**/*.md") if "source" not in file.parts)
    for name in sorted(set(SOURCE.findall(texts))):
        page = DOCS / "source" / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(
            f"---\norphan: true\n---\n\n# {name}.py\n\n"
            f"```{{literalinclude}} /../src/delineate/{name}.py\n:language: python\n:linenos:\n```\n",
            encoding="utf-8",
        )


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Take a notebook's cells for a page, and lead links to files of the package to their pages."""
    if app.env.doc2path(docname).suffix == ".ipynb":
        source[0] = "\n\n".join(cell_text(cell) for cell in json.loads(source[0])["cells"])
        source[0] += f"\n\n{{download}}`This page as a notebook <{Path(docname).name}.ipynb>`, to run and change."
    source[0] = SOURCE.sub(r"(/source/\1.md)", source[0])


def cell_text(cell: dict[str, Any]) -> str:
    """Give a notebook's cell as Markdown."""
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"


def draw(_: Sphinx, document: nodes.document, docname: str) -> None:
    """Draw what is a picture of characters, but for that in files of the package, which stay as they are."""
    for block in list(document.findall(nodes.literal_block)):
        text = block.astext()
        if diagram.is_diagram(text) and not docname.startswith("source/"):
            block.replace_self(nodes.raw("", f'<div class="wide">{diagram.diagram(text)}</div>', format="html"))


def literal(_: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Let a docstring's pictures and legends stay as they are."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(
        "::\n\n" + re.sub(r"^", "    ", part, flags=re.MULTILINE) if re.search(r"─|\S {3,}\S", part) else part
        for part in paragraphs
    ).split("\n")


def setup(app: Sphinx) -> None:
    """Have these called."""
    app.connect("builder-inited", write_sources)
    app.connect("source-read", read_source)
    app.connect("doctree-resolved", draw)
    app.connect("autodoc-process-docstring", literal)
