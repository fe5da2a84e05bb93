"""Latent attention.

A token that has been read is remembered by its keys and values, $h(d_k+d_v)$ numbers in each
layer: how few numbers $c=xD$ are enough, what must be given up so that attention reads these
alone, and which $D$ is best for weights that are there already?

Generated from book/adapters/latent_attention.ipynb; edit the chapter.
"""

import numpy as np

from lowrank.arguments import check_choice, check_count, check_number, check_tol
from lowrank.arrays import (
    array_namespace,
    as_floats,
    device,
    is_bounded,
    is_numpy_array,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    thin_svd,
)
from lowrank.attention_rank import as_mask, as_tokens, check_leads, check_scale, row_softmax
from lowrank.derivatives import Rule, attached, summed
from lowrank.rope import rope_frequencies, rope_rotate

__all__ = [
    "kv_cache_per_token",
    "joint_kv_compress",
    "kv_factors_of_gqa",
    "mla_attention",
    "mla_cache",
    "mla_decode",
]


# %% book/adapters/latent_attention.ipynb: kv_cache_per_token
_NEEDED = {"mha": ("heads", "key_dim"), "gqa": ("groups", "key_dim"), "mqa": ("key_dim",),
           "mla": ("rank",), "shared": ("key_dim",)}
_ALLOWED = {"mha": ("value_dim",), "gqa": ("heads", "value_dim"), "mqa": ("heads", "value_dim"),
            "mla": ("heads", "key_dim", "value_dim", "rope_dim"),
            "shared": ("heads", "groups", "rope_dim")}


def kv_cache_per_token(kind, *, heads=None, key_dim=None, value_dim=None, groups=None, rank=None,
                       rope_dim=None, layers=1):
    """How many numbers a token leaves in the cache: g (d_k + d_v), or r + d_r, in each layer.

    Parameters
    ----------
    kind : {"mha", "gqa", "mqa", "mla", "shared"}
        Keys and values for each head, each group, or once; a latent vector; one vector that is
        both key and value.
    heads : int >= 1, optional
        Number of heads, which "mha" needs. Where it is given, `groups` must divide it.
    key_dim : int >= 1, optional
        Width of a key, which all but "mla" need.
    value_dim : int >= 1, optional
        Width of a value, key_dim by default.
    groups : int >= 1, optional
        Number of groups, which "gqa" needs; 1 by default for "shared".
    rank : int >= 1, optional
        Width of the latent vector, which "mla" needs.
    rope_dim : int >= 0, optional
        Width of a rotated part that is kept besides, once for "mla", for each group for
        "shared"; 0 by default.
    layers : int >= 0, default 1
        Layers of that kind.

    Returns
    -------
    int
        Numbers, not bytes.

    Raises
    ------
    ValueError
        Another kind, a number out of range, one that is missing or that the kind does not take.
    TypeError
        What is no integer.

    Notes
    -----
    Sizes of heads that "mla" does not depend on may be given with it, and are checked only.
    Derived in :ref:`latent-attention-cache` and :prf:ref:`decoupled-part`.

    Examples
    --------
    >>> from lowrank import kv_cache_per_token
    >>> kv_cache_per_token("gqa", heads=64, groups=8, key_dim=128)
    2048
    >>> kv_cache_per_token("mla", rank=512, rope_dim=64)
    576
    """
    check_choice(kind, "kind", tuple(_NEEDED))
    given = {"heads": heads, "key_dim": key_dim, "value_dim": value_dim, "groups": groups,
             "rank": rank, "rope_dim": rope_dim}
    for name, value in given.items():
        if value is None and name in _NEEDED[kind]:
            raise ValueError(f"{name} is None; kind={kind!r} needs an integer")
        if value is not None:
            if name not in _NEEDED[kind] + _ALLOWED[kind]:
                raise ValueError(f"{name} is {value!r}; kind={kind!r} does not take it")
            given[name] = check_count(value, name, 0 if name == "rope_dim" else 1)
    layers = check_count(layers, "layers", 0)
    heads, key_dim, value_dim, groups, rank, rope_dim = given.values()
    groups = {"mha": heads, "gqa": groups, "shared": groups or 1}.get(kind, 1)
    if heads is not None and heads % groups:
        raise ValueError(f"groups is {groups} and heads is {heads}; allowed is a divisor")
    if kind == "mla":
        return layers * (rank + (rope_dim or 0))
    if kind == "shared":
        return layers * groups * (key_dim + (rope_dim or 0))
    return layers * groups * (key_dim + (value_dim or key_dim))


