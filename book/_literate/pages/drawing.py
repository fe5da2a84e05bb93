"""Charts in SVG, in the theme's colours, for the figures with a slider in `book/_figures`."""

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT = 320, 240  # of a chart: about as many pixels on a phone, so that letters keep their size
LEFT, RIGHT, TOP, BOTTOM = 50, 308, 10, 198  # the frame in it


class Drawn(NamedTuple):
    """What a figure puts on the page."""

    panels: list[str]
    controls: list[str]  # `{id}` in them stands for the name of the figure
    says: str  # the first state in words
    data: dict  # for the script


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


def as_image(grey, alt):
    from PIL import Image

    file = BytesIO()
    Image.fromarray(grey.clip(0, 255).round().astype(np.uint8)).save(file, "JPEG", quality=80)
    height, width = grey.shape
    source = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'


# Words


def plural(count, noun):
    return f"{count} {noun}{'s' if count > 1 else ''}"


def number(value):
    """With three digits; powers of ten as they are printed in books."""
    digits, _, exponent = f"{value:#.3g}".partition("e")
    return digits + (f" · {power(int(exponent))}" if exponent else "")


def power(exponent):
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
