"""Every rule that the book has to keep. Each function below `problems` yields the problems of one kind.

The rules for code stand in `code_rules.py`, those for what is stored and shown in `output_rules.py`, those for checks of
claims in `proof_rules.py`.
"""

import keyword
import re
from functools import partial

from . import code_rules, myst, output_rules, project, proof_rules
from .model import CLAIM_DIRECTIVES, Place, Problem, nearest

LABEL = re.compile(r"[a-z][a-z0-9-]*")
MODULE = re.compile(r"[a-z][a-z0-9_]*")
MAGIC = re.compile(r"\s*[%!?]|[^#]*=\s*[%!]|[^#]*\?\s*$")
KNOWN_TAGS = frozenset(
    """export internal test full-width margin sidebar popout output_scroll scroll-output
    hide-input hide-output hide-cell remove-input remove-output remove-cell remove-stdout remove-stderr
    nbval-skip nbval-ignore-output nbval-check-output nbval-raises-exception raises-exception""".split()
)


def problems(book, root):
    """All problems of the book that its notebooks, read one by one, did not show."""
    found = [*project.problems(root), *module_names(book), *shared_names(book), *labels(book, root), *checks(book)]
    required, extras = project.dependencies(root), project.extras(root)
    for chapter in book.chapters:
        found += settings(chapter, extras)
        found += [*opening(chapter), *cell_ids(chapter), *tags(chapter), *fences(chapter), *syntax(chapter)]
        found += output_rules.problems(chapter)
        found += proof_rules.problems(chapter)
        found += code_rules.problems(book, chapter, required | extras.get(chapter.extra, set()))
    return found


# The book as a whole


def module_names(book):
    first = {}
    for chapter in book.chapters:
        name, place = chapter.module, Place(chapter.path)
        if not MODULE.fullmatch(name) or keyword.iskeyword(name):
            message = f"`{name}` cannot be the name of a module"
            yield Problem(place, message, "rename the notebook with small letters, digits and underscores")
        elif name in first:
            message = f"{first[name].path} exports the module `{name}` already"
            yield Problem(place, message, "rename one of the two notebooks")
        first.setdefault(name, chapter)


def shared_names(book):
    """What is public or shared between chapters is defined once in the book, so that a name says where to look."""
    first = {}
    for chapter in book.chapters:
        public = set(chapter.public)
        for item in chapter.shared:
            place = chapter.place(item.cell, item.line)
            if item in public and item.name in book.order:
                message = f"`{item.name}` is also the name of a chapter"
                yield Problem(place, message, f"rename it, or the chapter `{item.name}`")
            elif first.setdefault(item.name, chapter) is not chapter:
                message = f"{first[item.name].path} exports `{item.name}` already"
                yield Problem(place, message, "rename one of the two")


def labels(book, root):
    """Labels are unique among claims, targets and whatever else can be referred to; Sphinx lets some pass."""
    taken = {}
    for label, place, strict in _labels(book, root):
        if strict and not LABEL.fullmatch(label):
            message = f"the label `{label}` is malformed"
            yield Problem(place, message, "use small letters, digits and hyphens, a letter first")
        elif label in taken:
            yield Problem(place, f"the label `{label}` is taken by {taken[label]}", "choose another")
        taken.setdefault(label, place)


def _labels(book, root):
    """(label, place, whether its form matters) of the whole book in reading order."""
    for path in book.pages:
        page = myst.read((root / path).read_text(encoding="utf-8", errors="replace"))
        yield from _labels_of_page(page, partial(Place, path, None, None))
    for chapter in book.chapters:
        for cell in chapter.cells:
            if cell.kind == "markdown":
                yield from _labels_of_page(cell.page, partial(chapter.place, cell))
            elif label := _figure_name(cell):
                yield label, chapter.place(cell), False


def _labels_of_page(page, place):
    found = [(line, label, True) for label, line in page.targets]
    found += [(item.line, item.label, is_claim(item)) for item in page.directives if item.label]
    for line, label, strict in sorted(found):
        yield label, place(line), strict


def _figure_name(cell):
    settings = cell.metadata.get("mystnb")
    figure = settings.get("figure") if isinstance(settings, dict) else None
    return figure.get("name") if isinstance(figure, dict) else None


def is_claim(directive):
    return directive.name in CLAIM_DIRECTIVES


