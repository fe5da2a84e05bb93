r"""The polar factor and its derivative.

$A=U\Sigma V^{\mathsf H}$ of rank $r$ has $\operatorname{msign}A=U_rV_r^{\mathsf H}$; which way to
it is right for which matrix, how does one know that the answer is good, and what is the derivative
of $A\mapsto\operatorname{msign}A$?

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
import scipy.linalg

from lowrank.arguments import check_choice, check_count, check_tol, refuse_options
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_stack,
    constant,
    cut_off,
    device,
    fixed,
    frobenius_norm,
    is_numpy_array,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    rescaled,
    round_off,
    safe_divisor,
    single,
    singular_values,
    thin_svd,
    wide,
)
from lowrank.derivatives import Rule, attached, summed
from lowrank.newton_schulz import (
    NORMALIZE,
    check_schedule,
    gram_form,
    identity_defect,
    linear_combination,
    matrix_polynomial,
    normalized,
    pade_step,
    plain_form,
)
from lowrank.polar_express import count_products, optimal_msign_schedule

__all__ = ["SignInfo", "msign", "msign_jvp", "msign_vjp"]


# %% book/matrix_sign/polar_factor.ipynb: _by_svd
def _by_svd(X, rtol):
    """The partial isometry of a wide X; of a long NumPy matrix by its triangular factor."""
    if is_numpy_array(X) and X.ndim == 2 and 2 * X.shape[1] >= 3 * X.shape[0]:
        Q, R = scipy.linalg.qr(adjoint(X), mode="economic", check_finite=False)
        return _by_svd(adjoint(R), rtol) @ adjoint(Q)
    U, s, Vh = thin_svd(X)
    kept = array_namespace(s).astype(s > rtol * s[..., :1], U.dtype)
    return (U * kept[..., None, :]) @ Vh


# %% book/matrix_sign/polar_factor.ipynb: _robust_schedule
_MARGINS = {16: 2e-2, 32: 1e-4, 64: 1e-6}           # by bits: far above the errors of a step


@fixed
def _robust_schedule(bits, lower, cushion, steps=None, tol=None):
    """Quintic steps for numbers of so many bits, and their errors: so many, or down to tol."""
    schedule = optimal_msign_schedule(steps, lower=lower, cushion=cushion, tol=tol,
                                      safety=_MARGINS[bits])
    return tuple(schedule), schedule.errors


# %% book/matrix_sign/polar_factor.ipynb: _worst_bound
def _worst_bound(Y):
    """The largest abs(s - 1) that Y = X X^H allows, for any matrix of the stack."""
    bounds = identity_defect(Y)[1]
    return array_namespace(Y).max(bounds) if 0 not in bounds.shape else 0.0


def _until(X, powers, schedule, errors, tol):
    """(X, taken): the steps of a schedule, then Padé's, until |s - 1| <= tol or no progress."""
    xp, taken, pade = array_namespace(X), [], pade_step(2 * len(schedule[-1]) - 1)
    for c, promised in zip(schedule, (math.inf, *errors)):
        powers = powers or [X @ adjoint(X)]
        bound = _worst_bound(powers[0])
        if not may_hold(bound >= max(promised, tol)):           # nearer than the schedule knows
            break
        X, powers = matrix_polynomial(powers[0], c, powers) @ X, ()
        taken.append(c)
    limit, blind = math.inf, may_hold(bound < 0)                # which no bound is
    for _ in range(2 if blind else 100):
        powers = powers or [X @ adjoint(X)]
        bound = _worst_bound(powers[0])
        if not may_hold((tol < bound) & (bound < limit)):
            break
        X, powers = matrix_polynomial(powers[0], pade, powers) @ X, ()
        taken.append(pade)
        limit = xp.where(bound < 0.25, bound / 2, bound)
    return X, taken


