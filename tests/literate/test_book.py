"""The book as it is built, and as a reader's browser shows it."""

import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import numpy as np
import pytest

import chromium
import print_pdf
from chapters import read_book
from lowrank import optimal_msign_schedule, soft_topk, truncated_svd

ROOT = Path(__file__).resolve().parents[2]
BOOK = read_book(ROOT)
CHAPTERS = [chapter.docname for chapter in BOOK.chapters]
PAGES = [*(page.removesuffix(".md") for page in BOOK.pages), *CHAPTERS]
WIDTHS = (360, 768, 1280)
CLAIMS = [(chapter, claim) for chapter in BOOK.chapters for claim in chapter.claims]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the browser's driver


def build(root, out):
    """Run `jupyter-book build` on a root, into another folder; return what it said."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", root, "--path-output", out, "-W", "--keep-going"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.fixture(scope="session")
def build_report(tmp_path_factory):
    """The finished build of the whole book, from the working folder with all that lies around in it."""
    out = tmp_path_factory.mktemp("book")
    report = build(ROOT, out)
    report.html = out / "_build" / "html"
    return report


@pytest.fixture(scope="session")
def built_book(build_report):
    """The folder of the built pages."""
    assert build_report.returncode == 0, build_report.stdout
    return build_report.html


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; nothing is downloaded for it."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements.txt)")
    if not (executable := chromium.find()):
        pytest.skip(chromium.MISSING)
    with chromium.started(executable) as browser:
        yield browser


# What the pages hold, without a browser


class PageReader(HTMLParser):
    """The ids of a page, and its links, images and scripts with what surrounds them."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.sources, self.images, self.badges = set(), [], [], [], {}
        self.descriptions = []
        self._badge = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        classes = (attributes.get("class") or "").split()
        if "cell-badge" in classes:
            self._badge = self.badges[attributes["id"]] = []
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
            if self._badge is not None:
                self._badge.append(attributes["href"])
        if tag == "meta" and attributes.get("name") == "description":
            self.descriptions.append(attributes["content"])
        if tag == "img":
            self.images.append(attributes)
        if "src" in attributes or tag == "link":
            self.sources.append(attributes.get("src") or attributes.get("href"))

    def handle_endtag(self, tag):
        if tag == "p":
            self._badge = None


@cache
def read_page(file):
    return PageReader(file.read_text(encoding="utf-8"))


def page_file(built_book, docname):
    return built_book / f"{docname}.html"


def missing_targets(file):
    """The links of a page to files or anchors of the book that are not there."""
    missing = []
    for link in read_page(file).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        found = target.is_file() and (not parts.fragment or unquote(parts.fragment) in read_page(target).ids)
        if not found:
            missing.append(link)
    return missing


def test_build_says_nothing_wrong(build_report):
    assert build_report.returncode == 0, build_report.stdout
    assert "WARNING" not in build_report.stdout


@pytest.fixture
def small_book(book):
    """A book of two chapters with the configuration and the extension of ours."""
    for path in ("_config.yml", "book/references.bib", "book/_literate", "book/_static"):
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copyfile
        copy(ROOT / path, book.root / path)
    return book


def test_claim_without_check_fails_the_build(small_book, tmp_path):
    small_book["svd"] = small_book["svd"][:-1]
    small_book.save()
    report = build(small_book.root, tmp_path / "out")
    assert report.returncode == 2
    assert "ERROR: book/low_rank/svd.ipynb, cell 4 (eckart-young), line 1:" in report.stdout
    assert "Traceback" not in report.stdout


def test_an_address_brings_the_buttons(small_book, built_book, tmp_path):
    address = "https://github.com/someone/lowrank"
    config = small_book.root / "_config.yml"
    config.write_text(config.read_text().replace('repository_url: ""', f"repository_url: {address}"))
    small_book.save()
    report = build(small_book.root, tmp_path / "out")
    html = tmp_path / "out" / "_build" / "html" / "book" / "low_rank" / "svd.html"
    assert html.is_file(), report.stdout
    links = PageReader(html.read_text()).links
    assert address in links
    assert any(link.startswith("https://mybinder.org/v2/gh/someone/lowrank/main") for link in links)
    ours = page_file(built_book, CHAPTERS[0]).read_text()
    assert "mybinder" not in ours and "repository-button" not in ours


