"""What stands in the generated files: the modules, their tests, and the lazy package with its stub."""

import re
import sys
import textwrap
from functools import partial

from ..source import scope
from ..source.code_rules import first_line, kept
from ..source.output_rules import MOST_COLUMNS as WIDTH
from ..source.project import extras, read_project
from ..source.scope import Alias, aliases
from . import stubs

API = "book/reference/api"  # the pages with the entries of all that is public, one for each module


def generate(book, root):
    """Path -> text of every generated file."""
    project, optional = read_project(root), extras(root)
    exported = [chapter for chapter in book.chapters if chapter.exports]
    files = {}
    for chapter in exported:
        files[f"lowrank/{chapter.module}.py"] = module_text(chapter, project, optional.get(chapter.extra, ()))
        files[f"lowrank/{chapter.module}.pyi"] = module_stub(book, chapter)
    files |= {
        "lowrank/__init__.py": package_text(exported, project),
        "lowrank/__init__.pyi": package_stub(exported),
        "lowrank/py.typed": "",
    }
    tested = [chapter for chapter in book.chapters if chapter.tests]
    files |= {f"{API}/{chapter.module}.md": api_page(chapter) for chapter in exported if chapter.public}
    return files | {f"tests/chapters/test_{chapter.module}.py": tests_text(chapter) for chapter in tested}


# What stands in them


def module_text(chapter, project, optional=()):
    """The module of a chapter: docstring, imports, `__all__`, then its exported cells in reading order."""
    statements = [statement for cell in chapter.exports for statement in cell.tree.body]
    imported = [alias for statement in statements for alias in aliases(statement)]
    of_extra = [alias for alias in imported if alias.package in optional]
    head = [
        docstring(f"{chapter.title}.", chapter.opening, f"Generated from {chapter.path}; edit the chapter."),
        import_lines(alias for alias in imported if alias not in of_extra),
        guarded(import_lines(of_extra), chapter, project) if of_extra else "",
        list_lines("__all__ = [", [f'"{item.name}"' for item in chapter.public], "]"),
    ]
    return join(head, cells_text(chapter, chapter.exports))


def guarded(imports, chapter, project):
    """The imports of an extra, and what to install where they fail."""
    advice = f'''pip install "{project["name"]}[{chapter.extra}]"'''
    message = f"lowrank.{chapter.module} needs the extra `{chapter.extra}`: {advice}"
    return f"try:\n{textwrap.indent(imports, '    ')}\nexcept ImportError as error:\n    raise ImportError({message!r}) from error"


def tests_text(chapter):
    """The tests of a chapter; they import the names of the chapter that they use, and nothing else of it."""
    statements = [statement for cell in chapter.tests for statement in kept(cell)]
    own = scope.bound(statements)
    used = {use.name for statement in statements for use in scope.names(statement).uses} - set(own) - scope.BUILTINS
    imported = [alias for statement in statements for alias in aliases(statement)]
    exported = [alias for cell in chapter.exports for statement in cell.tree.body for alias in aliases(statement)]
    for name in used:
        found = [alias for alias in exported if alias.bound == name]
        imported += found or [Alias(f"lowrank.{chapter.module}", name, None)]
    head = [
        docstring(f"Tests of lowrank.{chapter.module}, generated from {chapter.path}; edit the chapter."),
        import_lines(imported),
    ]
    return join(head, cells_text(chapter, chapter.tests))


def package_text(chapters, project):
    """`lowrank/__init__.py`: it imports a chapter when it is first used."""
    home = [f'"{item.name}": "{chapter.module}"' for chapter in chapters for item in chapter.public]
    optional = [f'"{chapter.module}": "{chapter.extra}"' for chapter in chapters if chapter.extra]
    head = [
        docstring(
            f"{project.get('description', 'lowrank')}.",
            "Each module is exported from the chapter of the same name, and imported when it is first used: "
            "a mistake in one chapter does not break the others.",
            "Generated from _toc.yml and the chapters; edit those.",
        ),
        "from importlib import import_module as _import_module",
        f'__version__ = "{project["version"]}"',
        list_lines("_CHAPTERS = [", [f'"{chapter.module}"' for chapter in chapters], "]"),
        list_lines("_HOME = {", home, "}"),
        list_lines("_EXTRA = {", optional, "}") + "  # modules that need more than the package requires",
        "__all__ = [name for name, module in _HOME.items() if module not in _EXTRA]",
    ]
    return join(head, [LAZY])


LAZY = '''
def __getattr__(name):
    if name in _CHAPTERS:
        return _import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOME, *_CHAPTERS})
'''.strip()


