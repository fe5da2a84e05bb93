"""The signatures of a module for type checkers: from its syntax tree, and the types that its docstrings give in words.

An array is `Any`, since it may belong to one of several libraries. What is asked for is wider than what is returned: a
parameter `int` takes whatever can be an index, a `float` whatever can become one, so that integers of NumPy and tensors
of one element pass.
"""

import ast
import re
import textwrap

from ..source.output_rules import MOST_COLUMNS as WIDTH
from ..source.scope import Alias, aliases

ASKED = {
    "int": "SupportsIndex",
    "float": "SupportsFloat",
    "bool": "bool | np.bool_",
    "str": "str",
    "callable": "_Function",
    "numpy.random.Generator": "np.random.Generator",
    "numpy.random.RandomState": "np.random.RandomState",
    "None": "None",
}
# Not Callable[..., Any]: mypy takes no named tuple for one, not even one that can be called, as the results of `remez`.
FUNCTION = """class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ..."""
GIVEN = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "str",
    "None": "None",
    "tuple of int": "tuple[int, ...]",
    "tuple of float": "tuple[float, ...]",
}
BASES = re.compile(r"namedtuple\(\s*[\"'](\w+)[\"'],\s*((?:[\"'][^\"']*[\"']\s*)+)")
GENERIC = {"tuple": "tuple[Any, ...]", "list": "list[Any]", "dict": "dict[Any, Any]"}  # else a strict checker complains
ENTRY = re.compile(r"(?m)^(\*{0,2}\w+(?:, \w+)*)(?: : (.*))?$\n?((?:^(?:\s+.*)?$\n?)*)")
LIKE = re.compile(r"\b[Aa]s (?:for|of|in) `(\w+)`")
SPECIAL = ("__new__", "__init__", "__call__", "__matmul__", "__rmatmul__", "__array__", "__getitem__", "__len__", "__iter__") + ("_replace", "_asdict")
RESULTS = {"__init__": "None", "__new__": "Self", "_replace": "Self", "_asdict": "dict[str, Any]"}
TYPING = {"Any", "Literal", "NamedTuple", "Protocol", "Self", "SupportsFloat", "SupportsIndex"}


def signatures(book, chapter):
    """The stubs of what a chapter shares, and what they import."""
    words, body = Words(book), []
    shared = {item.name for item in chapter.shared}
    shared |= private_bases(chapter, shared)
    for node in _statements(chapter):
        match node:
            case ast.FunctionDef(name=name) if name in shared:
                body.append(function(node, words))
            case ast.ClassDef(name=name) if name in shared:
                body += klass(node, words)
            case ast.Assign(targets=targets):
                names = [item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]
                body += [f"{name}: Any" for name in names if name in shared]
    body[:0] = [FUNCTION] if "_Function" in "\n".join(body) else []
    return body, imports(book, chapter, "\n".join(body))


def private_bases(chapter, shared):
    """The private classes of a chapter that shared ones are made of: their fields and methods are seen through these."""
    classes = {node.name: node for node in _statements(chapter) if isinstance(node, ast.ClassDef)}
    found, to_do = set(), [node for name, node in classes.items() if name in shared]
    while to_do:
        bases = [item.id for base in to_do.pop().bases for item in ast.walk(base) if isinstance(item, ast.Name)]
        new = {name for name in bases if name in classes} - found - shared
        found |= new
        to_do += [classes[name] for name in new]
    return found


def _statements(chapter):
    return [node for cell in chapter.exports for node in cell.tree.body]


