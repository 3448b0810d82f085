"""How these documents become pages: `sphinx-build -W --keep-going -b html docs build/docs`.

Nothing is fetched. Docstrings are Markdown, as the documents are: each goes into its page as HTML
that is made already, so that no prose can be a fault of reStructuredText.
"""

import os
import pathlib
import re

from markdown_it import MarkdownIt

import oldphoto_jax

DOCS = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(oldphoto_jax.__file__).parent
MARKDOWN = MarkdownIt("commonmark", {"html": False})

project = "oldphoto_jax"
author = copyright = "The oldphoto_jax authors"
release = oldphoto_jax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "sphinx_book_theme"
html_title = project
myst_heading_anchors = 3
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "special-members": "__call__",
}
autodoc_preserve_defaults = True
suppress_warnings = ["ref.python"]  # types of equal names in two modules; no link of ours


def setup(app):
    """Joins the two functions below to what Sphinx reads."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", read_docstring)


def read_page(app, docname, source):
    """Lists modules in place of `<!-- modules: ROOM MODULE ... -->`, all of a room by its name.

    Links to Markdown outside of this folder become downloads, as Sphinx makes them of other files.
    """
    folder = (DOCS / docname).parent

    def download(link):
        inside = (folder / link[2]).resolve().is_relative_to(DOCS)
        return link[0] if inside else f"{{download}}`{link[1]} <{link[2]}>`"

    text = re.sub(r"<!-- modules: (.*) -->", lambda names: listed(names[1]), source[0])
    source[0] = re.sub(r"\[([^\]]*)\]\(([\w./]+\.md)(?:#[^)]*)?\)", download, text)


def listed(names):
    """A heading for each module, and below it what autodoc knows."""
    parts = []
    for path in (
        path for name in names.split() for path in modules(PACKAGE / name.replace(".", os.sep))
    ):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        directive = f".. automodule:: {PACKAGE.name}.{name}"
        parts.append(f"### {name}\n\n```{{eval-rst}}\n{directive}\n```\n")
    return "\n".join(parts)


def modules(place):
    """The modules of a room, or the one module."""
    if not place.is_dir():
        return [place.with_suffix(".py")]
    return sorted(path for path in place.glob("*.py") if path.stem != "__init__")


def read_docstring(app, what, name, obj, options, lines):
    """Makes HTML of a docstring."""
    html = MARKDOWN.render("\n".join(lines))
    lines[:] = [".. raw:: html", "", *("   " + line for line in html.splitlines()), ""]
