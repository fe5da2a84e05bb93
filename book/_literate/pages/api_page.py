"""The API pages: what each chapter exports, from its docstrings, with a link to the section that derives it."""

import ast
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import desc, desc_content, pending_xref
from sphinx.util.docutils import SphinxDirective

from ..source.project import extras
from .crosslinks import anchor, book_of, depend_on_book, link_to_api, link_to_cell, link_to_module, table

DIRECTIVES = {"function": "autofunction", "class": "autoclass", "constant": "autodata"}
PARTS = re.compile(r"``.*?``|(?:(?!``).)+|.")  # literals, and what stands between them
BAR = re.compile(r"(?<!\\)\|")
OPTIONS = {"class": [":members:"], "constant": [":no-value:"]}


class ApiPage(SphinxDirective):
    """``{literate-api} svd``: the public names of a module by autodoc; without a name, the index of all modules."""

    optional_arguments = 1

    def run(self):
        book = book_of(self.env.app)
        chapter = book.chapter(self.arguments[0]) if self.arguments else None
        depend_on_book(self.env, chapter and [chapter])
        if chapter:
            return self.parsed(entries(chapter))
        return [part for name, files in book.parts for part in self.index(name, [c for c in book.chapters if c.path in files])]

    def index(self, name, chapters):
        """A part of the index: a row for each module that offers something, and what the others are for."""
        rows = [self.row(chapter) for chapter in chapters if chapter.public]
        if rows:
            yield nodes.rubric("", name)
            yield table(("Module", "Offers", "Derived in"), rows)

    def row(self, chapter):
        module = link_to_api("mod", f"lowrank.{chapter.module}", f"lowrank.{chapter.module}")
        names = [link_to_api("obj", f"lowrank.{chapter.module}.{item.name}", item.name) for item in chapter.public]
        offers = nodes.inline("", "", *[part for name in names for part in (nodes.Text(", "), name)][1:])
        link = pending_xref("", nodes.Text(chapter.title), refdomain="std", reftype="doc", reftarget=f"/{chapter.docname}",
                            refexplicit=True, refwarn=True)  # fmt: skip
        return [module], [offers], [link]

    def parsed(self, lines):
        """What some lines of reStructuredText become."""
        container = nodes.Element()
        text = StringList(["```{eval-rst}", *lines, "```"], self.env.doc2path(self.env.docname))
        self.state.nested_parse(text, self.content_offset, container)
        return container.children


def entries(chapter):
    """The lines of reStructuredText that document a chapter's module."""
    yield f".. py:module:: lowrank.{chapter.module}"
    yield ""
    extra = f", which needs the extra ``{chapter.extra}``" if chapter.extra else ""
    yield f"From the chapter :doc:`/{chapter.docname}`{extra}."
    for item in chapter.public:
        yield ""
        yield f".. {DIRECTIVES[item.kind]}:: lowrank.{chapter.module}.{item.name}{signature(chapter, item)}"
        yield from (f"   {option}" for option in OPTIONS.get(item.kind, ()))


def signature(chapter, item):
    """The signature of a class of an extra: with a base that is only imitated, autodoc would not find it."""
    if item.kind != "class" or not chapter.extra:
        return ""
    node = next(node for node in chapter.cells[item.cell - 1].tree.body if getattr(node, "name", "") == item.name)
    made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if made is None:
        return ""
    arguments = ast.unparse(made.args).split(", ", 1)
    return f"({arguments[1] if len(arguments) > 1 else ''})"


def imitate_extras(app, config):
    """Libraries of extras are imitated where autodoc imports, installed or not: the pages are the same everywhere."""
    packages = set().union(*extras(Path(app.srcdir)).values())
    config.autodoc_mock_imports = sorted({*config.autodoc_mock_imports, *packages})


def link_to_origins(app, doctree, docname):
    """Begin each entry with links to the section and the cell that define it, to the code and to the tests that hold it."""
    entries = {node[0]["ids"][0]: node for node in doctree.findall(desc) if node["domain"] == "py" and node[0]["ids"]}
    for chapter in book_of(app).chapters if entries else ():
        found = [(item, entries.get(f"lowrank.{chapter.module}.{item.name}")) for item in chapter.public]
        chapter_tree = app.env.get_doctree(chapter.docname) if any(entry for _, entry in found) else None  # a slow call
        for item, entry in found:
            if entry:
                cell = chapter.cells[item.cell - 1]
                title = nodes.inline("", "", *(child.deepcopy() for child in section_title(chapter_tree, anchor(cell))))
                link = link_to_cell(app, docname, chapter, cell, title)
                origin = nodes.paragraph("", "", nodes.Text("Derived in "), link, classes=["derived-in"])
                origin += [nodes.Text("; code in "), link_to_module(app, docname, chapter, cell)]
                origin += links_to_tests(app, docname, chapter, item.name)
                next(entry.findall(desc_content)).insert(0, origin)


def links_to_tests(app, docname, chapter, name):
    """`; held by test_shapes, test_bad_input`: the tests of the chapter that use a name, each a link to its cell."""
    found = []
    for cell in chapter.tests:
        for test in (node for node in cell.tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            if any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(test)):
                link = link_to_cell(app, docname, chapter, cell, nodes.literal("", test.name))
                found += [nodes.Text(", " if found else "; held by "), link]
    return found


def keep_bars(app, what, name, obj, options, lines):
    """Let docstrings write |x| for an absolute value, which reStructuredText would take for a substitution."""
    for number, text in enumerate(lines):
        if not text.lstrip().startswith(">>>"):
            lines[number] = "".join(part if part.startswith("``") else BAR.sub(r"\\|", part) for part in PARTS.findall(text))


def keep_underscores(app, what, name, obj, options, lines):
    """Let names of attributes end with an underscore, as those of estimators do, which reStructuredText takes for a link."""
    lines[:] = [re.sub(r"^(:(?:ivar|vartype) \w+)_:", r"\1\\_:", text) for text in lines]


def find_public_name(app, env, node, content):
    """Let a docstring name a function of any chapter, as in its See Also, without the module."""
    name = node.get("reftarget")
    for chapter in book_of(app).chapters if node.get("refdomain") == "py" else ():
        if any(item.name == name for item in chapter.public):
            target = f"lowrank.{chapter.module}.{name}"
            return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def section_title(doctree, target):
    """The title of the section around the node with this id."""
    node = next(doctree.findall(lambda node: target in getattr(node, "attributes", {}).get("ids", ())))
    while not isinstance(node, nodes.section):
        node = node.parent
    return node[0]


def setup(app):
    app.add_directive("literate-api", ApiPage)
    app.connect("config-inited", imitate_extras)
    app.connect("autodoc-process-docstring", keep_bars)
    app.connect("autodoc-process-docstring", keep_underscores, priority=600)  # after napoleon, which makes the fields
    app.connect("missing-reference", find_public_name)
    app.connect("doctree-resolved", link_to_origins)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
