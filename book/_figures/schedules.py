"""The error of the best composition against matrix products, and the composition itself."""

import numpy as np

from _literate.pages.drawing import (
    LEFT,
    RIGHT,
    Drawn,
    across,
    chart,
    choice,
    curve,
    frame,
    number,
    plural,
    powers,
    slider,
    up,
)
from lowrank.polar_express import count_products, optimal_msign_schedule


def draw(products=12, most=24, degree=5, low=1e-3):
    """What the best composition for so many matrix products makes of [low, 1], and its error beside the others."""
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
    )


def staircase(degree, x, y, on, cost, errors, **_):
    """The error of each budget, down to the lower edge of the chart; the first budget pays for one step or more."""
    paid = int(x.low) // cost
    path = f"M{LEFT},{y(errors[paid - 1]):.1f}"
    for steps, error in enumerate(errors[paid:], paid + 1):
        path += f"H{x(cost * steps):.1f}V{y(max(error, y.low)):.1f}"
    end = f"H{RIGHT}" if errors[-1] > y.low else ""
    return f'<path class="line{" on" if on else ""}" data-degree="{degree}" d="{path}{end}"/>'
