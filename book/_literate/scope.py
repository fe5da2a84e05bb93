"""What a top-level statement binds and which global names it uses, as the compiler sees it.

The byte code is asked, for it has already settled what is local: comprehensions, class bodies, `global`, decorators,
default values, annotations, `del`, `:=`, starred targets, `except ... as`, `with ... as` and `match`.
"""

import ast
import builtins
import dis
import inspect
import re
from dataclasses import dataclass
from functools import cache
from types import CodeType

BUILTINS = frozenset(dir(builtins))
LOADS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
STORES = {"STORE_NAME", "STORE_GLOBAL"}
DELETES = {"DELETE_NAME", "DELETE_GLOBAL"}
CONSTANT = "LOAD_CONST"
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
SIMPLE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr


@dataclass(frozen=True)
class Use:
    name: str
    deferred: bool  # looked up when a function runs, not when the statement does
    code: CodeType
    offset: int  # of its instruction

    @property
    def line(self):
        return next(line for start, end, line in self.code.co_lines() if start <= self.offset < end)


@dataclass(frozen=True)
class Names:
    uses: tuple[Use, ...]  # global names that the statement does not bind itself, in the order of the compiler
    bound: tuple[str, ...]  # what it has added to the module in the end
    deleted: tuple[str, ...]


@cache
def names(statement):
    """The Names of one top-level statement."""
    code = compile(ast.Module([statement], []), "<cell>", "exec", dont_inherit=True, optimize=0)
    events = list(_events(code, deferred=False))
    bound, uses, deleted = {}, [], []
    # a branch or a handler may stand after its use in the byte code, but not in the cell
    own = set() if isinstance(statement, SIMPLE) else {use.name for action, use in events if action == "bind"}
    for action, use in events:
        if action == "bind":
            bound[use.name] = None
        elif action == "delete":
            bound.pop(use.name, None)
            deleted.append(use.name)
        elif use.name not in own and (use.deferred or use.name not in bound):
            uses.append(use)
    return Names(tuple(uses), tuple(bound), tuple(deleted))


def _events(code, deferred):
    in_module, local = code.co_name == "<module>", set()
    for offset, action, name in _instructions(code):
        if action == CONSTANT:
            yield from _events(name, deferred or _is_function(name))
        elif action == "STORE_NAME" and not in_module:  # a class body
            local.add(name)
        elif name not in local and not _is_dunder(name):
            use = Use(name, deferred, code, offset)
            yield ("bind" if action in STORES else "use"), use
            if action in DELETES:
                yield "delete", use


def may_bind(code):
    """A set of names that holds all that the code of a cell binds: enough to skip the many cells that clash with none."""
    inner = [may_bind(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    here = STORING.search(code.co_code[::2]) and {name for _, _, name in _instructions(code, STORING)}
    return set().union(here or (), *inner)


def _pattern(names):
    """A pattern that finds, among the operations of a piece of code, those with these names and their prefixes."""
    codes = bytes(dis.opmap[name] for name in names if name in dis.opmap)
    return re.compile(b"[%b]*[%b]" % (re.escape(bytes([dis.EXTENDED_ARG])), re.escape(codes)))


STORING, NAMING = _pattern(STORES), _pattern({*LOADS, *STORES, *DELETES, CONSTANT})


def _instructions(code, pattern=NAMING):
    """(offset, operation, its name or its code object) in order; `dis.get_instructions` takes ten times as long."""
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    for found in pattern.finditer(operations):
        place = found.end() - 1
        action = dis.opname[operations[place]]
        argument = int.from_bytes(arguments[found.start() : found.end()], "big")
        if action == CONSTANT:
            if isinstance(code.co_consts[argument], CodeType):
                yield 2 * place, action, code.co_consts[argument]
        else:
            yield 2 * place, action, code.co_names[argument >> (action == "LOAD_GLOBAL")]  # its last bit is a flag


def _is_function(code):
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in COMPREHENSIONS


def _is_dunder(name):
    return name.startswith("__") and name.endswith("__")


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


def imports(statement):
    """Bound name -> what an import binds it to, as ("numpy",) or ("lowrank.svd", "truncated_svd")."""
    match statement:
        case ast.Import():
            # without `as`, `import scipy.linalg` binds `scipy`
            targets = [(alias.asname or alias.name.split(".")[0], alias) for alias in statement.names]
            return {name: (alias.name if alias.asname else name,) for name, alias in targets}
        case ast.ImportFrom():
            module = "." * statement.level + (statement.module or "")
            return {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
    return {}
