"""Figures with a slider: drawn here when the book is built, moved by interactive.js in the reader's browser.

    ```{literate-figure} ranks
    :name: fig-svd-ranks

    Caption.
    ```

Each figure is a function below. It computes with `lowrank`, so it cannot be out of date, and returns what the page
holds: the first state, which stands without JavaScript too; the controls; and the data of all states. Every number
that is put into words is worded here, for all states, so the script computes none.
"""

from base64 import b64encode
from html import escape
from io import BytesIO
import json
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
import numpy as np
from sphinx.util.docutils import SphinxDirective

WIDTH, HEIGHT = 320, 240  # of a chart: about as many pixels on a phone, so that letters keep their size
LEFT, RIGHT, TOP, BOTTOM = 50, 308, 10, 198  # the frame in it


class Drawn(NamedTuple):
    panels: list[str]
    controls: list[str]  # `{id}` in them stands for the name of the figure
    says: str  # the first state in words
    data: dict  # for the script
    modules: tuple[str, ...]  # of `lowrank`, whose changes make the page out of date


# Charts: SVG in the theme's colours


class Axis(NamedTuple):
    """From values to positions; the script has the same."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, values):
        low, high, values = (np.log(v) if self.log else np.asarray(v) for v in (self.low, self.high, values))
        return self.start + (self.end - self.start) * (values - low) / (high - low)


def across(low, high, log=False):
    return Axis(low, high, LEFT, RIGHT, log)


def up(low, high, log=False):
    return Axis(low, high, BOTTOM, TOP, log)


def chart(label, *parts):
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def frame(x, y, x_ticks, y_ticks, x_label, y_label):
    """Grid lines, and what is written below and beside them; ticks are pairs of a value and its text."""
    parts = [f'<path class="grid" d="M{LEFT},{y(value):.1f}H{RIGHT}"/>' for value, _ in y_ticks]
    parts += [text(x(value), BOTTOM + 15, name, "middle") for value, name in x_ticks]
    parts += [text(LEFT - 6, y(value) + 4, name, "end") for value, name in y_ticks]
    parts.append(text((LEFT + RIGHT) / 2, HEIGHT - 7, x_label, "middle"))
    upright = f"translate(11,{(TOP + BOTTOM) / 2}) rotate(-90)"
    return "".join([*parts, f'<text transform="{upright}" text-anchor="middle">{y_label}</text>'])


def text(x, y, words, anchor, kind=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def curve(kind, x, y):
    """A path through points."""
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    return f'<path class="{kind}" d="M{points}"/>'


def powers(*exponents):
    """Ticks at powers of ten."""
    return [(10.0**n, power(n) if n not in (0, 1) else 10**n) for n in exponents]


def slider(name, label, low, high, value):
    return (
        f'<p><label for="{{id}}-{name}">{label}</label><input type="range" id="{{id}}-{name}" name="{name}" '
        f'min="{low}" max="{high}" value="{value}" autocomplete="off"></p>'
    )


def choice(name, label, values, chosen):
    """Radio buttons."""
    buttons = "".join(
        f'<label><input type="radio" name="{{id}}-{name}" value="{value}" autocomplete="off"'
        f'{" checked" if value == chosen else ""}>{value}</label>'
        for value in values
    )
    return f"<fieldset><legend>{label}</legend>{buttons}</fieldset>"


# The figures


def ranks(first=20, most=100):
    """Grace Hopper's portrait as a sum of outer products, which the browser adds up from vectors of 8 bits.

    Their rounding moves the picture by half a grey value in the mean; the errors in words are those of `truncated_svd`.
    """
    from matplotlib.cbook import get_sample_data
    from matplotlib.pyplot import imread

    from lowrank.svd import truncated_svd

    with get_sample_data("grace_hopper.jpg") as file:
        picture = imread(file).mean(axis=2).reshape(300, 2, 256, 2).mean(axis=(1, 3))
    U, s, Vh = truncated_svd(picture, min(picture.shape))
    tails = np.sqrt(np.cumsum(s[::-1] ** 2))[::-1] / np.linalg.norm(s)
    left, right = np.abs(U).max(axis=0) / 127, np.abs(Vh).max(axis=1) / 127
    x, y = across(1, 256, log=True), up(4e-4, 1, log=True)
    rank = np.arange(1, len(s) + 1)
    values = chart(
        "Singular values of the picture relative to the first, falling from 1 to one thousandth over the ranks 1 to "
        "256, both axes logarithmic. Those that are kept are shaded; a dot on the dashed curve of relative errors "
        "marks the error of the rank that is shown.",
        f'<rect class="kept" x="{LEFT}" y="{TOP}" width="{x(first) - LEFT:.1f}" height="{BOTTOM - TOP}"/>',
        frame(x, y, [(n, n) for n in (1, 4, 16, 64, 256)], powers(-3, -2, -1, 0), "rank r", "relative size"),
        curve("line", x(rank), y(s / s[0])),
        curve("line dashed", x(rank[:-1]), y(tails[1:])),
        text(x(8), y(s[7] / s[0]) + 16, "σᵣ/σ₁", "end", "name"),
        text(x(9), y(tails[9]) - 8, "error", "start", "name"),
        f'<circle class="dot" r="5" cx="{x(first):.1f}" cy="{y(tails[first]):.1f}"/>',
    )
    grey = (U[:, :first] * s[:first]) @ Vh[:first]
    alt = f"Portrait of Grace Hopper as a sum of outer products; with {first} of them she is easy to recognise"
    says = [
        f"Rank {r}: {r * (sum(picture.shape) + 1) / picture.size:.1%} of the numbers, relative error {tails[r]:.3f}"
        for r in range(1, most + 1)
    ]
    data = {
        "left": eight_bits(U[:, :most].T / left[:most, None]),
        "right": eight_bits(Vh[:most] / right[:most, None]),
        "weights": [float(f"{w:.6g}") for w in (s * left * right)[:most]],
        "tails": [float(f"{t:.4g}") for t in tails[1 : most + 1]],
        "x": x._asdict(),
        "y": y._asdict(),
        "says": says,
    }
    control = slider("rank", "Rank", 1, most, first)
    return Drawn([as_image(grey, alt), values], [control], says[first - 1], data, ("svd",))


def eight_bits(values):
    return b64encode(np.rint(values).astype(np.int8).tobytes()).decode()


def as_image(grey, alt):
    from PIL import Image

    file = BytesIO()
    Image.fromarray(grey.clip(0, 255).round().astype(np.uint8)).save(file, "JPEG", quality=80)
    height, width = grey.shape
    source = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'


def schedules(products=12, most=24, degree=5, low=1e-3):
    """What the best composition for so many matrix products makes of [low, 1], and its error beside the others."""
    from lowrank.polar_express import count_products, optimal_msign_schedule

    x, y = across(4, most), up(1e-12, 1, log=True)
    argument, value = across(low, 1, log=True), up(0, 2.2)
    degrees = {}
    for d in (3, 5, 7, 9):
        cost = count_products(range((d + 1) // 2))
        steps = optimal_msign_schedule(most // cost, d, lower=low)
        says = [f"{plural(t, 'step')} of degree {d}, error {number(E)}" for t, E in enumerate(steps.errors, 1)]
        degrees[d] = {"cost": cost, "steps": steps, "errors": steps.errors, "says": says}
    count = products // degrees[degree]["cost"]
    error = degrees[degree]["errors"][count - 1]
    z = grid = np.unique([*np.geomspace(low, 1, 300), *np.linspace(low, 1, 500)])
    for step in degrees[degree]["steps"][:count]:
        z = z * np.polyval(step[::-1], z * z)
    errors = chart(
        "Staircases of the error against matrix products, from 4 to 24, for degrees 3, 5, 7 and 9; the axis of errors "
        "is logarithmic. All stay near 1 up to ten products and then fall ever more steeply. A dot marks the choice.",
        frame(x, y, [(n, n) for n in (4, 8, 12, 16, 20, 24)], powers(-12, -9, -6, -3, 0), "matrix products", "error"),
        *(staircase(d, x, y, d == degree, **degrees[d]) for d in degrees),
        f'<circle class="dot" r="5" cx="{x(products):.1f}" cy="{y(error):.1f}"/>',
    )
    composed = chart(
        "The composed polynomial from 0.001 to 1, with a logarithmic axis. It swings between two dashed lines, as far "
        "above 1 as below.",
        frame(argument, value, powers(-3, -2, -1, 0), [(n, n) for n in (0, 1, 2)], "x", "composition"),
        *(f'<path class="band" d="M{LEFT},{value(end):.1f}H{RIGHT}"/>' for end in (1 - error, 1 + error)),
        curve("line on composed", argument(grid), value(z)),
    )
    axes = {"x": x, "y": y, "argument": argument, "value": value}
    return Drawn(
        [errors, composed],
        [slider("products", "Matrix products", 4, most, products), choice("degree", "Degree", degrees, degree)],
        f"{products} matrix products: {degrees[degree]['says'][count - 1]}",
        {"degrees": degrees, **{name: axis._asdict() for name, axis in axes.items()}},
        ("polar_express", "newton_schulz"),
    )


def staircase(degree, x, y, on, cost, errors, **_):
    """The error of each budget, down to the lower edge of the chart; the first budget pays for one step or more."""
    paid = int(x.low) // cost
    path = f"M{LEFT},{y(errors[paid - 1]):.1f}"
    for steps, error in enumerate(errors[paid:], paid + 1):
        path += f"H{x(cost * steps):.1f}V{y(max(error, y.low)):.1f}"
    end = f"H{RIGHT}" if errors[-1] > y.low else ""
    return f'<path class="line{" on" if on else ""}" data-degree="{degree}" d="{path}{end}"/>'


def temperatures(method="laplace", first=40):
    """Ten scores, three to be chosen: their weights while the temperature falls."""
    from lowrank.topk import soft_topk

    scores, k = [2.4, 2.0, 1.6, 1.3, 1.0, 0.8, 0.5, 0.3, 0.1, 0.0], 3
    T = np.geomspace(0.01, 10, 61)
    weights, says = {}, {}
    for name in ("sparse", "laplace", "sigmoid"):
        p = np.array([soft_topk(scores, k, temperature=t, method=name) for t in T])
        weights[name] = p.round(4).tolist()
        says[name] = [
            f"T = {t:#.3g}: the weights add up to {row.sum():.3f}, "
            f"of which {row[k:].sum():.3f} outside the three largest"
            for t, row in zip(T, p)
        ]
    x, y, wide = across(T[0], T[-1], log=True), up(0, 1), (RIGHT - LEFT) / len(scores)
    places = [LEFT + wide * (i + 0.15) for i in range(len(scores))]
    bars = chart(
        "Ten bars for the weights of the scores in falling order, and outlines of height 1 around the first three: "
        "the hard choice, which the bars become when the temperature falls.",
        *(text(place + 0.35 * wide, BOTTOM + 15, score, "middle") for place, score in zip(places, scores)),
        frame(x, y, [], [(n, n) for n in (0, 0.5, 1)], "score", "weight"),
        *(
            f'<rect class="bar" x="{place:.1f}" y="{y(p):.1f}" width="{0.7 * wide:.1f}" height="{BOTTOM - y(p):.1f}"/>'
            for place, p in zip(places, weights[method][first])
        ),
        *(
            f'<rect class="hard" x="{place:.1f}" y="{TOP}" width="{0.7 * wide:.1f}" height="{BOTTOM - TOP}"/>'
            for place in places[:k]
        ),
    )
    lines = chart(
        "The ten weights as lines over a logarithmic axis of temperatures from 0.01 to 10. On the left three are at 1 "
        "and seven at 0; on the right all approach 0.3. An upright line marks the temperature of the slider.",
        frame(x, y, powers(-2, -1, 0, 1), [(n, n) for n in (0, 0.5, 1)], "temperature", "weight"),
        *(curve("line weight", x(T), y(row)) for row in zip(*weights[method])),
        f'<path class="now" d="M{x(T[first]):.1f},{BOTTOM}V{TOP}"/>',
    )
    return Drawn(
        [bars, lines],
        [slider("temperature", "Temperature", 0, len(T) - 1, first), choice("method", "Method", weights, method)],
        says[method][first],
        {"weights": weights, "says": says, "T": [f"{t:#.3g}" for t in T], "x": x._asdict(), "y": y._asdict()},
        ("topk", "thresholds", "simplex_maps"),
    )


def plural(count, noun):
    return f"{count} {noun}{'s' if count > 1 else ''}"


def number(value):
    """With three digits; powers of ten as they are printed in books."""
    digits, _, exponent = f"{value:#.3g}".partition("e")
    return digits + (f" · {power(int(exponent))}" if exponent else "")


def power(exponent):
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


# The directive

FIGURES = {"ranks": ranks, "schedules": schedules, "temperatures": temperatures}


class LiterateFigure(SphinxDirective):
    """``{literate-figure} name``: an interactive figure, with a number and a caption like any other."""

    required_arguments = 1
    has_content = True
    option_spec = {"name": directives.unchanged}

    def run(self):
        name = self.arguments[0]
        if name not in FIGURES:
            raise self.error(f"There is no interactive figure {name!r}; there are {', '.join(FIGURES)}")
        drawn = FIGURES[name]()
        for module in drawn.modules:
            self.env.note_dependency(f"lowrank/{module}.py")
        caption = self.state.inline_text(" ".join(self.content), self.lineno)[0]
        body = nodes.raw("", page_part(name, drawn), format="html")
        figure = nodes.figure("", body, nodes.caption("", "", *caption), classes=["interactive"])
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def page_part(name, drawn):
    """What stands above the caption; the script takes `hidden` from the controls when it can move them."""
    return (
        f'<div class="interactive-body" data-figure="{name}">'
        f'<div class="panels">{"".join(drawn.panels)}</div>'
        f'<div class="controls" hidden>{"".join(drawn.controls)}</div>'
        f"<p><output>{drawn.says}</output></p>"
        f'<script type="application/json">{json.dumps(drawn.data, ensure_ascii=False, separators=(",", ":"))}</script>'
        "</div>"
    ).replace("{id}", name)


def add_script(app, pagename, templatename, context, doctree):
    """Only pages with such a figure load the script."""
    if doctree and any("interactive" in figure["classes"] for figure in doctree.findall(nodes.figure)):
        app.add_js_file("interactive.js", loading_method="defer")


def setup(app):
    app.add_directive("literate-figure", LiterateFigure)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
