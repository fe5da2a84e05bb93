r"""An inequality that counts cycles.

For $0\le p<1$ and $L=-\log(1-p)$ the first $j+1$ terms of two series are compared, $\sum_{i\le
j}p^i\le\sum_{i\le j}L^i/i!$: what makes it obvious, how large is the gap, and what does it say of
matrices?

Generated from book/companions/inequality.ipynb; edit the chapter.
"""

import numpy as np
from scipy import special

from lowrank.arguments import check_count
from lowrank.arrays import NUMPY, as_floats, check_finite, quiet
from lowrank.linear_map import Result

__all__ = ["GeometricPoisson", "geometric_vs_poisson"]


# %% book/companions/inequality.ipynb: GeometricPoisson
class GeometricPoisson(Result):
    """The sums of p^i and of L^i / i! for i <= j; unpacks as `geometric, poisson`.

    Attributes
    ----------
    geometric : array, shape (...)
        The sum of p^i.
    poisson : array, shape (...)
        The sum of L^i / i! with L = -log(1 - p), which is at least as large.
    gap : array, shape (...)
        Their difference, with all its digits.
    """

    def __init__(self, geometric, poisson, *, gap):
        vars(self).update(geometric=geometric, poisson=poisson, gap=gap)


@quiet
def geometric_vs_poisson(p, j):
    r"""The first j + 1 terms of the series of 1 / (1 - p) in p, and in L = -log(1 - p).

    Parameters
    ----------
    p : array, shape (...)
        Numbers with 0 <= p < 1, of NumPy.
    j : int >= 0
        The last exponent.

    Returns
    -------
    GeometricPoisson
        The sum of p^i, that of L^i / i!, and their gap, in float64, or float32 if p is.

    Raises
    ------
    ValueError
        NaN, p outside of the interval, or j < 0.
    TypeError
        Complex numbers, arrays of other libraries, or a j that is no integer.

    Notes
    -----
    geometric <= poisson <= 1 / (1 - p), each to round-off; the gap is relatively accurate, too,
    where both sums agree to all digits. Nothing overflows, however large j is. Derived in
    :prf:ref:`cycle-coefficients` and :prf:ref:`waiting-times`.

    Examples
    --------
    >>> from lowrank import geometric_vs_poisson
    >>> geometric, poisson = geometric_vs_poisson([0.3, 0.9], 2)
    >>> geometric.round(4), poisson.round(4)
    (array([1.39, 2.71]), array([1.4203, 5.9535]))
    >>> bool(geometric_vs_poisson(1e-6, 3).gap > 0)
    True
    """
    xp, p = as_floats(p, "p")
    j = check_count(j, "j", 0)
    if xp is not NUMPY or p.dtype.kind != "f":
        raise TypeError(f"p is a {type(p).__name__} of {p.dtype}; allowed are real numbers of "
                        "NumPy")
    check_finite(p, "p")
    if not np.all((p >= 0) & (p < 1)):
        wrong = p[(p < 0) | (p >= 1)].flat[0]
        raise ValueError(f"p has the entry {wrong:g}; allowed are numbers with 0 <= p < 1")
    L, rest, order = -np.log1p(-p), 1 - p, p.dtype.type(j + 1)
    power, late = p**order, special.gammainc(order, L)
    geometric = np.where(p > 0, -np.expm1(order * np.log(np.where(p > 0, p, 1))), 1) / rest
    poisson = special.gammaincc(order, L) / rest
    gap = np.where(late < 0.5, (power - late) / rest, poisson - geometric) * (j > 0)
    geometric, poisson, gap = (x.astype(p.dtype)[()] for x in (geometric, poisson, gap))
    return GeometricPoisson(geometric, poisson, gap=gap)
