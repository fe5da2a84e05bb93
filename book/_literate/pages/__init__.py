"""The Sphinx extension of the book: it joins the chapters, the package that they export and the pages about both."""

import gc
import sys
from hashlib import sha256
from pathlib import Path

PARTS = (
    "theme.offline_mathjax",
    "theme.theme_repairs",
    "theme.bare_pages",
    "theme.repository_buttons",
    "pages.page_data",
    "pages.cell_badges",
    "pages.claims",
    "pages.folding",
    "pages.module_pages",
    "pages.code_links",
    "pages.chapter_map",
    "pages.api_page",
    "pages.interactive",
    "theme.light_pages",
)


def own_version():
    """A digest of the extension's code; when it changes, pages that were built before are out of date."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def setup(app):
    gc.set_threshold(100_000, 20, 100)  # trees of nodes are cycles: the search for garbage took a quarter of the build
    sys.path.insert(0, str(app.srcdir))  # autodoc imports lowrank from the book's own root
    app.add_config_value("literate_version", own_version(), "env")
    for name in PARTS:
        app.setup_extension(f"_literate.{name}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
