"""Mend what the theme gets wrong on each page.

sphinx-thebe declares THEBE_JS_URL twice, an error in each page's console, and names another host. Live cells need a server
that this book does not have, so all of it goes.
"""

from pathlib import Path

FRONT_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={page}">
<title>{title}</title>
</head>
<body><main><h1>{title}</h1><p><a href="{page}">Open the book</a></p></main></body>
</html>
"""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Take every file and inline script of sphinx-thebe from the page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not is_thebe(file)]


def is_thebe(file):
    attributes = getattr(file, "attributes", {})
    return "thebe" in str(getattr(file, "filename", file)) or "thebe" in attributes.get("body", "")


def write_front_page(app, exception):
    """Write the ``index.html`` that leads to the first page, with the title and language that the default one lacks."""
    if exception is None and app.builder.format == "html" and app.config.root_doc != "index":
        page = app.builder.get_target_uri(app.config.root_doc)
        text = FRONT_PAGE.format(page=page, title=app.config.html_title, language=app.config.language)
        Path(app.outdir, "index.html").write_text(text, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", write_front_page, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
