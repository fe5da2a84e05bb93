"""The Sphinx extension of the book: it joins the chapters, the package that they export and the pages about both."""

from pathlib import Path
import sys

EXTENSIONS = ("offline_mathjax", "theme_repairs", "cell_badges", "claims", "api_page")


def setup(app):
    sys.path.insert(0, str(Path(app.srcdir)))  # autodoc imports lowrank from the book's own root
    for name in EXTENSIONS:
        app.setup_extension(name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
