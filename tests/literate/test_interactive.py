"""What moves in the built book, and what stands still: the figures with a slider, and the book on paper."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from _literate.commands import print_pdf
from lowrank import optimal_msign_schedule, soft_topk, truncated_svd
from tests.literate.built import BOOK, ROOT, page_file

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the browser's driver


# Figures with a slider, opened from disk: they need no server


MOVE = """(figure, [places, drawn, attribute]) => places.map((place) => {
    const slider = figure.querySelector("[type=range]");
    slider.value = place;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    return [figure.querySelector("output").innerText,
            [...figure.querySelectorAll(drawn)].map((element) => element.getAttribute(attribute))];
})"""


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

    def move_to(self, *places, drawn="output", attribute="id"):
        """Move the slider to each place at once, as a mouse would; what the figure says, and its drawing, each time."""
        return self.figure.evaluate(MOVE, [places, drawn, attribute])

    def says(self):
        return self.figure.locator("output").inner_text()

    def numbers(self, selector, *names):
        """Attributes of each element of the drawing."""
        read = "(found, names) => found.map(element => names.map(name => parseFloat(element.getAttribute(name))))"
        return np.array(self.figure.locator(selector).evaluate_all(read, list(names)))


def leave_formulas(page):
    """As they are written: to typeset and lay out those of a chapter takes longer than all that is done to its figure."""
    page.route("**/tex-chtml.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))


@pytest.fixture
def slider(window, built_book):
    """Opens the page with an interactive figure."""
    page, errors = window.new_page(), []
    leave_formulas(page)
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
        assert [figure.press("Home"), figure.press("End")] == [words for words, _ in figure.move_to(4, 24)]
        for products, (words, _) in enumerate(figure.move_to(*range(4, 25)), 4):
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
        assert figure.press("Home") != figure.press("ArrowRight")
        ((_, hard),) = figure.move_to(0, drawn=".hard", attribute="height")
        seen = figure.move_to(*range(61), drawn=".bar", attribute="height")
        for temperature, (words, heights) in zip(np.geomspace(0.01, 10, 61), seen):
            p = soft_topk(scores, 3, temperature=temperature, method=method)
            outside.append(p[3:].sum())
            sums = f"the weights add up to 3.000, of which {outside[-1]:.3f} outside the three largest"
            assert words == f"T = {temperature:#.3g}: {sums}"
            assert [*map(float, heights)] == pytest.approx(p * float(hard[0]), abs=0.1)
        assert sorted(outside) == outside and outside[0] < 1e-3
        figure.press("ArrowRight", control=":checked")


def test_interactive_figures_stand_still_on_paper_and_without_javascript(browser, built_book):
    for javascript in (True, False):
        context = browser.new_context(java_script_enabled=javascript)
        page = context.new_page()
        leave_formulas(page)
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
    text = pdf.pages[start].extract_text().split()
    assert "A matrix has m rows and n columns;" in " ".join(text)   # formulas are letters, in their places
    assert str(start + 1) in text                                   # the number of the sheet in the whole
    links = [link.get_object() for sheet in pdf.pages for link in sheet.get("/Annots", ())]
    inside = [link["/Dest"][0].indirect_reference for link in links if "/Dest" in link]
    assert pdf.pages[start].indirect_reference in inside
    assert not any("file:" in str(link) for link in links)


def test_a_figure_is_two_files_and_stands_on_a_page():
    folder = ROOT / "book" / "_figures"
    drawn, moved = ({file.stem for file in folder.glob(pattern)} for pattern in ("*.py", "*.js"))
    used = {found for chapter in BOOK.chapters for cell in chapter.cells
            for found in re.findall(r"```\{literate-figure\} (\w+)", cell.source)}  # fmt: skip
    assert drawn == moved == used
