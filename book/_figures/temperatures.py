"""Ten scores, three to be chosen: their weights while the temperature falls."""

import numpy as np

from _literate.pages.drawing import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Drawn,
    across,
    chart,
    choice,
    curve,
    frame,
    powers,
    slider,
    text,
    up,
)
from lowrank.topk import soft_topk


def draw(method="laplace", first=40):
    """Ten scores, three to be chosen: their weights while the temperature falls."""
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
    )
