"""The API page: what each chapter exports, from its docstrings, with a link to the section that derives it."""

import ast
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import desc, desc_content
from sphinx.util.docutils import SphinxDirective

from .crosslinks import anchor, book_of, depend_on_book, link_to_cell
from .module_pages import link_to_module

DIRECTIVES = {"function": "autofunction", "class": "autoclass", "constant": "autodata"}
PARTS = re.compile(r"``.*?``|(?:(?!``).)+|.")  # literals, and what stands between them
BAR = re.compile(r"(?<!\\)\|")
OPTIONS = {"class": [":members:"], "constant": [":no-value:"]}


class ApiPage(SphinxDirective):
    """``{literate-api}``: for each chapter, in the order of the book, its public names by autodoc."""

    def run(self):
        depend_on_book(self.env)
        return [self.section(chapter) for chapter in book_of(self.env.app).chapters if chapter.exports]

    def section(self, chapter):
        title = nodes.title("", f"lowrank.{chapter.module}")
        section = nodes.section("", title, ids=[f"api-{chapter.module}"])
        source = self.env.doc2path(self.env.docname)
        text = StringList(["```{eval-rst}", *reference(chapter), "```"], source)
        self.state.nested_parse(text, self.content_offset, section)
        return section


def reference(chapter):
    """The lines of reStructuredText that document a chapter's module."""
    yield f".. py:module:: lowrank.{chapter.module}"
    yield ""
    private = "" if chapter.public else "; what it defines is private, for the modules after it"
    yield f"From the chapter :doc:`/{chapter.docname}`{private}."
    for item in chapter.public:
        yield ""
        yield f".. {DIRECTIVES[item.kind]}:: lowrank.{chapter.module}.{item.name}"
        yield from (f"   {option}" for option in OPTIONS.get(item.kind, ()))


def link_to_origins(app, doctree, docname):
    """Begin each entry with links to the section and the cell that define it, to the code and to the tests that hold it."""
    entries = {node[0]["ids"][0]: node for node in doctree.findall(desc) if node["domain"] == "py" and node[0]["ids"]}
    for chapter in book_of(app).chapters if entries else ():
        chapter_tree = app.env.get_doctree(chapter.docname)
        for item in chapter.public:
            if entry := entries.get(f"lowrank.{chapter.module}.{item.name}"):
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
    app.connect("autodoc-process-docstring", keep_bars)
    app.connect("missing-reference", find_public_name)
    app.connect("doctree-resolved", link_to_origins)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
