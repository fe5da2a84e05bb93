"""Above each cell that leaves its chapter, one small line: where its code lives, which test it is, what it checks."""

from docutils import nodes

from ..source.model import definitions
from .crosslinks import anchor, chapter_of, claims_in, link_to_api, link_to_claim, link_to_module


def badge_cells(app, doctree):
    """Put its badge before each tagged code cell; the badge also carries the anchor of the cell."""
    if not (chapter := chapter_of(app, app.env.docname)):
        return
    claims = claims_in(doctree)
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.container) and "cell_index" in node)):
        cell = chapter.cells[node["cell_index"]]
        if parts := badge_parts(app, chapter, cell, claims):
            badge = nodes.paragraph("", "", *parts, classes=["cell-badge"], ids=[anchor(cell)])
            node.parent.insert(node.parent.index(node), badge)


def badge_parts(app, chapter, cell, claims):
    """What there is to say about a cell, one inline node for each of its tags that matters."""
    parts = []
    if cell.exported:
        parts.append(lives_in(app, chapter, cell))
    if "test" in cell.tags:
        parts.append(tested_in(chapter.module, cell))
    for label in cell.labels:
        title = [child.deepcopy() for child in claims[label][0]]
        parts.append(nodes.inline("", "", nodes.Text("checks "), link_to_claim(label), *title))
    return parts


def lives_in(app, chapter, cell):
    """`lives in lowrank/svd.py: truncated_svd`, linked to the code there, and to the API page for all that is public."""
    module, file = chapter.module, link_to_module(app, chapter.docname, chapter, cell)
    names = [name for name, _, _ in definitions(cell.tree)]
    public = {item.name for item in chapter.public}
    links = [link_to_api("obj", f"lowrank.{module}.{name}", name) if name in public else code(name) for name in names]
    return line("lives in ", file, links)


def tested_in(module, cell):
    """`test: tests/chapters/test_svd.py: test_shapes`."""
    names = [code(name) for name, kind, _ in definitions(cell.tree) if kind == "function"]
    return line("test: ", code(f"tests/chapters/test_{module}.py"), names)


def line(text, file, names):
    """Text, a file, and after a colon the names in it, with commas between them."""
    separated = [node for name in names for node in (nodes.Text(", "), name)][1:]
    return nodes.inline("", "", nodes.Text(text), file, *([nodes.Text(": "), *separated] if names else []))


def code(text):
    return nodes.literal("", text)


def setup(app):
    app.connect("doctree-read", badge_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