# %% book/matrix_sign/polar_factor.ipynb: _qdwh_weights
def _qdwh_weights(l):
    """a, b, c of the best x (a + b x^2) / (1 + c x^2) on [l, 1]."""
    d = (4 * (1 - l * l) / l**4)**(1 / 3)
    root = math.sqrt(1 + d)
    a = root + math.sqrt(8 - 4 * d + 8 * (2 - l * l) / (l * l * root)) / 2
    b = (a - 1)**2 / 4
    return a, b, a + b - 1


# %% book/matrix_sign/polar_factor.ipynb: identity_like
def identity_like(X, size):
    """Identity matrices of the given size: dtype, device and number are those of the stack X."""
    xp = array_namespace(X)
    I = xp.eye(size, dtype=X.dtype, device=device(X))
    return xp.broadcast_to(I, (*X.shape[:-2], size, size))


def _solve(Z, B):
    """Z^(-1) B for Hermitian Z > 0."""
    if is_numpy_array(Z) and Z.ndim == 2:
        return scipy.linalg.cho_solve(scipy.linalg.cho_factor(Z), B)
    return array_namespace(Z).linalg.solve(Z, B)


# %% book/matrix_sign/polar_factor.ipynb: _qdwh_step
def _qdwh_step(X, a, b, c):
    """X (a I + b X^H X) (I + c X^H X)^(-1) for tall X: by QR if c is large, or by Cholesky."""
    xp, n = array_namespace(X), X.shape[-1]
    if c <= 100:
        Z = linear_combination((1.0, c), [adjoint(X) @ X])
        return b / c * X + (a - b / c) * adjoint(_solve(Z, adjoint(X)))
    Q = xp.linalg.qr(xp.concat([math.sqrt(c) * X, identity_like(X, n)], axis=-2)).Q
    return b / c * X + (a - b / c) / math.sqrt(c) * Q[..., :-n, :] @ adjoint(Q[..., -n:, :])


# %% book/matrix_sign/polar_factor.ipynb: _lower_bound
def _lower_bound(R):
    """A lower bound of the singular values of a triangular R, 0 if it is singular."""
    inverse, failed = scipy.linalg.get_lapack_funcs("trtri", (R,))(R)
    return 0.0 if failed else 0.99 / float(np.linalg.norm(np.triu(inverse)))


def _by_qdwh(X):
    """(X, steps) for wide X with singular values up to 1."""
    X, Q, count = adjoint(X), None, 0
    eps = float(array_namespace(X).finfo(X.dtype).eps)
    l = 4 * eps                                             # what is smaller counts as noise
    if is_numpy_array(X) and X.ndim == 2:                   # X = Q R, and R tells a bound
        Q, X = scipy.linalg.qr(X, mode="economic", check_finite=False)
        l = max(l, _lower_bound(X))
    while 1 - l > 8 * eps:
        a, b, c = _qdwh_weights(l)
        X = _qdwh_step(X, a, b, c)
        l = min(1.0, l * (a + b * l * l) / (1 + c * l * l))
        count += 1
    return adjoint(X if Q is None else Q @ X), count


# %% book/matrix_sign/polar_factor.ipynb: _automatic
_TAKES = {                                                  # beside tol
    "svd": ("rtol",),
    "polynomial": ("schedule", "normalize"),
    "gram": ("schedule", "normalize"),
    "qdwh": ("normalize",),
}


def _automatic(A, steps):
    """The method that "auto" stands for, with these steps or None."""
    half = array_namespace(A).finfo(A.dtype).bits == 16
    short, long = sorted(A.shape[-2:])
    if steps is not None:
        return "gram" if long >= 3 * short and len(steps) > 2 and not half else "polynomial"
    place = device(A)                                       # None of a tracer
    near = place is None or "cpu" in str(getattr(place, "type", place)).lower()
    return "svd" if near and not half else "polynomial"


# %% book/matrix_sign/polar_factor.ipynb: _given_steps
def _given_steps(schedule, A):
    """The steps for which `schedule` stands, or None."""
    if schedule is None:
        return None
    if hasattr(schedule, "__iter__") and getattr(schedule, "ndim", 1):
        return check_schedule(schedule)
    steps = check_count(schedule, "schedule", 0, where=", or a sequence of steps")
    return _robust_schedule(array_namespace(A).finfo(A.dtype).bits, 1e-3, 0.02, steps=steps)[0]