def imports(book, chapter, text):
    """What the stubs of a chapter use: of `typing`, of other chapters, and of other libraries as bases."""
    used = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    found = [Alias("typing", name, None) for name in TYPING & used]
    found += [Alias("numpy", None, "np")] if "np" in used else []
    of_chapter = [alias for node in _statements(chapter) for alias in aliases(node)]
    found += [alias for alias in of_chapter if alias.bound in used - TYPING - {"np"} and is_base(alias.bound, chapter)]
    here = {alias.name for alias in found} | {item.name for item in chapter.shared}
    for other in book.chapters:
        classes = [item.name for item in other.public if item.kind == "class" and item.name in used - here]
        found += [Alias(f"lowrank.{other.module}", name, None) for name in classes]
    return found


def is_base(name, chapter):
    """Whether an imported name is part of a base class; else it only happens to be the name of a parameter."""
    bases = [base for node in _statements(chapter) if isinstance(node, ast.ClassDef) for base in node.bases]
    return any(isinstance(item, ast.Name) and item.id == name for base in bases for item in ast.walk(base))


# Functions and classes


def function(node, words, more="", indent=0):
    """A function's stub; `more` is the docstring of its class, `indent` the depth of a method."""
    arguments, method = node.args, bool(indent)
    kinds = words.of_parameters(more) | words.of_parameters(ast.get_docstring(node) or "")
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
    result = RESULTS.get(node.name) or words.of_result(ast.get_docstring(node) or "")
    lines = [f"@{name}" for name in ("property", "classmethod", "staticmethod") if decorated(node, name)]
    return textwrap.indent("\n".join([*lines, definition(node.name, parts, result, indent)]), " " * indent)


def definition(name, parts, result, indent):
    """On one line if it fits, else with a line for each parameter."""
    line = f"def {name}({', '.join(parts)}) -> {result}: ..."
    if len(line) + indent <= WIDTH:
        return line
    return "\n".join([f"def {name}(", *(f"    {part}," for part in parts), f") -> {result}: ..."])


def decorated(node, name):
    return any(isinstance(item, ast.Name) and item.id == name for item in node.decorator_list)


def parameter(arg, default, kinds):
    kind = kinds.get(arg.arg, "Any")
    if isinstance(default, ast.Constant) and default.value is None and kind != "Any" and "None" not in kind:
        kind += " | None"
    return f"{arg.arg}: {kind}" + (f" = {shown(default)}" if default is not None else "")


def shown(default):
    """A default value where it is plain data, `-1` or `(3, 5)`; else dots."""
    try:
        ast.literal_eval(default)
    except ValueError:
        return "..."
    return ast.unparse(default)


def klass(node, words):
    """A class as two: its tuple with named fields, if it is one, and its own methods and attributes."""
    text = ast.get_docstring(node) or ""
    kinds, bases, fields = words.of_attributes(text), [], []
    for base in map(ast.unparse, node.bases):
        found = BASES.search(base)
        fields = "".join(re.findall(r"[\"']([^\"']*)[\"']", found[2])).replace(",", " ").split() if found else fields
        bases.append(f"_{node.name}" if found else GENERIC.get(base, base))
    if fields:
        yield "\n".join([f"class _{node.name}(NamedTuple):", *(f"    {name}: {kinds.get(name, 'Any')}" for name in fields)])
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef) and (item.name in SPECIAL or item.name[0] != "_")]
    taken = {*fields, *(item.name for item in methods)}
    settable = set_on_self(node)
    lines = [attribute(name, kinds.get(name, "Any"), name in settable) for name in attributes(node, text) if name not in taken]
    lines += [function(item, words, text if item.name in ("__new__", "__init__") else "", 4) for item in methods]
    head = f"class {node.name}({', '.join(bases)}):" if bases else f"class {node.name}:"
    yield "\n".join([head, *lines]) if lines else f"{head} ..."


def attribute(name, kind, settable):
    """An attribute that a class sets on itself can be set by others too; what is only documented can be read."""
    return f"    {name}: {kind}" if settable else f"    @property\n    def {name}(self) -> {kind}: ..."


