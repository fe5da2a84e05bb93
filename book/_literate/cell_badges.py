"""Above each cell that leaves its chapter, one small line: where its code lives, which test it is, what it checks."""

from crosslinks import anchor, chapter_of, claims_in, link_to_api, link_to_claim
from docutils import nodes
from model import definitions


def badge_cells(app, doctree):
    """Put its badge before each tagged code cell; the badge also carries the anchor of the cell."""
    if not (chapter := chapter_of(app, app.env.docname)):
        return
    claims = claims_in(doctree)
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.container) and "cell_index" in node)):
        cell = chapter.cells[node["cell_index"]]
        if parts := badge_parts(chapter, cell, claims):
            badge = nodes.paragraph("", "", *parts, classes=["cell-badge"], ids=[anchor(cell)])
            node.parent.insert(node.parent.index(node), badge)


def badge_parts(chapter, cell, claims):
    """What there is to say about a cell, one inline node for each of its tags that matters."""
    parts = []
    if "export" in cell.tags:
        parts.append(lives_in(chapter.module, cell))
    if "test" in cell.tags:
        file = nodes.literal("", f"tests/chapters/test_{chapter.module}.py")
        parts.append(nodes.inline("", "", nodes.Text("test: "), file))
    for label in cell.labels:
        title = [child.deepcopy() for child in claims[label][0]]
        parts.append(nodes.inline("", "", nodes.Text("checks "), link_to_claim(label), *title))
    return parts


def lives_in(module, cell):
    """`lives in lowrank/svd.py: truncated_svd`, with links to the API page for all that is public."""
    line = nodes.inline("", "", nodes.Text("lives in "), link_to_api("mod", f"lowrank.{module}", f"lowrank/{module}.py"))
    for position, (name, _, _) in enumerate(definitions(cell.tree)):
        line += nodes.Text(", " if position else ": ")
        line += nodes.literal("", name) if name.startswith("_") else link_to_api("obj", f"lowrank.{module}.{name}", name)
    return line


def setup(app):
    app.connect("doctree-read", badge_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
