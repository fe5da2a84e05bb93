"""Serve MathJax 3 from the book itself, so that no page makes a request to another host.

The package sphinx-mathjax-offline holds all of MathJax 3.2.2 (24 MB). A page that typesets TeX needs 1.6 MB of it: one
component, its fonts, and the TeX extensions that it loads when a formula first uses them.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

AUTOLOADED = (
    "action amscd bbox boldsymbol braket bussproofs cancel color enclose extpfeil html newcommand unicode verb".split()
)
NEEDED = (
    "tex-chtml.js",
    "output/chtml/fonts/woff-v2/*.woff",
    *(f"input/tex/extensions/{name}.js" for name in AUTOLOADED),
)


def mathjax_files():
    """Return the folder of MathJax in the installed package, and the files that the book needs, relative to it."""
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise FileNotFoundError("MathJax is missing: pip install sphinx-mathjax-offline (it is in requirements.txt)")
    folder = Path(package.origin).parent / "static" / "mathjax"
    return folder, [file.relative_to(folder) for pattern in NEEDED for file in sorted(folder.glob(pattern))]


def copy_mathjax(app):
    """Lay the needed files into the built book, where ``mathjax_path`` of the configuration looks for them."""
    if app.builder.format != "html":
        return
    source, files = mathjax_files()
    for file in files:
        target = Path(app.outdir, "_static", "mathjax", file)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target)


def setup(app):
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
