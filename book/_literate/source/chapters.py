"""Read `_toc.yml` and the notebooks into a small immutable model, and collect every authoring error.

    book = read_book()
    for chapter in book.chapters: ...
    for problem in book.problems: print(problem)

Nothing is written here. Notebooks are read with `json`: `import nbformat` alone can take longer than the whole
check (its validator compiles grammars), and would not find what `rules.py` looks for.
"""

import json
import warnings
from functools import partial
from pathlib import Path, PurePosixPath

from . import myst, rules
from .files import Unreadable, read_text
from .model import ROOT, Book, Cell, Chapter, Outputs, Place, Problem
from .toc import TOC, read_toc


def read_book(root=ROOT):
    """The whole book with all its problems; a file that cannot be read is one of them, never an exception."""
    root = Path(root)
    toc = read_toc(root)
    chapters, unreadable = [], []
    for path in toc.notebooks:
        try:
            chapters.append(read_chapter(root, path))
        except Unreadable as error:
            unreadable.append(error.problem)

    def judge(book):
        found = [*toc.problems, *unreadable, *_forgotten(root, toc.notebooks), *rules.problems(book, root)]
        return sorted(found, key=partial(_reading_order, toc.notebooks))

    return Book(tuple(chapters), toc.parts, toc.order, judge)


def _reading_order(notebooks, problem):
    """Problems of the table of contents first, then chapter by chapter, then the rest."""
    place = problem.place
    rank = notebooks.index(place.notebook) if place.notebook in notebooks else len(notebooks)
    return (place.notebook != TOC) * (rank + 1), place.notebook, place.cell or 0, place.line or 0


def _forgotten(root, notebooks):
    """Notebooks below book/ that `_toc.yml` does not name; folders that begin with `_` or `.` are not chapters."""
    problems = []
    for file in sorted((root / "book").rglob("*.ipynb")):
        path = file.relative_to(root)
        if not any(part.startswith(("_", ".")) for part in path.parts) and path.as_posix() not in notebooks:
            message, next_step = "is not in _toc.yml", f"add `- file: {path.with_suffix('').as_posix()}` to _toc.yml"
            problems.append(Problem(Place(path.as_posix()), message, next_step))
    return problems


# Notebooks


def read_chapter(root, path):
    """The chapter in one notebook; raises Unreadable when it is not a notebook that a kernel could run."""
    notebook = _read_notebook(root, path)
    cells = tuple(_read_cell(number, raw) for number, raw in enumerate(notebook["cells"], start=1))
    page = myst.read("\n\n".join(cell.source for cell in cells if cell.kind == "markdown"))
    return Chapter(
        module=PurePosixPath(path).stem,
        path=path,
        docname=path.removesuffix(".ipynb"),
        title=next((text for level, text, _ in page.headings if level == 1), ""),
        opening=myst.opening_sentence(page),
        cells=cells,
        claims=tuple(claim for cell in cells for claim in cell.claims),
        settings=_settings(notebook),
    )


def _read_notebook(root, path):
    text = read_text(root, path)
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        message, next_step = f"is not valid JSON ({error.msg})", "restore it from git and edit it in JupyterLab"
        raise Unreadable(Place(path, line=error.lineno), message, next_step) from None
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise Unreadable(Place(path), "is JSON, but not a notebook", "restore it from git")
    version = f"{notebook['nbformat']}.{notebook.get('nbformat_minor')}"
    if version != "4.5":
        raise Unreadable(Place(path), f"has the notebook format {version}, not 4.5", "save it in JupyterLab")
    cells = notebook.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else [None], start=1):
        if not _well_formed(cell):
            message, next_step = "is not a cell of notebook format 4.5", "delete it, or save it anew in JupyterLab"
            raise Unreadable(Place(path, number), message, next_step)
    return notebook


def _well_formed(cell):
    match cell:
        case {"cell_type": "code" | "markdown" | "raw", "metadata": dict(metadata), "source": str() | list() as source}:
            parts = [*source, cell.get("id") or ""]
            return all(isinstance(part, str) for part in parts) and isinstance(metadata.get("tags", []), list)
    return False


def _settings(notebook):
    metadata = notebook.get("metadata")
    settings = metadata.get("lowrank", {}) if isinstance(metadata, dict) else {}
    return settings if isinstance(settings, dict) else {str(settings): None}  # which the rules refuse


def _read_cell(number, raw):
    source = "".join(raw["source"])
    kind, metadata = raw["cell_type"], raw["metadata"]
    tags = tuple(map(str, metadata.get("tags", [])))
    code, fault = _compile(source) if kind == "code" else (None, None)
    outputs = _outputs(raw.get("outputs", ()))
    return Cell(number, kind, raw.get("id"), source, tags, metadata, code, fault, outputs, raw.get("execution_count"))


def _outputs(stored):
    text, tracebacks, mimes, errors, warnings = [], [], set(), False, False
    for output in stored:
        data = output.get("data", {})
        mimes.update(data)
        errors |= output.get("output_type") == "error"
        warnings |= output.get("name") == "stderr"
        lines = [output.get("text"), *(data[mime] for mime in data if mime.startswith("text/"))]
        text += ["".join(part) for part in lines if part]
        tracebacks += output.get("traceback", ())
    return Outputs(tuple(text), tuple(tracebacks), any(mime.startswith("image/") for mime in mimes), errors, warnings)


def _compile(source):
    """The code of a cell, or None, and what the compiler refuses or warns about, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return compile(source, "<cell>", "exec", dont_inherit=True), None
        except (SyntaxError, ValueError) as fault:
            warnings.simplefilter("ignore")
            try:
                return compile(source, "<cell>", "exec", dont_inherit=True), fault
            except (SyntaxError, ValueError):
                return None, fault
