"""Take off the built pages what none of them uses: the theme would send almost three megabytes with each.

It brings every icon twice, as a script of 1.5 MB and as a font; the styles of components that this book does not
have; the index of the search to pages that do not search; and MathJax to pages without a formula. Which
styles and icons stay is found by reading the pages and scripts themselves; which scripts, by the table below.
"""

import re
from hashlib import md5
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import tinycss2
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

SCRIPT = r'\s*<script [^>]*src="[^"]*\b(?:{})\.js(?:\?[^"]*)?"></script>'
NEEDED_BY = {  # scripts, and what in a page needs them
    "fontawesome": r"(?!)",
    "searchtools|language_data|searchindex": r'id="search-results"',
    "tex-chtml|fit_formulas": r'class="[^"]*\bmath\b',
    "design-tabs": r'class="[^"]*\bsd-tab',
}
MATHJAX_SETTINGS = re.compile(r"\s*<script>window\.MathJax = .*?</script>")
STYLE = re.compile(r'(?<=href=")([^"?]+\.css)\?[^"]*')
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
CHOICE = re.compile(r":(?:not|is|where|has)\(.*\)")
WORD = re.compile(r"[\w-]+")


class Classes(HTMLParser):
    """The class names in a page."""

    def __init__(self, text):
        super().__init__()
        self.found = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.update((dict(attributes).get("class") or "").split())


class Names:
    """The names that may be in use: those that were found, and those that begin as a script begins a name, `bs-`."""

    def __init__(self, found):
        self.found = found
        self.beginnings = tuple(name for name in found if len(name) > 2 and name.endswith("-"))

    def __contains__(self, name):
        return name in self.found or name.startswith(self.beginnings)


def lighten(app, exception):
    """Read all pages and scripts of the built book, then cut scripts, styles and fonts down to what they use."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    pages = {file: file.read_text(encoding="utf-8") for file in Path(app.outdir).rglob("*.html")}
    scripts = [file.read_text(encoding="utf-8") for file in static.rglob("*.js") if file.name != "fontawesome.js"]
    used = Names(set().union(*(Classes(text).found for text in pages.values()), *map(WORD.findall, scripts)))
    for file in static.rglob("*.css"):
        file.write_text(without_unused(file.read_text(encoding="utf-8"), used), encoding="utf-8")
    cut_icon_fonts(static)
    for file in static.rglob("fontawesome.js*"):
        file.unlink()
    for file, text in pages.items():
        file.write_text(light(text, file), encoding="utf-8")


def light(text, file):
    """A page without the scripts that it does not need, and with the digests of its styles as they are now."""
    for scripts, reason in NEEDED_BY.items():
        if not re.search(reason, text):
            text = re.sub(SCRIPT.format(scripts), "", text)
    if "tex-chtml.js" not in text:
        text = MATHJAX_SETTINGS.sub("", text)
    return STYLE.sub(lambda match: f"{match[1]}?v={md5((file.parent / match[1]).read_bytes()).hexdigest()[:8]}", text)


def without_unused(css, used):
    """A style sheet without the rules that need a class which occurs nowhere."""
    return "".join(kept(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), used))


def kept(rules, used):
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = split_at_commas(rule.prelude)
            if chosen := [text for text in selectors if needed(text, used)]:
                yield f"{','.join(chosen)}{{{tinycss2.serialize(rule.content)}}}\n"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inner = "".join(kept(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), used))
            if inner:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}\n"
        else:
            yield rule.serialize()


def needed(selector, used):
    """Whether a selector can match: what stands in `:not(...)` and its like may be absent; `\\` hides a name."""
    return "\\" in selector or all(name in used for name in CLASS.findall(CHOICE.sub("", selector)))


def split_at_commas(prelude):
    """The selectors of a rule; commas within brackets are deeper in the tree."""
    selectors = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return [tinycss2.serialize(tokens).strip() for tokens in selectors]


def cut_icon_fonts(static):
    """Leave in each icon font the letters that the style sheets still name."""
    styles = "".join(file.read_text(encoding="utf-8") for file in static.rglob("*.css"))
    letters = {ord(letter) for letter in styles if "\ue000" <= letter <= "\uf8ff"}     # for private use, as icons are
    for file in (static / "vendor" / "fontawesome").rglob("*.woff2"):
        font = TTFont(file)
        subsetter = Subsetter(Options(layout_features=[], notdef_outline=True))
        subsetter.populate(unicodes=letters)
        subsetter.subset(font)
        content = BytesIO()
        font.save(content)
        file.write_bytes(content.getvalue())
        file.with_suffix(".ttf").unlink(missing_ok=True)    # the same, for browsers of long ago


def setup(app):
    app.connect("build-finished", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