# %% book/adapters/latent_attention.ipynb: _columns
def _columns(W):
    """Weights (d, n) or (g, d, n / g) as one matrix (d, n)."""
    xp = array_namespace(W)
    return W if W.ndim == 2 else xp.reshape(xp.permute_dims(W, (1, 0, 2)), (W.shape[1], -1))


def _heads(U, like):
    """The columns of U (r, n) as heads again, where `like` has heads."""
    if like.ndim == 2:
        return U
    xp, (g, _, n) = array_namespace(U), like.shape
    return xp.permute_dims(xp.reshape(U, (U.shape[0], g, n)), (1, 0, 2))


def _tall(A, rows):
    """A, with zero rows below it until there are so many."""
    xp, (*lead, m, n) = array_namespace(A), A.shape
    if m >= rows:
        return A
    return xp.concat([A, xp.zeros((*lead, rows - m, n), dtype=A.dtype, device=device(A))], axis=-2)


# %% book/adapters/latent_attention.ipynb: _triangle
def _triangle(X):
    """(Q, R) with X = Q R and at most as many rows in R as columns; Q is None for R = X."""
    return array_namespace(X).linalg.qr(X) if X.shape[-2] > X.shape[-1] else (None, X)


def _decomposed(M, X=None):
    """Q, R and the thin decomposition of R M, with min(d, n) right singular vectors at least."""
    Q, R = (None, None) if X is None else _triangle(X)
    return Q, R, thin_svd(_tall(M if R is None else R @ M, min(M.shape[-2:])))


def _directions(r, M, *X):
    """(V_r,)"""
    return (_decomposed(M, *X)[2][2][..., :r, :].mT,)


# %% book/adapters/latent_attention.ipynb: _inverted
def _inverted(x):
    """1 / x, and 0 where x is 0."""
    xp = array_namespace(x)
    return xp.where(x == 0, 0.0, 1 / xp.where(x == 0, 1.0, x))


def _parts(r, ins, V):
    """Q, R, the two groups of triples, 1 / (s_i^2 - s_j^2), and how V_r is turned to V."""
    Q, R, (P, s, Vh) = _decomposed(*ins)
    first, last = ((P[..., part], s[..., None, part], Vh[..., part, :].mT)
                   for part in (slice(r), slice(r, None)))
    s_i, s_j = first[1], last[1].mT
    return Q, R, first, last, _inverted((s_i - s_j) * (s_i + s_j)), first[2].mT @ V


def _beyond(first, last, G):
    """The part of G that no right singular vector of the thin decomposition reaches."""
    if G.shape[-2] == first[1].shape[-1] + last[1].shape[-1]:
        return None
    return G - first[2] @ (first[2].mT @ G) - last[2] @ (last[2].mT @ G)


# %% book/adapters/latent_attention.ipynb: _pull
def _pull(r, ins, outs, cotangents):
    """Cotangents of M and X."""
    Q, R, first, last, F, turn = _parts(r, ins, outs[0])
    G = cotangents[0] @ turn.mT
    (P, s, V), (P_2, s_2, V_2) = first, last
    W = F * (V_2.mT @ G)
    gA = (P * s) @ (V_2 @ W).mT + (P_2 * s_2) @ (W @ V.mT)
    rest = _beyond(first, last, G)
    gA = gA if rest is None else gA + P @ (rest * _inverted(s)).mT
    if R is None:
        return (gA[..., :ins[0].shape[-2], :],)
    gA = gA[..., :R.shape[-2], :]
    gR = gA @ ins[0].mT
    return R.mT @ gA, gR if Q is None else Q @ gR


# %% book/adapters/latent_attention.ipynb: _push
def _push(r, ins, outs, changes):
    """The change of V_r that keeps off V_r."""
    Q, R, first, last, F, turn = _parts(r, ins, outs[0])
    dM, *dX = changes
    if R is not None:
        moved = None if dX[0] is None else dX[0] @ ins[0]
        moved = moved if moved is None or Q is None else Q.mT @ moved
        dM = summed(moved, None if dM is None else R @ dM)
    if dM is None:
        return (None,)
    (P, s, V), (P_2, s_2, V_2) = first, last
    dA = _tall(dM, P.shape[-2])
    Z = F * ((P * s).mT @ dA @ V_2).mT + F * ((P_2 * s_2).mT @ dA @ V)
    rest = _beyond(first, last, dA.mT @ P)
    dV = V_2 @ Z if rest is None else V_2 @ Z + rest * _inverted(s)
    return (dV @ turn,)


