r"""The polar factor and its derivative.

How is $\operatorname{msign}A = UV^{\mathsf H}$ computed when it must be right, and how does it
change with $A$?

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

from array_api_compat import array_namespace

from lowrank.arrays import _adjoint, _as_stack, _known, _matching, _peaks, _power_of_two, _svd
from lowrank.newton_schulz import _check_choice, apply_schedule
from lowrank.polar_express import optimal_msign_schedule

__all__ = ["msign", "msign_jvp", "msign_vjp"]


# %% book/matrix_sign/polar_factor.ipynb: _check_rtol
def _check_rtol(rtol, A):
    """The cut-off, max(m, n) * eps by default."""
    if rtol is None:
        return max(A.shape[-2:]) * float(array_namespace(A).finfo(A.dtype).eps)
    if not 0 <= float(rtol) < 1:
        raise ValueError(f"rtol is {rtol!r}; allowed is a number with 0 <= rtol < 1")
    return float(rtol)


def _by_svd(A, rtol):
    """U V^H of the singular values above rtol s_1."""
    xp = array_namespace(A)
    U, s, Vh = _svd(A / _power_of_two(_peaks(A)))
    kept = xp.astype(s > rtol * s[..., :1], U.dtype)
    return (U * kept[..., None, :]) @ Vh


# %% book/matrix_sign/polar_factor.ipynb: msign
_METHODS = ("auto", "svd", "polynomial")


def msign(A, *, method="auto", rtol=None, schedule=None, steps=None, lower=None,
          normalize="schatten8"):
    r"""The partial isometry U_r V_r^H of A = U S V^H: every singular value above zero becomes 1."""
    xp, A = _as_stack(A)
    _check_choice(method, "method", _METHODS)
    if method == "auto":
        method = "svd" if schedule is None and steps is None else "polynomial"
    if method == "svd":
        return _by_svd(A, _check_rtol(rtol, A)) if 0 not in A.shape[-2:] else A
    if schedule is None:
        schedule = optimal_msign_schedule(steps, 5, 1e-3 if lower is None else lower,
                                          cushion=0.1, safety=1e-2)
    return apply_schedule(A, schedule, normalize=normalize)


# %% book/matrix_sign/polar_factor.ipynb: msign_jvp
def _sylvester(A, G, rtol, name):
    """U (F - F^H)_ij / (s_i + s_j) V^H + what the rectangular parts of G contribute, F = U^H G V."""
    xp, A = _as_stack(A)
    G = _matching(G, name, A)
    if 0 in A.shape[-2:]:
        return G
    a, g = _power_of_two(_peaks(A)), _power_of_two(_peaks(G))
    U, s, Vh = _svd(A / a)
    if not _known(xp.all(s[..., -1] > _check_rtol(rtol, A) * s[..., 0])):
        raise ValueError("A has singular values of at most rtol * s_1, where msign is not differentiable")
    G, s = G / g, s[..., None]
    UhG, GV = _adjoint(U) @ G, G @ _adjoint(Vh)
    F = UhG @ _adjoint(Vh)
    X = U @ ((F - _adjoint(F)) / (s + s.mT)) @ Vh
    m, n = A.shape[-2:]
    if m > n:
        X = X + ((GV - U @ F) / s.mT) @ Vh
    if m < n:
        X = X + U @ ((UhG - F @ Vh) / s)
    return X / a * g


def msign_jvp(A, dA, *, rtol=None):
    r"""The derivative of msign at A in the direction dA."""
    return _sylvester(A, dA, rtol, "dA")


def msign_vjp(A, G, *, rtol=None):
    r"""The gradient of A -> Re tr(G^H msign(A))."""
    return _sylvester(A, G, rtol, "G")
