"""Every rule that a chapter has to keep. Each function below `problems` yields the problems of one kind."""

import ast
import difflib
import keyword
import re
import sys
import textwrap
import tomllib
import warnings
from functools import partial

import myst
import scope
from model import CLAIM_KINDS, Place, Problem, definitions

LABEL = re.compile(r"[a-z][a-z0-9-]*")
MODULE = re.compile(r"[a-z][a-z0-9_]*")
MAGIC = re.compile(r"\s*[%!?]|[^#]*=\s*[%!]|[^#]*\?\s*$")
KNOWN_TAGS = frozenset(
    """export test full-width margin sidebar popout output_scroll scroll-output
    hide-input hide-output hide-cell remove-input remove-output remove-cell remove-stdout remove-stderr
    nbval-skip nbval-ignore-output nbval-check-output nbval-raises-exception raises-exception""".split()
)


def problems(book, root):
    """All problems of the book that its notebooks, read one by one, did not show."""
    found = [*project(root), *module_names(book), *public_names(book), *labels(book, root), *checks(book)]
    required = dependencies(root)
    for chapter in book.chapters:
        found += [*opening(chapter), *cell_ids(chapter), *tags(chapter), *fences(chapter), *syntax(chapter)]
        found += [*imports_of_chapters(book, chapter), *imports_of_packages(chapter, required)]
        if all(cell.tree for cell in chapter.exports + chapter.tests):
            found += [*statements(chapter), *names(chapter), *redefinitions(chapter), *docstrings(chapter)]
            found += unused_imports(chapter)
    return found


# The project