_KEPT = Rule(_directions, _pull, _push)


# %% book/adapters/latent_attention.ipynb: _check_sizes
_AXES = {"X": ("N", "d"), "Wk": ("g", "d", "d_k"), "Wv": ("g", "d", "d_v"), "D": ("d", "r"),
         "Wq": ("h", "d", "d_k"), "Uk": ("g", "r", "d_k"), "Uv": ("g", "r", "d_v"),
         "Wqr": ("h", "d", "d_r"), "Wkr": ("d", "d_r"), "Wo": ("h", "d_v", "d_o"),
         "q": ("h", "d_k"), "q_rope": ("h", "d_r"), "cache": ("N", "r + d_r")}
_STACKED = ("X", "q", "q_rope", "cache")


def _check_sizes(**given):
    """The sizes of all axes, which must agree; leading axes of tokens are free."""
    sizes = {}
    for name, x in given.items():
        axes, shape = _AXES[name], tuple(x.shape)
        own = shape[len(shape) - len(axes):] if name in _STACKED else shape
        fits = len(own) == len(axes) and 0 not in own
        if not fits or any(sizes.get(axis, n) != n for axis, n in zip(axes, own)):
            dots = "..., " if name in _STACKED else ""
            known = ", ".join(f"{axis} = {sizes[axis]}" for axis in axes if axis in sizes)
            raise ValueError(f"{name} has shape {shape}; allowed is ({dots}{', '.join(axes)})"
                             f"{' with ' + known if known else ''}, none of them 0")
        sizes |= dict(zip(axes, own))
    if "h" in sizes and "g" in sizes and sizes["h"] % sizes["g"]:
        raise ValueError(f"Uk has {sizes['g']} groups and there are {sizes['h']} heads; allowed "
                         "is a divisor")
    return sizes


def _check_weights(Wk, Wv, **others):
    """(xp, dtype, Wk, Wv, ...) with weights (d, n) or (g, d, n / g), both in one form."""
    xp, dtype, Wk, Wv, *others = as_tokens(Wk=Wk, Wv=Wv, **others)
    if Wk.ndim != Wv.ndim or Wk.ndim > 3 or Wk.shape[:-1] != Wv.shape[:-1] or (
            0 in (*Wk.shape, *Wv.shape)):
        raise ValueError(f"Wk has shape {tuple(Wk.shape)} and Wv {tuple(Wv.shape)}; allowed are "
                         "(d, n_k) and (d, n_v), or (g, d, d_k) and (g, d, d_v)")
    return xp, dtype, Wk, Wv, *others


# %% book/adapters/latent_attention.ipynb: joint_kv_compress
def _unit_of(*arrays):
    """A power of two near the largest entry of all."""
    xp = array_namespace(*arrays)
    peaks = [xp.max(xp.abs(x)) for x in arrays]
    return power_of_two(peaks[0] if len(peaks) == 1 else xp.maximum(*peaks))


