"""The files of the built book: links, images, descriptions, and the way from claims and functions to checks and back."""

import re
from html import unescape
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from _literate.source.toc import FOUNDATIONS
from tests.literate.built import BOOK, CHAPTERS, MODULES, PAGES, PageReader, page_file, read_page

CLAIMS = [(chapter, claim) for chapter in BOOK.chapters for claim in chapter.claims]


def api_file(built_book, chapter):
    """The page that documents a module; the index where it offers nothing."""
    return page_file(built_book, f"book/reference/api/{chapter.module}" if chapter.public else "book/reference/api")


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


def test_without_an_address_there_are_no_buttons(built_book):
    page = page_file(built_book, CHAPTERS[0]).read_text()
    assert "mybinder" not in page and "repository-button" not in page


def test_mathjax_is_local_and_small(built_book):
    files = list((built_book / "_static" / "mathjax").rglob("*.*"))
    assert sum(file.stat().st_size for file in files) < 2.2e6
    assert {"tex-chtml.js", "MathJax_Main-Regular.woff", "boldsymbol.js"} <= {file.name for file in files}


@pytest.mark.parametrize("page", [*PAGES, *MODULES, "search"])
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
    found = [read_page(page_file(built_book, page)).descriptions for page in [*PAGES, *MODULES, "index", "404"]]
    assert all(len(descriptions) == 1 for descriptions in found)
    assert len({text for (text,) in found}) == len(found)
    assert all(len(text.split()) > 5 and not set(text) & set("\\$") for (text,) in found)


def test_the_map_leads_to_every_chapter_but_the_foundations(built_book):
    map_of_chapters = page_file(built_book, PAGES[0]).read_text().split('<svg class="chapter-map"')[1].split("</svg>")[0]
    links = PageReader(map_of_chapters).links
    shown = [chapter for chapter in CHAPTERS if not chapter.startswith(FOUNDATIONS)]
    assert [urljoin(f"{PAGES[0]}.html", link) for link in links] == [f"{chapter}.html" for chapter in shown]
    assert "builds on The pseudo-inverse" in map_of_chapters


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_exported_cells_lead_to_their_api_entries_and_back(built_book, chapter):
    page, api = page_file(built_book, chapter.docname), api_file(built_book, chapter)
    for item in chapter.public:
        badge = f"cell-{chapter.cells[item.cell - 1].id}"
        entry = f"lowrank.{chapter.module}.{item.name}"
        assert any(link.endswith(f"/api/{chapter.module}.html#{entry}") for link in read_page(page).badges[badge])
        assert entry in read_page(api).ids
        assert any(link.endswith(f"{page.name}#{badge}") for link in read_page(api).links)


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_exported_cells_lead_to_their_code_and_back(built_book, chapter):
    page, api = page_file(built_book, chapter.docname), api_file(built_book, chapter)
    module = page_file(built_book, f"lowrank/{chapter.module}")
    assert f"../../lowrank/{module.name}" in read_page(page).links
    for number in {item.cell for item in chapter.definitions}:
        badge = f"cell-{chapter.cells[number - 1].id}"
        assert f"../../lowrank/{module.name}#{badge}" in read_page(page).badges[badge]
        assert badge in read_page(module).ids
        assert f"../{chapter.docname}.html#{badge}" in read_page(module).links
    for item in chapter.public:
        code = f"lowrank/{module.name}#cell-{chapter.cells[item.cell - 1].id}"
        assert any(link.endswith(code) for link in read_page(api).links)
        assert f"../book/reference/api/{chapter.module}.html#lowrank.{chapter.module}.{item.name}" in read_page(module).links


@pytest.mark.parametrize("page", PAGES)
def test_the_source_of_each_page_can_be_viewed(built_book, page):
    file = page_file(built_book, page)
    (source,) = (link for link, classes in read_page(file).buttons if "btn-view-source-button" in classes)
    shown = (file.parent / source).resolve().relative_to(built_book.resolve())
    chapter = next((chapter for chapter in BOOK.chapters if chapter.docname == page), None)
    assert str(shown) == (f"lowrank/{chapter.module}.html" if chapter else f"_sources/{page}.md")


def test_see_also_leads_to_other_chapters(built_book):
    api = page_file(built_book, "book/reference/api/svd")
    entry = api.read_text().split('id="lowrank.svd.truncated_svd"')[1].split("See also")[1][:2000]
    expected = {"pseudo_inverse.html#lowrank.pseudo_inverse.pinv", "error_estimates.html#lowrank.error_estimates.estimate_error"}
    assert expected <= set(PageReader(entry).links)


def test_attributes_keep_the_underscore_at_their_end(built_book):
    api = page_file(built_book, "book/reference/api/estimators").read_text()
    assert "<strong>singular_values_</strong>" in api and "<strong>n_features_in_</strong>" in api


def test_the_index_of_the_package_lists_every_function(built_book):
    links = set(read_page(page_file(built_book, "book/reference/api")).links)
    for chapter in BOOK.chapters:
        for item in chapter.public:
            assert f"api/{chapter.module}.html#lowrank.{chapter.module}.{item.name}" in links


# What is folded

INPUT = r'<div class="cell_input[^"]*">\s*<div class="highlight-[^"]*"><div class="highlight"><pre>(.*?)</pre>'
CODE = re.compile(INPUT, re.DOTALL)
SUMMARY = re.compile(r"<summary>.*?</summary>", re.DOTALL)


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_folded_code_is_there_whole(built_book, chapter):
    """What is copied from the page, without the lines that fold it, is the code of the cells."""
    html = page_file(built_book, chapter.docname).read_text()
    shown = [unescape(re.sub(r"<[^>]*>", "", SUMMARY.sub("", code))).strip("\n") for code in CODE.findall(html)]
    cells = [cell for cell in chapter.cells if cell.kind == "code" and cell.source.strip()]
    hidden = {"remove-input", "remove-cell"}
    assert shown == [cell.source.strip("\n") for cell in cells if hidden.isdisjoint(cell.tags)]
    open_cells = [cell for cell in cells if not cell.folded]
    assert html.count('<details class="doc-fold">') == sum(len(cell.docstrings) for cell in open_cells)
    folded = re.findall(r'<details class="[^"]*\bhide\b[^"]*above-input[^"]*">.*?<p class="collapsed[^>]*>(.*?)</p>', html, re.S)
    assert len(folded) == len([cell for cell in cells if cell.folded])
    assert all(re.match(r"Imports: |\d+ tests? with \d+ assertions?|Code|The code of this figure", text) for text in folded)


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
