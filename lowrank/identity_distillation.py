r"""Distillation by an identity.

A generator $x=g_\theta(z)$ shall imitate a teacher that is known only by the noise $\varphi(x_t)$
that it finds in $x_t=\alpha x+\beta\varepsilon$.

Generated from book/covariances/identity_distillation.ipynb; edit the chapter.
"""

import operator
from collections import namedtuple

from lowrank.arrays import array_namespace, as_floats, check_finite, matching, quiet, single

__all__ = ["IdentityLosses", "identity_distillation_losses"]


# %% book/covariances/identity_distillation.ipynb: IdentityLosses
class IdentityLosses(namedtuple("IdentityLosses", "L1 L2")):
    """Two estimates of one divergence.

    Attributes
    ----------
    L1 : array, shape ()
        The mean of norm(teacher - student)**2.
    L2 : array, shape ()
        The mean of <teacher - student, teacher - eps>, which may be negative for a batch.
    """

    __slots__ = ()


def _sample_axes(axis, ndim):
    """axis as a tuple of different integers from 0 to ndim - 1."""
    try:
        axes = tuple(map(operator.index, axis if isinstance(axis, tuple) else (axis,)))
    except TypeError:
        raise TypeError(f"axis is {axis!r}; allowed is an integer or a tuple of them") from None
    found = {i % ndim for i in axes if -ndim <= i < ndim}
    if len(found) < len(axes) or not axes:
        raise ValueError(f"axis is {axis!r}; allowed are different integers from {-ndim} to "
                         f"{ndim - 1}, at least one")
    return axes


def _real(x, name):
    """x with 32 bits or more, if it is real."""
    if not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise TypeError(f"{name} has dtype {x.dtype}; allowed are real numbers")
    return single(x)


def _called(model, xt):
    return model(xt) if callable(model) else model


# %% book/covariances/identity_distillation.ipynb: identity_distillation_losses
@quiet
def identity_distillation_losses(xt, eps, teacher, student, *, axis=-1):
    r"""L1 and L2 of a batch, from which a frozen student gives the gradient of a divergence.

    Parameters
    ----------
    xt : array, shape (..., d)
        Noisy samples of the generator, alpha x + beta eps; NumPy, PyTorch or JAX, real.
    eps : array, shape (..., d)
        The noise in them.
    teacher : array, shape (..., d), or callable
        The noise that the teacher finds, or a function that finds it in xt.
    student : array, shape (..., d), or callable
        The same for the student, which was trained on samples of the generator.
    axis : int or tuple of int, default -1
        The axes of one sample, over which is summed; over the others is averaged.

    Returns
    -------
    IdentityLosses
        L1 and L2, of the same library, with 32 bits or more.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that differ, no sample, or an axis that is not there.
    TypeError
        Complex numbers, or arrays of different libraries.

    Notes
    -----
    Differentiate ``L2 - lam * L1`` with the student frozen: its parameters constant, xt not. In
    PyTorch give a function of xt whose parameters do not require a gradient, in JAX one with
    `jax.lax.stop_gradient` on its parameters. lam = 1/2 is half the exact gradient, and weights
    from 1/2 to 1 are those that are safe for Gaussians: :prf:ref:`distill-mixture`,
    :prf:ref:`distill-interval`. Two expectations are equal if the student is optimal, and only
    then; L2 of a batch may be negative. Functions are called once. Derived in
    :ref:`distill-losses`, :prf:ref:`distill-identity`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import identity_distillation_losses
    >>> z, eps = np.random.default_rng(0).standard_normal((2, 100_000, 1))
    >>> xt = 0.8 * (0.5 + 1.5 * z) + 0.6 * eps
    >>> teacher, student = lambda x: 0.6 * x, lambda x: 0.6 * (x - 0.4) / 1.8
    >>> [round(float(L), 1) for L in identity_distillation_losses(xt, eps, teacher, student)]
    [0.2, 0.2]
    """
    xp, x = as_floats(xt, "xt")
    _real(x, "xt")
    if not x.ndim or 0 in x.shape:
        raise ValueError(f"xt has shape {tuple(x.shape)}; allowed is (..., d), with a sample and "
                         "an entry")
    axes = _sample_axes(axis, x.ndim)
    check_finite(x, "xt")
    given = {"eps": eps, "teacher": _called(teacher, x), "student": _called(student, x)}
    E, phi, psi = (_real(matching(v, name, x, "xt"), name) for name, v in given.items())
    D = phi - psi
    return IdentityLosses(xp.mean(xp.sum(D * D, axis=axes)),
                          xp.mean(xp.sum(D * (phi - E), axis=axes)))
