"""The signatures of a module for type checkers: from its syntax tree, and the types that its docstrings give in words.

An array is `Any`, since it may belong to one of several libraries.
"""

import ast
import re

from ..source.scope import Alias, aliases

BASES = re.compile(r"namedtuple\(\s*[\"'](\w+)[\"'],\s*[\"']([^\"']*)[\"']")
ENTRY = re.compile(r"(?m)^(\*{0,2}\w+(?:, \w+)*) : (.*)$")
NUMBERS = {"int": "SupportsIndex", "float": "SupportsFloat", "bool": "bool", "str": "str", "callable": "Callable[..., Any]"}
VALUES = {"int": "int", "float": "float", "bool": "bool", "str": "str"}


def signatures(book, chapter):
    """The stubs of what a chapter shares, and what they import."""
    shared = {item.name for item in chapter.shared}
    known = {item.name for other in book.chapters for item in other.public if item.kind == "class"}
    body = []
    for cell in chapter.exports:
        for node in cell.tree.body:
            match node:
                case ast.FunctionDef(name=name) if name in shared:
                    body.append("\n".join(function(node, known)))
                case ast.ClassDef(name=name) if name in shared:
                    body += klass(node, known)
                case ast.Assign(targets=targets):
                    names = [item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]
                    body += [f"{name}: Any" for name in names if name in shared]
    return body, imports(book, chapter, "\n".join(body))


def imports(book, chapter, text):
    """What the stubs of a chapter use: of `typing`, of other chapters, and of other libraries as bases."""
    used = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    typing = {"Any", "Callable", "Literal", "NamedTuple", "SupportsFloat", "SupportsIndex"}
    found = [Alias("typing", name, None) for name in sorted(used & typing)]
    found += [Alias("numpy", None, "np")] if "np" in used else []
    of_chapter = [alias for cell in chapter.exports for node in cell.tree.body for alias in aliases(node)]
    found += [alias for alias in of_chapter if alias.bound in used - {"np", "namedtuple"}]
    here = {alias.name for alias in found} | {item.name for item in chapter.shared}
    for other in book.chapters:
        classes = [item.name for item in other.public if item.kind == "class" and item.name in used - here]
        found += [Alias(f"lowrank.{other.module}", name, None) for name in classes]
    return found


def function(node, known, method=False):
    """The lines of a function's stub."""
    text = ast.get_docstring(node) or ""
    arguments, kinds = node.args, parameter_types(text)
    every = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(every) - len(arguments.defaults)) + arguments.defaults
    parts = [parameter(arg, default, kinds) for arg, default in zip(every, defaults, strict=True)]
    if method and not decorated(node, "staticmethod"):
        parts[0] = every[0].arg
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg or arguments.kwonlyargs:
        parts.append(f"*{arguments.vararg.arg}: Any" if arguments.vararg else "*")
    parts += [parameter(arg, default, kinds) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parts += [f"**{arguments.kwarg.arg}: Any"] if arguments.kwarg else []
    result = "None" if node.name == "__init__" else result_type(text, known)
    yield from (f"@{name}" for name in ("property", "classmethod", "staticmethod") if decorated(node, name))
    yield f"def {node.name}({', '.join(parts)}) -> {result}: ..."


def decorated(node, name):
    return any(isinstance(item, ast.Name) and item.id == name for item in node.decorator_list)


def parameter(arg, default, kinds):
    kind = kinds.get(arg.arg, "Any")
    if isinstance(default, ast.Constant) and default.value is None and kind != "Any" and "None" not in kind:
        kind += " | None"
    shown = ast.unparse(default) if isinstance(default, ast.Constant) else "..."
    return f"{arg.arg}: {kind}" + (f" = {shown}" if default is not None else "")


def klass(node, known):
    """A class as two: its tuple with named fields, if it is one, and its own methods."""
    names, fields = [], None
    for base in node.bases:
        written = ast.unparse(base)
        fields = found[2].replace(",", " ").split() if (found := BASES.search(written)) else fields
        names.append(f"_{node.name}" if found else written)
    if fields:
        kinds = parameter_types(ast.get_docstring(node) or "", VALUES)
        yield "\n".join([f"class _{node.name}(NamedTuple):", *(f"    {name}: {kinds.get(name, 'Any')}" for name in fields)])
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef) and (item.name in KEPT or item.name[0] != "_")]
    constants = [item for item in node.body if isinstance(item, ast.Assign) and properties(item)]
    lines = [f"    {line}" for item in methods for line in function(item, known, method=True)]
    lines += [f"    {target.id}: Any" for item in constants for target in item.targets]
    yield "\n".join([f"class {node.name}({', '.join(names)}):" if names else f"class {node.name}:", *(lines or ["    ..."])])


KEPT = ("__init__", "__call__", "__matmul__", "__rmatmul__", "__array__", "__getitem__", "__len__")


def properties(item):
    """Whether an assignment in a class is one of a property, `factors = property(tuple)`."""
    return isinstance(item.value, ast.Call) and ast.unparse(item.value.func) in ("property", "cached_property")


# Types in words


def section(docstring, title):
    """What stands below a heading of a numpydoc docstring."""
    found = re.search(rf"(?ms)^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", docstring)
    return found[1] if found else ""


def parameter_types(docstring, words=NUMBERS):
    """Parameter or attribute -> its type, where the words are understood."""
    entries = ENTRY.findall(section(docstring, "Parameters") + section(docstring, "Attributes"))
    kinds = {name: type_of(text, words) for names, text in entries for name in names.split(", ")}
    return {name: kind for name, kind in kinds.items() if kind}


def type_of(text, words):
    """The type that `int >= 1, default 3` means, or None."""
    choices, rest = re.match(r"(\{[^}]*\})?(.*)", text).groups()
    if choices:
        return f"Literal[{choices[1:-1]}]" if not re.search(r"\w+\(|\.\.\.", choices) and not rest.startswith(" or") else None
    if text.startswith("None, int or numpy.random.Generator"):
        return "SupportsIndex | np.random.Generator | None"
    first = re.match(r"\w+", text)
    alone = first and not re.search(r"\bor\b|array|sequence|tensor", text.split(", default")[0])
    return words.get(first[0]) if alone else None


def result_type(docstring, known):
    """What a function returns: a class of the package or a number where the docstring says so, else Any."""
    entries = re.findall(r"(?m)^(\S.*)$", section(docstring, "Returns"))
    if len(entries) != 1:
        return "Any"
    text = entries[0].split(" : ")[-1]
    return text if text in known else VALUES.get(text, "Any")