def checks(book):
    home = {claim.label: chapter for chapter in book.chapters for claim in chapter.claims}
    for chapter in book.chapters:
        own = [claim.label for claim in chapter.claims if claim.label]
        for claim in chapter.claims:
            if not claim.label:
                place, message = chapter.place(claim.cell, claim.line), f"this {claim.kind} has no label"
                yield Problem(place, message, "write `:label: some-label` on the line below its opening")
        for claim in chapter.unchecked:
            if claim.label:
                place, message = chapter.place(claim.cell, claim.line), f"the {claim.kind} `{claim.label}` has no check"
                yield Problem(place, message, f"tag the cell that checks it `check-{claim.label}`", unfinished=True)
        for label, cells in chapter.checks.items():
            if label not in own:
                next_step = f"tag it `check-{near}`" if (near := nearest(label, own)) else f"label a claim `{label}`"
                if label in home:
                    next_step = f"move this cell to {home[label].path}, which states it"
                for cell in cells:
                    yield Problem(chapter.place(cell), f"there is no claim `{label}` in this chapter", next_step)


# The cells of a chapter


def opening(chapter):
    if not chapter.title:
        yield Problem(Place(chapter.path), "has no title", "begin its first cell with `# Title`")
    elif not chapter.opening:
        message, next_step = "has no opening sentence", "say below the title which problem the chapter solves"
        yield Problem(Place(chapter.path), message, next_step)


def settings(chapter, extras):
    """What the notebook's metadata say below `lowrank`: one line, the extra of the chapter."""
    place = Place(chapter.path)
    for key in chapter.settings:
        if key != "extra":
            yield Problem(place, f"its metadata have the setting `{key}`", "the only one below `lowrank` is `extra`")
    if chapter.extra is not None and chapter.extra not in extras:
        near = nearest(str(chapter.extra), extras)
        next_step = f"write `{near}`" if near else "add it below [project.optional-dependencies]"
        yield Problem(place, f"pyproject.toml has no extra `{chapter.extra}`", next_step)


def cell_ids(chapter):
    first = {}
    for cell in chapter.cells:
        if not cell.id:
            yield Problem(chapter.place(cell), "this cell has no id", "save the notebook in JupyterLab, which adds it")
        elif cell.id in first:
            message = f"this cell has the id of cell {first[cell.id]}, `{cell.id}`"
            yield Problem(chapter.place(cell), message, "cut it and paste it in JupyterLab, which gives a new id")
        else:
            first[cell.id] = cell.number


def tags(chapter):
    for cell in chapter.cells:
        for tag in cell.tags:
            if tag not in KNOWN_TAGS and not re.fullmatch(r"check-.+", tag):
                near = nearest(tag, sorted(KNOWN_TAGS | {"check-"}))
                near = "check-<label>" if near == "check-" or tag.startswith("check") else near
                next_step = f"write `{near}`" if near else "use `export`, `internal`, `test` or `check-<label>`, or remove it"
                yield Problem(chapter.place(cell), f"the tag `{tag}` is not known", next_step)
        ours = [tag for tag in cell.tags if tag in ("export", "internal", "test") or tag.startswith("check-")]
        if ours and cell.kind != "code":
            message = f"the tag `{ours[0]}` is on a cell without code"
            yield Problem(chapter.place(cell), message, "move it to the cell with the code")
        elif cell.exported and len(ours) > 1:
            first, second = sorted(ours, key=lambda tag: tag not in ("export", "internal"))[:2]
            message = f"a cell cannot be `{first}` and `{second}`"
            yield Problem(chapter.place(cell), message, "split the cell")


def fences(chapter):
    for cell in chapter.cells:
        for item in cell.page.directives:
            place, colons = chapter.place(cell, item.line), item.fence[0] == ":"
            if not item.closed:
                yield Problem(place, f"the fence `{item.fence}` is not closed", f"close it with `{item.fence}`")
            elif is_claim(item) and not colons:
                message = f"this {item.name.removeprefix('prf:')} is fenced with `` {item.fence} ``"
                yield Problem(place, message, "fence claims with colons, `:::`")


def syntax(chapter):
    for cell in chapter.cells:
        if cell.fault:
            line, message, next_step = _syntax_error(cell.source, cell.fault)
            yield Problem(chapter.place(cell, line), message, next_step)


def _syntax_error(source, fault):
    """(line, message, next step) of what the compiler refuses or warns about."""
    if not isinstance(fault, SyntaxError):
        return None, f"is faulty Python: {fault}", "correct this cell"
    line = source.split("\n")[fault.lineno - 1].strip() if fault.lineno else ""
    if MAGIC.match(line):
        return fault.lineno, f"`{line}` is not Python but a command of IPython", "write plain Python"
    if "invalid escape sequence" in fault.msg:
        return fault.lineno, fault.msg, "begin the string with r"
    return fault.lineno, f"is faulty Python: {fault.msg}", "correct this line"