def read_project(root):
    """The [project] table of pyproject.toml; empty when there is none."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}


def project(root):
    if "version" not in read_project(root):
        yield Problem(Place("pyproject.toml"), "has no version", "write `version = ...` below [project]")


def dependencies(root):
    """The names under which the required packages are imported."""
    required = [re.match(r"[\w.-]+", text)[0] for text in read_project(root).get("dependencies", [])]
    return {name.replace("-", "_").lower() for name in required}


# The book as a whole


def module_names(book):
    first = {}
    for chapter in book.chapters:
        name, place = chapter.module, Place(chapter.path)
        if not MODULE.fullmatch(name) or keyword.iskeyword(name):
            message = f"`{name}` cannot be the name of a module"
            yield Problem(place, message, "rename the notebook with small letters, digits and underscores")
        elif name in first:
            message = f"{first[name].path} exports the module `{name}` already"
            yield Problem(place, message, "rename one of the two notebooks")
        first.setdefault(name, chapter)


def public_names(book):
    first = {}
    for chapter in book.chapters:
        for item in chapter.public:
            place = chapter.place(item.cell, item.line)
            if item.name in book.order:
                message = f"`{item.name}` is also the name of a chapter"
                yield Problem(place, message, f"rename it, or the chapter `{item.name}`")
            elif first.setdefault(item.name, chapter) is not chapter:
                message = f"{first[item.name].path} exports `{item.name}` already"
                yield Problem(place, message, "rename one of the two")


def labels(book, root):
    """Labels are unique among claims, targets and whatever else can be referred to; Sphinx lets some pass."""
    taken = {}
    for label, place, strict in _labels(book, root):
        if strict and not LABEL.fullmatch(label):
            message = f"the label `{label}` is malformed"
            yield Problem(place, message, "use small letters, digits and hyphens, a letter first")
        elif label in taken:
            yield Problem(place, f"the label `{label}` is taken by {taken[label]}", "choose another")
        taken.setdefault(label, place)


def _labels(book, root):
    """(label, place, whether its form matters) of the whole book in reading order."""
    for path in book.pages:
        page = myst.read((root / path).read_text(encoding="utf-8", errors="replace"))
        yield from _labels_of_page(page, partial(Place, path, None, None))
    for chapter in book.chapters:
        for cell in chapter.cells:
            if cell.kind == "markdown":
                yield from _labels_of_page(myst.read(cell.source), partial(chapter.place, cell))
            elif label := _figure_name(cell):
                yield label, chapter.place(cell), False


def _labels_of_page(page, place):
    found = [(line, label, True) for label, line in page.targets]
    found += [(item.line, item.label, is_claim(item)) for item in page.directives if item.label]
    for line, label, strict in sorted(found):
        yield label, place(line), strict


def _figure_name(cell):
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    return figure.get("name") if isinstance(figure, dict) else None


def is_claim(directive):
    return directive.name.removeprefix("prf:") in CLAIM_KINDS and directive.name.startswith("prf:")


def checks(book):
    home = {claim.label: chapter for chapter in book.chapters for claim in chapter.claims}
    for chapter in book.chapters:
        own = [claim.label for claim in chapter.claims if claim.label]
        for claim in chapter.claims:
            if not claim.label:
                place, message = chapter.place(claim.cell, claim.line), f"this {claim.kind} has no label"
                yield Problem(place, message, "write `:label: some-label` on the line below its opening")
        for claim in chapter.unchecked:
            if claim.label:
                place, message = chapter.place(claim.cell, claim.line), f"the {claim.kind} `{claim.label}` has no check"
                yield Problem(place, message, f"tag the cell that checks it `check-{claim.label}`", unfinished=True)
        for label, cells in chapter.checks.items():
            if label not in own:
                next_step = f"tag it `check-{near}`" if (near := nearest(label, own)) else f"label a claim `{label}`"
                if label in home:
                    next_step = f"move this cell to {home[label].path}, which states it"
                for cell in cells:
                    yield Problem(chapter.place(cell), f"there is no claim `{label}` in this chapter", next_step)


def nearest(word, words):
    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


# The cells of a chapter


def opening(chapter):
    if not chapter.title:
        yield Problem(Place(chapter.path), "has no title", "begin its first cell with `# Title`")
    elif not chapter.opening:
        message, next_step = "has no opening sentence", "say below the title which problem the chapter solves"
        yield Problem(Place(chapter.path), message, next_step)


def cell_ids(chapter):
    first = {}
    for cell in chapter.cells:
        if not cell.id:
            yield Problem(chapter.place(cell), "this cell has no id", "save the notebook in JupyterLab, which adds it")
        elif cell.id in first:
            message = f"this cell has the id of cell {first[cell.id]}, `{cell.id}`"
            yield Problem(chapter.place(cell), message, "cut it and paste it in JupyterLab, which gives a new id")
        else:
            first[cell.id] = cell.number


def tags(chapter):
    for cell in chapter.cells:
        place = chapter.place(cell)
        for tag in cell.tags:
            if tag not in KNOWN_TAGS and not re.fullmatch(r"check-.+", tag):
                near = nearest(tag, sorted(KNOWN_TAGS | {"check-"}))
                near = "check-<label>" if near == "check-" or tag.startswith("check") else near
                next_step = f"write `{near}`" if near else "use `export`, `test` or `check-<label>`, or remove it"
                yield Problem(place, f"the tag `{tag}` is not known", next_step)
        ours = [tag for tag in cell.tags if tag in ("export", "test") or tag.startswith("check-")]
        if ours and cell.kind != "code":
            yield Problem(place, f"the tag `{ours[0]}` is on a cell without code", "move it to the cell with the code")
        elif "export" in ours and len(ours) > 1:
            message = f"a cell cannot be `export` and `{next(tag for tag in ours if tag != 'export')}`"
            yield Problem(place, message, "split the cell")


def fences(chapter):
    for cell in chapter.cells:
        if cell.kind == "markdown":
            for item in myst.read(cell.source).directives:
                place, colons = chapter.place(cell, item.line), item.fence[0] == ":"
                if not item.closed:
                    yield Problem(place, f"the fence `{item.fence}` is not closed", f"close it with `{item.fence}`")
                elif is_claim(item) and not colons:
                    message = f"this {item.name.removeprefix('prf:')} is fenced with `` {item.fence} ``"
                    yield Problem(place, message, "fence claims with colons, `:::`")


def syntax(chapter):
    for cell in chapter.cells:
        if cell.kind == "code" and (error := _syntax_error(cell.source)):
            line, message, next_step = error
            yield Problem(chapter.place(cell, line), message, next_step)


def _syntax_error(source):
    """(line, message, next step) of what the compiler refuses or warns about; None for good code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(source, "<cell>", "exec", dont_inherit=True)
    except ValueError as error:
        return None, f"is not Python: {error}", "correct this cell"
    except SyntaxError as error:
        line = source.splitlines()[error.lineno - 1].strip() if error.lineno else ""
        if MAGIC.match(line):
            return error.lineno, f"`{line}` is not Python but a command of IPython", "write plain Python"
        if "invalid escape sequence" in error.msg:
            return error.lineno, error.msg, "begin the string with r"
        return error.lineno, f"is not Python: {error.msg}", "correct this line"


# Imports


