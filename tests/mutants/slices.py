"""Which statements of a cell reach an assertion: only a fault there can say something about the check."""

import ast

from _literate.source import proof_rules
from _literate.source.model import names_in


def reaching(tree):
    """The numbers of the top-level statements that assert, or that make what is asserted."""
    asserted = {id(node) for node in proof_rules.asserting(tree)}
    found = {number for number, node in enumerate(tree.body) if any(id(inner) in asserted for inner in ast.walk(node))}
    used = set().union(*(names_in(tree.body[number]) for number in found))
    for number in reversed(range(len(tree.body))):
        if number not in found and _stored(tree.body[number]) & used:
            found.add(number)
            used |= names_in(tree.body[number])
    return found


def _stored(statement):
    """The names that a statement defines, and those of objects whose parts it changes."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    targets = [node for node in ast.walk(statement) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)]
    changed = [node.func.value for node in ast.walk(statement) if _is_append(node)]
    return names.union(*map(names_in, targets + changed))


def _is_append(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "add", "extend", "update")
