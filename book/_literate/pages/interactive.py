"""Figures with a slider: drawn when the book is built, moved by a script in the reader's browser.

    ```{literate-figure} ranks
    :name: fig-svd-ranks

    Caption.
    ```

A figure is two files in `book/_figures`: `ranks.py`, whose `draw()` computes with `lowrank`, so that it cannot be out
of date, and `ranks.js`. The first returns what the page holds: the first state, which stands without JavaScript too;
the controls; and the data of all states. Every number that is put into words is worded there, so the script computes none.
"""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import copyfile

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

FIGURES = Path(__file__).resolve().parents[2] / "_figures"


def figure_files():
    """Name -> the Python file of each figure."""
    return {file.stem: file for file in sorted(FIGURES.glob("[a-z]*.py"))}


def drawn(file):
    """What the `draw` of a figure returns."""
    spec = spec_from_file_location(f"_figures.{file.stem}", file)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.draw()


class LiterateFigure(SphinxDirective):
    """``{literate-figure} name``: an interactive figure, with a number and a caption like any other."""

    required_arguments = 1
    has_content = True
    option_spec = {"name": directives.unchanged}

    def run(self):
        name, files = self.arguments[0], figure_files()
        if name not in files:
            raise self.error(f"There is no interactive figure {name!r}; there are {', '.join(files)}")
        parts = drawn(files[name])
        for file in (files[name], *Path(self.env.srcdir, "lowrank").glob("*.py")):
            self.env.note_dependency(str(file))
        caption = self.state.inline_text(" ".join(self.content), self.lineno)[0]
        body = nodes.raw("", page_part(name, parts), format="html")
        figure = nodes.figure("", body, nodes.caption("", "", *caption), classes=["interactive"], interactive=name)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def page_part(name, parts):
    """What stands above the caption; the script takes `hidden` from the controls when it can move them."""
    return (
        f'<div class="interactive-body" data-figure="{name}">'
        f'<div class="panels">{"".join(parts.panels)}</div>'
        f'<div class="controls" hidden>{"".join(parts.controls)}</div>'
        f"<p><output>{parts.says}</output></p>"
        f'<script type="application/json">{json.dumps(parts.data, ensure_ascii=False, separators=(",", ":"))}</script>'
        "</div>"
    ).replace("{id}", name)


def add_scripts(app, pagename, templatename, context, doctree):
    """Only pages with such a figure load its script, and the one that all of them share."""
    names = [figure["interactive"] for figure in doctree.findall(nodes.figure) if "interactive" in figure] if doctree else []
    for name in ["interactive", *(f"figures/{name}" for name in names)] if names else ():
        app.add_js_file(f"{name}.js", loading_method="defer")


def copy_scripts(app, exception):
    if exception is None and app.builder.format == "html":
        folder = Path(app.outdir, "_static", "figures")
        folder.mkdir(parents=True, exist_ok=True)
        for file in figure_files().values():
            copyfile(file.with_suffix(".js"), folder / f"{file.stem}.js")


def setup(app):
    app.add_directive("literate-figure", LiterateFigure)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", copy_scripts, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