def _method_and_steps(A, method, schedule, rtol, normalize):
    """The method in place of "auto", and its steps or None; refuses what it does not take."""
    check_choice(method, "method", ("auto", *_TAKES))
    check_choice(normalize, "normalize", NORMALIZE)
    unused = method == "auto" or normalize == "schatten8"
    given = {"schedule": schedule, "rtol": rtol, "normalize": None if unused else normalize}
    if method == "auto" and rtol is not None:
        method = "svd"
    if method != "auto":
        others = {name: value for name, value in given.items() if name not in _TAKES[method]}
        refuse_options(f"method={method!r}", **others)
    steps = _given_steps(schedule, A)
    method = _automatic(A, steps) if method == "auto" else method
    if method == "qdwh" and array_namespace(A).finfo(A.dtype).bits == 16:
        raise TypeError(f"A has dtype {A.dtype}; method='qdwh' takes 32 and 64 bits")
    if method == "gram" and steps is None:
        raise ValueError("schedule is None; method='gram', which squares the condition number, "
                         "needs one")
    return method, steps


# %% book/matrix_sign/polar_factor.ipynb: _by_steps
def _by_steps(X, powers, steps, method):
    """(X, steps, products) for wide X by a list of steps."""
    products = sum(map(count_products, steps))
    if method == "polynomial":
        return plain_form(X, steps, powers), len(steps), products
    restarts = math.ceil(len(steps) / 3)                    # each saves one, each step adds one
    return gram_form(X, steps, powers, 3), len(steps), products + len(steps) - restarts


def _by_certificate(X, powers, tol):
    """(X, steps) for wide X by as many steps as abs(s - 1) <= tol takes."""
    info = array_namespace(X).finfo(X.dtype)
    eps = float(info.eps)
    lower = 1e-3 if info.bits == 16 else 4 * eps
    X, taken = _until(X, powers, *_robust_schedule(info.bits, lower, 0.1, tol=eps), tol)
    return X, len(taken)


# %% book/matrix_sign/polar_factor.ipynb: SignInfo
class SignInfo(namedtuple("SignInfo", "bound hermitian steps products converged")):
    """What is known about a result X of `msign`; see there."""

    __slots__ = ()


def _isometry_bound(P):
    """A bound of abs(s - 1) for the singular values s near 1, from P = X X^H."""
    xp = array_namespace(P)
    d = 4 * frobenius_norm(P - P @ P)
    certain = d < 1
    d = xp.where(certain, d, xp.zeros_like(d))
    gap = d / (2 * (1 + xp.sqrt(1 - d)))                    # 1 - s^2 at most
    return xp.where(certain, gap / (1 + xp.sqrt(1 - gap)), math.inf)


def _certify(A, X, method, tol):
    """bound, hermitian, converged for wide A and X."""
    A, X = constant(A / power_of_two(peak_of(A))), constant(X)
    H, P = A @ adjoint(X), X @ adjoint(X)
    hermitian = (frobenius_norm(H - adjoint(H)) / safe_divisor(frobenius_norm(A)))[..., 0, 0]
    if method == "svd":
        bound = _isometry_bound(P)[..., 0, 0]
        return bound, hermitian, bound <= tol
    bound, s = identity_defect(P)[1][..., 0, 0], singular_values(A)
    largest = s[..., :min(1, s.shape[-1])]
    regular = array_namespace(s).all(s > cut_off(None, A) * largest, axis=-1)
    return bound, hermitian, (bound <= tol) & regular


