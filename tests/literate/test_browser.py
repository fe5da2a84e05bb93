"""The built book as a reader's browser shows it: every page, the search, wrong addresses, formulas on small screens."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.literate.built import CHAPTERS, MODULES, PAGES, page_file

WIDTHS = (1280, 768, 360)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the browser's driver


@dataclass
class Visit:
    """What happened while a page was opened, and what it looked like afterwards."""

    errors: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    barriers: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)


LOOK = """async () => {
    const WRONG = "mjx-merror, mjx-container [style*='color: red']";  // an unknown macro is set in red
    if (window.MathJax) await MathJax.startup.promise;
    const prose = document.querySelector("main").cloneNode(true);
    prose.querySelectorAll("pre, code, script, mjx-container").forEach(element => element.remove());
    return {
        marked: document.querySelectorAll("main .math").length,
        typeset: document.querySelectorAll("main .math > mjx-container").length,
        wrong: [...document.querySelectorAll(WRONG)].map(formula => formula.textContent),
        raw: prose.textContent.split("\\n").filter(line => /\\\\[()\\[\\]]|\\$\\$/.test(line)),
    };
}"""
# Most elements of a page are parts of formulas and of coloured code, which are all alike: axe-core sees ten of each.
FEWER_PARTS = """() => {
    for (const element of [...document.querySelectorAll("mjx-container")].slice(10)) element.replaceChildren("formula");
    for (const element of [...document.querySelectorAll("pre")].slice(10)) element.replaceChildren(element.textContent);
    window.dispatchEvent(new Event("resize"));                          // what scrolls may be another box now
}"""
# It is asked for colours at one element of each look, in light and in dark; for all else once, of every element.
JUDGE = """async (allRules) => {
    const COLOURS = ["color-contrast", "link-in-text-block"];
    const looks = new Map();
    const style = (element) => getComputedStyle(element);
    const ground = (element) => !element ? "" : style(element).backgroundColor + " " + ground(element.parentElement);
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
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@cache
def accessibility_rules():
    """The source of axe-core, the rules for readers who do not see the page or use no mouse."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed (requirements.txt)")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def visit(browser, address):
    """Open a page; whatever it asks of another host is refused and noted."""
    record = Visit()
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900})
    page = context.new_page()

    def pass_or_refuse(route):
        if urlsplit(route.request.url).netloc == urlsplit(address).netloc:
            return route.continue_()
        record.foreign.append(route.request.url)
        return route.abort()

    context.route("**/*", pass_or_refuse)
    page.on("console", lambda message: message.type == "error" and record.errors.append(message.text))
    page.on("pageerror", lambda error: record.errors.append(str(error)))
    page.on("requestfailed", lambda request: record.failed.append(request.url))
    page.on("response", lambda response: response.status >= 400 and record.failed.append(response.url))
    page.goto(address)
    page.wait_for_function("() => !window.MathJax || (MathJax.startup && MathJax.startup.promise)")
    record.facts = page.evaluate(LOOK)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        record.facts[width] = page.evaluate(OVERFLOW)
    record.facts["clipped"] = page.evaluate(CLIPPED)
    page.evaluate(accessibility_rules())
    page.evaluate(FEWER_PARTS)
    for scheme, width, all_rules in (("dark", WIDTHS[-1], True), ("light", WIDTHS[0], False)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(SETTLED, arg=scheme)
        record.barriers += [f"{scheme}, {width} px, {fault}" for fault in page.evaluate(JUDGE, all_rules)]
    context.close()
    return record


def assert_reads_well(record):
    assert not record.errors, "errors in the console"
    assert not record.foreign, "requests to other hosts"
    assert not record.failed, "requests that failed"
    assert not record.facts["raw"], "TeX that was not typeset"
    assert not record.facts["wrong"], "formulas that MathJax does not understand"
    assert record.facts["typeset"] == record.facts["marked"]
    assert not record.facts["clipped"], "formulas in the text that leave the screen of a phone"
    assert not record.barriers, "critical or serious for axe-core"
    assert {width: record.facts[width] for width in WIDTHS} == dict.fromkeys(WIDTHS, 0), "px wider than the window"


@pytest.mark.parametrize("page", [*PAGES, MODULES[0], "search"])
def test_page_in_a_browser(browser, served_book, page):
    record = visit(browser, urljoin(served_book, f"{page}.html"))
    assert_reads_well(record)
    assert record.facts["typeset"] > 0 or page not in CHAPTERS


def test_the_front_page_is_light(browser, served_book):
    page = browser.new_page()
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(urljoin(served_book, f"{PAGES[0]}.html"))
    assert sum(len(answer.body()) for answer in answers if "/mathjax/" not in answer.url) < 400e3
    page.close()


@pytest.mark.parametrize("page", [PAGES[0], *CHAPTERS[:1]])
def test_page_opened_from_disk(browser, built_book, page):
    assert_reads_well(visit(browser, page_file(built_book, page).as_uri()))


def test_from_a_theorem_to_its_check_the_code_the_entry_and_back(browser, served_book):
    page = browser.new_page()
    chapter, claim = "book/low_rank/svd", "eckart-young-mirsky"

    def click(selector, expected):
        page.locator(selector).first.click(timeout=5000)
        page.wait_for_url(f"**/{expected}*")
        arrived = page.evaluate("document.querySelector(':target') !== null")
        assert arrived, page.url

    page.goto(urljoin(served_book, f"{chapter}.html"))
    click(f"#{claim} .claim-check a", f"{chapter}.html#cell-")                          # the theorem's check
    click(f".cell-badge:target a[href='#{claim}']", f"{chapter}.html#{claim}")          # and back
    click(".cell-badge a[href*='api.html#lowrank.svd.truncated_svd']", "book/reference/api.html#lowrank.svd")
    click("dl:has(> dt:target) .derived-in a[href*='lowrank/svd.html#']", "lowrank/svd.html#cell-")
    click("a:target", f"{chapter}.html#cell-")                                          # from the code to its cell
    click(".cell-badge:target a[href*='lowrank/svd.html#']", "lowrank/svd.html#cell-")
    click("a[href*='api.html#lowrank.svd.truncated_svd']", "book/reference/api.html#lowrank.svd")
    click("dl:has(> dt:target) .derived-in a", f"{chapter}.html#cell-")                 # the section that derives it
    page.close()


def test_bare_address_leads_to_the_front_page(browser, served_book):
    page = browser.new_page()
    page.goto(served_book)
    page.wait_for_url(f"**/{PAGES[0]}.html")
    page.close()


def test_wrong_address_leads_back(browser, served_book):
    page = browser.new_page()
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
    "random range finder": "book/low_rank/sketching",
    "column row sampling": "book/low_rank/column_row",
    "Kahan matrix": "book/low_rank/interpolative",
    "leverage scores": "book/low_rank/skeleton",
    "kernel matrix": "book/low_rank/psd",
    "Chebyshev alternation": "book/matrix_sign/equioscillation",
    "optimal schedule": "book/matrix_sign/polar_express",
    "clip singular values": "book/matrix_sign/clipping",
    "nuclear norm gradient": "book/matrix_sign/norms",
    "sparsemax": "book/smooth_topk/simplex_maps",
    "soft_topk": "book/reference/api",
}
RESULTS = "() => [...document.querySelectorAll('#search-results ul.search > li > a')].map(link => link.href)"


@pytest.mark.parametrize("from_disk", [False, True])
def test_search_finds_the_page(browser, served_book, built_book, from_disk):
    root = f"{built_book.as_uri()}/" if from_disk else served_book
    page = browser.new_page()
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


def test_formulas_fit_or_scroll_at_every_width(browser, served_book):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(urljoin(served_book, "book/reference/formulas.html"))
    page.evaluate("async () => await MathJax.startup.promise")
    seen = {width: fitted(page, width) for width in (1280, 768, 500, 360)}
    assert all(len(formulas) == 5 and sum(f["numbered"] for f in formulas) == 3 for formulas in seen.values())
    for width, formulas in seen.items():
        for formula in formulas:
            scrolls = formula["width"] > formula["room"]
            assert 0.7 - 1e-3 <= formula["scale"] <= 1.001, (width, formula)
            assert scrolls == formula["focusable"], (width, formula)
            assert not scrolls or formula["scale"] == pytest.approx(0.7, abs=1e-3), (width, formula)
    scales = {width: [round(f["scale"], 2) for f in formulas] for width, formulas in seen.items()}
    assert scales[1280][0] == scales[500][0] == 1
    assert 0.7 < scales[500][1] < 1 and 0.7 < scales[768][3] < 1 and scales[360][4] == 0.7
    for width in (500, 768, 1280, 360):                         # and the same on the way back
        assert [round(f["scale"], 2) for f in fitted(page, width)] == scales[width]
    page.close()


def test_a_wide_formula_scrolls_by_keyboard(browser, served_book):
    page = browser.new_page(viewport={"width": 360, "height": 900})
    page.goto(urljoin(served_book, "book/reference/formulas.html"))
    page.evaluate("async () => await MathJax.startup.promise")
    fitted(page, 360)
    formula = page.locator("mjx-container[tabindex='0']").last
    formula.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("formula => formula.scrollLeft > 0", arg=formula.element_handle())
    page.close()
