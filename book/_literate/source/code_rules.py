"""The rules for code: what a chapter may import, what its exported cells may hold, and which names they may use."""

import ast
import re
import sys
import textwrap

from . import scope
from .model import Problem, definitions, nearest


def problems(book, chapter, required):
    """All problems of the code of a chapter; `required` are the packages that are installed with `lowrank`."""
    found = [*imports_of_chapters(book, chapter), *imports_of_packages(chapter, required)]
    if all(cell.code for cell in chapter.exports + chapter.tests):  # else one mistake would be reported many times
        found += [*statements(chapter), *names(chapter), *redefinitions(chapter), *docstrings(chapter)]
        found += unused_imports(chapter)
    return found


# Imports


def _suspect(source):
    """Whether an import in it could break a rule: most cells need no walk."""
    return "import" in source and re.search(r"lowrank|__future__|from[\s\\]*\.|import[\s\\]*\*", source)


def imports_of_chapters(book, chapter):
    """Chapters are imported by the full name of their module, and only by later chapters."""
    for cell in chapter.cells:
        for node, late in _imports(cell.tree) if cell.code and _suspect(cell.source) else ():
            for message, next_step in _import_problems(book, chapter, node, late):
                yield Problem(chapter.place(cell, node.lineno), message, next_step)


def _imports(node, late=False):
    """The import statements below a node, and whether a function holds them; expressions hold none."""
    for part in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(node, part, ()):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                yield inner, late
            else:
                yield from _imports(inner, late or isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))


def _import_problems(book, chapter, node, late):
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
        yield from _chapter_import_problems(book, chapter, node, written, late)


def _chapter_import_problems(book, chapter, node, written, late):
    """Late is an import in a function, which runs when somebody has brought the library that an extra names."""
    module = node.module.removeprefix("lowrank.")
    source = book.chapter(module)
    if module == chapter.module:
        yield f"{written} imports this chapter into itself", "remove it; run the cells above instead"
    elif module not in book.order:
        near = nearest(module, book.order)
        yield f"there is no chapter `{module}`", f"write `lowrank.{near}`" if near else "add it to _toc.yml"
    elif book.order.index(module) > book.order.index(chapter.module):
        next_step = f"move `{module}` before `{chapter.module}` in _toc.yml, or do without"
        yield f"{written} imports a later chapter", next_step
    elif source and source.extra and source.extra != chapter.extra and not late:
        next_step = f'do without, or give this chapter the extra: `"lowrank": {{"extra": "{source.extra}"}}` in its metadata'
        yield f"{written} needs the extra `{source.extra}`", next_step
    elif source and all(cell.code for cell in source.exports):
        exported = _names(source.shared)
        for alias in node.names:
            if alias.name.startswith("_") and alias.name in _names(source.definitions):
                plain = alias.name.lstrip("_")
                next_step = f"name it `{plain}` there, in a cell tagged `internal`, or do without"
                yield f"`{alias.name}` is private to {source.path}", next_step
            elif alias.name not in exported:
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
            packages = dict.fromkeys(alias.package for alias in scope.aliases(statement) if not alias.module.startswith("."))
            for package in packages:
                if package not in allowed:
                    message = f"`{package}` is not among the dependencies in pyproject.toml"
                    next_step = "import it in a cell that is not exported, or give the chapter an extra (CONTRIBUTING.md)"
                    yield Problem(chapter.place(cell, statement.lineno), message, next_step)


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
    return [statement for statement in cell.tree.body if cell.exported or not is_call(statement)]


def _statements(cells):
    return [statement for cell in cells for statement in kept(cell)]


def statements(chapter):
    """Exported cells define; they do not run anything. So do the cells of tests, but for calls of tests."""
    for cell in chapter.exports + chapter.tests:
        faults, last = [], 0
        for statement in cell.tree.body:
            shares_line = first_line(statement) <= last
            if fault := _fault(statement, cell.exported, shares_line):
                message, next_step = fault
                faults.append((statement.lineno, f"{_written(statement)} {message}", next_step))
            last = statement.end_lineno
        if not faults and "test" in cell.tags and not definitions(cell.tree):
            faults.append((None, "this cell defines no test", "put its assertions into `def test_...():`"))
        for line, message, next_step in faults:
            yield Problem(chapter.place(cell, line), message, next_step)


def _fault(statement, exported, shares_line):
    """(message, next step) of a statement that cannot be exported, or None."""
    if shares_line:
        return "shares its line with another statement", "give each statement a line of its own"
    if any(name.startswith("__") for name, _, _ in definitions(ast.Module([statement], []))):
        return "belongs to the exporter", "remove it"
    if _defines(statement) or (is_call(statement) and not exported):
        return None
    if exported:
        return "is not an import, a definition or a constant", "move it to a cell that is not exported"
    return "is not an import, a definition or a call of a test", "put it into `def test_...():`"


def _written(node):
    """How a statement begins, for a message."""
    return f"`{textwrap.shorten(ast.unparse(node).splitlines()[0], 60, placeholder='...')}`"


def first_line(statement):
    """The line on which a statement begins, its decorators included."""
    return min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])


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
    together = defined.exported and cell.exported or "test" in {*defined.tags} & {*cell.tags}
    if defined.number >= cell.number and together:
        message = f"`{use.name}` is used before cell {defined.number} defines it"
        return Problem(place, message, "move its definition up")
    return Problem(place, f"`{use.name}` is defined in cell {defined.number}, which is not exported", next_step)


def _cell_that_binds(chapter, name):
    return next((cell for cell in chapter.cells if cell.tree and name in scope.bound(cell.tree.body)), None)


def redefinitions(chapter):
    """A name means one thing: what is exported or tested is not bound a second time further down."""
    first = {}  # name -> its cell, and what it is imported from
    for cell in chapter.cells:
        ours = cell.exported or "test" in cell.tags
        clashes = cell.tree and not scope.may_bind(cell.tree).isdisjoint(first)
        for statement in kept(cell) if ours else cell.tree.body if clashes else []:
            for name in scope.names(statement).bound:
                origin = scope.imports(statement).get(name)
                home, origin_there = first.get(name, (None, None))
                same = origin and (origin == origin_there or is_chapter(origin[0]))
                clash = home and name != "_" and not same
                if clash and (ours or home.exported):
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