# %% book/matrix_sign/polar_factor.ipynb: _least_solutions
def _least_solutions(H, C, D):
    """The W and Z of least norm with H W + W H = C and H Z = D, for Hermitian H >= 0."""
    xp = array_namespace(H)
    h, U = xp.linalg.eigh(H)
    zero = round_off(H.shape, xp.finfo(H.dtype).eps) * xp.max(xp.abs(h), axis=-1, keepdims=True)
    h = xp.where(h > zero, h, 0.0)[..., None]
    inverse = lambda d: xp.where(d > 0, 1 / safe_divisor(d), 0.0)
    W = U @ (inverse(h + h.mT) * (adjoint(U) @ C @ U)) @ adjoint(U)
    return W, U @ (inverse(h) * (adjoint(U) @ D))


def _solutions_move(ins, outs, changes):
    """From changes of H, C and D to those of W and Z: the same equations."""
    (H, *_), (W, Z), (dH, dC, dD) = ins, outs, changes
    dH = 0 * H if dH is None else dH
    C, D = summed(-(dH @ W + W @ dH), dC), summed(-dH @ Z, dD)
    return attached(_EQUATIONS, H, C, D)


def _solutions_pull(ins, outs, cotangents):
    """And back: the left sides are self-adjoint."""
    (H, *_), (W, Z) = ins, outs
    gW, gZ = (0 * X if g is None else g for X, g in zip(outs, cotangents))
    gC, gD = attached(_EQUATIONS, H, gW, gZ)
    return -(gC @ adjoint(W) + adjoint(W) @ gC + gD @ adjoint(Z)), gC, gD


_EQUATIONS = Rule(_least_solutions, _solutions_pull, _solutions_move,
                  lambda H, outs: (H @ outs[0] + outs[0] @ H, H @ outs[1]))


# %% book/matrix_sign/polar_factor.ipynb: _sign_moves
def _sign_moves(A, X, E):
    """The derivative of msign at a wide A, with msign(A) = X, in the direction E."""
    unit = power_of_two(peak_of(A))
    H, EX = (A / unit) @ adjoint(X), E @ adjoint(X)
    W, Z = attached(_EQUATIONS, (H + adjoint(H)) / 2, EX - adjoint(EX), E - EX @ X)
    return (W @ X + Z) / unit


# %% book/matrix_sign/polar_factor.ipynb: _found
def _found(method, rtol, normalize, goal, A):
    """msign of a wide A, and the number of steps, for each matrix."""
    peak = peak_of(A)
    if method == "svd":
        X, steps = _by_svd(A / power_of_two(peak), rtol), 0
    elif method == "qdwh":
        X, steps = _by_qdwh(normalized(A, normalize)[0])
    else:
        X, steps = _by_certificate(*normalized(A, normalize), goal)
    return X, array_namespace(A).full_like(peak, steps)


def _moved(A, X, E):
    """`_sign_moves` in 32 bits at least; None for None."""
    if E is None:
        return None
    return array_namespace(A).astype(_sign_moves(single(A), single(X), single(E)), A.dtype)


# %% book/matrix_sign/polar_factor.ipynb: _sign_push
def _sign_push(method, rtol, normalize, goal, ins, outs, changes):
    """From a change of A to those of X, and of the number of steps, which has none."""
    return _moved(*ins, outs[0], *changes), 0 * outs[1]


def _sign_pull(method, rtol, normalize, goal, ins, outs, cotangents):
    """And back: the derivative is self-adjoint."""
    return (_moved(*ins, outs[0], cotangents[0]),)


_SIGN = Rule(_found, _sign_pull, _sign_push)
_PRODUCTS = {"svd": 0, "qdwh": 1, "polynomial": 3}          # of a step


def _exactly(A, method, *options):
    """(X, steps, products) for wide A by a method that chooses its own steps."""
    X, steps = attached(_SIGN, A, static=(method, *options))
    steps = array_namespace(A).max(steps)
    try:
        steps = int(steps)
    except (TypeError, RuntimeError):                       # a tracer
        pass
    return X, steps, _PRODUCTS[method] * steps


