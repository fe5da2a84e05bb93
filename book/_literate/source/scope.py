"""What a top-level statement binds and which global names it uses, as the compiler sees it.

The symbol tables of the standard library are asked, for they have already settled what is local: comprehensions, class
bodies, `global`, decorators, default values, annotations, `:=`, starred targets, `except ... as`, `with ... as`, `match`.
"""

import ast
import builtins
import symtable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

BUILTINS = frozenset(dir(builtins))
COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}  # functions that run where they stand
SIMPLE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr


@dataclass(frozen=True)
class Use:
    name: str
    deferred: bool  # looked up when a function runs, not when the statement does
    line: int


@dataclass(frozen=True)
class Names:
    uses: tuple[Use, ...]  # global names that the statement does not bind itself, in reading order
    bound: tuple[str, ...]  # what it has added to the module in the end
    deleted: tuple[str, ...]


@cache
def names(statement):
    """The Names of one top-level statement."""
    bound, used, lines = {}, {}, {}
    for table, deferred in _tables(symtable.symtable(ast.unparse(statement), "<cell>", "exec")):
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if not symbol.is_global() or name.startswith("__") and name.endswith("__"):
                continue
            if symbol.is_assigned() or symbol.is_imported():
                bound[name] = None
            if symbol.is_referenced():
                used[name] = used.get(name, True) and deferred
    # what a simple statement uses was there before it; a branch or a handler may bind what another part of it uses
    own = set(_walruses(statement) if isinstance(statement, SIMPLE | ast.Delete) else bound)
    deleted = []
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Del()) if name in bound:
                deleted.append(name)
                used.setdefault(name, False)
            case ast.AugAssign(target=ast.Name(id=name)) if name in bound:
                used.setdefault(name, False)
            case ast.ExceptHandler(name=str(name)):
                bound.pop(name, None)  # gone at the end of its clause
        if isinstance(node, ast.Name):
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    uses = [Use(name, deferred, lines.get(name, statement.lineno)) for name, deferred in used.items() if name not in own]
    kept = tuple(name for name in bound if name not in deleted)
    return Names(tuple(sorted(uses, key=lambda use: use.line)), kept, tuple(deleted))


def _tables(table, deferred=False):
    """(table, whether what it names is looked up later) of a statement and of all functions and classes in it."""
    yield table, deferred
    for inner in table.get_children():
        later = inner.get_type() == "function" and inner.get_name() not in COMPREHENSIONS
        yield from _tables(inner, deferred or later)


def _walruses(statement):
    return (node.target.id for node in ast.walk(statement) if isinstance(node, ast.NamedExpr))


def may_bind(tree):
    """A set of names that holds all that a piece of code binds: enough to skip the many cells that clash with none."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name, asname=renamed):
                found.add(renamed or name.split(".")[0])
    return found


def bound(statements):
    """Name -> the statement that binds it first, of all that is bound when the statements have run."""
    found = {}
    for statement in statements:
        for name in names(statement).deleted:
            found.pop(name, None)
        for name in names(statement).bound:
            found.setdefault(name, statement)
    return found


def undefined(statements, given=()):
    """(statement, use) of what nothing defines in time: neither `given`, nor a builtin, nor a statement before."""
    known, in_the_end = {*given, *BUILTINS}, {*given, *BUILTINS, *bound(statements)}
    for statement in statements:
        for use in names(statement).uses:
            if use.name not in (in_the_end if use.deferred else known):
                yield statement, use
        known.difference_update(names(statement).deleted)
        known.update(names(statement).bound)


# Imports


class Alias(NamedTuple):
    """One name of an import statement; `name` is None in `import module`."""

    module: str
    name: str | None
    renamed: str | None

    @property
    def bound(self):
        """The name that it binds: without `as`, `import scipy.linalg` binds `scipy`."""
        return self.renamed or self.name or self.package

    @property
    def package(self):
        return self.module.split(".")[0]


def aliases(statement):
    """The names of an import statement; none of any other statement."""
    match statement:
        case ast.Import(names=names):
            return [Alias(alias.name, None, alias.asname) for alias in names]
        case ast.ImportFrom(names=names):
            module = "." * statement.level + (statement.module or "")
            return [Alias(module, alias.name, alias.asname) for alias in names]
    return []


def imports(statement):
    """Bound name -> what an import binds it to, as ("numpy", None) or ("lowrank.svd", "truncated_svd")."""
    return {alias.bound: (alias.module if alias.renamed or alias.name else alias.bound, alias.name) for alias in aliases(statement)}
