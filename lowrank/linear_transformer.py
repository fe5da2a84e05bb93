r"""Linear attention.

Attention multiplies three thin matrices, $\varphi(Q)\,\varphi(K)^{\mathsf T}\,V$, and may begin on
the right: then it costs a number of operations in proportion to the number of tokens $n$, not to
$n^2$.

Generated from book/structure/linear_transformer.ipynb; edit the chapter.
"""

import math
from functools import reduce

from array_api_compat import is_jax_array

from lowrank.arguments import check_choice, check_count, check_number
from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_library,
    check_shape,
    compiling,
    constant,
    device,
    is_array,
    is_numpy_array,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
)
from lowrank.derivatives import converted

__all__ = ["transformer_macs", "attention_crossover", "linear_attention", "random_features"]


# %% book/structure/linear_transformer.ipynb: _divisor
def _divisor(count, name, whole, of, default):
    """count as an int that divides the whole; the default where it is None."""
    if count is None:
        return default
    count = check_count(count, name, 1, whole)
    if whole % count:
        raise ValueError(f"{name} is {count!r}; allowed is a divisor of {of}, which is {whole}")
    return count


# %% book/structure/linear_transformer.ipynb: transformer_macs
def transformer_macs(n, d, *, heads=None, kv_heads=None, ffn=4, gated=False, causal=False,
                     attention="softmax", layers=1, vocab=0):
    r"""MACs of a transformer on n tokens of width d: 12 n d^2 + 2 n^2 d for a plain layer.

    Parameters
    ----------
    n : int >= 1
        Tokens.
    d : int >= 1
        Width of a token.
    heads : int >= 1, optional
        Heads, a divisor of d. Their number matters with `kv_heads` and for attention that
        is linear; default is 1.
    kv_heads : int >= 1, optional
        Heads with keys and values of their own, a divisor of `heads`, which is the default.
    ffn : float > 0, default 4
        Inner width of the feed-forward part in units of d; the product is rounded.
    gated : bool, default False
        Whether the feed-forward part has three matrices, the third for a gate.
    causal : bool, default False
        Whether only the n (n + 1) / 2 pairs in order are formed. A program that forms all of
        them and throws half away costs what ``causal=False`` says.
    attention : {"softmax", "linear"}, default "softmax"
        "linear" begins on the right, with heads as wide as they are: one product to add to a
        state and one to read it. Chunks add to it: see `linear_attention`.
    layers : int >= 0, default 1
        Layers of that kind.
    vocab : int >= 0, default 0
        Size of the vocabulary that the result is multiplied with.

    Returns
    -------
    dict
        MACs as int under "projections", "attention" (scores and mixing), "ffn", "output"
        (the vocabulary) and "total". FLOPs are twice as many.

    Raises
    ------
    ValueError
        A number out of range, heads that do not divide d, or kv_heads that do not divide heads.
    TypeError
        What is no number.

    Notes
    -----
    Biases, norms, exponentials and rotations are not counted, they take O(n d) and O(n^2)
    operations. A backward pass multiplies twice as much again. Derived in
    :ref:`linear-attention-budget`, :prf:ref:`layer-budget`.

    Examples
    --------
    >>> from lowrank import transformer_macs
    >>> transformer_macs(512, 768)["total"] == 12 * 512 * 768**2 + 2 * 512**2 * 768
    True
    >>> bill = transformer_macs(8192, 4096, heads=32, kv_heads=8, ffn=3.5, gated=True, layers=32)
    >>> {name: f"{macs / bill['total']:.0%}" for name, macs in bill.items()}
    {'projections': '15%', 'attention': '24%', 'ffn': '62%', 'output': '0%', 'total': '100%'}
    """
    n, d = check_count(n, "n", 1), check_count(d, "d", 1)
    heads = _divisor(heads, "heads", d, "d", 1)
    kv_heads = _divisor(kv_heads, "kv_heads", heads, "heads", heads)
    ffn = check_number(ffn, "ffn", "a number with 0 < ffn < inf", lambda f: 0 < f < math.inf)
    check_choice(attention, "attention", ("softmax", "linear"))
    layers, vocab = check_count(layers, "layers", 0), check_count(vocab, "vocab", 0)
    pairs = n * (n + 1) // 2 if causal else n * n
    bill = {
        "projections": layers * 2 * n * d * (d + d // heads * kv_heads),
        "attention": layers * 2 * d * (pairs if attention == "softmax" else n * (d // heads)),
        "ffn": layers * (3 if gated else 2) * n * d * round(ffn * d),
        "output": n * d * vocab,
    }
    return bill | {"total": sum(bill.values())}


# %% book/structure/linear_transformer.ipynb: attention_crossover
def attention_crossover(d):
    """From which numbers of tokens on attention is dear, in a plain layer of width d: 2 d and 6 d.

    Parameters
    ----------
    d : int >= 1
        Width of a token.

    Returns
    -------
    sublayer : int
        2 d: from here on projections, scores and mixing exceed the feed-forward part.
    quadratic : int
        6 d: from here on scores and mixing exceed all the rest.

    Raises
    ------
    ValueError, TypeError
        As `transformer_macs`.

    Notes
    -----
    In MACs, with as many heads for keys and values as for queries and an inner width of 4 d:
    :prf:ref:`layer-budget`. For other layers compare the entries of `transformer_macs`.

    Examples
    --------
    >>> from lowrank import attention_crossover
    >>> attention_crossover(768)
    (1536, 4608)
    """
    d = check_count(d, "d", 1)
    return 2 * d, 6 * d


# %% book/structure/linear_transformer.ipynb: _decays
def _decays(g, c, like):
    """(D, p) of decays (..., c), D[t, s] = g[s+1] ... g[t] for s <= t and p[t] = g[0] ... g[t],
    with ones and None for g = None."""
    xp = array_namespace(like)
    t = xp.arange(c, device=device(like))[:, None]
    if g is None:
        return xp.astype(t >= t.mT, like.dtype), None
    D = xp.cumulative_prod(xp.where(t > t.mT, g[..., None], 1.0), axis=-2)
    D = xp.where(t >= t.mT, D, 0.0)
    return D, D[..., 0] * g[..., :1]


# %% book/structure/linear_transformer.ipynb: _scaled
def _scaled(X, p):
    """The rows of X times p, and X for p = None."""
    return X if p is None else X * p[..., None]


def _states(S, U, g):
    """The states before each chunk of (..., J, m, e): from S on, chunks decay by g and add U."""
    xp = array_namespace(U)
    D, p = _decays(g, U.shape[-3], U)
    D = xp.concat([xp.zeros_like(D[..., :1, :]), D[..., :-1, :]], axis=-2)      # one later
    B = xp.reshape(D @ xp.reshape(U, (*U.shape[:-2], U.shape[-2] * U.shape[-1])), U.shape)
    S = S[..., None, :, :]
    if g is None:
        return B + S
    p = xp.concat([xp.ones_like(p[..., :1]), p[..., :-1]], axis=-1)
    return B + p[..., None, None] * S


# %% book/structure/linear_transformer.ipynb: _chunks
def _chunks(X, c):
    """The rows of X in chunks of c; one row that stands for all remains one."""
    count, c = (X.shape[-2] // c, c) if X.shape[-2] != 1 else (1, 1)
    return array_namespace(X).reshape(X, (*X.shape[:-2], count, c, X.shape[-1]))


def _span(S, Q, K, V, g, c):
    """(S', Y): the state after some chunks of c tokens that follow on S, and their rows."""
    xp, J = array_namespace(Q), Q.shape[-2] // c
    Q, K, V = (_chunks(X, c) for X in (Q, K, V))
    last = whole = None                                 # the decays of rows and of chunks
    if g is not None:
        g = _chunks(g, c)[..., 0]
        g = xp.broadcast_to(g, (*g.shape[:-2], J, c))
    D, p = _decays(g, c, Q)
    if g is not None:
        last, whole = D[..., -1, :], p[..., -1]
    U = _scaled(K, last).mT @ V
    B = _states(S, U, whole)
    Y = (Q @ K.mT * D) @ V + _scaled(Q, p) @ B
    after = B[..., -1, :, :] if g is None else whole[..., -1:, None] * B[..., -1, :, :]
    return after + U[..., -1, :, :], xp.reshape(Y, (*Y.shape[:-3], J * c, Y.shape[-1]))


# %% book/structure/linear_transformer.ipynb: _part
_TOGETHER = 32                                          # chunks


def _part(X, start, stop):
    """Some of the rows; one row that stands for all remains, and so does None."""
    return X if X is None or X.shape[-2] == 1 else X[..., start:stop, :]


def _scanned(S, Q, K, V, g, chunk):
    """(S', Y) in JAX: a loop over equal spans, with empty tokens at the end."""
    import jax

    xp, n = array_namespace(S), Q.shape[-2]
    count = -(-n // (_TOGETHER * chunk))
    span = -(-n // (count * chunk)) * chunk

    def spans(X, fill=0.0):
        wide = [(0, 0)] * (X.ndim - 2) + [(0, count * span - n), (0, 0)]
        return xp.moveaxis(_chunks(jax.numpy.pad(X, wide, constant_values=fill), span), -3, 0)

    if g is not None and n < count * span:              # empty tokens keep the state
        g = xp.broadcast_to(g, (*g.shape[:-2], n, 1))
    ins = [spans(X) for X in (Q, K, V)]
    one = g is None or g.shape[-2] == 1
    step = lambda S, ins: _span(S, *ins, *([g] if one else []), chunk)
    S, Y = jax.lax.scan(step, S, tuple(ins if one else [*ins, spans(g, 1.0)]))
    Y = xp.moveaxis(Y, 0, -3)
    return S, xp.reshape(Y, (*Y.shape[:-3], count * span, Y.shape[-1]))[..., :n, :]


# %% book/structure/linear_transformer.ipynb: _causal
def _causal(S, Q, K, V, g, chunk):
    """(S', Y) of all tokens."""
    n = Q.shape[-2]
    c = min(chunk, max(n, 1))
    if n == 0:
        return S + 0.0, Q @ S                           # no rows
    if is_jax_array(S):
        return _scanned(S, Q, K, V, g, c)
    together = max(_TOGETHER, -(-n // (4 * c))) if compiling() else _TOGETHER   # short programs
    start, pieces = 0, []
    while start < n:
        left = n - start
        rows = min(together * c, left // c * c or left)
        S, Y = _span(S, *(_part(X, start, start + rows) for X in (Q, K, V, g)), min(c, rows))
        pieces.append(Y)
        start += rows
    return S, pieces[0] if len(pieces) == 1 else array_namespace(S).concat(pieces, axis=-2)


# %% book/structure/linear_transformer.ipynb: _broadcast
def _broadcast(**shapes):
    """The common shape of shapes that broadcast."""
    n, common = max(map(len, shapes.values())), []
    for sizes in zip(*((1,) * (n - len(shape)) + tuple(shape) for shape in shapes.values())):
        size = next((size for size in sizes if size != 1), 1)
        if any(other not in (1, size) for other in sizes):
            given = ", ".join(f"{name} has {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(f"of the leading axes {given}; allowed are axes that broadcast")
        common.append(size)
    return tuple(common)


def _taken(x, name, other=None, others="Q"):
    """x as finite real floats (..., n, m) of the library of `other`, and its dtype as given."""
    xp, X = as_floats(x, name)
    if other is not None:
        check_library(X, name, other, others)
    check_shape(X.shape, name, stacked=True, empty=True)
    if not xp.isdtype(X.dtype, "real floating"):
        raise TypeError(f"{name} has dtype {X.dtype}; allowed are real numbers")
    check_finite(X, name)
    half = is_numpy_array(x) and x.dtype == "float16"           # X is float32 then
    return X, x.dtype if half else X.dtype


def _check_sizes(Q, K, V, causal):
    """Refuse shapes that do not fit."""
    if Q.shape[-1] != K.shape[-1]:
        raise ValueError(f"Q has {Q.shape[-1]} columns and K has {K.shape[-1]}; "
                         "allowed are as many")
    if K.shape[-2] != V.shape[-2]:
        raise ValueError(f"K has {K.shape[-2]} rows and V has {V.shape[-2]}; allowed are as many")
    if causal and Q.shape[-2] != K.shape[-2]:
        raise ValueError(f"Q has {Q.shape[-2]} rows and K has {K.shape[-2]}; "
                         "causal allows as many only")


def _gates(decay, Q, causal):
    """The decays as an array (..., n, 1) or (..., 1, 1), or None."""
    if decay is None:
        return None
    if not causal:
        raise ValueError(f"decay is {decay!r:.60}; it is allowed with causal=True only")
    if not is_array(decay):
        decay = check_number(decay, "decay", "a number with 0 <= decay <= 1, or an array of them",
                             lambda g: 0 <= g <= 1)
        return converted(decay, Q)[None, None]
    xp, g = as_floats(decay, "decay")
    if not is_numpy_array(decay) and xp is not array_namespace(Q):
        raise TypeError(f"decay is a {type(decay).__name__} and Q is a {type(Q).__name__}; "
                        "both must belong to one array library")
    if not xp.isdtype(g.dtype, "real floating"):
        raise TypeError(f"decay has dtype {g.dtype}; allowed are real numbers")
    if g.ndim and g.shape[-1] not in (1, Q.shape[-2]):
        raise ValueError(f"decay has shape {tuple(g.shape)}; allowed are a number and shapes "
                         f"that end in 1 or in the number of tokens, {Q.shape[-2]}")
    if 0 not in g.shape and not may_hold(xp.all((g >= 0) & (g <= 1))):
        raise ValueError(f"decay has entries from {float(xp.min(g)):.3g} to "
                         f"{float(xp.max(g)):.3g}; allowed is 0 <= decay <= 1")
    return converted(g, Q)[(..., None) if g.ndim else (None, None)]


# %% book/structure/linear_transformer.ipynb: _relu
def _relu(X):
    """The positive part."""
    return array_namespace(X).where(X > 0, X, 0.0)


def _elu(X):
    """x + 1 where x > 0, exp(x) elsewhere."""
    above = _relu(X)
    return array_namespace(X).exp(X - above) + above


_FEATURES = {None: lambda X: X, "relu": _relu, "elu": _elu}


# %% book/structure/linear_transformer.ipynb: _featured
def _featured(features, X, name, normalize):
    """The features of the rows of X."""
    xp, given = array_namespace(X), name
    if callable(features):
        given = f"features({name})"
        Y = features(X)
        shape = tuple(getattr(Y, "shape", ()))
        if not is_array(Y) or array_namespace(Y) is not xp or shape[:-1] != X.shape[:-1]:
            raise ValueError(f"{given} is a {type(Y).__name__} of shape {shape}; allowed is an "
                             f"array of the library of {name} with shape (*{X.shape[:-1]}, any)")
        Y = xp.astype(Y, X.dtype, copy=False)
        check_finite(Y, given)
    else:
        Y = _FEATURES[features](X)
    if not normalize or features in ("relu", "elu") or 0 in Y.shape:
        return Y
    if not may_hold(xp.all(Y >= 0)):
        raise ValueError(f"{given} has the minimum {float(xp.min(Y)):.3g}; normalize allows "
                         "features >= 0 only, such as those of features='elu' and 'relu'")
    return Y


# %% book/structure/linear_transformer.ipynb: _exponent
def _exponent(X, rows=False):
    """e, with entries of X / 2**e up to about 1, for each matrix, or each row of an X >= 0;
    0 where nothing can happen."""
    xp, X = array_namespace(X), constant(X)
    peak = xp.max(X, axis=-1, keepdims=True) if rows and X.shape[-1] else peak_of(X)
    far = (peak > 2.0**30) | ((peak < 2.0**-30) & (peak > 0))
    if not may_hold(xp.any(far)):
        return 0 * peak
    return xp.where(far, xp.round(xp.log2(power_of_two(peak))), 0.0)


def _shifted(X, e):
    """X 2**e, where nothing but the result may leave the range."""
    xp = array_namespace(X)
    if not may_hold(xp.any(e != 0)):
        return X
    most = 2 * math.log2(float(xp.finfo(X.dtype).max)) - 4
    e = xp.clip(e, min=-most, max=most)
    half = xp.floor(e / 2)
    return X * 2.0**half * 2.0**(e - half)


def _key_exponent(K, S, value):
    """The exponent of K, or that of the state in its units, if this is larger."""
    xp, key = array_namespace(K), _exponent(K)
    if S is None or 0 in S.shape:
        return key
    there = _exponent(xp.abs(S).mT, rows=True).mT - value       # of each column
    there = xp.where(xp.any(S != 0, axis=-2, keepdims=True), there, -math.inf)
    return xp.maximum(key, xp.max(there, axis=-1, keepdims=True))


# %% book/structure/linear_transformer.ipynb: _attended
def _attended(Q, K, V, S, g, batch, chunk, normalize):
    """(Y, S') for features, with the sums of weights in a last column if `normalize`."""
    xp = array_namespace(Q)
    value = _exponent(V)
    V = _shifted(V, -value)
    if normalize:
        one = xp.ones((*V.shape[:-1], 1), dtype=V.dtype, device=device(V))
        each = xp.broadcast_to(value, (*value.shape[:-1], V.shape[-1]))
        V, value = xp.concat([V, one], axis=-1), xp.concat([each, 0 * value], axis=-1)
    key, query = _key_exponent(K, S, value), _exponent(Q, rows=normalize)
    Q, K = _shifted(Q, -query), _shifted(K, -key)
    shape = (*batch, K.shape[-1], V.shape[-1])
    if S is None:
        S = xp.zeros(shape, dtype=Q.dtype, device=device(Q))
    S = xp.broadcast_to(_shifted(S, -key - value), shape)
    if chunk is None:
        S = S + K.mT @ V
        Y = Q @ S
    else:
        S, Y = _causal(S, Q, K, V, g, chunk)
    return _shifted(Y, value if normalize else query + key + value), _shifted(S, key + value)


# %% book/structure/linear_transformer.ipynb: linear_attention
@quiet
def linear_attention(Q, K, V, causal=False, *, chunk=64, features=None, normalize=False,
                     decay=None, state=None, return_state=False):
    r"""f(Q) (f(K)^T V), or its causal form (D * f(Q) f(K)^T) V, in time linear in the tokens.

    Parameters
    ----------
    Q : array, shape (..., n, m)
        Queries of NumPy, PyTorch or JAX, one a row. Leading axes, as of heads, broadcast.
    K : array, shape (..., n_k, m)
        Keys; n_k = n if `causal`.
    V : array, shape (..., n_k, e)
        Values.
    causal : bool, default False
        Whether row t sees keys and values up to its own only.
    chunk : int >= 1, default 64
        Tokens that are taken together in the causal form. Any number gives the same result
        up to rounding; the best is near the square root of features times e.
    features : {None, "elu", "relu"} or callable, default None
        f, of each row: None for the row itself, "elu" for x + 1 where x > 0 and exp(x)
        elsewhere, "relu" for max(x, 0), or a function that maps (..., n, m) to (..., n, M).
    normalize : bool, default False
        Divide each row by its sum of weights, so that it is a mean of values. The features
        must not be negative. A row whose weights are all 0 is 0.
    decay : float or array, optional
        0 <= decay <= 1, with `causal`: what a state keeps from one token to the next. A
        number, or an array that broadcasts to (..., n): (heads, 1) for one decay a head,
        (n,) or (..., n) for one a token, by which what was before this token decays.
    state : array, shape (..., M, e), optional
        What earlier calls returned: their keys and values are seen too. With `normalize` it
        has a column more, for the sums of weights.
    return_state : bool, default False
        Whether to return the state as well.

    Returns
    -------
    Y : array, shape (..., n, e)
        In the floating dtype that Q, K and V share.
    state : array, shape (..., M, e) or (..., M, e + 1)
        If ``return_state``: what continues this call, in at least float32; in the dtype of
        the state that was given, if that is wider.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, chunk < 1, an unknown name of features, features
        with negative entries and `normalize`, or a decay outside of [0, 1] or without `causal`.
    TypeError
        Complex numbers, arrays of different libraries, or features that are neither.

    Notes
    -----
    2 n M e MACs without a mask; with it n chunk (M + e) more, and a half of n M e for the
    states of 32 chunks (:prf:ref:`chunk-cost`). No array is larger than a few times the input
    and 32 scores or states of a chunk at a time; derivatives keep n chunk scores and
    n M e / chunk numbers of states. Half precision is computed in single. Nothing is divided
    by a decay (:prf:ref:`decay-powers`), and a decay 0 is allowed, with finite derivatives.
    PyTorch and JAX differentiate the result; powers of two that keep it in range are
    constants. Values are not looked at by a tracer, which then finds nothing to refuse.
    Derived in :ref:`linear-attention-forms`, :prf:ref:`three-forms`.

    Examples
    --------
    Ten tokens, and then the rest:

    >>> import numpy as np
    >>> from lowrank import linear_attention
    >>> Q, K, V = np.random.default_rng(0).standard_normal((3, 1000, 8))
    >>> options = {"causal": True, "features": "elu", "normalize": True, "return_state": True}
    >>> Y, _ = linear_attention(Q, K, V, **options)
    >>> first, state = linear_attention(Q[:10], K[:10], V[:10], **options)
    >>> rest, _ = linear_attention(Q[10:], K[10:], V[10:], state=state, **options)
    >>> np.allclose(np.concatenate([first, rest]), Y)
    True
    """
    chunk = check_count(chunk, "chunk", 1)
    if not callable(features):
        check_choice(features, "features", tuple(_FEATURES))
    (Q, *own), (K, *key), (V, *value) = (_taken(Q, "Q"), _taken(K, "K", Q), _taken(V, "V", Q))
    _check_sizes(Q, K, V, causal)
    xp, g = array_namespace(Q), _gates(decay, Q, causal)
    dtype = reduce(xp.result_type, own + key + value)
    S, *wide = (None,) if state is None else _taken(state, "state", Q)
    work = reduce(xp.result_type, wide, xp.result_type(dtype, xp.float32))
    Q, K, V, S, g = (X if X is None else xp.astype(X, work, copy=False) for X in (Q, K, V, S, g))
    Q, K = (_featured(features, X, name, normalize) for X, name in ((Q, "Q"), (K, "K")))
    e, columns = V.shape[-1], V.shape[-1] + bool(normalize)
    if S is not None and S.shape[-2:] != (K.shape[-1], columns):
        raise ValueError(f"state has shape {tuple(S.shape)}; "
                         f"allowed is (..., {K.shape[-1]}, {columns})")
    leading = {"Q": Q, "K": K, "V": V, "decay": g, "state": S}
    batch = _broadcast(**{name: X.shape[:-2] for name, X in leading.items() if X is not None})
    Y, S = _attended(Q, K, V, S, g, batch, chunk if causal else None, bool(normalize))
    Y = Y[..., :e] / safe_divisor(Y[..., e:]) if normalize else Y
    Y = xp.astype(Y, dtype, copy=False)
    return (Y, S) if return_state else Y


# %% book/structure/linear_transformer.ipynb: random_features
@quiet
def random_features(X, W, *, shift=None):
    r"""Features exp(w_i . x - |x|^2 / 2) / sqrt(M) of rows x, whose products estimate exp(q . k).

    Parameters
    ----------
    X : array, shape (..., n, d)
        Queries or keys, one a row, of NumPy, PyTorch or JAX; of a softmax with the scores
        s q . k, multiplied by the root of s.
    W : array, shape (..., M, d)
        Independent standard normal numbers, the same for queries and keys.
    shift : {None, "row", "all"}, default None
        None for features that are unbiased. The others divide by the largest feature of each
        row, or of all rows of a matrix, so that nothing over- or underflows. Normalised
        attention does not notice "row" for queries and "all" for keys.

    Returns
    -------
    array, shape (..., n, M)
        In the floating dtype that both share.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, or an unknown shift.
    TypeError
        Complex numbers, or arrays of different libraries.

    Notes
    -----
    n d M MACs. Without a shift what leaves the range of the dtype becomes 0 or Inf. The
    relative variance of an estimate is (exp(|q + k|^2) - 1) / M. Derived in
    :ref:`linear-attention-random`, :prf:ref:`random-feature-variance`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import random_features
    >>> rng = np.random.default_rng(0)
    >>> q, k = 0.3 * rng.standard_normal((2, 1, 8))
    >>> W = rng.standard_normal((100_000, 8))
    >>> estimate = (random_features(q, W) @ random_features(k, W).T).item()
    >>> round(estimate / np.exp(q @ k.T).item(), 1)
    1.0
    """
    check_choice(shift, "shift", (None, "row", "all"))
    (X, *own), (W, *other) = _taken(X, "X"), _taken(W, "W", X, "X")
    if X.shape[-1] != W.shape[-1]:
        raise ValueError(f"X has {X.shape[-1]} columns and W has {W.shape[-1]}; allowed are "
                         "as many")
    _broadcast(X=X.shape[:-2], W=W.shape[:-2])
    xp, M = array_namespace(X), W.shape[-2]
    dtype = reduce(xp.result_type, own + other)
    X, W = (xp.astype(A, xp.result_type(dtype, xp.float32), copy=False) for A in (X, W))
    log = X @ W.mT
    if shift != "row":                                  # what all features of a row share
        log = log - xp.sum(X * X, axis=-1, keepdims=True) / 2
    if shift is not None and 0 not in log.shape:
        top = constant(xp.max(log, axis=-1 if shift == "row" else (-2, -1), keepdims=True))
        log = log - xp.where(xp.isfinite(top), top, 0.0)
    return xp.astype(xp.exp(log) / max(M, 1)**0.5, dtype, copy=False)