def attributes(node, docstring):
    """The public attributes of a class: those it documents, those it is made with, and properties by assignment."""
    found = [name for names, _, _ in entries(docstring, "Attributes") for name in names]
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name in ("__new__", "__init__"):
            found += set_on_self(item)
            found += arguments_of(item) if item.name == "__init__" and "vars(self).update(" in ast.unparse(item) else []
        elif isinstance(item, ast.Assign) and is_property(item.value):
            found += [target.id for target in item.targets]
    return [name for name in dict.fromkeys(found) if name[0] != "_"]


def arguments_of(node):
    """The arguments of a method: what an object is made with, where it keeps each under its name."""
    every = [*node.args.posonlyargs, *node.args.args[1:], *node.args.kwonlyargs, node.args.kwarg]
    return [arg.arg for arg in every if arg]


def set_on_self(node):
    """The attributes that a function, or any method of a class, assigns to: `self.size = 3`."""
    return [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and is_set_on_self(part)]


def is_set_on_self(part):
    return isinstance(part.ctx, ast.Store) and isinstance(part.value, ast.Name) and part.value.id == "self"


def is_property(value):
    """`factors = property(tuple)`"""
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("property", "cached_property")


# Types in words


class Words:
    """Reads the types in the docstrings of a book: results may be its classes, parameters those of another function."""

    def __init__(self, book):
        public = [(chapter, item) for chapter in book.chapters for item in chapter.public]
        self.given = GIVEN | {item.name: item.name for _, item in public if item.kind == "class"}
        self.docstrings = {node.name: ast.get_docstring(node) or "" for chapter in book.chapters
                           for node in _statements(chapter) if isinstance(node, ast.FunctionDef)}  # fmt: skip

    def of_parameters(self, docstring, depth=0):
        """Parameter -> its type, where the words are understood; those "as for `f`" are taken from there."""
        kinds = {}
        for names, kind, text in entries(docstring, "Parameters"):
            like = LIKE.search(text)
            others = self.of_parameters(self.docstrings.get(like[1], ""), depth + 1) if like and depth < 3 else {}
            kinds |= {name: type_of(kind, ASKED) or others.get(name) for name in names}
        return {name: kind for name, kind in kinds.items() if kind}

    def of_attributes(self, docstring):
        """Attribute -> its type, where the words are understood."""
        found = entries(docstring, "Parameters") + entries(docstring, "Attributes")
        kinds = {name: type_of(kind, self.given) for names, kind, _ in found for name in names}
        return {name: kind for name, kind in kinds.items() if kind}

    def of_result(self, docstring):
        """What a function returns, where it returns one thing and the words are understood; else Any."""
        results = re.findall(r"(?m)^(\S.*)$", section(docstring, "Returns"))
        return len(results) == 1 and type_of(results[0].split(" : ")[-1], self.given) or "Any"


def section(docstring, title):
    """What stands below a heading of a numpydoc docstring."""
    found = re.search(rf"(?ms)^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", docstring)
    return found[1] if found else ""


def entries(docstring, title):
    """(names, type in words, description) of each entry of a section."""
    found = ENTRY.findall(section(docstring, title))
    return [(names.split(", "), kind, text) for names, kind, text in found]


def type_of(text, words):
    """The type that `int >= 1, default 3` or `{"a", "b"} or float` means, or None: all of it has to be understood."""
    head = re.match(r"(?:\{[^}]*\}|[^,;])*", text.replace(", or ", " or "))[0].strip()
    parts = re.split(r" or (?![^{]*\})", head)
    if source := re.match(r"None, int or (numpy\.random\.\w+)", text):
        parts = ["int", source[1], "None"]
    kinds = [_one_type(part, words) for part in parts]
    return None if None in kinds else " | ".join(dict.fromkeys(kinds))


def _one_type(text, words):
    if text.startswith("{"):
        return f"Literal[{text[1:-1]}]" if not re.search(r"\w+\(|\.\.\.", text) else None
    return words.get(re.sub(r" [<>]=? .*", "", text))