@quiet
def joint_kv_compress(Wk, Wv, r, X=None, *, value_weight=1.0):
    r"""The best D, Uk, Uv with r latent numbers: Wk ~ D Uk and Wv ~ D Uv, as X sees it.

    Parameters
    ----------
    Wk : array, shape (d, n_k) or (g, d, d_k)
        Weights of keys, of NumPy, PyTorch or JAX, as one matrix or for each group of heads.
    Wv : array, shape (d, n_v) or (g, d, d_v)
        Weights of values.
    r : int
        Latent numbers a token, 1 <= r <= min(d, n_k + n_v); n = g d_k for groups.
    X : array, shape (..., d), optional
        Tokens for which keys and values shall be right. Their triangular factor, from
        ``qr``, gives the same. Without them all directions count alike.
    value_weight : float > 0, default 1.0
        How much an error of a value counts, beside that of a key.

    Returns
    -------
    D : array, shape (d, r)
        The down-projection.
    Uk, Uv : array, shape (r, n_k) and (r, n_v), or (g, r, d_k) and (g, r, d_v)
        The up-projections. In the dtype of the arguments; 16 bits are computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, r or the weight out of range.
    TypeError
        Arrays of two libraries, complex numbers, an r that is no integer.

    See Also
    --------
    kv_factors_of_gqa : Without an error.
    mla_attention : Attention with these factors.

    Notes
    -----
    The error, norm(X M - X D U) for M = [Wk, value_weight Wv], is the smallest that r numbers
    allow, whatever the rank of X. O(N d^2) operations for N tokens, and a decomposition of a
    d x n matrix. PyTorch and JAX differentiate D U, if the r-th singular value of X M exceeds
    the next; equal ones elsewhere do no harm. D and U alone are fixed up to a rotation.
    Derived in :ref:`latent-attention-compress`, :prf:ref:`joint-factors` and
    :prf:ref:`kept-directions`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import joint_kv_compress
    >>> Wk = np.array([[1.0, 0], [0, 1], [1, 1], [2, 0]])
    >>> Wv = np.array([[0.0, 1], [1, 0], [1, -1], [0, 2]])
    >>> D, Uk, Uv = joint_kv_compress(Wk, Wv, 2)
    >>> error = np.hstack([Wk, Wv]) - D @ np.hstack([Uk, Uv])
    >>> round(float(np.linalg.norm(error)), 6)
    0.874032
    """
    weight = check_number(value_weight, "value_weight", "a number with 0 < value_weight < inf",
                          lambda weight: 0 < weight < np.inf)
    tokens = {} if X is None else {"X": X}
    xp, dtype, Wk, Wv, *X = _check_weights(Wk, Wv, **tokens)
    M = xp.concat([_columns(W) for W in (Wk, Wv)], axis=1)
    n_k, d = _columns(Wk).shape[1], M.shape[0]
    r = check_count(r, "r", 1, min(M.shape), f" for d = {d} and {M.shape[1]} columns")
    if X:
        if X[0].shape[-1] != d or 0 in X[0].shape:
            raise ValueError(f"X has shape {tuple(X[0].shape)}; allowed is (..., d) with d = {d} "
                             "and at least one token")
        X = [xp.reshape(X[0], (-1, d)) / _unit_of(X[0])]
    unit = _unit_of(M)
    M = xp.concat([M[:, :n_k] / unit, weight * (M[:, n_k:] / unit)], axis=1)
    unit_2 = _unit_of(M)
    M = M / unit_2
    V = attached(_KEPT, M, *X, static=(r,))[0]
    D, Uk, Uv = M @ V * unit_2 * unit, V[:n_k, :].mT, V[n_k:, :].mT / weight
    return tuple(xp.astype(F, dtype, copy=False) for F in
                 (D, _heads(Uk, Wk), _heads(Uv, Wv)))


# %% book/adapters/latent_attention.ipynb: kv_factors_of_gqa
@quiet
def kv_factors_of_gqa(Wk, Wv, *, rtol=None):
    r"""Exact factors of grouped heads: Wk = D Uk and Wv = D Uv.

    Parameters
    ----------
    Wk : array, shape (g, d, d_k) or (d, n_k)
        Weights of keys, for each of g groups of heads; g is the number of heads for MHA, and 1
        for MQA.
    Wv : array, shape (g, d, d_v) or (d, n_v)
        Weights of values.
    rtol : float, optional
        If given, singular values of [Wk, Wv] up to ``rtol`` times the largest count as zero,
        and the rank that is left is the number of latents. By default nothing is computed.

    Returns
    -------
    D : array, shape (d, r)
        The down-projection, with r = min(d, g (d_k + d_v)) columns by default.
    Uk, Uv : array, shape (g, r, d_k) and (g, r, d_v), or (r, n_k) and (r, n_v)
        The up-projections; by default of zeros and ones, if r < d.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, a tolerance outside of 0 <= rtol < 1.
    TypeError
        Arrays of two libraries, complex numbers.

    Notes
    -----
    By default D = [Wk, Wv] and products with Uk and Uv return its columns to the last bit; or
    D = I. The cache of `mla_attention` with them is that of the grouped heads, or d numbers: for
    less, there is `joint_kv_compress`. With rtol the values must be there to be looked at.
    Derived in :ref:`latent-attention-shared`, :prf:ref:`one-shared-head`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import kv_factors_of_gqa
    >>> Wk, Wv = np.arange(16.0).reshape(2, 2, 4, 1)
    >>> D, Uk, Uv = kv_factors_of_gqa(Wk, Wv)
    >>> D.shape, Uk.shape, bool(np.array_equal(D @ Uk, Wk)), bool(np.array_equal(D @ Uv, Wv))
    ((4, 4), (2, 4, 1), True, True)
    >>> kv_factors_of_gqa(Wk, Wv, rtol=1e-12)[0].shape
    (4, 2)
    """
    xp, dtype, Wk, Wv = _check_weights(Wk, Wv)
    M = xp.concat([_columns(W) for W in (Wk, Wv)], axis=1)
    if rtol is not None:
        tol, s = check_tol(rtol, "rtol"), thin_svd(M / _unit_of(M))[1]
        r = max(1, int(xp.count_nonzero(s > tol * s[0])))
        return joint_kv_compress(xp.astype(Wk, dtype), xp.astype(Wv, dtype), r)
    n_k = _columns(Wk).shape[1]
    narrow = M.shape[1] <= M.shape[0]
    I = xp.eye(min(M.shape), dtype=M.dtype, device=device(M))
    D, U = (M, I) if narrow else (I, M)
    return tuple(xp.astype(F, dtype, copy=False) for F in
                 (D, _heads(U[:, :n_k], Wk), _heads(U[:, n_k:], Wv)))


