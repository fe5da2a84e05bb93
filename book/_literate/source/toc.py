"""The order of everything: `_toc.yml`, read once for the exporter, the map of chapters and the printed book."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from .files import Unreadable, read_text
from .model import Place, Problem

TOC = "_toc.yml"
FOUNDATIONS = "book/foundations"  # an appendix for readers, but what all other chapters may import


@dataclass(frozen=True)
class Toc:
    parts: tuple[tuple[str | None, tuple[str, ...]], ...] = ()  # (caption, files with suffixes) in reading order
    problems: tuple[Problem, ...] = ()

    @property
    def files(self):
        """All pages and chapters in reading order."""
        return [file for _, files in self.parts for file in files]

    @property
    def notebooks(self):
        return [file for file in self.files if file.endswith(".ipynb")]

    @property
    def order(self):
        """The modules in the order in which they may import each other: the foundations come first."""
        grounded = sorted(self.notebooks, key=lambda file: str(PurePosixPath(file).parent) != FOUNDATIONS)
        return tuple(PurePosixPath(file).stem for file in grounded)


def read_toc(root):
    """The table of contents with its problems; the first part, without a caption, is the front page."""
    try:
        text = read_text(root, TOC)
        toc = yaml.safe_load(text)
    except Unreadable as error:
        return Toc(problems=(error.problem,))
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 1 if getattr(error, "problem_mark", None) else None
        reason = getattr(error, "problem", None) or "a character that YAML does not allow"
        return Toc(problems=(Problem(Place(TOC, line=line), f"is not valid YAML ({reason})", "correct this line"),))
    if not isinstance(toc, dict) or "root" not in toc:
        next_step = "write `format: jb-book`, `root: book/index` and the `parts`"
        return Toc(problems=(Problem(Place(TOC), "has no `root`", next_step),))
    parts, problems = [], []
    for caption, names in _parts(toc):
        names = [name for pattern in names for name in _matching(root, pattern)]
        files, found = _find_files(root, names, text, [file for _, files in parts for file in files])
        parts.append((caption, tuple(files)))
        problems += found
    return Toc(tuple(parts), tuple(problems))


def _parts(toc):
    """(caption, names) of the front page, of what follows it without a part, and of each part."""
    yield None, [str(toc["root"])]
    loose = [value for key, value in toc.items() if key in ("chapters", "sections")]
    if loose:
        yield None, _names(loose)
    parts = toc.get("parts", toc.get("subtrees"))
    for part in parts if isinstance(parts, list) else ():
        yield part.get("caption") if isinstance(part, dict) else None, _names(part)


def _names(node):
    """Every file below a node of the table of contents, however deep, in reading order."""
    if isinstance(node, list):
        return [name for item in node for name in _names(item)]
    if not isinstance(node, dict):
        return []
    own = [str(node[key]) for key in ("file", "glob") if key in node]
    return own + [name for value in node.values() for name in _names(value)]


def _matching(root, pattern):
    """The names that a `glob` means, in alphabetical order, or the one name that it is."""
    if not any(letter in pattern for letter in "*?["):
        return [pattern]
    return sorted(file.relative_to(root).with_suffix("").as_posix() for file in root.glob(f"{pattern}.md"))


def _find_files(root, names, text, before):
    files, problems = [], []
    for name in names:
        place = Place(TOC, line=_line_of(name, text))
        candidates = [name] if name.endswith((".ipynb", ".md")) else [f"{name}.ipynb", f"{name}.md"]
        found = [file for file in candidates if (root / file).is_file()]
        if not found:
            message = f"there is no {' or '.join(f'`{file}`' for file in candidates)}"
            problems.append(Problem(place, message, "add it, or correct this line"))
        elif found[0] in before + files:
            problems.append(Problem(place, f"`{name}` is named twice", "remove one of the two lines"))
        else:
            files.append(found[0])
    return files, problems


def _line_of(name, text):
    lines = (number for number, line in enumerate(text.splitlines(), 1) if line.split("#")[0].rstrip().endswith(name))
    return next(lines, None)
