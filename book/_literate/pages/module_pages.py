"""Each generated module as a page of the book: from a cell to its code, from the code to the cell and the API entry."""

import re
from html import escape
from pathlib import Path

from ..commands.generate import heading
from .crosslinks import anchor, api_page, book_of, chapter_of, module_page

CELL = re.compile(r'<span class="c1">(# %% [^<]*)</span>')


def write_module_pages(app):
    """Yield name, context and template of each page."""
    for chapter in book_of(app).chapters:
        file = Path(app.srcdir, f"{module_page(chapter)}.py")
        if chapter.exports and file.is_file():
            title = f"{module_page(chapter)}.py"
            about = f"The code of {title}, exported by the chapter {escape(chapter.title)}, with links back to its cells."
            context = {
                "title": title,
                "metatags": f'\n<meta name="description" content="{about}">',
                "body": f"<section><h1>{title}</h1>\n{origins(app, chapter)}\n{code(app, chapter, file)}</section>",
            }
            yield module_page(chapter), context, "page.html"


def origins(app, chapter):
    """Where the module comes from, and where it is documented."""
    link = lambda page: app.builder.get_relative_uri(module_page(chapter), page)
    links = [f'<a href="{link(chapter.docname)}">derived in {escape(chapter.title)}</a>']
    if api_page(chapter) in app.env.all_docs:
        links.append(f'<a href="{link(api_page(chapter))}">documented on its API page</a>')
    return f'<p class="page-data">{"".join(links)}</p>'


def code(app, chapter, file):
    """The highlighted module; the line above each cell leads to the cell in its chapter."""
    page = app.builder.get_relative_uri(module_page(chapter), chapter.docname)
    cells = {heading(chapter, cell): anchor(cell) for cell in chapter.exports}

    def link(line):
        cell = cells.get(line[1])
        return f'<a id="{cell}" href="{page}#{cell}">{line[0]}</a>' if cell else line[0]

    html = app.builder.highlighter.highlight_block(file.read_text(encoding="utf-8"), "python")
    return f'<div class="highlight-python notranslate module">{CELL.sub(link, html)}</div>'


def add_source_button(app, pagename, templatename, context, doctree):
    """Beside the buttons that download a page, one that shows its source: the module of a chapter, else the text."""
    if not context.get("page_source_suffix"):
        return
    chapter = chapter_of(app, pagename)
    page = chapter and chapter.exports and app.builder.get_relative_uri(pagename, module_page(chapter))
    source = f"{context['pathto']('_sources', 1)}/{context['sourcename']}"
    button = {
        "type": "link",
        "url": page or source,
        "tooltip": "View the module that this chapter exports" if page else "View the source of this page",
        "icon": "fas fa-code",
        "label": "view-source-button",
    }
    context["header_buttons"].append(button)


def setup(app):
    app.connect("html-collect-pages", write_module_pages)
    app.connect("html-page-context", add_source_button, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