def imports_of_chapters(book, chapter):
    """Chapters are imported by the full name of their module, and only by later chapters."""
    for cell in chapter.cells:
        for node in ast.walk(cell.tree or ast.Module([])):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for message, next_step in _import_problems(book, chapter, node):
                    yield Problem(chapter.place(cell, node.lineno), message, next_step)


def _import_problems(book, chapter, node):
    written = _written(node)
    if isinstance(node, ast.Import):
        if any(alias.name.split(".")[0] == "lowrank" for alias in node.names):
            yield f"{written} does not say which names are used", "write `from lowrank.<chapter> import <name>`"
    elif node.level:
        yield f"{written} is a relative import", "write `from lowrank.<chapter> import <name>`"
    elif node.names[0].name == "*":
        yield f"{written} hides what is used", "name what you import"
    elif node.module == "__future__":
        yield f"{written} would change the whole module", "do without; an annotation can be quoted"
    elif node.module == "lowrank":
        for alias in node.names:
            home = next((other.module for other in book.chapters if alias.name in _names(other.public)), "<chapter>")
            yield f"{written} does not name the chapter", f"write `from lowrank.{home} import {alias.name}`"
    elif node.module.startswith("lowrank."):
        yield from _chapter_import_problems(book, chapter, node, written)


def _chapter_import_problems(book, chapter, node, written):
    module = node.module.removeprefix("lowrank.")
    source = book.chapter(module)
    if module == chapter.module:
        yield f"{written} imports this chapter into itself", "remove it; run the cells above instead"
    elif module not in book.order:
        near = nearest(module, book.order)
        yield f"there is no chapter `{module}`", f"write `lowrank.{near}`" if near else "add it to _toc.yml"
    elif book.order.index(module) > book.order.index(chapter.module):
        yield f"{written} imports a later chapter", f"move `{module}` before `{chapter.module}` in _toc.yml, or do without"
    elif source and all(cell.tree for cell in source.exports):
        exported = _names(source.definitions)
        for alias in node.names:
            if alias.name not in exported:
                near = nearest(alias.name, exported)
                next_step = f"write `{near}`" if near else "export it there, or import it from where it is defined"
                yield f"{source.path} does not export `{alias.name}`", next_step


def _names(items):
    return [item.name for item in items]


def imports_of_packages(chapter, required):
    """What every import of a module loads has to be installed with it."""
    allowed = required | sys.stdlib_module_names | {"lowrank"}
    for cell in chapter.exports:
        for statement in cell.tree.body if cell.tree else []:
            for package in _packages(statement):
                if package not in allowed:
                    message = f"`{package}` is not among the dependencies in pyproject.toml"
                    next_step = "import it in a cell that is not exported, or inside the function that needs it"
                    yield Problem(chapter.place(cell, statement.lineno), message, next_step)


def _packages(statement):
    if isinstance(statement, ast.Import):
        return {alias.name.split(".")[0]: None for alias in statement.names}
    if isinstance(statement, ast.ImportFrom) and not statement.level:
        return [statement.module.split(".")[0]]
    return []


def unused_imports(chapter):
    exported = _statements(chapter.exports)
    used = {use.name for statement in exported for use in scope.names(statement).uses}
    for cell in chapter.exports:
        for statement in cell.tree.body:
            for name in scope.imports(statement):
                if name not in used and name != "*":
                    message = f"`{name}` is imported here, and no exported cell uses it"
                    place, next_step = chapter.place(cell, statement.lineno), "import it in a cell that is not exported"
                    yield Problem(place, message, next_step, unfinished=True)


# What goes to the package and to its tests


