"""The book as data: chapters, cells, claims, and the problems found in them."""

import ast
import difflib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType

from . import myst
from .scope import aliases

ROOT = Path(__file__).resolve().parents[3]

OUTCOME = "**You will be able to**"
FOLDED_FROM = 3  # lines below its summary that a docstring needs to be folded

CLAIM_KINDS = ("theorem", "lemma", "proposition", "corollary")
CLAIM_DIRECTIVES = {f"prf:{kind}": kind for kind in CLAIM_KINDS}


@dataclass(frozen=True)
class Place:
    """Where something stands; prints as `book/low_rank/svd.ipynb, cell 12 (truncated_svd), line 4`."""

    notebook: str
    cell: int | None = None  # counted from 1 over all cells
    name: str | None = None
    line: int | None = None

    def __str__(self):
        text = self.notebook
        if self.cell is not None:
            text += f", cell {self.cell}"
        if self.name is not None:
            text += f" ({self.name})"
        if self.line is not None:
            text += f", line {self.line}"
        return text


@dataclass(frozen=True)
class Problem:
    """An authoring error and what to do about it.

    An `unfinished` problem is a warning while a chapter is being written, and an error once it is checked.
    """

    place: Place
    message: str
    next_step: str
    unfinished: bool = False

    def __str__(self):
        return f"{self.place}: {self.message}; {self.next_step}"


@dataclass(frozen=True)
class Outputs:
    """What is stored of the outputs of a code cell."""

    text: tuple[str, ...] = ()
    tracebacks: tuple[str, ...] = ()
    pictures: bool = False
    errors: bool = False
    warnings: bool = False


