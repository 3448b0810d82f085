"""How these documents become pages: `sphinx-build -W --keep-going -b html docs build/docs`.

Nothing is fetched. Docstrings are Markdown, as the documents are: each goes into its page as HTML
that is made already, so that no prose can be a fault of reStructuredText.
"""

import pathlib
import re
import textwrap

from markdown_it import MarkdownIt

import oldphoto_jax

DOCS = pathlib.Path(__file__).parent.resolve()
PACKAGE = pathlib.Path(oldphoto_jax.__file__).parent
MARKDOWN = MarkdownIt("commonmark", {"html": False})
COLUMNS = re.compile(r"^\S.*?\S {2,}\S", re.M)
CODE = "    "
MODULE = """### {0}

```{{eval-rst}}
.. automodule:: oldphoto_jax.{0}
```
"""

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
    paths = [path for name in names.split() for path in modules(name)]
    found = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths]
    return "\n".join(MODULE.format(name) for name in found)


def modules(name):
    """The one module of this name, or all of a room."""
    place = PACKAGE.joinpath(*name.split("."))
    if not place.is_dir():
        return [place.with_suffix(".py")]
    return sorted(path for path in place.glob("*.py") if path.stem != "__init__")


def read_docstring(app, what, name, obj, options, lines):
    """Makes HTML of a docstring, where there is one; what is set in columns stays in them."""
    parts = re.split(r"\n\n+", "\n".join(lines))
    parts = [textwrap.indent(part, CODE) if COLUMNS.search(part) else part for part in parts]
    if html := MARKDOWN.render("\n\n".join(parts)):
        lines[:] = [".. raw:: html", "", *("   " + line for line in html.splitlines()), ""]
