"""Print the built book as one PDF: each page of _toc.yml by Chromium, joined in their order.

    python book/_literate print

It gets bookmarks for parts, pages and sections, numbers that count all pages, and links that stay inside it. How a
page looks on paper is said in lowrank.css.
"""

import sys
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from urllib.parse import unquote, urldefrag

import yaml

from ..source.model import ROOT
from ..source.toc import read_toc
from . import chromium

HTML, PDF = ROOT / "_build" / "html", ROOT / "_build" / "lowrank.pdf"
WIDTH = 673  # px between the margins of a sheet, as lowrank.css sets them: formulas are fitted to it before printing

# A PDF of Chromium has a destination for each anchor that its own page links to, so every anchor gets such a link.
PREPARE = """async (pagesBefore) => {
    if (window.MathJax) await MathJax.startup.promise;
    await Promise.all([...document.images].map(image => { image.loading = "eager"; return image.decode(); }));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));  // formulas are fitted
    const main = document.querySelector("main");
    const name = (heading) => {
        const copy = heading.cloneNode(true);
        copy.querySelectorAll(".headerlink").forEach(link => link.remove());
        copy.querySelectorAll("msup > :last-child").forEach(power => power.prepend("^"));
        return copy.textContent.trim();
    };
    const headings = [...main.querySelectorAll("article section > :is(h1, h2)")];
    const links = [...main.querySelectorAll("[id]")].map(({id}) => `<a hidden href="#${encodeURIComponent(id)}"></a>`);
    document.body.insertAdjacentHTML("beforeend", links.join(""));
    document.documentElement.style.counterReset = `page ${pagesBefore}`;
    return headings.map(heading => ({name: name(heading), anchor: heading.parentElement.id}));
}"""


@dataclass
class Sheets:
    """A printed page of the book."""

    address: str
    first: int  # its first sheet in the whole, from 0
    reader: object
    headings: list

    @cached_property
    def places(self):
        """Anchor -> its sheet and its height there."""
        numbers = {page.indirect_reference.idnum: number for number, page in enumerate(self.reader.pages, self.first)}
        found = self.reader.named_destinations.items()
        return {name.removeprefix("/"): (numbers[place.page.idnum], float(place.top)) for name, place in found}

    def place(self, anchor):
        """That of an anchor; the beginning if there is none."""
        return self.places.get(anchor, (self.first, None))


def print_book(browser, html, parts, title, author):
    """Return a PdfWriter with the pages of all parts, which are pairs of a caption, or None, and names of pages."""
    from pypdf import PdfWriter

    writer, printed = PdfWriter(), {}
    tab = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
    tab.emulate_media(media="print")
    for caption, names in parts:
        part = None
        for name in names:
            sheets = print_page(tab, (html / f"{name}.html").as_uri(), len(writer.pages))
            printed[sheets.address] = sheets
            writer.append(sheets.reader, import_outline=False)
            if caption and not part:
                part = writer.add_outline_item(title=caption, page_number=sheets.first, fit=fit(None))
            add_bookmarks(writer, sheets, part)
    tab.close()
    for sheets in printed.values():
        add_links(writer, sheets, printed)
    writer.add_metadata({"/Title": title, "/Author": author})
    writer.compress_identical_objects()
    return writer


def print_page(tab, address, pages_before):
    """Print one page of the built book."""
    from pypdf import PdfReader

    tab.goto(address)
    headings = tab.evaluate(PREPARE, pages_before)
    pdf = tab.pdf(prefer_css_page_size=True, print_background=True)
    return Sheets(address, pages_before, PdfReader(BytesIO(pdf)), headings)


def add_bookmarks(writer, sheets, part):
    """One for the page, and below it one for each section."""
    parent = part
    for number, heading in enumerate(sheets.headings):
        sheet, top = sheets.place(heading["anchor"])
        item = writer.add_outline_item(
            title=heading["name"], page_number=sheet, parent=parent, fit=fit(top), is_open=False
        )
        if number == 0:
            parent = item


def add_links(writer, sheets, printed):
    """Make links between the pages of the book internal ones, and leave out those to other files of this machine."""
    from pypdf.annotations import Link
    from pypdf.generic import NameObject

    for number, page in enumerate(sheets.reader.pages, sheets.first):
        writer.pages[number].pop(NameObject("/Annots"), None)
        for rect, target in targets(page, sheets.address):
            address, anchor = urldefrag(target)
            if address in printed:
                sheet, top = printed[address].place(unquote(anchor))
                link = Link(rect=rect, target_page_index=sheet, fit=fit(top))
            elif address.startswith(("https:", "http:", "mailto:")):
                link = Link(rect=rect, url=target)
            else:
                continue
            writer.add_annotation(page_number=number, annotation=link)


def targets(page, address):
    """The rectangle and the address of each link on a sheet."""
    for annotation in page.get("/Annots", ()):
        link = annotation.get_object()
        if "/Dest" in link:
            yield link["/Rect"], f"{address}#{link['/Dest'].removeprefix('/')}"
        elif "/URI" in link.get("/A", ()):
            yield link["/Rect"], link["/A"]["/URI"]


def fit(top):
    """The view of a destination: at its height, in the zoom that the reader has."""
    from pypdf.generic import Fit

    return Fit.xyz(top=top)


def main(arguments):
    executable = chromium.find()
    if executable is None:
        sys.exit(f"lowrank: {chromium.MISSING}")
    if not HTML.is_dir():
        sys.exit(f"lowrank: there is no {HTML}: run make book first")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    parts = [(caption, [file.rsplit(".", 1)[0] for file in files]) for caption, files in read_toc(ROOT).parts]
    with chromium.started(executable) as browser:
        writer = print_book(browser, HTML, parts, config["title"], config["author"])
    writer.write(PDF)
    print(f"The book is printed: {PDF} ({len(writer.pages)} pages, {PDF.stat().st_size / 1e6:.1f} MB)")
