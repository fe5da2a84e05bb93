"""What a page shows at first is what teaches: imports, tests and long docstrings wait behind a line that says what they are."""

import ast

from docutils import nodes

from ..source.model import definitions
from ..source.scope import aliases
from .crosslinks import chapter_of


def fold_cells(app, doctree):
    """Fold the cells that the model calls folded, and mark the docstrings in the others."""
    if not (chapter := chapter_of(app, app.env.docname)):
        return
    for node in doctree.findall(lambda node: isinstance(node, nodes.container) and "cell_index" in node):
        cell = chapter.cells[node["cell_index"]]
        if cell.folded:
            node["hide_mode"] = node.get("hide_mode", "input")
            node["prompt_show"] = summary(cell)
            node["prompt_hide"] = f"Hide: {summary(cell)}"
        elif cell.docstrings and (block := next(node.findall(nodes.literal_block), None)):
            block["docstrings"] = cell.docstrings


def summary(cell):
    """What is in a folded cell, in a line."""
    if "test" in cell.tags:
        tests = [name for name, kind, _ in definitions(cell.tree) if kind == "function" and name.startswith("test_")]
        checks = sum(isinstance(node, ast.Assert) or is_raises(node) for node in ast.walk(cell.tree))
        return f"{count(len(tests), 'test')} with {count(checks, 'assertion')}"
    imported = [alias for statement in cell.tree.body for alias in aliases(statement)] if cell.tree else []
    if imported and len(imported) == sum(len(statement.names) for statement in cell.tree.body if hasattr(statement, "names")):
        if all(aliases(statement) for statement in cell.tree.body):
            return f"Imports: {', '.join(dict.fromkeys(map(imported_from, imported)))}"
    if cell.outputs.pictures:
        return "The code of this figure"
    names = [name for name, _, _ in definitions(cell.tree)] if cell.exported else []
    return f"Code: {', '.join(names)}" if names else "Code"


def is_raises(node):
    return isinstance(node, ast.With) and any("raises" in ast.unparse(item.context_expr) for item in node.items)


def imported_from(alias):
    """`numpy`, or `lowrank.arrays`."""
    return alias.module if alias.package == "lowrank" else alias.package


def count(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def visit_literal_block(translator, node):
    """The highlighted code, in which the docstrings that were marked stand in details of their own.

    Pygments closes its marks at the end of each line of a docstring, so that lines can be cut apart.
    """
    start = len(translator.body)
    try:
        type(translator).visit_literal_block(translator, node)
    except nodes.SkipNode:
        if "docstrings" in node:
            html = "".join(translator.body[start:])
            translator.body[start:] = [fold_docstrings(html, node["docstrings"])]
        raise


def fold_docstrings(html, docstrings):
    lines = html.split("\n")
    for first, last in docstrings:
        summary = f"<summary>{count(last - first + 1, 'line')} of docstring</summary>"
        lines[first - 1] = f'<details class="doc-fold">{summary}<span>{lines[first - 1]}'
        lines[last - 1] += "</span></details>"
    return "\n".join(lines)


def depart_literal_block(translator, node):
    type(translator).depart_literal_block(translator, node)


def setup(app):
    app.connect("doctree-read", fold_cells, priority=400)
    app.add_node(nodes.literal_block, override=True, html=(visit_literal_block, depart_literal_block))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
