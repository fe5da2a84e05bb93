"""Mend what the theme and its companions get wrong on each page."""

from pathlib import Path

from docutils import nodes


def leave_out_thebe(app, config):
    """Take sphinx-thebe off all pages: it declares a constant twice, an error in every console, and names another host.

    It would let readers run cells on a server, and this book has none.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"]


def drop_repeated_ids(app, doctree, docname):
    """Turn the ids that sphinx-proof gives to all proofs alike into classes."""
    for node in doctree.findall(nodes.Element):
        if node.get("ids") in (["proof"], ["proof-content"]):
            node["classes"] += node["ids"]
            node["ids"] = []


def mend_citation_roles(app, pagename, templatename, context, doctree):
    """Call the children of docutils' list of citations what the children of a list must be called."""
    if body := context.get("body"):
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def mark_as_utf8(app, error):
    """A server sends Markdown without its encoding; a mark at its beginning keeps browsers from guessing another one."""
    if error is None and app.builder.format == "html":
        for file in Path(app.outdir, "_sources").rglob("*.md"):
            file.write_text(file.read_text(encoding="utf-8-sig"), encoding="utf-8-sig")


def setup(app):
    app.connect("config-inited", leave_out_thebe)
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("html-page-context", mend_citation_roles)
    app.connect("build-finished", mark_as_utf8)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