def is_call(statement):
    """A call that stands alone, such as `test_pinv()`: it shows the reader that a test runs, and is not exported."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def kept(cell):
    """The statements of an `export` or `test` cell that are exported."""
    return [statement for statement in cell.tree.body if "export" in cell.tags or not is_call(statement)]


def _statements(cells):
    return [statement for cell in cells for statement in kept(cell)]


def statements(chapter):
    """Exported cells define; they do not run anything. So do the cells of tests, but for calls of tests."""
    for cell in chapter.exports + chapter.tests:
        found = list(_statement_problems(cell))
        if not found and cell in chapter.tests and not definitions(cell.tree):
            found = [(None, "this cell defines no test", "put its assertions into `def test_...():`")]
        for line, message, next_step in found:
            yield Problem(chapter.place(cell, line), message, next_step)


def _statement_problems(cell):
    exported, last = "export" in cell.tags, 0
    for statement in cell.tree.body:
        written, line = _written(statement), statement.lineno
        if first_line(statement) <= last:
            yield line, f"{written} shares its line with another statement", "give each statement a line of its own"
        elif "__all__" in scope.names(statement).bound or _assigns_dunder(statement):
            yield line, f"{written} belongs to the exporter", "remove it"
        elif exported and not _defines(statement):
            yield line, f"{written} is not an import, a definition or a constant", "move it to a cell that is not exported"
        elif not exported and not _defines(statement) and not is_call(statement):
            yield line, f"{written} is not an import, a definition or a call of a test", "put it into `def test_...():`"
        last = statement.end_lineno


def _written(node):
    """How a statement begins, for a message."""
    return f"`{textwrap.shorten(ast.unparse(node).splitlines()[0], 60, placeholder='...')}`"


def first_line(statement):
    """The line on which a statement begins, its decorators included."""
    return min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])


def _assigns_dunder(statement):
    return any(name.startswith("__") and name.endswith("__") for name, _, _ in definitions(ast.Module([statement], [])))


def _defines(statement):
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=targets):
            return all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
        case ast.AnnAssign(target=target):
            return isinstance(target, ast.Name)
        case ast.If() | ast.Try():
            bodies = [statement.body, statement.orelse, getattr(statement, "finalbody", [])]
            bodies += [handler.body for handler in getattr(statement, "handlers", [])]
            return all(_defines(inner) or isinstance(inner, ast.Pass) for body in bodies for inner in body)
    return False


def names(chapter):
    """What an exported cell or a test uses has to go with it."""
    exported = scope.bound(_statements(chapter.exports))
    for use, cell in _undefined(chapter.exports):
        next_step = "export that cell, or pass it as an argument"
        yield _undefined_name(chapter, cell, use, next_step, "define or import it in an exported cell")
    for use, cell in _undefined(chapter.tests, exported):
        yield _undefined_name(chapter, cell, use, "create it inside the test", "define or import it inside the test")


def _undefined(cells, given=()):
    """(use, cell) of each undefined name, once a cell."""
    home = {statement: cell for cell in cells for statement in kept(cell)}
    found = {}
    for statement, use in scope.undefined(list(home), given):
        cell = home[statement]
        found.setdefault((use.name, cell.number), (use, cell))
    return found.values()


def _undefined_name(chapter, cell, use, next_step, otherwise):
    place = chapter.place(cell, use.line)
    defined = _cell_that_binds(chapter, use.name)
    if defined is None:
        return Problem(place, f"`{use.name}` is not defined in this chapter", otherwise)
    if defined.number >= cell.number and {"export", "test"} & set(defined.tags) & set(cell.tags):
        message = f"`{use.name}` is used before cell {defined.number} defines it"
        return Problem(place, message, "move its definition up")
    return Problem(place, f"`{use.name}` is defined in cell {defined.number}, which is not exported", next_step)


def _cell_that_binds(chapter, name):
    return next((cell for cell in chapter.cells if cell.tree and name in scope.bound(cell.tree.body)), None)


def redefinitions(chapter):
    """A name means one thing: what is exported or tested is not bound a second time further down."""
    first = {}  # name -> its cell, and what it is imported from
    for cell in chapter.cells:
        ours = bool({"export", "test"} & set(cell.tags))
        for statement in cell.tree.body if cell.tree else []:
            if ours and statement not in kept(cell):
                continue
            for name in scope.names(statement).bound:
                origin = scope.imports(statement).get(name)
                home, origin_there = first.get(name, (None, None))
                same = origin and (origin == origin_there or is_chapter(origin[0]))
                clash = home and name != "_" and not same
                if clash and (ours or "export" in home.tags):
                    place = chapter.place(cell, statement.lineno)
                    yield Problem(place, f"`{name}` is defined in cell {home.number} already", "use another name here")
                if ours:
                    first.setdefault(name, (cell, origin))


def is_chapter(module):
    """Whether a module belongs to `lowrank`, where a name is unique, or pretends to; imports are judged elsewhere."""
    return module.startswith(".") or module.split(".")[0] == "lowrank"


def docstrings(chapter):
    for cell in chapter.exports:
        for node in cell.tree.body:
            is_definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if is_definition and not node.name.startswith("_") and not ast.get_docstring(node):
                message, next_step = f"`{node.name}` has no docstring", "say in one line which problem it solves"
                yield Problem(chapter.place(cell, node.lineno), message, next_step)
