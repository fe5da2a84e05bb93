"""Tests of lowrank.derivatives, generated from book/foundations/derivatives.ipynb; edit the chapter."""

from lowrank.derivatives import Rule, aligned, attached, fitted, summed


# %% book/foundations/derivatives.ipynb: cubic_value
def cubic_value(x, c):
    """The root of c y + y^3 = x, by Newton's method."""
    y = x / (1 + c)
    for _ in range(100):
        step = (c * y + y**3 - x) / (c + 3 * y**2)
        y = y - step
        if abs(step).max() <= 1e-15:
            break
    return (y,)


def cubic_push(ins, outs, changes):
    """dx and dc to dy: 3 y^2 dy + c dy + y dc = dx."""
    (_, c), (y,), (dx, dc) = ins, outs, changes
    pushed = summed(dx, None if dc is None else -y * dc)
    return (pushed / (c + 3 * y**2),)


def cubic_pull(ins, outs, cotangents):
    """The transpose of that."""
    (_, c), (y,), (g,) = ins, outs, cotangents
    gx = g / (c + 3 * y**2)
    return gx, fitted(-y * gx, c)


def test_a_rule_of_a_cubic():
    import numpy as np

    rule = Rule(cubic_value, cubic_pull, cubic_push)
    x, c = np.array([[-2.0, 0.0, 0.3], [10.0, 1.0, -7.0]]), 2.0
    y, = attached(rule, x, c)
    assert np.allclose(c * y + y**3, x, atol=1e-14)
    v, w, g = np.cos(x), 0.7, np.sin(x)                            # directions and a cotangent
    at = lambda h: attached(rule, x + h * v, c + h * w)[0]
    push, = rule.push(aligned(x, c), (y,), aligned(v, w))
    assert np.allclose(push, (at(1e-6) - at(-1e-6)) / 2e-6, atol=1e-9)
    gx, gc = rule.pull(aligned(x, c), (y,), (g,))
    assert gc.shape == (1, 1) and np.isclose(np.sum(g * push), np.sum(gx * v) + gc.item() * w)
