"""The map of the chapters on the front page: one line a chapter, an arc to each earlier chapter that it builds on."""

import ast
from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from ..source.scope import aliases
from ..source.toc import FOUNDATIONS
from .crosslinks import book_of, depend_on_book

LINE, HEADING, MIDDLE, WIDTH = 27, 38, 84, 430  # px: heights of a line and of a part's name; where the dots stand


class ChapterMap(SphinxDirective):
    """``{literate-map}``: the parts and chapters of the book, each chapter a link."""

    def run(self):
        depend_on_book(self.env)
        app, book = self.env.app, book_of(self.env.app)
        link = lambda chapter: app.builder.get_relative_uri(self.env.docname, chapter.docname)
        return [nodes.raw("", "".join(draw(chapters_by_part(book), builds_on(book), link)), format="html")]


def chapters_by_part(book):
    """(name, chapters) of each part that has chapters to be read; the foundations are there to be looked up."""
    for name, files in book.parts:
        chapters = [chapter for chapter in book.chapters if chapter.path in files]
        if chapters and not all(chapter.docname.startswith(FOUNDATIONS) for chapter in chapters):
            yield name or "", chapters


def builds_on(book):
    """Module -> the modules that it imports, without those that another of them needs anyway."""
    direct = {module: imported_modules(book.chapter(module)) for module in book.order}
    needed = {}  # directly or not; imports run from later to earlier chapters, so one pass finds all
    for module, imports in direct.items():
        needed[module] = imports.union(*(needed[name] for name in imports))
    return {module: imports - set().union(*(needed[name] for name in imports)) for module, imports in direct.items()}


def imported_modules(chapter):
    """The chapters from which the exported cells of a chapter import."""
    found = (alias for cell in chapter.exports for node in ast.walk(cell.tree) for alias in aliases(node))
    return {alias.module.removeprefix("lowrank.") for alias in found if alias.package == "lowrank"}


def draw(parts, needs, link):
    """The lines of the SVG. Every chapter is a group: its link, and the arcs that light up with it."""
    place, titles, body, y = {}, {}, [], 0
    for name, chapters in parts:
        y += HEADING
        body.append(f'<text class="part" x="{MIDDLE - 5}" y="{y}">{escape(name)}</text>')
        for chapter in chapters:
            y += LINE
            place[chapter.module], titles[chapter.module] = y, chapter.title
            earlier = sorted(needs[chapter.module] & place.keys(), key=place.get)
            names = ", ".join(titles[module] for module in earlier) or "no other chapter"
            body += [
                '<g class="chapter">',
                *(f'<path d="{arc(place[module], y)}"/>' for module in earlier),
                f'<a href="{link(chapter)}" aria-label="{escape(chapter.title)}, builds on {escape(names)}">',
                f'<circle cx="{MIDDLE}" cy="{y}" r="4"/>',
                f'<text x="{MIDDLE + 14}" y="{y + 5}">{escape(chapter.title)}</text></a></g>',
            ]
    text = "Map of the chapters: an arc joins each chapter to those before it that it builds on."
    yield f'<svg class="chapter-map" role="group" aria-label="{text}" viewBox="0 0 {WIDTH} {y + LINE}">'
    yield from body
    yield "</svg>"


def arc(top, bottom):
    """A path from an earlier chapter down to a later one; the farther, the wider, within the space there is."""
    reach = MIDDLE - min(110, 16 + 0.3 * (bottom - top))
    return f"M{MIDDLE} {top}C{reach:.0f} {top} {reach:.0f} {bottom} {MIDDLE} {bottom}"


def setup(app):
    app.add_directive("literate-map", ChapterMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
