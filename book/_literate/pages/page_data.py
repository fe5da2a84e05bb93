"""What a page says about itself: how long a chapter takes, what it holds, what it is about, and the package's version."""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import download_reference

from ..source.project import read_project
from .crosslinks import chapter_of, link_to_module

WORDS, FORMULAS, LINES = 200, 6, 40  # read in a minute: words of prose, displayed formulas, lines of code


def sign_pages(app, config):
    """At the foot of each page, the version of the package that it was built with."""
    version = read_project(Path(app.srcdir))["version"]
    config.html_theme_options["extra_footer"] = f"<p>This page was built with lowrank {version}.</p>"


def introduce(app, doctree):
    """Under the title of a chapter: reading time, claims, module, and the notebook to download."""
    if not (chapter := chapter_of(app, app.env.docname)):
        return
    title = next(doctree.findall(nodes.title))
    module = link_to_module(app, chapter.docname, chapter)
    notebook = download_reference("", "", nodes.Text("the notebook"), reftarget=f"/{chapter.path}", refdoc=chapter.docname)
    count = len(chapter.claims)
    claims = [nodes.inline("", f"{count} claims, each checked" if count > 1 else "1 claim, checked")] if count else []
    parts = [nodes.inline("", f"{reading_time(doctree)} minutes"), *claims, module, notebook]
    line = nodes.paragraph("", "", *parts, classes=["page-data"])
    title.parent.insert(title.parent.index(title) + 1, line)


def reading_time(doctree):
    """Minutes, to the next five."""
    prose = sum(len(node.astext().split()) for node in doctree.findall(nodes.paragraph))
    formulas = sum(1 for _ in doctree.findall(nodes.math_block))
    code = sum(node.astext().count("\n") + 1 for node in doctree.findall(nodes.literal_block) if node.get("language"))
    return 5 * round((prose / WORDS + formulas / FORMULAS + code / LINES) / 5 + 0.5)


def describe(app, pagename, templatename, context, doctree):
    """Give a chapter the description that search engines show: its title, and what a reader will be able to do."""
    if chapter := chapter_of(app, pagename):
        text = escape(": ".join(filter(None, (chapter.title, outcome(chapter)))))
        context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{text}">'


def say_why(app, pagename, templatename, context, doctree):
    """Under the titles of the previous and the next chapter, what a reader is able to do after it."""
    _, *neighbours = getattr(app.builder, "relations", {}).get(pagename) or (None, None, None)
    for direction, docname in zip(("prev", "next"), neighbours):
        chapter = docname and chapter_of(app, docname)
        if chapter and context.get(direction):
            reason = outcome(chapter)
            reason = f'<span class="why">{escape(reason[:1].upper() + reason[1:])}</span>'
            context[direction] = {**context[direction], "title": context[direction]["title"] + reason}


def outcome(chapter):
    """What a reader will be able to do, as plain text: A+ for the pseudo-inverse, code without marks."""
    return re.sub(r"[$`{}^\\]", "", chapter.outcome)


def setup(app):
    app.connect("config-inited", sign_pages, priority=900)
    app.connect("doctree-read", introduce, priority=100)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", say_why)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