# %% book/adapters/latent_attention.ipynb: _by_groups
def _by_groups(T, U):
    """T (..., h, n, a) times U (..., g, a, b), where g divides h: (..., h, n, b)."""
    xp, (*lead, h, n, a), g = array_namespace(T), T.shape, U.shape[-3]
    Y = xp.reshape(T, (*lead, g, h // g * n, a)) @ U
    return xp.reshape(Y, (*Y.shape[:-3], h, n, U.shape[-1]))


def _log2(unit):
    """The exponent of a power of two."""
    return array_namespace(unit).round(array_namespace(unit).log2(unit))


def _power(e):
    """2^e as far as it is in the range, in two factors."""
    xp = array_namespace(e)
    most = float(np.log2(float(xp.finfo(e.dtype).max)) // 1)
    half = xp.floor(e / 2)
    return tuple(2.0 ** xp.clip(part, min=-most, max=most) for part in (half, e - half))


def _mixed_heads(Y, Wo):
    """The sum over heads of Y (..., h, n, d_v) times Wo (h, d_v, d_o)."""
    xp, (*lead, h, n, v) = array_namespace(Y), Y.shape
    axes = (*range(len(lead)), -2, -3, -1)
    Y = xp.reshape(xp.permute_dims(Y, axes), (*lead, n, h * v))
    return Y @ xp.reshape(Wo, (h * v, Wo.shape[2]))


# %% book/adapters/latent_attention.ipynb: _allowed
def _allowed(causal, mask, like):
    """Which keys a query sees, for scores (..., h, n, n); None for all."""
    xp, n, allowed = array_namespace(like), like.shape[-1], None
    if causal:
        place = xp.arange(n, device=device(like))
        allowed = place[:, None] >= place[None, :]
    if mask is not None:
        mask = _checked_mask(mask, tuple(like.shape), xp)
        allowed = mask if allowed is None else allowed & mask
        if not may_hold(xp.all(xp.any(allowed, axis=-1))):
            raise ValueError("mask leaves no key for some queries; allowed is at least one True "
                             "in every row" + (" up to the diagonal" if causal else ""))
    return allowed


def _checked_mask(mask, shape, xp):
    """The mask, if it broadcasts to a shape."""
    mask = as_mask(mask, xp)
    if mask.ndim > len(shape) or any(a not in (1, b) for a, b in
                                     zip(mask.shape[::-1], shape[::-1])):
        raise ValueError(f"mask has shape {tuple(mask.shape)}; allowed is what broadcasts to "
                         f"{shape}")
    return mask


# %% book/adapters/latent_attention.ipynb: _rotation
def _rotation(Wkr, n, positions, freqs, **others):
    """(positions, freqs) of the rotated part, and defaults; None without one."""
    alone = [name for name, x in others.items() if x is None]
    if Wkr is None or alone:
        given = {"Wkr": Wkr, "positions": positions, "freqs": freqs, **others}
        for name, x in given.items():
            if x is not None:
                missing = " and ".join(alone if Wkr is not None else ["Wkr", *alone])
                raise ValueError(f"{name} is given without {missing}; allowed are all or none")
        return None
    freqs = rope_frequencies(Wkr.shape[-1]) if freqs is None else freqs
    freqs = freqs if hasattr(freqs, "ndim") else np.asarray(freqs)
    return np.arange(n) if positions is None else positions, freqs


def _for_heads(positions, freqs):
    """Positions with an axis for heads, unless they are the same for a whole stack."""
    if not hasattr(positions, "ndim"):
        positions = np.asarray(positions)
    own = (..., None, slice(None)) if freqs.ndim == 1 else (..., None, slice(None), slice(None))
    return positions[own] if positions.ndim > freqs.ndim else positions


# %% book/adapters/latent_attention.ipynb: _scaled_parts
def _scaled_parts(given):
    """The arrays over powers of two, tokens matrix by matrix, and the exponents of these."""
    units = {name: power_of_two(peak_of(x)) if name == "X" else _unit_of(x)
             for name, x in given.items()}
    return ({name: x / units[name] for name, x in given.items()},
            {name: _log2(unit) for name, unit in units.items()})


def _added(S, e, S_2, e_2):
    """S 2^e + S_2 2^(e_2), as a pair of that kind."""
    xp = array_namespace(S)
    top = xp.maximum(e, e_2)
    parts = [_power(x - top) for x in (e, e_2)]
    return S * parts[0][0] * parts[0][1] + S_2 * parts[1][0] * parts[1][1], top


# %% book/adapters/latent_attention.ipynb: _scores
def _scores(W, e, C, rotation, absorb):
    """(S, e): the scores S 2^e of all heads."""
    X, e_x = W["X"][..., None, :, :], e["X"][..., None, :, :]
    Q, c = X @ W["Wq"], C[..., None, :, :]
    if absorb:
        S = _by_groups(_by_groups(Q, W["Uk"].mT), c.mT)
    else:
        S = _by_groups(Q, (c @ W["Uk"]).mT)
    e_s = 2 * e_x + e["Wq"] + e["D"] + e["Uk"]
    if rotation is None:
        return S, e_s
    positions, freqs = rotation
    Q = rope_rotate(X @ W["Wqr"], _for_heads(positions, freqs), freqs)
    K = rope_rotate(W["X"] @ W["Wkr"], positions, freqs)
    return _added(S, e_s, _by_groups(Q, K[..., None, :, :].mT), 2 * e_x + e["Wqr"] + e["Wkr"])


# %% book/adapters/latent_attention.ipynb: mla_attention
@quiet
def mla_attention(X, Wq, D, Uk, Uv, absorb=True, causal=True, *, Wqr=None, Wkr=None,
                  positions=None, freqs=None, scale=None, mask=None, Wo=None):
    r"""Latent attention: heads with keys c Uk and values c Uv of the latents c = x D.

    Parameters
    ----------
    X : array, shape (..., N, d)
        Tokens, of NumPy, PyTorch or JAX.
    Wq : array, shape (h, d, d_k)
        Weights of the queries of h heads.
    D : array, shape (d, r)
        The down-projection.
    Uk : array, shape (g, r, d_k)
        Up-projections of keys; g divides h, and each is for h / g heads in a row.
    Uv : array, shape (g, r, d_v)
        Up-projections of values.
    absorb : bool, default True
        Compare and mix latents, all heads the same ones, as for a cache. False makes keys and
        values first, which takes fewer operations if all tokens are new.
    causal : bool, default True
        Query i sees the keys 1 to i only.
    Wqr : array, shape (h, d, d_r), optional
        Weights of a part of the queries that is rotated.
    Wkr : array, shape (d, d_r), optional
        Weights of the rotated key, one for all heads.
    positions : array, shape (N,), (..., N) or (..., N, p), optional
        Positions for the rotated part, as in `rope_rotate`; 0, 1, 2, ... by default.
    freqs : array, optional
        Their frequencies, ``rope_frequencies(d_r)`` by default.
    scale : float, optional
        Factor of the scores, > 0; (d_k + d_r)^(-1/2) by default.
    mask : array of bool, optional
        True where a query sees a key, broadcast to (..., h, N, N).
    Wo : array, shape (h, d_v, d_o), optional
        Weights of the output.

    Returns
    -------
    array, shape (..., h, N, d_v), or (..., N, d_o) with Wo
        Each head's outputs, or their sum through Wo. In the dtype of the arguments; 16 bits are
        computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, groups that do not divide the heads, one of Wqr and
        Wkr without the other, positions without them, a row without a key, a scale that is not
        positive.
    TypeError
        Arrays of two libraries, complex numbers, a mask that is not of bool.

    See Also
    --------
    mla_decode : One token against a cache.
    kv_factors_of_gqa, joint_kv_compress : D, Uk and Uv for weights of keys and values.

    Notes
    -----
    Both forms are equal but for rounding. Multiply-accumulates: :prf:ref:`absorb-or-expand`.
    Nothing overflows but the result itself. PyTorch and JAX differentiate it.
    Derived in :ref:`latent-attention-shared`: :prf:ref:`one-shared-head`,
    :prf:ref:`decoupled-part`; DeepSeek-AI (2024), Su (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import mla_attention
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> Wq, D, U = np.eye(2)[None], np.array([[1.0], [2.0]]), np.array([[[1.0, 0.5]]])
    >>> Y = mla_attention(X, Wq, D, U, U)
    >>> Y.round(3).tolist()[0]
    [[1.0, 0.5], [1.587, 0.794], [2.6, 1.3]]
    >>> bool(np.allclose(Y, mla_attention(X, Wq, D, U, U, absorb=False)))
    True
    """
    given = {"X": X, "Wq": Wq, "D": D, "Uk": Uk, "Uv": Uv, "Wqr": Wqr, "Wkr": Wkr, "Wo": Wo}
    given = {name: x for name, x in given.items() if x is not None}
    xp, dtype, *arrays = as_tokens(**given)
    given = dict(zip(given, arrays))
    sizes = _check_sizes(**given)
    rotation = _rotation(Wkr, sizes["N"], positions, freqs, Wqr=Wqr)
    scale = check_scale(scale, sizes["d_k"] + sizes.get("d_r", 0))
    W, e = _scaled_parts(given)
    C = W["X"] @ W["D"]
    S, e_s = _scores(W, e, C, rotation, absorb)
    limit = float(xp.finfo(S.dtype).max)
    unit = xp.clip(_power(e_s)[0] * scale, max=limit) * _power(e_s)[1]
    A = row_softmax(S, xp.clip(unit, max=limit), _allowed(causal, mask, S))
    c = C[..., None, :, :]
    if absorb:
        Y = _by_groups(_by_groups(A, c), W["Uv"])
    else:
        Y = _by_groups(A, c @ W["Uv"])
    e_y = e["X"] + e["D"] + e["Uv"]
    if Wo is None:
        e_y = e_y[..., None, :, :]
    else:
        Y, e_y = _mixed_heads(Y, W["Wo"]), e_y + e["Wo"]
    low, high = _power(e_y)
    return xp.astype(Y * low * high, dtype, copy=False)


# %% book/adapters/latent_attention.ipynb: mla_cache
@quiet
def mla_cache(X, D, *, Wkr=None, positions=None, freqs=None):
    r"""What latent attention keeps of tokens: the latents x D, and the rotated key x Wkr.

    Parameters
    ----------
    X : array, shape (..., N, d)
        Tokens.
    D : array, shape (d, r)
        The down-projection.
    Wkr : array, shape (d, d_r), optional
        Weights of the rotated key.
    positions : array, shape (N,), (..., N) or (..., N, p), optional
        Positions of these tokens, 0, 1, 2, ... by default.
    freqs : array, optional
        Their frequencies, ``rope_frequencies(d_r)`` by default.

    Returns
    -------
    array, shape (..., N, r + d_r)
        A row for each token. In the dtype of the arguments.

    Raises
    ------
    ValueError, TypeError
        As `mla_attention`.

    See Also
    --------
    kv_cache_per_token : How many numbers that is.

    Notes
    -----
    Rows of later tokens are put below: ``np.concatenate``, or a view of a larger array. If the
    latents are normalised, as in DeepSeek's models, do that to the first r columns.
    Derived in :prf:ref:`decoupled-part`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import mla_cache
    >>> mla_cache(np.eye(3), np.ones((3, 2)), Wkr=np.eye(3)[:, :2], positions=[0, 1, 2]).shape
    (3, 4)
    """
    given = {"X": X, "D": D, "Wkr": Wkr}
    given = {name: x for name, x in given.items() if x is not None}
    xp, dtype, *arrays = as_tokens(**given)
    given = dict(zip(given, arrays))
    N = _check_sizes(**given)["N"]
    rotation = _rotation(Wkr, N, positions, freqs)
    parts = [given["X"] @ given["D"]]
    if rotation:
        parts.append(rope_rotate(given["X"] @ given["Wkr"], *rotation))
    return xp.astype(xp.concat(parts, axis=-1), dtype, copy=False)


# %% book/adapters/latent_attention.ipynb: _checked_step
def _checked_step(**given):
    """(xp, dtype, arrays) of a step; of what is large only dtype and shape are looked at."""
    floats = {name: as_floats(x, name)[1] for name, x in given.items() if x is not None}
    source = lambda name: given[name] if hasattr(given[name], "dtype") else floats[name]
    part = lambda name, x: x if name.startswith("q") or x.ndim < 2 else x[..., :0, :]
    xp, dtype, *_ = as_tokens(**{name: part(name, source(name)) for name in floats})
    work = xp.float32 if xp.finfo(dtype).bits == 16 else dtype
    floats = {name: xp.astype(x, work, copy=False) for name, x in floats.items()}
    r = floats["Uk"].shape[-2] if floats["Uk"].ndim == 3 else 0
    d_r = floats["q_rope"].shape[-1] if "q_rope" in floats else 0
    sizes = _check_sizes(**floats)
    if sizes["r + d_r"] != r + d_r:
        raise ValueError(f"cache has {sizes['r + d_r']} columns; allowed are r + d_r = {r} + "
                         f"{d_r}: latents of the width of Uk, and a rotated key of that of q_rope")
    check_leads(**{name: floats[name] for name in ("q", "q_rope", "cache") if name in floats})
    return xp, dtype, floats, r


def _refuse_not_finite(xp, arrays, *results):
    """Where a result is not finite, say which argument is not."""
    if all(may_hold(is_bounded(x)) for x in results):
        return
    as_tokens(**{name: x for name, x in arrays.items() if x.ndim > 1})


# %% book/adapters/latent_attention.ipynb: mla_decode
@quiet
def mla_decode(q, cache, Uk, Uv, *, q_rope=None, scale=None, mask=None, Wo=None):
    r"""One step of latent attention: the queries of one token against a cache.

    Parameters
    ----------
    q : array, shape (..., h, d_k)
        Queries of the token, ``x @ Wq``.
    cache : array, shape (..., N, r + d_r)
        What `mla_cache` keeps of all tokens that it sees, itself included.
    Uk, Uv
        As for `mla_attention`.
    q_rope : array, shape (..., h, d_r), optional
        Rotated queries of the token: ``rope_rotate(x @ Wqr, position, freqs)``.
    scale : float, optional
        As for `mla_attention`.
    mask : array of bool, optional
        True for a token that is seen, broadcast to (..., N): for texts of different lengths.
    Wo : array, shape (h, d_v, d_o), optional
        Weights of the output.

    Returns
    -------
    array, shape (..., h, d_v), or (..., d_o) with Wo
        As `mla_attention` for that token.

    Raises
    ------
    ValueError, TypeError
        As `mla_attention`.

    Notes
    -----
    O(h N (2 r + d_r)) operations, and the cache is read twice; keys and values are not made.
    Derived in :prf:ref:`one-shared-head` and :prf:ref:`absorb-or-expand`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import mla_attention, mla_cache, mla_decode
    >>> X, (Wq, Uk, Uv) = np.eye(4), np.arange(24.0).reshape(3, 2, 4, 1) / 24
    >>> D = np.eye(4)
    >>> y = mla_decode(X[3] @ Wq, mla_cache(X, D), Uk, Uv)
    >>> bool(np.allclose(y, mla_attention(X, Wq, D, Uk, Uv)[:, 3]))
    True
    """
    xp, dtype, given, r = _checked_step(q=q, cache=cache, Uk=Uk, Uv=Uv, q_rope=q_rope, Wo=Wo)
    cache, parts = given["cache"], [given[name] for name in ("q", "q_rope") if name in given]
    scale = check_scale(scale, sum(x.shape[-1] for x in parts))
    peaks = [peak_of(x) for x in parts]
    unit = power_of_two(peaks[0] if q_rope is None else xp.maximum(*peaks))
    T = _by_groups((parts[0] / unit)[..., None, :], given["Uk"].mT)[..., 0, :]
    if q_rope is not None:
        T = xp.concat([T, parts[1] / unit], axis=-1)
    unit_2 = power_of_two(peak_of(T))
    S = (cache @ (T / unit_2).mT).mT                        # as rows of the cache: that is faster
    S = np.ascontiguousarray(S) if is_numpy_array(S) else S
    limit = float(xp.finfo(S.dtype).max)
    c = xp.clip(unit * xp.clip(unit_2 * scale, max=limit), max=limit)
    if mask is not None:
        mask = _checked_mask(mask, (*S.shape[:-2], S.shape[-1]), xp)[..., None, :]
        if not may_hold(xp.all(xp.any(mask, axis=-1))):
            raise ValueError("mask leaves no token to see; allowed is at least one True")
    C = row_softmax(S, c, mask) @ cache[..., :r]
    Y = _by_groups(C[..., None, :], given["Uv"])
    _refuse_not_finite(xp, given, S, Y)
    Y = Y[..., 0, :] if Wo is None else _mixed_heads(Y, given["Wo"])[..., 0, :]
    return xp.astype(Y, dtype, copy=False)
