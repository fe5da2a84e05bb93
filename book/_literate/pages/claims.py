"""Claims and their checks: links from each claim to its check, the ledger of them all, and no claim without a check."""

import json

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

from ..source import proof_rules
from ..source.model import ROOT
from .crosslinks import book_of, chapter_of, claims_in, depend_on_book, link_to_cell, link_to_claim, table

MUTANTS = ROOT / "tests/mutants/checks.json"  # what `make mutants` found

logger = getLogger(__name__)


def refuse_mistakes(app):
    """Name every mistake of the chapters, such as a claim without a check, and stop before anything is built."""
    problems = book_of(app).problems
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        raise SystemExit(2)


def link_claims(app, doctree):
    """At the end of each claim of a chapter, link to the cells that check it, in the words of the ledger."""
    docname = app.env.docname
    if not (chapter := chapter_of(app, docname)):
        return
    for label, claim in claims_in(doctree).items():
        line = nodes.paragraph("", "", classes=["claim-check"])
        for cell in chapter.checks.get(label, ()):
            line += link_to_cell(app, docname, chapter, cell, nodes.Text(f"check: {held_by(chapter, cell)}"))
        claim[-1] += line


def held_by(chapter, *cells):
    """How cells hold a claim, such as `symbolic proof, attained bound`."""
    return ", ".join(proof_rules.methods(chapter, cells))


class Ledger(SphinxDirective):
    """``{literate-checks}``: for each chapter a table of its claims, of the cells that check them, how, and how sharply."""

    def run(self):
        depend_on_book(self.env)
        self.env.note_dependency(str(MUTANTS))
        self.mutants = json.loads(MUTANTS.read_text(encoding="utf-8")) if MUTANTS.exists() else {}
        return [self.section(chapter) for chapter in book_of(self.env.app).chapters if chapter.claims]

    def section(self, chapter):
        heading = nodes.title("", "", *self.inline(chapter.title))
        headings = ("Claim", "Title", "Checked by", "Held by", "Faults noticed")
        ledger = table(headings, [self.row(chapter, claim) for claim in chapter.claims])
        ledger["classes"].append("claims")
        return nodes.section("", heading, ledger, ids=[f"claims-{chapter.module}"])

    def row(self, chapter, claim):
        """The five entries of a claim; one line for each cell that checks it."""
        cells = chapter.checks[claim.label]
        links = [link_to_cell(self.env.app, self.env.docname, chapter, cell, cell_name(cell)) for cell in cells]
        methods = [nodes.Text(word) for word in proof_rules.methods(chapter, cells)]
        title = [nodes.inline("", "", *self.inline(claim.title))]
        return [link_to_claim(claim.label)], title, links, methods, [nodes.Text(self.noticed(claim.label))]

    def noticed(self, label):
        """Of how many single faults in its check how many made it fail."""
        found = self.mutants.get(label)
        return f"{found['noticed']} of {found['tried']}" if found and found["tried"] else "not tried"

    def inline(self, markdown):
        return self.state.inline_text(markdown, self.lineno)[0]


def cell_name(cell):
    """The test that checks, or the number of the cell where no test does."""
    is_test = (cell.name or "").startswith("test_")
    return nodes.literal("", cell.name) if is_test else nodes.Text(f"cell {cell.number}")


def setup(app):
    app.add_directive("literate-checks", Ledger)
    app.connect("builder-inited", refuse_mistakes)
    app.connect("doctree-read", link_claims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
