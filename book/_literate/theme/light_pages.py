"""Take off the built pages what none of them uses: the theme would send almost three megabytes with each.

It brings every icon twice, as a script of 1.5 MB and as fonts with a rule of style for each; the index of the search
to pages that do not search; and MathJax to pages without a formula.
"""

import logging
import re
from hashlib import md5
from io import BytesIO
from pathlib import Path

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
ICON = re.compile(r"fa-[\w-]+")
ICON_RULE = re.compile(r'(?:\.fa-[\w-]+::?before,)*\.fa-[\w-]+::?before\{content:"[^"]*"\}')


def lighten(app, exception):
    """Read all pages and scripts of the built book, then cut scripts and icons down to what they use."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for file in static.rglob("fontawesome.js*"):
        file.unlink()
    pages = {file: file.read_text(encoding="utf-8") for file in Path(app.outdir).rglob("*.html")}
    scripts = [file.read_text(encoding="utf-8") for file in static.rglob("*.js")]
    used = set().union(*map(ICON.findall, [*pages.values(), *scripts]))
    for file in static.rglob("*.css"):
        file.write_text(without_unused(file.read_text(encoding="utf-8"), used), encoding="utf-8")
    cut_icon_fonts(static)
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
    """A style sheet without the rules that only say which letter an icon is, for icons that occur nowhere."""
    return ICON_RULE.sub(lambda rule: rule[0] if used.intersection(ICON.findall(rule[0])) else "", css)


def cut_icon_fonts(static):
    """Leave in each icon font the letters that the style sheets still name."""
    styles = "".join(file.read_text(encoding="utf-8") for file in static.rglob("*.css"))
    named = {chr(int(code, 16)) for code in re.findall(r"\\([0-9a-f]{4})\b", styles)}  # as the theme writes them
    letters = {ord(letter) for letter in named | set(styles) if "\ue000" <= letter <= "\uf8ff"}  # for private use, as icons are
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    for file in (static / "vendor" / "fontawesome").rglob("*.woff2"):
        font = TTFont(file, recalcTimestamp=False)  # else two builds differ
        subsetter = Subsetter(Options(layout_features=[], notdef_outline=True))
        subsetter.populate(unicodes=letters)
        subsetter.subset(font)
        content = BytesIO()
        font.save(content)
        file.write_bytes(content.getvalue())
        file.with_suffix(".ttf").unlink(missing_ok=True)  # the same, for browsers of long ago


def setup(app):
    app.connect("build-finished", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
