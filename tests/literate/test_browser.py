"""The built book as a reader's browser shows it: every page, the search, wrong addresses, formulas on small screens.

Each page of the table of contents is opened once, with every fold open and nothing in motion, and looked at
    at 1280 px   for errors, requests to other hosts, failed requests, formulas, code blocks that scroll,
    at 768 px    for code blocks that scroll,
    at 360 px    for formulas in the text that leave the screen, and, in dark colours, with all rules of axe-core,
and for what is wider than the window at all three. The colours of the light scheme are judged at 1280 px on one page of
each kind: one chapter, since chapters share their style sheet, one page of the API, a module, the search, and each other.
From the disk two pages are opened, for everything but axe-core: their contents are the same.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.literate.built import CHAPTERS, MODULES, PAGES, page_file

WIDTHS = (1280, 768, 360)
CODE_FITS = (1280, 768)  # where no code block is wider than its column
API = [page for page in PAGES if page.startswith("book/reference/api/")]
LIGHT = {*PAGES, MODULES[0], "search"} - {*CHAPTERS[1:], *API[1:]}  # the pages that are judged in the light scheme too

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the browser's driver


@dataclass
class Visit:
    """What happened while a page was opened, and what it looked like afterwards."""

    errors: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    barriers: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    overflow: dict = field(default_factory=dict)  # width of the window -> px beyond it
    scrolling: dict = field(default_factory=dict)  # width -> the longest line of each block that scrolls


LOOK = r"""async () => {
    const WRONG = "mjx-merror, mjx-container [style*='color: red']";  // an unknown macro is set in red
    const later = () => new Promise(done => setTimeout(done, 20));
    while (window.MathJax && !MathJax.startup?.promise) await later();
    if (window.MathJax) await MathJax.startup.promise;
    document.querySelectorAll("details").forEach(fold => { fold.open = true; });
    const prose = document.querySelector("main").cloneNode(true);
    prose.querySelectorAll("pre, code, script, mjx-container").forEach(element => element.remove());
    return {
        marked: document.querySelectorAll("main .math").length,
        typeset: document.querySelectorAll("main .math > mjx-container").length,
        wrong: [...document.querySelectorAll(WRONG)].map(formula => formula.textContent),
        raw: prose.textContent.split("\n").filter(line => /\\[()\[\]]|\$\$/.test(line)),
    };
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
WIDE_CODE = r"""() => [...document.querySelectorAll("article pre")]
    .filter(block => block.scrollWidth > block.clientWidth)
    .map(block => block.textContent.split("\n").reduce((a, b) => b.length > a.length ? b : a))"""
# Most elements of a page are parts of formulas and of coloured code, which are all alike: axe-core sees five of each.
FEWER_PARTS = """() => {
    for (const element of [...document.querySelectorAll("mjx-container")].slice(5)) element.replaceChildren("formula");
    for (const element of [...document.querySelectorAll("pre")].slice(5)) element.replaceChildren(element.textContent);
    window.dispatchEvent(new Event("resize"));                          // what scrolls may be another box now
}"""
# It is asked for colours at one element of each look, in light and in dark; for all else once, of every element.
JUDGE = """async (allRules) => {
    const COLOURS = ["color-contrast", "link-in-text-block"];
    const looks = new Map();
    const style = (element) => getComputedStyle(element);
    const tint = (element) => style(element).backgroundColor.replace("rgba(0, 0, 0, 0)", "");
    const ground = (element) => !element ? "" : tint(element) + ground(element.parentElement);
    for (const element of document.body.querySelectorAll("*")) {
        const holdsText = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!holdsText || !element.checkVisibility()) continue;
        const {color, fontSize, fontWeight, opacity, textDecoration} = style(element);
        const around = style(element.parentElement).color;
        const look = [element.tagName, color, fontSize, fontWeight, opacity, textDecoration, around, ground(element)];
        if (!looks.has(look.join())) looks.set(look.join(), element);
    }
    const others = Object.fromEntries(COLOURS.map(rule => [rule, {enabled: false}]));
    const options = {resultTypes: ["violations"], preload: false};      // it would fetch the style sheets once more
    const reports = [await axe.run({include: [...looks.values()]}, {...options, runOnly: COLOURS})];
    if (allRules) reports.push(await axe.run(document, {...options, rules: others}));
    return reports.flatMap(({violations}) => violations)
        .filter(({impact}) => impact === "critical" || impact === "serious")
        .map(({id, nodes}) => `${id}: ${nodes.map(node => node.html.slice(0, 120)).join(" ")}`);
}"""
# The theme gives what scrolls a place in the tab order .3 seconds after a resize.
SETTLED = """scheme => document.documentElement.dataset.theme === scheme
    && [...document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container")]
        .every(box => box.scrollWidth <= box.clientWidth || box.tabIndex === 0)"""
CLIPPED = """() => {
    const edge = document.querySelector("article")?.getBoundingClientRect().right;
    return [...document.querySelectorAll("article mjx-container:not([display='true'])")]
        .filter(formula => formula.offsetWidth && !formula.closest("table") && formula.getBoundingClientRect().right > edge + 1)
        .map(formula => formula.textContent);
}"""
@cache
def accessibility_rules():
    """The source of axe-core, the rules for readers who do not see the page or use no mouse."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed (requirements.txt)")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


class Reader:
    """One page of a browser, with all that happens on it: opening another for each address would take a third longer."""

    def __init__(self, window):
        self.page, self.record, self.host = window.new_page(), Visit(), ""
        self.page.on("console", lambda message: message.type == "error" and self.record.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.record.errors.append(str(error)))
        self.page.on("request", lambda request: self.note_host(request.url))
        self.page.on("requestfailed", lambda request: self.record.failed.append(request.url))
        self.page.on("response", lambda response: response.status >= 400 and self.record.failed.append(response.url))

    def note_host(self, address):
        if urlsplit(address).netloc != self.host:
            self.record.foreign.append(address)

    def visit(self, address, judged=("dark",)):
        """Open a page; whatever it asks of another host is noted. `judged` are the colours for axe-core."""
        page = self.page
        self.show(WIDTHS[0], "light")
        record = self.record = Visit()
        self.host = urlsplit(address).netloc
        page.goto(address)
        record.facts = page.evaluate(LOOK)
        for width in WIDTHS:
            self.show(width)
            record.overflow[width] = page.evaluate(OVERFLOW)
            if width in CODE_FITS:
                record.scrolling[width] = page.evaluate(WIDE_CODE)
        record.facts["clipped"] = page.evaluate(CLIPPED)
        if judged:
            page.evaluate(accessibility_rules())
            page.evaluate(FEWER_PARTS)
        for scheme in judged:
            self.show(WIDTHS[-1] if scheme == "dark" else WIDTHS[0], scheme)
            page.wait_for_function(SETTLED, arg=scheme)
            record.barriers += [f"{scheme}: {fault}" for fault in page.evaluate(JUDGE, scheme == "dark")]
        page.goto("about:blank")                                    # nothing of it happens during the next visit
        return record

    def show(self, width, scheme=None):
        self.page.set_viewport_size({"width": width, "height": 900})
        if scheme:
            self.page.emulate_media(color_scheme=scheme)


@pytest.fixture(scope="session")
def reader(window):
    return Reader(window)


def assert_reads_well(record):
    assert not record.errors, "errors in the console"
    assert not record.foreign, "requests to other hosts"
    assert not record.failed, "requests that failed"
    assert not record.facts["raw"], "TeX that was not typeset"
    assert not record.facts["wrong"], "formulas that MathJax does not understand"
    assert record.facts["typeset"] == record.facts["marked"]
    assert not record.facts["clipped"], "formulas in the text that leave the screen of a phone"
    assert not record.barriers, "critical or serious for axe-core"
    assert record.overflow == dict.fromkeys(WIDTHS, 0), "px wider than the window"
    assert record.scrolling == {width: [] for width in CODE_FITS}, "code that scrolls"


@pytest.mark.parametrize("page", [*PAGES, MODULES[0], "search"])
def test_page_in_a_browser(reader, served_book, page):
    record = reader.visit(urljoin(served_book, f"{page}.html"), ("dark", "light") if page in LIGHT else ("dark",))
    assert_reads_well(record)
    assert record.facts["typeset"] > 0 or page not in CHAPTERS


@pytest.mark.parametrize("page", [PAGES[0], *CHAPTERS[:1]])
def test_page_opened_from_disk(reader, built_book, page):
    assert_reads_well(reader.visit(page_file(built_book, page).as_uri(), judged=()))


def test_the_front_page_is_light(browser, served_book):
    page = browser.new_page()
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(urljoin(served_book, f"{PAGES[0]}.html"))
    assert sum(len(answer.body()) for answer in answers if "/mathjax/" not in answer.url) < 750e3
    page.close()


def test_from_a_theorem_to_its_check_the_code_the_entry_and_back(browser, served_book):
    """Links need no script; without any, no formula is set at each of the eight steps."""
    page = browser.new_page(java_script_enabled=False)
    chapter, claim = "book/low_rank/svd", "eckart-young-mirsky"

    def click(selector, expected):
        page.locator(selector).first.click(timeout=5000)
        page.wait_for_url(f"**/{expected}*")
        arrived = page.evaluate("document.querySelector(':target') !== null")
        assert arrived, page.url

    page.goto(urljoin(served_book, f"{chapter}.html"))
    click(f"#{claim} .claim-check a", f"{chapter}.html#cell-")                          # the theorem's check
    click(f".cell-badge:target a[href='#{claim}']", f"{chapter}.html#{claim}")          # and back
    click(".cell-badge a[href*='api/svd.html#lowrank.svd.truncated_svd']", "book/reference/api/svd.html#lowrank.svd")
    click("dl:has(> dt:target) .derived-in a[href*='lowrank/svd.html#']", "lowrank/svd.html#cell-")
    click("a:target", f"{chapter}.html#cell-")                                          # from the code to its cell
    click(".cell-badge:target a[href*='lowrank/svd.html#']", "lowrank/svd.html#cell-")
    click("a[href*='api/svd.html#lowrank.svd.truncated_svd']", "book/reference/api/svd.html#lowrank.svd")
    click("dl:has(> dt:target) .derived-in a", f"{chapter}.html#cell-")                 # the section that derives it
    page.close()


def test_bare_address_leads_to_the_front_page(window, served_book):
    page = window.new_page()
    page.goto(served_book)
    page.wait_for_url(f"**/{PAGES[0]}.html")
    page.close()


def test_wrong_address_leads_back(window, served_book):
    page = window.new_page()
    assert page.goto(urljoin(served_book, "book/low_rank/nowhere/svd.html")).status == 404
    page.wait_for_function("() => document.links[0].pathname !== '/'")
    page.fill("input", "skeleton")
    page.click("button")
    page.wait_for_url("**/search.html?q=skeleton")
    page.go_back()
    page.wait_for_function("() => document.links[0].pathname !== '/'")
    page.click("a")
    page.wait_for_url(f"**/{PAGES[0]}.html")
    page.close()


SEARCHES = {
    "Eckart Young": "book/low_rank/svd",
    "random range finder": "book/low_rank/error_estimates",
    "column row sampling": "book/low_rank/column_row",
    "Kahan matrix": "book/low_rank/interpolative",
    "leverage scores": "book/low_rank/skeleton",
    "kernel matrix": "book/low_rank/psd",
    "Chebyshev alternation": "book/matrix_sign/equioscillation",
    "optimal schedule": "book/matrix_sign/polar_express",
    "clip singular values": "book/matrix_sign/clipping",
    "nuclear norm gradient": "book/matrix_sign/norms",
    "sparsemax": "book/smooth_topk/simplex_maps",
    "soft_topk": "book/reference/api/topk",
}
RESULTS = "() => [...document.querySelectorAll('#search-results ul.search > li > a')].map(link => link.href)"


@pytest.mark.parametrize("from_disk", [False, True])
def test_search_finds_the_page(window, served_book, built_book, from_disk):
    root = f"{built_book.as_uri()}/" if from_disk else served_book
    page = window.new_page()
    for query, expected in SEARCHES.items():
        page.goto(urljoin(root, f"search.html?q={quote(query)}"))
        page.wait_for_function("() => document.querySelector('#search-results ul.search > li')")
        page.wait_for_function("() => /found|match/.test(document.querySelector('.search-summary').textContent)")
        assert any(f"/{expected}.html" in found for found in page.evaluate(RESULTS)[:4]), query
    page.close()


# Formulas that fit their column: the page about them holds a short, a long and a very long one

FITTED = """() => [...document.querySelectorAll('mjx-container[display="true"]')].map(formula => ({
    scale: parseFloat(formula.style.fontSize) / 127.3,
    room: formula.clientWidth,
    width: formula.scrollWidth,
    focusable: formula.tabIndex === 0,
    numbered: formula.parentElement.querySelector(".eqno") !== null,
}))"""


RESTED = """async () => {
    const sizes = () => [...document.querySelectorAll("mjx-container")].map(formula => formula.style.fontSize).join();
    for (let before = null, same = 0; same < 5; before = sizes()) {
        await new Promise(done => setTimeout(() => requestAnimationFrame(done), 50));
        same = sizes() === before ? same + 1 : 0;
    }
}"""


def fitted(page, width):
    """The displayed formulas after a resize, when they have come to rest."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(RESTED)
    return page.evaluate(FITTED)


def test_formulas_fit_or_scroll_at_every_width(window, served_book):
    page = window.new_page()
    page.goto(urljoin(served_book, "book/reference/formulas.html"))
    page.evaluate("async () => await MathJax.startup.promise")
    seen = {width: fitted(page, width) for width in (1280, 768, 420, 360)}
    assert all(len(formulas) == 5 and sum(f["numbered"] for f in formulas) == 3 for formulas in seen.values())
    for width, formulas in seen.items():
        for formula in formulas:
            scrolls = formula["width"] > formula["room"]
            assert 0.7 - 1e-3 <= formula["scale"] <= 1.001, (width, formula)
            assert scrolls == formula["focusable"], (width, formula)
            assert not scrolls or formula["scale"] == pytest.approx(0.7, abs=1e-3), (width, formula)
    scales = {width: [round(f["scale"], 2) for f in formulas] for width, formulas in seen.items()}
    assert scales[1280][0] == scales[420][0] == 1
    assert 0.7 < scales[420][1] < 1 and 0.7 < scales[768][3] < 1 and scales[360][4] == 0.7
    for width in (420, 768, 1280, 360):                         # and the same on the way back
        assert [round(f["scale"], 2) for f in fitted(page, width)] == scales[width]
    page.close()


def test_a_wide_formula_scrolls_by_keyboard(window, served_book):
    page = window.new_page()
    page.goto(urljoin(served_book, "book/reference/formulas.html"))
    page.evaluate("async () => await MathJax.startup.promise")
    fitted(page, 360)
    formula = page.locator("mjx-container[tabindex='0']").last
    formula.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("formula => formula.scrollLeft > 0", arg=formula.element_handle())
    page.close()
