"""The Sphinx extension of the book: it joins the chapters, the package that they export and the pages about both."""

from hashlib import sha256
from pathlib import Path
import sys

PARTS = (
    "offline_mathjax",
    "theme_repairs",
    "bare_pages",
    "repository_buttons",
    "page_data",
    "cell_badges",
    "claims",
    "module_pages",
    "code_links",
    "chapter_map",
    "api_page",
    "interactive",
    "light_pages",
)


def own_version():
    """A digest of the extension's code; when it changes, pages that were built before are out of date."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def setup(app):
    sys.path.insert(0, str(app.srcdir))  # autodoc imports lowrank from the book's own root
    app.add_config_value("literate_version", own_version(), "env")
    for name in PARTS:
        app.setup_extension(name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
