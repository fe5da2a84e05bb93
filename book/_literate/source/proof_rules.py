"""The rules for checks: a cell that checks a claim fails when the claim is wrong, and quotes formulas as they stand there.

An assertion counts if it is reached and can be false: `assert 1 == 1`, an assertion in a function that nobody calls, or
below `if False`, would let any claim pass.
"""

import ast
import hashlib

from .model import Problem, names_in

HELPERS = {  # of book.checks -> how a claim is held by it, in the words of the pages
    "proved": "symbolic proof",
    "equal": "second method",
    "bounded": "attained bound",
    "frequency": "simulation",
    "formula": "formula of the page",
}
BY_HAND = "assertion"
PLAIN = frozenset("abs all any bool dict enumerate float int len list max min print range set sorted str sum tuple zip".split())


def problems(chapter):
    claims = {claim.label: claim for claim in chapter.claims}
    for label, cells in chapter.checks.items():
        cells = [cell for cell in cells if cell.code and not cell.exported]
        silent = [cell for cell in cells if not any(asserting(cell.tree))]
        for cell in silent if label in claims else ():
            message = f"the check of `{label}` asserts nothing that could be false"
            next_step = "assert each clause, with `proved`, `equal`, `bounded`, `frequency` of book.checks or with `assert`"
            yield Problem(chapter.place(cell), message, next_step, unfinished=True)
        if label in claims and cells and not silent and not any(computes(cell.tree) for cell in cells):
            message, next_step = f"the check of `{label}` calls nothing", "compute what the claim says in a second way"
            yield Problem(chapter.place(cells[0]), message, next_step, unfinished=True)
    for cell in chapter.cells:
        yield from quotes(claims, chapter, cell)


# Assertions


def asserting(tree):
    """The statements and calls that a cell reaches, and that raise when something is false."""
    for node in _reached(tree, _called(tree)):
        match node:
            case ast.Assert(test=test) if _can_be_false(test):
                yield node
            case ast.Raise():
                yield node
            case ast.With(items=items) if any(last_name(item.context_expr) == "raises" for item in items):
                yield node
            case ast.Call() if _asserts(node) and any(map(_depends, _arguments(node))):
                yield node
            case ast.Call(args=[], keywords=[]) if (last_name(node) or "").startswith("test_"):
                yield node


def _called(node):
    """The names that stand in calls."""
    if isinstance(node, ast.Call):
        return names_in(node)
    return set().union(*map(_called, ast.iter_child_nodes(node)))


def _reached(node, called):
    """The nodes below `node`, without functions that are never called and branches that are never taken."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name not in called:
            continue
        if isinstance(child, ast.If | ast.While) and isinstance(child.test, ast.Constant):
            for statement in child.body if child.test.value else child.orelse:
                yield statement
                yield from _reached(statement, called)
            continue
        yield child
        yield from _reached(child, called)


def _can_be_false(test):
    """Not what is true for whatever it is called with: a constant, a tuple, `... or True`."""
    match test:
        case ast.Tuple() | ast.List() | ast.Constant():
            return False
        case ast.BoolOp(op=ast.Or(), values=values):
            return all(map(_can_be_false, values))
        case ast.BoolOp(op=ast.And(), values=values):
            return any(map(_can_be_false, values))
    return _depends(test)


def _depends(expression):
    """Whether its value depends on anything but literals."""
    return any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(expression))


def _asserts(call):
    name = last_name(call) or ""
    return name in HELPERS.keys() - {"formula"} or name.startswith("assert")


def last_name(node):
    """`raises` for `pytest.raises(...)`."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def _arguments(call):
    """What a call is given, but for the words with which a helper begins its line."""
    words = last_name(call) in HELPERS
    return [*call.args[words:], *(keyword.value for keyword in call.keywords)]


def computes(tree):
    """Whether a cell calls anything but what asserts, prints and counts."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(not (_asserts(call) or last_name(call) in PLAIN) for call in calls)


# Formulas


def quotes(claims, chapter, cell):
    """`formula(r"...")` in a check has to stand in the claim: so the page cannot be wrong without the check."""
    text = [_dense(claims[label].text) for label in cell.labels if label in claims]
    if "formula(" not in cell.source or not (cell.code and text):
        return
    for node, tex in _formulas(cell.tree):
        if tex is None:
            message, next_step = "`formula` is not given a formula", 'write `formula(r"...")` with the TeX of the claim'
        elif any(_dense(tex) in claim for claim in text):
            continue
        else:
            message = f"the claim `{cell.labels[0]}` does not contain `{' '.join(tex.split())}`"
            next_step = "quote the formula as the claim has it, or correct the claim"
        yield Problem(chapter.place(cell, node.lineno), message, next_step, unfinished=True)


def _formulas(tree):
    """(node, TeX) of what `formula` is given; where that is a variable, all TeX of the cell; None where there is none."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and last_name(node) == "formula"]
    everything = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and "\\" in str(node.value)]
    for call in calls:
        given = call.args[0] if call.args else None
        literal = isinstance(given, ast.Constant) and isinstance(given.value, str)
        found = [given] if literal else everything
        yield from [(node, node.value) for node in found] or [(call, None)]


def _dense(text):
    return "".join(text.split())


# For the ledger, and for the links below a claim


def methods(chapter, cells):
    """How these cells hold a claim, in the order of HELPERS: what they call, else that they assert by hand."""
    called = set().union(*(names_in(cell.tree) for cell in cells if cell.tree))
    found = [word for name, word in HELPERS.items() if name in called]
    if "symbolic proof" not in found and called & chapter.sympy_names:
        found.insert(0, "symbols")
    return found or [BY_HAND]


def digest(chapter, label):
    """A short number that changes when a check of the claim does, but not with its line breaks."""
    code = "\n".join(_dense(cell.source) for cell in chapter.checks[label])
    return hashlib.sha256(code.encode()).hexdigest()[:12]