def package_stub(chapters):
    """`lowrank/__init__.pyi`: tells an editor what the lazy package holds."""
    modules = [Alias("lowrank", chapter.module, chapter.module) for chapter in chapters]
    names = [Alias(f"lowrank.{chapter.module}", item.name, item.name) for chapter in chapters for item in chapter.public]
    head = [
        docstring("What `lowrank` holds, for editors.", "Generated from _toc.yml and the chapters; edit those."),
        import_lines(modules + names),
        "__version__: str",
        list_lines(
            "__all__ = [",
            [f'"{item.name}"' for chapter in chapters if not chapter.extra for item in chapter.public],
            "]",
        ),
    ]
    return join(head, [])


def module_stub(book, chapter):
    """`lowrank/svd.pyi`: the signatures of a module, for type checkers."""
    body, imported = stubs.signatures(book, chapter)
    head = [
        docstring(f"Types of lowrank.{chapter.module}.", f"Generated from {chapter.path}; edit the chapter."),
        import_lines(imported),
        list_lines("__all__ = [", [f'"{item.name}"' for item in chapter.public], "]") if chapter.public else "",
    ]
    return join(head, body)


def api_page(chapter):
    """The page that documents a module: the directive fills it when the book is built."""
    about = f"What lowrank.{chapter.module} offers, from the chapter {chapter.title}: signatures, errors, costs, examples."
    return f"""---
myst:
  html_meta:
    description: "{plain(about)}"
---

% Generated from {chapter.path}; edit the chapter.

# lowrank.{chapter.module}

```{{literate-api}} {chapter.module}
```
"""


def join(head, cells):
    return "\n\n\n".join(["\n\n".join(part for part in head if part), *cells]) + "\n"


def docstring(*paragraphs):
    fill = partial(textwrap.fill, width=WIDTH, break_long_words=False, break_on_hyphens=False)
    text = "\n\n".join(fill(plain(paragraph)) for paragraph in paragraphs)
    prefix, end = "r" if "\\" in text else "", "\n" if len(paragraphs) > 1 else ""
    return f'{prefix}"""{text}{end}"""'


def plain(text):
    """Markdown without its citations, roles and links, which mean nothing in a docstring."""
    text = re.sub(r"\s*\{cite[^}]*\}`[^`]*`", "", text)
    text = re.sub(r"\{[\w:-]+\}`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", text)
    return re.sub(r"\[([^\]]*)\]\((?:https?://|#|\.{1,2}/)[^)]*\)", r"\1", text).replace('"""', "'''").rstrip("\\")


def list_lines(opening, items, closing):
    """Items between brackets: on one line if they fit, else one a line."""
    line = opening + ", ".join(items) + closing
    return line if len(line) <= WIDTH else "\n".join([opening, *(f"    {item}," for item in items), closing])


def cells_text(chapter, cells):
    """The cells, each below a line that says where it comes from; those that only import are left out."""
    code = {cell.number: code_of(cell) for cell in cells}
    return [f"{heading(chapter, cell)}\n{code[cell.number]}" for cell in cells if code[cell.number]]


def heading(chapter, cell):
    return f"# %% {chapter.path}: {cell.name}" if cell.name else f"# %% {chapter.path}"


def code_of(cell):
    """The source of a cell without what stands elsewhere: its imports, and the calls of tests."""
    staying = [statement for statement in kept(cell) if not aliases(statement)]
    if not staying:
        return ""
    lines = cell.source.split("\n")
    for statement in reversed(cell.tree.body):
        if statement not in staying:
            start, end = first_line(statement) - 1, statement.end_lineno
            while start > 0 and lines[start - 1].startswith("#"):  # its comments go with it
                start -= 1
            while end < len(lines) and not lines[end].strip():
                end += 1
            del lines[start:end]
    return "\n".join(lines).strip("\n")


# Imports


def import_lines(imported):
    """Import statements, merged and sorted: the standard library, other packages, then chapters."""
    groups = {0: [], 1: [], 2: []}
    for alias in sorted(set(imported), key=lambda alias: [part or "" for part in alias]):
        package = alias.package
        groups[0 if package in sys.stdlib_module_names else 2 if package == "lowrank" else 1].append(alias)
    return "\n\n".join(_import_group(group) for group in groups.values() if group)


def _import_group(group):
    lines = [f"import {module}" + (f" as {renamed}" if renamed else "") for module, name, renamed in group if not name]
    modules = {}
    for module, name, renamed in group:
        if name:
            modules.setdefault(module, []).append(f"{name} as {renamed}" if renamed else name)
    for module, names in modules.items():
        line = f"from {module} import {', '.join(names)}"
        lines.append(line if len(line) <= WIDTH else list_lines(f"from {module} import (", names, ")"))
    return "\n".join(lines)