def test_mathjax_is_local_and_small(built_book):
    files = list((built_book / "_static" / "mathjax").rglob("*.*"))
    assert sum(file.stat().st_size for file in files) < 2.2e6
    assert {"tex-chtml.js", "MathJax_Main-Regular.woff", "boldsymbol.js"} <= {file.name for file in files}


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_page_names_no_other_host_and_no_missing_target(built_book, page):
    file = page_file(built_book, page)
    foreign = [source for source in read_page(file).sources if source and urlsplit(source).netloc]
    assert not foreign
    assert not missing_targets(file)


@pytest.mark.parametrize("page", PAGES)
def test_images_are_described(built_book, page):
    for image in read_page(page_file(built_book, page)).images:
        alt = image.get("alt") or ""
        assert " " in alt.strip(), f"{image.get('src')} needs alt text, in words"
        assert not alt.endswith((".png", ".svg", ".jpg"))


def test_each_page_has_a_description_of_its_own(built_book):
    found = [read_page(page_file(built_book, page)).descriptions for page in [*PAGES, "index", "404"]]
    assert all(len(descriptions) == 1 for descriptions in found)
    assert len({text for (text,) in found}) == len(found)
    assert all(len(text.split()) > 5 and not set(text) & set("\\$") for (text,) in found)


def test_the_map_leads_to_every_chapter(built_book):
    map_of_chapters = page_file(built_book, PAGES[0]).read_text().split('<svg class="chapter-map"')[1].split("</svg>")[0]
    links = PageReader(map_of_chapters).links
    assert [urljoin(f"{PAGES[0]}.html", link) for link in links] == [f"{chapter}.html" for chapter in CHAPTERS]
    assert "builds on The pseudo-inverse" in map_of_chapters


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_exported_cells_lead_to_their_api_entries_and_back(built_book, chapter):
    page, api = page_file(built_book, chapter.docname), page_file(built_book, "book/reference/api")
    for item in chapter.public:
        badge = f"cell-{chapter.cells[item.cell - 1].id}"
        entry = f"lowrank.{chapter.module}.{item.name}"
        assert any(link.endswith(f"/api.html#{entry}") for link in read_page(page).badges[badge])
        assert entry in read_page(api).ids
        assert any(link.endswith(f"{page.name}#{badge}") for link in read_page(api).links)


def test_see_also_leads_to_other_chapters(built_book):
    api = page_file(built_book, "book/reference/api")
    entry = api.read_text().split('id="lowrank.svd.truncated_svd"')[1].split("See also")[1][:2000]
    assert {"#lowrank.pseudo_inverse.pinv", "#lowrank.conventions.estimate_error"} <= set(PageReader(entry).links)


@pytest.mark.parametrize("chapter, claim", CLAIMS, ids=lambda value: getattr(value, "label", None))
def test_claims_lead_to_their_checks_and_back(built_book, chapter, claim):
    page, ledger = page_file(built_book, chapter.docname), page_file(built_book, "book/reference/checks")
    assert claim.label in read_page(page).ids
    assert any(link.endswith(f"{page.name}#{claim.label}") for link in read_page(ledger).links)
    for cell in chapter.checks[claim.label]:
        badge = f"cell-{cell.id}"
        assert f"#{badge}" in read_page(page).links
        assert f"#{claim.label}" in read_page(page).badges[badge]
        assert any(link.endswith(f"{page.name}#{badge}") for link in read_page(ledger).links)


