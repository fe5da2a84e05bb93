"""Two pages outside the theme: the bare address of the book, and an address at which there is nothing."""

from pathlib import Path

PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{description}">
{head}<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 1.1rem/1.6 sans-serif; }}
body {{ max-width: 34rem; margin: 4rem auto; padding: 0 1rem; }}
</style>
</head>
<body><main><h1>{title}</h1>
{body}
</main></body>
</html>
"""

# A wrong address may be any number of folders deep; the book begins in one of the folders above it.
FIND_BOOK = """<p>The page may have moved. <a id="front" href="/">Open the book</a>, or search it:</p>
<form id="search" action="/search.html"><input name="q" aria-label="Search the book"> <button>Search</button></form>
<script>
(async () => {{
  const folders = location.pathname.split("/").slice(0, -1);
  for (let depth = 1; depth <= folders.length; depth++) {{
    const root = folders.slice(0, depth).join("/") + "/";
    const answer = await fetch(root + "{front}", {{method: "HEAD"}}).catch(() => ({{ok: false}}));
    if (!answer.ok) continue;
    document.getElementById("front").href = root + "{front}";
    document.getElementById("search").action = root + "search.html";
    return;
  }}
}})();
</script>"""


def write_bare_pages(app, exception):
    """Write ``index.html``, which leads to the first page, and ``404.html``, which servers show for a wrong address."""
    if exception is not None or app.builder.format != "html" or app.config.root_doc == "index":
        return
    front = app.builder.get_target_uri(app.config.root_doc)
    pages = {
        "index.html": {
            "title": app.config.html_title,
            "description": f"The address of the book {app.config.html_title}, which begins at {front}.",
            "head": f'<meta http-equiv="refresh" content="0; url={front}">\n',
            "body": f'<p><a href="{front}">Open the book</a></p>',
        },
        "404.html": {
            "title": "There is no page at this address",
            "description": f"What the book {app.config.html_title} answers to an address at which there is no page.",
            "head": "",
            "body": FIND_BOOK.format(front=front),
        },
    }
    for name, parts in pages.items():
        text = PAGE.format(language=app.config.language, **parts)
        Path(app.outdir, name).write_text(text, encoding="utf-8")


def setup(app):
    app.connect("build-finished", write_bare_pages, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
