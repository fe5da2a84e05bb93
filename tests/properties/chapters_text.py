"""The Python blocks that stand in the text of a chapter and are not run there."""

import re

import nbformat


def python_blocks(request, path):
    """The blocks of a notebook, named from the root of the repository."""
    notebook = nbformat.read(request.config.rootpath / path, 4)
    return [block for cell in notebook.cells if cell.cell_type == "markdown"
            for block in re.findall(r"```python\n(.*?)```", cell.source, re.S)]