# What a browser makes of them


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
# Half of a page's elements are parts of its formulas, which MathJax makes all alike: axe-core sees ten of them.
FEWER_FORMULAS = """() => [...document.querySelectorAll("mjx-container")].slice(10)
    .forEach(formula => formula.replaceChildren("formula"))"""
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
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@cache
def accessibility_rules():
    """The source of axe-core, the rules for readers who do not see the page or use no mouse."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed (requirements.txt)")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def visit(browser, address):
    """Open a page; whatever it asks of another host is refused and noted."""
    record = Visit()
    context = browser.new_context(viewport={"width": WIDTHS[-1], "height": 900})
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
    page.evaluate(accessibility_rules())
    page.evaluate(FEWER_FORMULAS)
    for scheme, width, all_rules in (("light", WIDTHS[-1], False), ("dark", WIDTHS[0], True)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(SETTLED, arg=scheme)
        record.barriers += [f"{scheme}, {width} px, {fault}" for fault in page.evaluate(JUDGE, all_rules)]
    context.close()
    return record


@pytest.fixture(scope="module")
def served_book(built_book):
    """The address of a small server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def send_error(self, code, *_):                      # as the hosts of static pages do
            self.send_response(code)
            self.end_headers()
            self.wfile.write((built_book / "404.html").read_bytes())

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built_book)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def assert_reads_well(record):
    assert not record.errors, "errors in the console"
    assert not record.foreign, "requests to other hosts"
    assert not record.failed, "requests that failed"
    assert not record.facts["raw"], "TeX that was not typeset"
    assert not record.facts["wrong"], "formulas that MathJax does not understand"
    assert record.facts["typeset"] == record.facts["marked"]
    assert not record.barriers, "critical or serious for axe-core"
    assert {width: record.facts[width] for width in WIDTHS} == dict.fromkeys(WIDTHS, 0), "px wider than the window"


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_page_in_a_browser(browser, served_book, page):
    record = visit(browser, urljoin(served_book, f"{page}.html"))
    assert_reads_well(record)
    assert record.facts["typeset"] > 0 or page not in CHAPTERS


@pytest.mark.parametrize("page", [PAGES[0], *CHAPTERS[:1]])
def test_page_opened_from_disk(browser, built_book, page):
    assert_reads_well(visit(browser, page_file(built_book, page).as_uri()))


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


# Figures with a slider, opened from disk: they need no server


@dataclass
class Slider:
    """An interactive figure of an open page."""

    page: object
    figure: object
    errors: list

    def press(self, *keys, control="[type=range]"):
        """Press keys on a control; return what the figure says then."""
        for key in keys:
            self.figure.locator(control).press(key)
        return self.says()

    def says(self):
        return self.figure.locator("output").inner_text()

    def numbers(self, selector, *names):
        """Attributes of each element of the drawing."""
        read = "(found, names) => found.map(element => names.map(name => parseFloat(element.getAttribute(name))))"
        return np.array(self.figure.locator(selector).evaluate_all(read, list(names)))


@pytest.fixture
def slider(browser, built_book):
    """Opens the page with an interactive figure."""
    page, errors = browser.new_page(), []
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_figure(docname):
        page.goto(page_file(built_book, docname).as_uri())
        return Slider(page, page.locator("figure.interactive"), errors)

    yield open_figure
    assert not errors
    page.close()


def shown_number(words):
    """The last number in words, such as 4.81 · 10⁻¹⁰."""
    digits = words.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(re.search(r"[\d.]+( · 10-\d+)?$", digits)[0].replace(" · 10", "e"))


def test_rank_slider(slider):
    from matplotlib.cbook import get_sample_data
    from matplotlib.pyplot import imread

    with get_sample_data("grace_hopper.jpg") as file:
        picture = imread(file).mean(axis=2).reshape(300, 2, 256, 2).mean(axis=(1, 3))
    figure = slider("book/low_rank/svd")
    seen = [figure.press("Home"), *(figure.press("ArrowRight") for _ in range(14)), figure.press("End")]
    for rank, words in zip((*range(1, 16), 100), seen):
        approx = truncated_svd(picture, rank)
        error = np.linalg.norm(picture - approx.reconstruct()) / np.linalg.norm(picture)
        numbers = sum(part.size for part in approx) / picture.size
        assert words == f"Rank {rank}: {numbers:.1%} of the numbers, relative error {error:.3f}"
    assert sorted(map(shown_number, seen), reverse=True) == [*map(shown_number, seen)]
    grey = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 256, 300).data].filter((_, i) => i % 4 === 0)"
    drawn = np.reshape(figure.figure.locator("canvas").evaluate(grey), (300, 256))
    assert np.abs(drawn - approx.reconstruct().clip(0, 255)).mean() < 1
    assert figure.press("ArrowLeft").startswith("Rank 99:")