# %% book/matrix_sign/polar_factor.ipynb: msign
@quiet
def msign(A, *, method="auto", schedule=None, tol=None, rtol=None, normalize="schatten8",
          return_info=False):
    r"""U_r V_r^H for A = U S V^H of rank r: every singular value above zero becomes 1.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    method : {"auto", "svd", "polynomial", "gram", "qdwh"}
        "svd" is exact for every rank. "polynomial" takes matrix products alone, "gram" takes
        them in the Gram form of `apply_schedule`, "qdwh" takes QR and Cholesky
        decompositions. "auto" is "svd" on a processor; products for a given schedule, for 16
        bits, and on an accelerator. A table of methods and options: :ref:`polar-factor-auto`.
    schedule : int or sequence of sequences of float, optional
        How to multiply, for "polynomial" and "gram". A number takes so many steps of degree 5,
        made for singular values of A / b from 1e-3 on, with a cushion of 0.02 and a margin for
        the dtype. A sequence of steps is taken as it is: for other degrees and ranges one of
        `optimal_msign_schedule`. Without it "polynomial" takes steps until ``tol`` is certified.
    tol : float, optional
        ``converged`` means ``bound <= tol``, and "polynomial" without a schedule stops there.
        Default ``min(16 * sqrt(min(m, n)) * eps, 0.5)``, where it aims lower; with a schedule
        0.5, so that ``converged`` means that no singular value has been left behind.
    rtol : float, optional
        For "svd": singular values up to ``rtol * s_1`` count as zero. Default
        ``4 * sqrt(min(m, n)) * eps``, for 16 bits with the eps of float32.
    normalize : {"frobenius", "schatten4", "schatten8", False}
        The bound b of s_1, as in `apply_schedule`. For all methods but "svd".
    return_info : bool, default False
        Also return what is known about the result.

    Returns
    -------
    X : array, shape (..., m, n)
        Of the same library, dtype and device as A. A zero matrix gives zero.
    info : SignInfo
        Only with ``return_info``. ``bound`` certifies abs(s - 1) for every singular value of X,
        from d = norm(I - X X^H); it is Inf where d >= 1. After "svd" it concerns those near 1.
        ``hermitian`` is norm(H - H^H) / norm(A), H = A X^H: d alone does not show that X
        belongs to this A. Both have shape (...), and so has ``converged``. ``steps`` and
        ``products`` are counts, without the products of the certificate.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; an option out of range, or one that the method does not
        take; a schedule that diverges on A.
    TypeError
        A dtype without meaning; 16 bits with "qdwh"; a number of steps that is no integer.

    Notes
    -----
    Of a matrix of rank r < min(m, n), only "svd" gives a partial isometry: products and "qdwh"
    bring null directions back as anything between 0 and 1, and ``converged`` is False: it also
    asks that "svd" would count no singular value of A as zero, by its default ``rtol``.
    The backward error is near eps, ten times that for degree 9; the forward error of every
    method is near ``eps * s_1 / s_n``.
    Derivatives: PyTorch and JAX differentiate the result and not the way to it, exactly and as
    often as asked, forwards and backwards, at equal singular values too. Of rank r < min(m, n)
    there is no derivative; they take the one among matrices of rank r and 0 across, which is
    0 at a zero matrix, and second derivatives there are finite, no more. With ``schedule`` they
    differentiate the polynomial of its steps, which is another function.
    Every method is fit for ``vmap`` and ``jit``, and one graph for ``torch.compile``, which
    differentiates once. Then "polynomial" without ``schedule`` takes all of its steps, and
    "auto" is "svd" where a tracer has no device.
    Derived in :ref:`polar-factor-methods`, :prf:ref:`certified-stop`, :prf:ref:`qdwh-step` and
    :prf:ref:`msign-from-result`; Su (2025b), Nakatsukasa, Bai and Gygi (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign, optimal_msign_schedule
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    >>> msign(A)
    array([[0.6, 0. , 0.8],
           [0. , 0. , 0. ]])
    >>> A = np.diag([4.0, 2.0, 1.0])
    >>> X, info = msign(A, schedule=6, return_info=True)
    >>> info.products, bool(info.converged), float(info.bound) < 0.01
    (18, True, True)
    >>> msign(A, schedule=optimal_msign_schedule(6, degree=9, lower=0.1)).round(6)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    xp, A = as_stack(A)
    method, steps = _method_and_steps(A, method, schedule, rtol, normalize)
    if tol is not None:
        goal = tol = check_tol(tol)
    else:
        goal = min(round_off(A.shape, xp.finfo(A.dtype).eps), 1 / 8)
        tol = 4 * goal if steps is None else 0.5

    A, back = wide(A)
    if 0 in A.shape:
        X, *count = A, 0, 0
    elif steps is None:
        X, *count = _exactly(A, method, cut_off(rtol, A), normalize, goal)
    else:
        X, *count = _by_steps(*normalized(A, normalize), steps, method)
    if not may_hold(xp.all(xp.isfinite(X))):
        raise ValueError(f"the iteration diverged: with normalize={normalize!r} A has a "
                         "singular value above 1")
    if return_info:
        bound, hermitian, converged = _certify(A, X, method, tol)
        info = SignInfo(bound, hermitian, *count, converged)
    return (back(X), info) if return_info else back(X)


# %% book/matrix_sign/polar_factor.ipynb: spread
def spread(U, Vh, E, same, opposite, alone):
    """E with its parts multiplied: F = U^H E V, Hermitian and skew, and what is outside."""
    EV, UhE = E @ adjoint(Vh), adjoint(U) @ E
    F = UhE @ adjoint(Vh)
    X = U @ (same * (F + adjoint(F)) / 2 + opposite * (F - adjoint(F)) / 2) @ Vh
    if E.shape[-2] > E.shape[-1]:
        X = X + ((EV - U @ F) * alone[..., None, :]) @ Vh
    if E.shape[-2] < E.shape[-1]:
        X = X + U @ (alone[..., None] * (UhE - F @ Vh))
    return X


# %% book/matrix_sign/polar_factor.ipynb: diagonal
def _quotients(s):
    """1 / (s_j - s_i), 1 / (s_i + s_j) and 1 / s_i, and 0 for what is zero to rounding."""
    xp = array_namespace(s)
    zero = round_off(s.shape[-1:], xp.finfo(s.dtype).eps) * s[..., :1, None]
    inverse = lambda d: xp.where(xp.abs(d) > zero, 1 / xp.where(xp.abs(d) > zero, d, 1.0), 0.0)
    row, column = s[..., None, :], s[..., :, None]
    return inverse(row - column), inverse(row + column), inverse(column)


def diagonal(F):
    """The diagonal of each square matrix, real, as a sum that every transform knows."""
    xp = array_namespace(F)
    return xp.real(xp.sum(F * identity_like(F, F.shape[-1]), axis=-1))


def _vectors_move(ins, outs, changes):
    """From a change of A to those of U, s and V^H."""
    (U, s, Vh), (E,) = outs, changes
    near, far, alone = _quotients(s)
    UhE, EV = adjoint(U) @ E, E @ adjoint(Vh)
    F = UhE @ adjoint(Vh)
    P, M = near * (F + adjoint(F)) / 2, far * (F - adjoint(F)) / 2
    return (U @ (P + M) + (EV - U @ F) * alone.mT, diagonal(F),
            (M - P) @ Vh + alone * (UhE - F @ Vh))


# %% book/matrix_sign/polar_factor.ipynb: decomposed
def _vectors_pull(ins, outs, cotangents):
    """And back."""
    (U, _, Vh), (near, far, alone) = outs, _quotients(outs[1])
    gU, gs, gVh = (0 * X if g is None else g for X, g in zip(outs, cotangents))
    UhG, GV = adjoint(U) @ gU, gVh @ adjoint(Vh)
    p, m = UhG - GV, UhG + GV                       # GV belongs to V^H: its skew part turns round
    F = (near * (p - adjoint(p)) + far * (m - adjoint(m))) / 2
    F = F + identity_like(F, F.shape[-1]) * gs[..., None, :]
    return (U @ F @ Vh + ((gU - U @ UhG) * alone.mT) @ Vh + U @ (alone * (gVh - GV @ Vh)),)


_VECTORS = Rule(lambda A: thin_svd(A), _vectors_pull, _vectors_move)


def decomposed(A):
    """U, s, V^H of `thin_svd`, to be differentiated."""
    return attached(_VECTORS, A)


# %% book/matrix_sign/polar_factor.ipynb: derivative_by_multipliers
def derivative_by_multipliers(A, E, name, rtol, multipliers):
    """The derivative of A -> U f(S) V^H in the direction E, which is called `name`.

    multipliers(s, c, rtol) are c times those of the Hermitian part of U^H E V, of its skew part,
    and of what lies outside of the singular vectors, where A has the singular values c s.
    """
    xp, A = as_stack(A)
    E, rtol = matching(E, name, A), cut_off(rtol, A)
    if 0 in A.shape:
        return xp.zeros_like(E)
    a, e = power_of_two(peak_of(A)), power_of_two(peak_of(E))
    U, s, Vh = decomposed(xp.astype(A, E.dtype, copy=False) / a)
    return rescaled(spread(U, Vh, E / e, *multipliers(s, a[..., 0], rtol)), e, a)


# %% book/matrix_sign/polar_factor.ipynb: msign_jvp
def _of_the_sign(s, c, rtol):
    """0, 2 / (s_i + s_j) and 1 / s_i."""
    if not may_hold(array_namespace(s).all(s[..., -1] > rtol * s[..., 0])):
        raise ValueError("A has a singular value of at most rtol * s_1, where msign has no "
                         "derivative")
    return 0.0, 2 / (s[..., None] + s[..., None, :]), 1 / s


@quiet
def msign_jvp(A, dA, *, rtol=None):
    r"""X with msign(A + t dA) = msign(A) + t X + O(t^2): the derivative in the direction dA.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, of full rank.
    dA : array, shape (..., m, n)
        The direction.
    rtol : float, optional
        Singular values up to ``rtol * s_1`` are refused. Default ``4 * sqrt(min(m, n)) * eps``.

    Returns
    -------
    array, shape (..., m, n)

    Raises
    ------
    ValueError
        NaN, Inf or shapes that differ; an A with a singular value of at most ``rtol * s_1``.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    See Also
    --------
    msign_vjp : The adjoint of this map, which is the same map.

    Notes
    -----
    One SVD and six products. Equal singular values do no harm: the divisors are sums.
    Its largest possible value is ``2 / (s_n + s_(n-1))`` for a real square A, else ``1 / s_n``.
    Derived in :ref:`polar-factor-derivative`, :prf:ref:`msign-derivative`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign_jvp
    >>> msign_jvp(2 * np.eye(2), np.array([[7.0, 1.0], [-1.0, 5.0]]))     # a rotation sets in
    array([[ 0. ,  0.5],
           [-0.5,  0. ]])
    """
    return derivative_by_multipliers(A, dA, "dA", rtol, _of_the_sign)


@quiet
def msign_vjp(A, G, *, rtol=None):
    r"""The gradient of Re tr(G^H msign(A)) with respect to A: the derivative pulled back.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, of full rank.
    G : array, shape (..., m, n)
        The gradient with respect to msign(A). For complex matrices the one that PyTorch uses,
        f(X + dX) = f(X) + Re tr(G^H dX); JAX has its conjugate.
    rtol : float, optional
        As for `msign_jvp`.

    Returns
    -------
    array, shape (..., m, n)

    Raises
    ------
    ValueError, TypeError
        As for `msign_jvp`.

    Notes
    -----
    The derivative is self-adjoint, so this is `msign_jvp` with G in the place of dA.
    Derived in :ref:`polar-factor-derivative`, :prf:ref:`msign-self-adjoint`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign_vjp
    >>> A = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> msign_vjp(A, np.array([[0.0, 3.0], [0.0, 0.0], [4.0, 5.0]]))
    array([[ 0.,  1.],
           [-1.,  0.],
           [ 2.,  5.]])
    """
    return derivative_by_multipliers(A, G, "G", rtol, _of_the_sign)
