"""What the parts of the extension share: the book as data, the claims of a page, the anchors of cells, and links."""

from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

from ..commands.generate import API, code_of
from ..source.chapters import read_book
from ..source.model import CLAIM_KINDS


def book_of(app):
    """The model of the book that Sphinx builds; it is read once."""
    return _read_once(Path(app.srcdir))


_read_once = cache(read_book)


def depend_on_book(env, chapters=None):
    """Make Sphinx build the current page anew when one of these chapters, or of all, or their order has changed."""
    for file in ("_toc.yml", *(chapter.path for chapter in chapters or book_of(env.app).chapters)):
        env.note_dependency(file)


def chapter_of(app, docname):
    """The chapter that becomes this page, or None for a page that is no notebook."""
    return next((chapter for chapter in book_of(app).chapters if chapter.docname == docname), None)


def claims_in(doctree):
    """Label -> node of each claim on a page."""
    return {node["label"]: node for node in doctree.findall(nodes.Element) if node.get("realtype") in CLAIM_KINDS}


def anchor(cell):
    """The id of a cell in the built page; it lasts as long as the cell does."""
    return f"cell-{cell.id or cell.number}"


def link_to_cell(app, fromdocname, chapter, cell, text):
    """A link to a cell of a chapter, from the page that is being built."""
    if fromdocname == chapter.docname:
        return nodes.reference("", "", text, internal=True, refid=anchor(cell))
    page = app.builder.get_relative_uri(fromdocname, chapter.docname)
    return nodes.reference("", "", text, internal=True, refuri=f"{page}#{anchor(cell)}")


def module_page(chapter):
    """The name of the page that shows the module of a chapter."""
    return f"lowrank/{chapter.module}"


def link_to_module(app, fromdocname, chapter, cell=None):
    """A link to the page of a module, or to one of its cells, that reads `lowrank/svd.py`."""
    page = app.builder.get_relative_uri(fromdocname, module_page(chapter))
    address = f"{page}#{anchor(cell)}" if cell and code_of(cell) else page
    return nodes.reference("", "", nodes.literal("", f"{module_page(chapter)}.py"), internal=True, refuri=address)


def api_page(chapter):
    """The name of the page that documents the module of a chapter."""
    return f"{API}/{chapter.module}"


def link_to_api(role, target, text):
    """A link to the entry of a module, function or class on the API page, as code."""
    options = {"refdomain": "py", "reftype": role, "reftarget": target, "refexplicit": True, "refwarn": True}
    return pending_xref("", nodes.literal("", text), **options)


def link_to_claim(label):
    """A link to a claim that reads `Theorem 1.2`."""
    options = {"refdomain": "prf", "reftype": "ref", "reftarget": label, "refexplicit": False, "refwarn": True}
    return pending_xref("", nodes.inline("", label), **options)


def table(headings, rows):
    """A docutils table; each entry of a row is a list of inline nodes, set below each other."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in headings), cols=len(headings))
    group += nodes.thead("", table_row([nodes.Text(heading)] for heading in headings))
    group += nodes.tbody("", *map(table_row, rows))
    return nodes.table("", group, classes=["ledger"])


def table_row(entries):
    return nodes.row("", *(nodes.entry("", *(nodes.paragraph("", "", item) for item in entry)) for entry in entries))
