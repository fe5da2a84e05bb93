r"""Vector quantization.

Between an encoder and a decoder each vector $z$ is replaced by the nearest of $K$ codes, $q=c_i$
with $i=\operatorname*{arg\,min}_j\lVert z-c_j\rVert$.

Generated from book/rotations/vector_quantization.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np
from array_api_compat import is_jax_array

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    array_namespace,
    as_common,
    as_floats,
    check_library,
    check_parameter,
    compiling,
    constant,
    device,
    exponent_of,
    is_array,
    is_numpy_array,
    is_tensor,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    rescaled,
    safe_norms,
    shifted,
)
from lowrank.derivatives import Rule, attached
from lowrank.unit_rotation import rotate

__all__ = [
    "vq_assign",
    "rotation_trick",
    "pass_through",
    "vq_gradient",
    "CodebookUsage",
    "codebook_usage",
    "simvq_step",
]


# %% book/rotations/vector_quantization.ipynb: _nearest
def _nearest(Z, codes, near):
    """Of the codes that are marked in a row of `near` the nearest, the first among equals."""
    row, code = np.nonzero(near)
    D = Z[row].astype(np.float64) - codes[code]
    length = safe_norms(D, 1)[:, 0] if Z.dtype == D.dtype else np.vecdot(D, D)
    least = np.minimum.reduceat(length, np.flatnonzero(np.diff(row, prepend=-1)))
    hits = np.flatnonzero(length == least[row])[::-1]
    best = np.empty(len(Z), np.intp)
    best[row[hits]] = code[hits]                            # what is written last stays
    return best


def _table(codes):
    """(centre, unit, table): columns (c - m, -|c - m|^2 / 2) in units of a power of two."""
    centre = codes.mean(axis=0)
    Y = codes - centre
    unit = np.ldexp(Y.dtype.type(1), exponent_of(np.abs(Y).max()) - 1)
    Y = Y / unit
    return centre, unit, np.concatenate([Y, -np.vecdot(Y, Y)[:, None] / 2], axis=1).T.copy()


# %% book/rotations/vector_quantization.ipynb: _scores
def _scores(Z, codes, block):
    """For each block of vectors: its first row, the scores, and 2 beta for each row."""
    (N, d), K, info = Z.shape, len(codes), np.finfo(Z.dtype)
    centre, size, table = _table(codes)
    unit, reach = size, np.sqrt(-2 * table[-1].min())
    ordinary = np.abs(Z).max(initial=0) < unit * 2.0**(info.maxexp // 4)
    space, X = (np.empty((min(block, N), n), Z.dtype) for n in (K, d + 1))
    for i in range(0, N, block):
        n = min(block, N - i)
        x = np.subtract(Z[i:i + n], centre, out=X[:n, :d])
        if not ordinary:                                    # then a row has a unit of its own
            size = exponent_of(np.abs(x).max(axis=1, keepdims=True))
            size = np.maximum(np.ldexp(x.dtype.type(1), size - 1), unit)
        x /= size
        X[:n, d:] = unit / size
        far = np.sqrt(np.einsum("ij,ij->i", x, x))
        twice = 2.1 * (d + 2) * info.eps * reach * (far + X[:n, d] * reach / 2)
        yield i, np.matmul(X[:n], table, out=space[:n]), twice


# %% book/rotations/vector_quantization.ipynb: _assigned
def _assigned(Z, codes, block):
    """Indices of the nearest codes, for arrays of NumPy."""
    d, K, found = Z.shape[1], len(codes), np.empty(len(Z), np.intp)
    top = exponent_of(max(np.abs(v).max(initial=0) for v in (Z, codes)))
    excess = int(top) + K.bit_length() + 2 - np.finfo(Z.dtype).maxexp
    if excess > 0:                                          # sums would overflow
        Z, codes = shifted(Z, -excess), shifted(codes, -excess)
    few = max(1, 2**20 // (K * d))
    for i, S, twice in _scores(Z, codes, block):
        first, flat = np.arange(len(S)) * K, S.reshape(-1)
        best = found[i:i + len(S)] = S.argmax(axis=1)
        top = flat[first + best]
        flat[first + best] = -np.inf                        # covered up
        second = flat[first + S.argmax(axis=1)]             # sooner found than S.max
        flat[first + best] = top
        doubtful = np.flatnonzero(second >= top - twice)
        for j in range(0, len(doubtful), few):
            rows = doubtful[j:j + few]
            near = S[rows] >= (top - twice)[rows, None]
            found[i + rows] = _nearest(Z[i + rows], codes, near)
    return found


# %% book/rotations/vector_quantization.ipynb: _assigned_there
def _assigned_there(xp, Z, codes, block):
    """The same without looking at values: the nearer of the two codes with the best scores."""
    centre, places = xp.mean(codes, axis=0), xp.arange(codes.shape[0], device=device(Z))
    Y = codes - centre
    unit = power_of_two(xp.max(xp.abs(Y)))
    Y = Y / unit
    half = xp.sum(Y * Y, axis=-1) / 2

    def part(Z):
        X = Z - centre
        size = power_of_two(xp.max(xp.abs(X), axis=-1, keepdims=True))
        size = xp.maximum(size, unit)
        S = X / size @ Y.T - unit / size * half
        first = xp.argmax(S, axis=-1)
        rest = xp.where(places == first[:, None], -xp.inf, S)
        second = xp.argmax(rest, axis=-1)
        one, two = (xp.sum(((Z - xp.take(codes, i, axis=0)) / size)**2, axis=-1)
                    for i in (first, second))
        return xp.where((two < one) | ((two == one) & (second < first)), second, first)

    if Z.shape[0] <= block:
        return part(Z)
    if is_jax_array(Z):
        import jax
        return jax.lax.map(lambda z: part(z[None])[0], Z, batch_size=block)
    return xp.concat([part(Z[i:i + block]) for i in range(0, Z.shape[0], block)])


# %% book/rotations/vector_quantization.ipynb: _as_given
def _as_given(y, x, name):
    """y in the dtype of x as it was given, which 16-bit floats keep and integers do not."""
    half = isinstance(x, np.ndarray) and x.dtype == np.float16
    dtype = x.dtype if half else as_floats(x, name)[1].dtype
    return array_namespace(y).astype(y, dtype, copy=False)


def _check_codes(Z, codes):
    """Refuse what are no vectors and codes of one length."""
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(f"codes has shape {tuple(codes.shape)}; allowed is (K, d), one code "
                         "or more with one entry or more")
    if not Z.ndim or Z.shape[-1] != codes.shape[1]:
        raise ValueError(f"Z has shape {tuple(Z.shape)}; allowed is (..., {codes.shape[1]}), "
                         "vectors as long as the codes")


def _on_host(x):
    """x as an array of NumPy, or None if it has no values, or has them on another device."""
    if is_numpy_array(x) or compiling():
        return x if is_numpy_array(x) else None
    try:
        if is_tensor(x):
            return x.numpy()
        there = is_jax_array(x) and any(place.platform != "cpu" for place in x.devices())
        return None if there else np.asarray(x)
    except (TypeError, RuntimeError):                       # of tracers and other devices
        return None


# %% book/rotations/vector_quantization.ipynb: vq_assign
@quiet
def vq_assign(Z, codes, *, block=None):
    r"""The index of the nearest code of each vector, by products of matrices, and exact.

    Parameters
    ----------
    Z : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX, real.
    codes : array, shape (K, d)
        The code book, of the same library.
    block : int >= 1, optional
        How many vectors are taken at a time; by default so many that there are about 2^18
        scores, at least 512. With arrays on another device, or where they are traced, 2^24.

    Returns
    -------
    array of int, shape (...)
        The index i of the smallest norm(z - codes[i]), the first among equals; of the same
        library and device.

    Raises
    ------
    ValueError
        NaN or Inf, no codes, or lengths that do not fit.
    TypeError
        Complex numbers, a dtype without meaning, or arrays of different libraries.

    Notes
    -----
    N K d multiplications and block x K numbers of memory for N vectors. For arrays whose values
    are at hand, in NumPy or on the CPU, the answer is that of differences in double precision,
    whatever the dtype and however far from the origin: all codes that rounding could have
    hidden are compared once more (:prf:ref:`centred-scores`). A code book with very many equal
    codes makes that long. On other devices and under `jit` only the two codes with the best
    scores are compared, in the given precision, and what may be missed is a code whose score is
    not among the two and within 2 beta of them. Indices have no derivative.
    Derived in :ref:`vector-quantization-nearest`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import vq_assign
    >>> codes = np.array([[0.0, 0], [4, 0], [0, 4]])
    >>> vq_assign([[1.0, 1], [3, 2], [1e6, 1e6 + 1]], codes).tolist()
    [0, 1, 2]
    """
    xp, _, *arrays = as_common(Z=Z, codes=codes)
    Z, codes = map(constant, arrays)
    _check_codes(Z, codes)
    rows = xp.reshape(Z, (-1, Z.shape[-1]))
    values = [_on_host(v) for v in (rows, codes)]
    here = all(v is not None for v in values)
    if block is None:
        block = max(512, 2**(18 if here else 24) // codes.shape[0])
    block = check_count(block, "block", 1)
    if not here:
        return xp.reshape(_assigned_there(xp, rows, codes, block), Z.shape[:-1])
    found = _assigned(*values, block).reshape(Z.shape[:-1])
    return found if is_numpy_array(Z) else xp.asarray(found, device=device(Z))


# %% book/rotations/vector_quantization.ipynb: _scaled
def _scaled(v):
    """(v over a power of two, its exponent, its length), a vector a row."""
    square, most = np.vecdot(v, v), 2.0**(np.finfo(v.dtype).maxexp // 2 - 4)
    if square.size and 1 / most < square.min() and square.max() < most:
        return v, 0, np.sqrt(square)                        # as it is: no product leaves the range
    e = exponent_of(np.abs(v).max(axis=-1, keepdims=True))
    v = shifted(v, -e)
    return v, e, np.sqrt(np.vecdot(v, v))


def _few_carried(power, u, s, t):
    """(|s| / |t|)^power times the rotation of rows u from s to t; u where s or t is 0."""
    (u, eu, _), (s, es, ls), (t, et, lt) = map(_scaled, (u, s, t))
    c, su, tu = np.vecdot(s, t) / (ls * lt), np.vecdot(s, u) / ls, np.vecdot(t, u) / lt
    share, ratio = (su + tu) / (1 + c), (ls / lt)**power
    y = u * ratio[:, None]
    y += (ratio * (2 * su - share) / lt)[:, None] * t
    y -= (ratio * share / ls)[:, None] * s
    straight = (ls == 0) | (lt == 0)
    opposite = ~(c > -0.5) & ~straight
    if opposite.any():                                      # rarely, of a nearest code
        few = [v[opposite] for v in (u, s, t)]
        turned = rotate(*few) if u.shape[-1] > 1 else -few[0]
        y[opposite] = turned * ratio[opposite, None]
    e = eu + power * (es - et)
    if straight.any():
        y[straight] = u[straight]
        e = np.where(straight[:, None], eu, e)
    return shifted(y, e)


# %% book/rotations/vector_quantization.ipynb: _carried_there
def _carried_there(power, u, s, t):
    """The same for arrays of which no row can be chosen by its values."""
    xp = array_namespace(u)
    largest = lambda v: xp.max(xp.abs(v), axis=-1, keepdims=True)
    straight = (largest(s) == 0) | (largest(t) == 0)
    s, t = (xp.where(straight, 1.0, v) for v in (s, t))
    y = rotate(u, s, t) if u.shape[-1] > 1 else u * xp.sign(s) * xp.sign(t)
    if power:
        (s, es), (t, et) = ((v / e, e) for v, e in ((v, power_of_two(largest(v))) for v in (s, t)))
        ratio = xp.sqrt(xp.sum(s * s, axis=-1, keepdims=True)
                        / xp.sum(t * t, axis=-1, keepdims=True))
        y = (rescaled(y * ratio, es, et) if power > 0 else rescaled(y / ratio, et, es))
    return xp.where(straight, u, y)


def _carried(power, u, s, t):
    """u after the rotation from s to t, times (|s| / |t|)^power; u itself for the power None."""
    if power is None:
        return u
    if not is_numpy_array(u):
        return _carried_there(power, u, s, t)
    rows, y = [v.reshape(-1, v.shape[-1]) for v in (u, s, t)], np.empty(u.shape, u.dtype)
    step, into = max(1, 2**16 // u.shape[-1]), y.reshape(-1, u.shape[-1])
    for i in range(0, len(into), step):                     # nothing large is left lying about
        into[i:i + step] = _few_carried(power, *(v[i:i + step] for v in rows))
    return y


# %% book/rotations/vector_quantization.ipynb: _CARRY
_CARRY = Rule(
    lambda power, u, s, t: (_carried(power, u, s, t),),
    lambda power, ins, outs, gs: (_carried(power and -power, gs[0], ins[2], ins[1]), None, None),
    lambda power, ins, outs, du: (_carried(power, du[0], *ins[1:]),),
)
_PASS = Rule(
    lambda power, z, q: (q * 1,),
    lambda power, ins, outs, gs: (_carried(power, gs[0], ins[1], ins[0]), None),
    lambda power, ins, outs, dz: (
        0 * outs[0] if dz[0] is None else _carried(power and -power, dz[0], *ins),),
)


# %% book/rotations/vector_quantization.ipynb: _as_pairs
def _as_pairs(**given):
    """Vectors of one shape (..., d), of 32 bits or more, in one dtype."""
    _, _, *arrays = as_common(**given)
    z = arrays[0]
    if not z.ndim or not z.shape[-1]:
        raise ValueError(f"z has shape {tuple(z.shape)}; allowed is (..., d), vectors with one "
                         "entry or more")
    for name, v in zip(given, arrays):
        if v.shape != z.shape:
            raise ValueError(f"{name} has shape {tuple(v.shape)}; allowed is the shape of z, "
                             f"{tuple(z.shape)}")
    return arrays


# %% book/rotations/vector_quantization.ipynb: rotation_trick
@quiet
def rotation_trick(z, q, upstream, *, rescale=True):
    r"""The gradient that the rotation trick passes from codes q back to vectors z.

    Parameters
    ----------
    z, q : array, shape (..., d)
        Vectors and their codes, of NumPy, PyTorch or JAX, real.
    upstream : array, shape (..., d)
        The gradient of the loss in q.
    rescale : bool, default True
        Multiply by norm(q) / norm(z), without which only directions are turned.

    Returns
    -------
    array, shape (..., d)
        M^T upstream, where M = norm(q) / norm(z) times the rotation from z to q sends z to q;
        of the dtype of z.

    Raises
    ------
    ValueError
        NaN or Inf, or shapes that differ.
    TypeError
        Complex numbers, a dtype without meaning, or arrays of different libraries.

    Notes
    -----
    O(d) operations a vector, and for contiguous arrays of NumPy of one dtype no memory beside
    the result that grows with their number. Angles and lengths are kept to a few eps at every
    angle of z and q (:prf:ref:`trick-gradient`); for opposite vectors the half-turn is that of
    `rotate`, and for d = 1 the sign of q z takes its place. Where z or q is zero there is no
    angle, and upstream is returned. Differentiated by PyTorch and JAX it is a linear function
    of upstream, since the trick holds z and q constant: to these no derivative is passed. Near
    z = 0 the factor is as large as 1 / norm(z); what follows shows
    :ref:`vector-quantization-training`.
    Derived in :ref:`vector-quantization-through`.

    Examples
    --------
    >>> from lowrank import rotation_trick
    >>> rotation_trick([1.0, 2, 2], [2.0, -1, 0], [1.0, 0, -1]).round(6)
    array([ 0.676333,  0.79711 , -0.135277])
    >>> rotation_trick([[0.0, 0], [1, 0]], [[3.0, 4], [0, 2]], [[1.0, 5], [1, 5]]).round(6)
    array([[ 1.,  5.],
           [10., -2.]])
    """
    z32, q, u = _as_pairs(z=z, q=q, upstream=upstream)
    power = 1 if rescale else 0
    (g,) = attached(_CARRY, u, constant(q), constant(z32), static=(power,))
    return _as_given(g, z, "z")


@quiet
def pass_through(z, q, *, method="rotation"):
    r"""The codes q to the last bit, through which a gradient passes to the vectors z.

    Parameters
    ----------
    z, q : array, shape (..., d)
        Vectors and their codes, of NumPy, PyTorch or JAX, real.
    method : {"rotation", "straight"}
        "rotation" passes what `rotation_trick` says, "straight" the gradient as it is.

    Returns
    -------
    array, shape (..., d)
        Equal to q, in its dtype.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that differ, or a method that is none of these.
    TypeError
        Complex numbers, a dtype without meaning, or arrays of different libraries.

    Notes
    -----
    The value is copied and not computed as M z, so that a decoder sees the codes in every
    dtype (:ref:`vector-quantization-value`). PyTorch and JAX differentiate it in z only; codes
    are trained by a loss of their own, see `vq_gradient`. For arrays of NumPy, which nobody
    differentiates, it is a copy of q. Derived in :ref:`vector-quantization-through`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import pass_through
    >>> pass_through(np.array([1.0, 2]), np.array([3.0, 4]))
    array([3., 4.])
    """
    check_choice(method, "method", ("rotation", "straight"))
    z32, q32 = _as_pairs(z=z, q=q)
    static = (1 if method == "rotation" else None,)
    (y,) = attached(_PASS, z32, q32, static=static)
    return _as_given(y, q, "q")


# %% book/rotations/vector_quantization.ipynb: _as_indices
def _as_indices(indices, shape, K, xp, other):
    """Indices from 0 to K - 1 of a shape, in the library of `other`."""
    i = indices if is_array(indices) else np.asarray(indices)
    check_library(i, "indices", other, "Z")
    allowed = f"integers from 0 to {K - 1}"
    if not xp.isdtype(i.dtype, "integral"):
        raise TypeError(f"indices has dtype {i.dtype}; allowed are {allowed}")
    if tuple(i.shape) != tuple(shape):
        raise ValueError(f"indices has shape {tuple(i.shape)}; allowed is {tuple(shape)}, an "
                         "index for each vector")
    if not may_hold(xp.all((i >= 0) & (i < K))):
        raise ValueError(f"indices has entries from {int(xp.min(i))} to {int(xp.max(i))}; "
                         f"allowed are {allowed}")
    return xp.reshape(i, (-1,))


# %% book/rotations/vector_quantization.ipynb: vq_gradient
def _sums(D, i, K):
    """The sums of those rows of D that have the same index i, for each i from 0 to K - 1."""
    xp = array_namespace(D)
    kinds = xp.__array_namespace_info__().dtypes(kind="real floating")
    wide = xp.astype(D, kinds.get("float64", D.dtype), copy=False)
    if is_tensor(D):
        return wide.new_zeros(K, D.shape[1]).index_add(0, i, wide)
    if is_jax_array(D):
        import jax
        return jax.ops.segment_sum(wide, i, num_segments=K)
    rows, i, sums = np.asarray(wide), np.asarray(i), np.zeros((K, D.shape[1]))
    order = np.argsort(i, kind="stable")
    starts = np.flatnonzero(np.diff(i[order], prepend=-1))
    sums[i[order[starts]]] = np.add.reduceat(rows[order], starts, axis=0)
    return xp.asarray(sums)


@quiet
def vq_gradient(Z, codes, indices):
    r"""The gradient of the mean of norm(Z[n] - codes[indices[n]])^2 in the codes.

    Parameters
    ----------
    Z : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX, real, at least one.
    codes : array, shape (K, d)
        The code book, of the same library.
    indices : array of int, shape (...)
        The code of each vector, as `vq_assign` gives it; of the same library.

    Returns
    -------
    array, shape (K, d)
        2 n_i / N times codes[i] minus the mean of its n_i vectors, of the dtype of the codes;
        rows of codes that are not used are zero.

    Raises
    ------
    ValueError
        NaN or Inf, no vectors or codes, shapes that do not fit, or an index out of range. Under
        `jit`, where nobody can look, what is out of range is not counted.
    TypeError
        Complex numbers, indices that are no integers, or arrays of different libraries.

    Notes
    -----
    O(N d) operations. Differences are summed, in double precision where the library has it, so
    that vectors far from the origin lose nothing. The step codes - lr * gradient with
    lr = N / (2 n_i) is one of k-means (:prf:ref:`kmeans-step`). PyTorch and JAX differentiate it
    in vectors and codes. Derived in :ref:`vector-quantization-codes`.

    Examples
    --------
    >>> from lowrank import vq_gradient
    >>> vq_gradient([[0.0], [1], [5], [7]], [[0.0], [4], [9]], [0, 0, 1, 1])
    array([[-0.5],
           [-2. ],
           [ 0. ]])
    """
    given = codes
    xp, _, Z, codes = as_common(Z=Z, codes=codes)
    _check_codes(Z, codes)
    i = _as_indices(indices, Z.shape[:-1], codes.shape[0], xp, Z)
    if 0 in Z.shape:
        raise ValueError(f"Z has shape {tuple(Z.shape)}; allowed is one vector or more")
    D = xp.take(codes, i, axis=0) - xp.reshape(Z, (-1, Z.shape[-1]))
    return _as_given(_sums(D * (2 / D.shape[0]), i, codes.shape[0]), given, "codes")


# %% book/rotations/vector_quantization.ipynb: CodebookUsage
class CodebookUsage(namedtuple("CodebookUsage", "used perplexity")):
    """How many codes are in use, and how evenly.

    Attributes
    ----------
    used : int
        The number of codes that occur.
    perplexity : float
        The exponential of the entropy of their shares, from 1 to `used`.
    """

    __slots__ = ()


def codebook_usage(indices, n_codes):
    r"""How many codes of a code book are in use, and how evenly.

    Parameters
    ----------
    indices : array of int
        Indices from 0 to n_codes - 1, of any shape, at least one.
    n_codes : int >= 1
        The number of codes K.

    Returns
    -------
    CodebookUsage
        The number of codes that occur, and the perplexity.

    Raises
    ------
    ValueError
        No indices, an index out of range, or n_codes below 1.
    TypeError
        Indices that are no integers, or n_codes that is none.

    Notes
    -----
    One count. Give it the indices of data that were not trained on, counted from zero: an average
    over a training run counts codes that were used once. The perplexity is at most the number
    used, with equality for equal shares: :prf:ref:`perplexity-counts`.
    Derived in :ref:`vector-quantization-usage`.

    Examples
    --------
    >>> from lowrank import codebook_usage
    >>> codebook_usage([3, 3, 5, 5], 8)
    CodebookUsage(used=2, perplexity=2.0)
    """
    K = check_count(n_codes, "n_codes", 1)
    i = np.asarray(indices.detach().cpu() if is_tensor(indices) else indices)
    if not i.size:
        raise ValueError(f"indices has shape {i.shape}; allowed is one index or more")
    i = _as_indices(i, i.shape, K, array_namespace(i), i)
    shares = np.bincount(i, minlength=K)
    shares = shares[shares > 0] / i.size
    perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
    return CodebookUsage(len(shares), min(max(perplexity, 1.0), float(len(shares))))


# %% book/rotations/vector_quantization.ipynb: simvq_step
def _product(X, Y, factor):
    """factor X Y, where only the result may leave the range of the dtype."""
    x, y = (power_of_two(peak_of(v)) for v in (X, Y))
    return rescaled(factor * (X / x @ (Y / y)), x, 1 / y)


@quiet
def simvq_step(E, W, grad, *, lr, train_codes=False):
    r"""One step of gradient descent on a code book that is a product E W.

    Parameters
    ----------
    E : array, shape (..., K, d)
        The table, of NumPy, PyTorch or JAX, real.
    W : array, shape (..., d, m)
        The map on it; codes are the rows of E @ W.
    grad : array, shape (..., K, m)
        The gradient of the loss in the codes E @ W, for example of `vq_gradient`.
    lr : float
        The rate, at least 0.
    train_codes : bool, default False
        Whether E is trained as well; else it is returned as it is.

    Returns
    -------
    E, W : array
        E - lr * grad @ W.T, or E as given, and W - lr * E.T @ grad, both from the old factors;
        of the dtypes of E and W.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, or a rate that is negative or not finite.
    TypeError
        Complex numbers, a dtype without meaning, or arrays of different libraries.

    Notes
    -----
    One product of matrices, or two. Every code whose row of E is not perpendicular to that of
    a used one moves (:prf:ref:`linear-codes-step`). With E frozen the end is a least squares
    problem with d m unknowns (:prf:ref:`linear-codes-limit`). PyTorch and JAX differentiate it,
    in lr too. Derived in :ref:`vector-quantization-map`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import simvq_step
    >>> E, W = np.array([[1.0, 0], [0.5, 1]]), np.eye(2)
    >>> E, W = simvq_step(E, W, [[2.0, 0], [0, 0]], lr=0.25)
    >>> E @ W
    array([[0.5 , 0.  ],
           [0.25, 1.  ]])
    """
    given = E, W
    _, _, E, W, G = as_common(E=E, W=W, grad=grad)
    rows, columns = E.shape[:-1], W.shape[-1:]
    if not (min(E.ndim, W.ndim) > 1 and W.shape[:-1] == (*E.shape[:-2], E.shape[-1])
            and G.shape == (*rows, *columns)):
        raise ValueError(f"given are E of shape {tuple(E.shape)}, W of shape {tuple(W.shape)} and "
                         f"grad of shape {tuple(G.shape)}; allowed are (..., K, d), (..., d, m) "
                         "and (..., K, m)")
    rate = check_parameter(lr, "lr", "a finite number >= 0", lambda lr: 0 <= lr < np.inf)
    new_W = _as_given(W - _product(E.mT, G, rate), given[1], "W")
    if not train_codes:
        return given[0] if is_array(given[0]) else E, new_W
    return _as_given(E - _product(G, W.mT, rate), given[0], "E"), new_W