@dataclass(frozen=True)
class Cell:
    number: int  # counted from 1 over all cells
    kind: str  # "code", "markdown" or "raw"
    id: str | None
    source: str
    tags: tuple[str, ...]
    metadata: Mapping = field(repr=False)
    code: CodeType | None = field(default=None, repr=False, compare=False)  # of a code cell that compiles
    fault: Exception | None = None  # what the compiler refuses or warns about
    outputs: "Outputs" = field(default_factory=lambda: Outputs(), repr=False, compare=False)
    count: int | None = None  # the execution count

    @cached_property
    def tree(self):
        """The syntax tree of a code cell that compiles, else None. Most cells are never asked for it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fault` has them
            return ast.parse(self.source) if self.code else None

    @property
    def exported(self):
        """Whether the cell goes to the package: for everybody (`export`), or for later chapters (`internal`)."""
        return not {"export", "internal"}.isdisjoint(self.tags)

    @property
    def folded(self):
        """Whether the page shows the cell behind a line that opens it: imports, tests, and what its author hides."""
        imports_only = self.tree and all(isinstance(node, ast.Import | ast.ImportFrom) for node in self.tree.body)
        return bool(imports_only) or not {"test", "hide-input", "hide-cell"}.isdisjoint(self.tags)

    @cached_property
    def docstrings(self):
        """(first, last) line of each docstring that the page folds: what stands between its summary and its last quotes."""
        found = []
        for node in statements(self.tree) if self.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
                text = node.body[0]
                if text.end_lineno - text.lineno > FOLDED_FROM:
                    found.append((text.lineno + 1, text.end_lineno - 1))
        return sorted(found)

    @property
    def open_lines(self):
        """How many lines of its code a reader sees without opening anything; of a folded docstring its summary."""
        hidden = sum(last - first + 2 for first, last in self.docstrings)
        return 0 if self.folded or self.kind != "code" else self.source.count("\n") + 1 - hidden

    @cached_property
    def page(self):
        """What stands in a Markdown cell."""
        return myst.read(self.source if self.kind == "markdown" else "")

    @cached_property
    def labels(self):
        """The claims that this cell checks."""
        return tuple(tag.removeprefix("check-") for tag in self.tags if tag.startswith("check-") and tag != "check-")

    @property
    def claims(self):
        """The theorems, lemmas, propositions and corollaries that the cell states with colon fences."""
        lines = self.source.splitlines()
        return tuple(
            Claim(
                CLAIM_DIRECTIVES[found.name],
                found.options.get("label"),
                found.argument,
                self.number,
                found.line,
                "\n".join(lines[found.line : (found.end or len(lines) + 1) - 1]),
            )
            for found in self.page.directives
            if found.name in CLAIM_DIRECTIVES and found.fence.startswith(":")
        )

    @cached_property
    def name(self):
        """What the cell defines, checks or claims.

        The first public function or class, else a private one; else the claim that is checked; else a constant.
        Of Markdown the first claim, else the first heading.
        """
        found = definitions(self.tree)
        code = [name for name, kind, _ in found if kind != "constant"]
        constants = [name for name, kind, _ in found if kind == "constant"]
        code, constants = (sorted(group, key=lambda name: name.startswith("_")) for group in (code, constants))
        claims = [claim.label for claim in self.claims if claim.label]
        return next(iter([*code, *self.labels, *constants, *claims, *(text for _, text, _ in self.page.headings)]), None)


@dataclass(frozen=True)
class Claim:
    kind: str  # one of CLAIM_KINDS
    label: str | None  # None is a problem of the chapter
    title: str
    cell: int
    line: int
    text: str = field(default="", repr=False, compare=False)  # what stands between its fences


@dataclass(frozen=True)
class Public:
    """A name that the chapter exports."""

    name: str
    kind: str  # "function", "class" or "constant"
    cell: int
    line: int


@dataclass(frozen=True)
class Chapter:
    module: str  # "svd"
    path: str  # "book/low_rank/svd.ipynb"
    docname: str  # "book/low_rank/svd"
    title: str
    opening: str  # the first sentence below the title
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    settings: Mapping = field(default_factory=dict, repr=False)  # the notebook's metadata below `lowrank`

    @property
    def extra(self):
        """The optional dependencies that the chapter needs, by their name in pyproject.toml, or None."""
        return self.settings.get("extra")

    @cached_property
    def outcome(self):
        """What follows "You will be able to", as it is written, or an empty string."""
        lines = (line for cell in self.cells if cell.kind == "markdown" for line in cell.source.splitlines())
        return next((line.removeprefix(OUTCOME).strip() for line in lines if line.startswith(OUTCOME)), "")

    @cached_property
    def exports(self):
        return tuple(cell for cell in self.cells if cell.exported)

    @cached_property
    def tests(self):
        return tuple(cell for cell in self.cells if "test" in cell.tags)

    @cached_property
    def checks(self):
        """Label of a claim -> the cells that check it."""
        labels = dict.fromkeys(label for cell in self.cells for label in cell.labels)
        return {label: tuple(cell for cell in self.cells if label in cell.labels) for label in labels}

    @property
    def unchecked(self):
        """The claims that no cell checks."""
        checked = self.checks
        return tuple(claim for claim in self.claims if claim.label not in checked)

    @cached_property
    def definitions(self):
        """Everything that the exported cells define, private names included, in reading order."""
        return tuple(
            Public(name, kind, cell.number, line)
            for cell in self.exports
            for name, kind, line in definitions(cell.tree)
        )

    @property
    def shared(self):
        """What later chapters may import, in reading order: an underscore keeps a name to its chapter."""
        return tuple(item for item in self.definitions if not item.name.startswith("_"))

    @property
    def public(self):
        """What `lowrank` offers of this chapter, in reading order."""
        return tuple(item for item in self.shared if "internal" not in self.cells[item.cell - 1].tags)

    @cached_property
    def sympy_names(self):
        """The names under which the chapter imports SymPy, and those of its functions that use them."""
        found = set()
        for statement in (statement for cell in self.cells if cell.tree for statement in cell.tree.body):
            found |= {alias.bound for alias in aliases(statement) if alias.package == "sympy"}
            if isinstance(statement, ast.FunctionDef) and names_in(statement) & found:
                found.add(statement.name)
        return found

    def place(self, cell, line=None):
        """The place of a line in a cell, given as a Cell or by its number."""
        cell = self.cells[cell - 1] if isinstance(cell, int) else cell
        return Place(self.path, cell.number, cell.name, line)


@dataclass(frozen=True)
class Book:
    chapters: tuple[Chapter, ...]  # those that can be read, in the order of _toc.yml
    parts: tuple[tuple[str | None, tuple[str, ...]], ...]  # (caption, files) of _toc.yml; the first is the front page
    order: tuple[str, ...]  # all modules, readable or not, in the order in which they may import each other
    judge: Callable = field(default=lambda book: (), repr=False, compare=False)  # finds the problems of a book

    @cached_property
    def problems(self):
        """Every mistake. They are looked for when somebody asks, which takes longer than all the reading."""
        return tuple(self.judge(self))

    @property
    def pages(self):
        """What _toc.yml names that is no notebook, such as "book/index.md"."""
        return tuple(file for _, files in self.parts for file in files if not file.endswith(".ipynb"))

    def chapter(self, module):
        """The chapter with this module name, or None."""
        return next((chapter for chapter in self.chapters if chapter.module == module), None)


def nearest(word, words):
    """The word that was probably meant, or None."""
    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


def names_in(tree):
    """The names that a piece of code uses or imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
    return found


def statements(node):
    """The statements below a node, in reading order, those within functions too. Expressions, which hold none, are not walked."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, part, ())
        for child in inner if isinstance(inner, list) else ():
            yield child
            yield from statements(child)


def definitions(tree):
    """(name, kind, line) of each function, class and constant that a cell defines at its top level."""
    return [found for statement in tree.body for found in _defined(statement)] if tree else []


def _defined(statement):
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name, "function", statement.lineno
        case ast.ClassDef():
            yield statement.name, "class", statement.lineno
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            for node in sorted(names, key=lambda node: (node.lineno, node.col_offset)):
                if isinstance(node.ctx, ast.Store):
                    yield node.id, "constant", node.lineno
        case ast.If() | ast.Try():
            found = {name: (name, kind, line) for name, kind, line in reversed([*_defined_inside(statement)])}
            yield from reversed([found[name] for name in found if name not in _imported_inside(statement)])


def _defined_inside(statement):
    for node in ast.iter_child_nodes(statement):
        for inner in node.body if isinstance(node, ast.ExceptHandler) else [node]:
            yield from _defined(inner)


def _imported_inside(statement):
    """The names that any branch imports: `try: import x` with `x = None` as a fall-back defines nothing new."""
    imports = [node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
