"""Where a statement could be wrong: each place of a piece of code, with one small fault."""

import ast
import copy
import re
from dataclasses import dataclass

from _literate.source.proof_rules import last_name

# What is not part of a statement: how a result is shown, how large an example is, how close is close.
NOT_STATEMENTS = frozenset("print default_rng seed figure subplots plot title legend simplefilter errstate raises".split())
SIZES = frozenset("zeros ones eye full empty arange integers uniform random permutation".split())
SIZES |= {"standard_normal", "normal", "complex_normal", "symbols", "complex_symbols"}
SETTINGS = frozenset("rtol atol tol seed rng size figsize decimals slack attained sigmas axis keepdims dtype label".split())
TOLERANCE = 1e-4  # floats of at most this size are tolerances

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
NEGATIONS = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
NEGATIONS |= {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}


@dataclass(frozen=True)
class Fault:
    """`kind` at a line: what stood there, what stands there now, and the whole code with it."""

    kind: str
    line: int
    before: str
    after: str
    tree: ast.Module

    @property
    def code(self):
        return compile(self.tree, "<mutant>", "exec")

    def __str__(self):
        return f"line {self.line}, {self.kind}: {self.before}  ->  {self.after}"


def faults(source, statements=None):
    """All single faults of a source; of these top-level statements only, if they are given by their numbers."""
    tree, lines = ast.parse(source), source.splitlines()
    for number, statement in enumerate(tree.body):
        if statements is None or number in statements:
            for path, kind, changed in _places(statement):
                before = _at(statement, path)
                if "# same:" not in lines[before.lineno - 1]:
                    yield Fault(kind, before.lineno, ast.unparse(before), ast.unparse(changed), _with(tree, number, path, changed))


def _places(node, path=()):
    """(path, kind, what stands there instead) of each fault below a node; a path is a list of (field, index)."""
    for kind, changed in _changes(node):
        yield path, kind, ast.copy_location(changed, node)
    for step, child in _statements_of(node):
        yield from _places(child, (*path, step))


def _at(node, path):
    for name, index in path:
        node = getattr(node, name) if index is None else getattr(node, name)[index]
    return node


def _with(tree, number, path, changed):
    tree = copy.deepcopy(tree)
    name, index = ("body", number) if not path else path[-1]
    parent = tree if not path else _at(tree.body[number], path[:-1])
    if index is None:
        setattr(parent, name, changed)
    else:
        getattr(parent, name)[index] = changed
    return ast.fix_missing_locations(tree)


# What is said and what is only an example


def _statements_of(node):
    """((field, index), child) of what belongs to a statement."""
    for name, value in ast.iter_fields(node):
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if isinstance(child, ast.AST) and not _an_example(node, name, child):
                yield (name, index), child


def _an_example(node, name, child):
    """Whether a child of a node is a size, a setting, a list of cases, a docstring or a message."""
    match node:
        case ast.Call(func=func):
            called = last_name(func)
            return called in NOT_STATEMENTS or (called in SIZES and name != "func")
        case ast.keyword(arg=arg):
            return arg in SETTINGS
        case ast.For() | ast.comprehension() if name == "iter":
            return _literal(child) or (isinstance(child, ast.Call) and last_name(child.func) == "range" and all(map(_literal, child.args)))
        case ast.Assign() if name == "value":
            return _literal(child) and not isinstance(child, ast.UnaryOp)
        case ast.Assert() if name == "msg":
            return True
        case ast.FunctionDef() if name in ("decorator_list", "returns"):
            return True
        case ast.Expr(value=ast.Constant()) | ast.Raise() | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            return True
    return isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)


def _literal(node):
    """A list of cases such as [(3, 2), (5, 1)], or the size of one."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=operand):
            return _literal(operand)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return all(map(_literal, parts))
        case ast.Dict(keys=keys, values=values):
            return all(map(_literal, [key for key in keys if key] + values))
    return False


# What could be wrong


def _changes(node):
    """(kind, what stands there instead) of the faults of one node."""
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=float(value)) if abs(value) > TOLERANCE:
            yield "constant", ast.Constant(2 * value)
        case ast.BinOp(op=ast.Pow(), left=left, right=right) if not isinstance(right, ast.Constant):
            yield "exponent", ast.BinOp(left, ast.Pow(), ast.BinOp(right, ast.Add(), ast.Constant(1)))
        case ast.BinOp(op=ast.MatMult(), left=left, right=right):
            yield "transpose", ast.BinOp(left, ast.MatMult(), ast.Attribute(right, "T", ast.Load()))
        case ast.BinOp(op=operator, left=left, right=right) if type(operator) in SWAPS:
            yield "operator", ast.BinOp(left, SWAPS[type(operator)](), right)
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.Constant):
            yield "sign", operand
        case ast.Attribute(value=value, attr="T" | "H" | "mT", ctx=ast.Load()):
            yield "transpose", value
        case ast.Call(func=ast.Attribute(value=value, attr="conj" | "conjugate"), args=[]):
            yield "conjugate", value
        case ast.Call(func=ast.Attribute(attr="conj" | "conjugate"), args=[value]):
            yield "conjugate", value
        case ast.Call(func=ast.Name(id="formula"), args=[ast.Constant(value=str(tex))]):
            for wrong in _wrong_formulas(tex):
                yield "formula", ast.Call(node.func, [ast.Constant(wrong)], node.keywords)
        case ast.Compare(left=left, ops=[operator], comparators=right) if type(operator) in NEGATIONS:
            yield "comparison", ast.Compare(left, [NEGATIONS[type(operator)]()], right)


def _wrong_formulas(tex):
    """The formula with each digit larger by one, and with each + and - exchanged."""
    for found in re.finditer(r"\d|[+-]", tex):
        sign = found[0]
        wrong = {"+": "-", "-": "+"}.get(sign) or str((int(sign) + 1) % 10)
        yield tex[: found.start()] + wrong + tex[found.end() :]