def test_products_slider(slider):
    figure = slider("book/matrix_sign/polar_express")
    path = "found => found.map(element => element.getAttribute('d').match(/[\\d.]+/g).map(Number))"
    for degree, cost in ((5, 3), (7, 4), (9, 4), (3, 2)):
        errors = []
        for products in range(4, 25):
            words = figure.press("Home" if products == 4 else "ArrowRight")
            steps = products // cost
            count = "1 step" if steps == 1 else f"{steps} steps"
            assert words.startswith(f"{products} matrix products: {count} of degree {degree}, error ")
            errors.append(shown_number(words))
            assert errors[-1] == pytest.approx(optimal_msign_schedule(steps, degree).errors[-1], rel=5e-3)
        assert sorted(errors, reverse=True) == errors
        figure.press("Home", *["ArrowRight"] * (2 * cost - 4))      # two steps, few enough turns to be hit by points
        heights = np.array(figure.figure.locator(".composed").evaluate_all(path)[0][1::2])
        below, above = (band[1] for band in figure.figure.locator(".band").evaluate_all(path))
        assert [heights.max(), heights.min()] == pytest.approx([below, above], abs=0.5)
        figure.press("ArrowRight", control=":checked")              # the next degree, and after the last the first


def test_temperature_slider(slider):
    scores = [2.4, 2.0, 1.6, 1.3, 1.0, 0.8, 0.5, 0.3, 0.1, 0.0]
    figure = slider("book/smooth_topk/topk")
    for method in ("laplace", "sigmoid", "sparse"):
        outside = []
        for number, temperature in enumerate(np.geomspace(0.01, 10, 61)):
            words = figure.press("Home" if number == 0 else "ArrowRight")
            p = soft_topk(scores, 3, temperature=temperature, method=method)
            outside.append(p[3:].sum())
            sums = f"the weights add up to 3.000, of which {outside[-1]:.3f} outside the three largest"
            assert words == f"T = {temperature:#.3g}: {sums}"
            heights = figure.numbers(".bar", "height")[:, 0]
            assert heights == pytest.approx(p * figure.numbers(".hard", "height")[0], abs=0.1)
        assert sorted(outside) == outside and outside[0] < 1e-3
        figure.press("ArrowRight", control=":checked")


def test_interactive_figures_stand_still_on_paper_and_without_javascript(browser, built_book):
    for javascript in (True, False):
        context = browser.new_context(java_script_enabled=javascript)
        page = context.new_page()
        page.goto(page_file(built_book, "book/low_rank/svd").as_uri())
        page.emulate_media(media="print" if javascript else "screen")
        figure = page.locator("figure.interactive")
        assert figure.locator("canvas" if javascript else "img").is_visible()
        assert figure.locator("output").inner_text().startswith("Rank 20: ")
        assert not figure.locator("input").is_visible()
        context.close()


# The book on paper


def test_pages_are_printed_and_joined(browser, built_book, tmp_path):
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed (requirements.txt)")
    parts = [(None, ["book/index"]), ("Reference", ["book/notation"])]
    print_pdf.print_book(browser, built_book, parts, "lowrank", "its authors").write(tmp_path / "book.pdf")
    pdf = pypdf.PdfReader(tmp_path / "book.pdf")
    assert (pdf.metadata.title, pdf.metadata.author) == ("lowrank", "its authors")
    front, _, part, (notation, sections) = pdf.outline
    assert [front.title, part.title, notation.title] == ["lowrank", "Reference", "Notation"]
    start = pdf.get_destination_page_number(notation)
    assert 1 <= start < len(pdf.pages) and len(sections) > 1
    text = pdf.pages[start].extract_text()
    assert "ran A" in text and "⟨X, Y ⟩" in text                    # formulas are letters, not pictures
    assert str(start + 1) in text.split()                           # the number of the sheet in the whole
    links = [link.get_object() for sheet in pdf.pages for link in sheet.get("/Annots", ())]
    inside = [link["/Dest"][0].indirect_reference for link in links if "/Dest" in link]
    assert pdf.pages[start].indirect_reference in inside
    assert not any("file:" in str(link) for link in links)
