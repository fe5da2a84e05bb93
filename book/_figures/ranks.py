"""A picture as a sum of outer products: the slider is the rank."""

from base64 import b64encode

import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.pyplot import imread

from _literate.pages.drawing import (
    BOTTOM,
    LEFT,
    TOP,
    Drawn,
    across,
    as_image,
    chart,
    curve,
    frame,
    powers,
    slider,
    text,
    up,
)
from lowrank.svd import truncated_svd


def draw(first=20, most=100):
    """Grace Hopper's portrait as a sum of outer products, which the browser adds up from vectors of 8 bits.

    Their rounding moves the picture by half a grey value in the mean; the errors in words are those of `truncated_svd`.
    """
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
    return Drawn([as_image(grey, alt), values], [control], says[first - 1], data)


def eight_bits(values):
    return b64encode(np.rint(values).astype(np.int8).tobytes()).decode()
