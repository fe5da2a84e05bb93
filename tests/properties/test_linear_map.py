"""The linear map: the same products for every kind of input."""

import re
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lowrank.column_row import cr_multiply
from lowrank.error_estimates import estimate_error, range_finder
from lowrank.interpolative import interp_decomp
from lowrank.linear_map import linear_map
from lowrank.psd import nystrom
from lowrank.pseudo_inverse import penrose_residuals
from lowrank.skeleton import aca, cur
from lowrank.sketching import randomized_svd
from lowrank.svd import truncated_svd
from tests.properties.matrices import HARD, KINDS, bits, double, eps, in_parts, random_matrix, stored_in_parts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARD)
def test_products_do_not_depend_on_how_the_matrix_is_stored(name, kind):
    A = HARD[name]
    stored, dense = KINDS[kind](A), double(A)
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((A.shape[1], 3)), rng.standard_normal((A.shape[0], 2))
    M = linear_map(stored)
    allowed = 20 * eps(A) * np.abs(dense).sum()
    assert np.abs(M.unscale(M.apply(X)) - dense @ X).max() <= allowed * np.abs(X).max()
    assert np.abs(M.unscale(M.adjoint_apply(Y)) - dense.conj().T @ Y).max() <= allowed * np.abs(Y).max()
    assert np.abs(M.unscale(M.column_norms()) - np.linalg.norm(dense, axis=0)).max() <= allowed
    assert np.abs(M.unscale(M.row_norms()) - np.linalg.norm(dense, axis=1)).max() <= allowed
    assert np.array_equal(M.unscale(M.dense()), dense)
    assert np.array_equal(M.unscale(M.columns([0])), dense[:, [0]])
    assert np.array_equal(M.unscale(M.rows([-1])), dense[[-1]])


def check_all_verbs(M, A, tolerance=1e-15):
    """Every verb of the map agrees with the dense matrix A."""
    rng, size = np.random.default_rng(0), np.abs(A).max() * sum(A.shape)
    X, Y = rng.standard_normal((A.shape[1], 3)), rng.standard_normal((A.shape[0], 2))
    for got, expected in ((M.apply(X), A @ X), (M.adjoint_apply(Y), A.conj().T @ Y), (M.dense(), A),
                          (M.columns([1, 1, 0]), A[:, [1, 1, 0]]), (M.rows([-1, 2]), A[[-1, 2]]),
                          (M.column_norms(), np.linalg.norm(A, axis=0)), (M.row_norms(), np.linalg.norm(A, axis=1))):
        assert got.shape == expected.shape
        np.testing.assert_allclose(M.unscale(got), expected, rtol=0, atol=10 * tolerance * size)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int8])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_parts_of_an_entry_are_added_and_the_input_stays(form, dtype, index):
    B, A = stored_in_parts(form, dtype, index)
    before = bits(B)
    check_all_verbs(linear_map(B), A, eps(np.zeros(1, dtype)))
    after = bits(B)
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(value, after[key])


@pytest.mark.parametrize("convert", [sparse.bsr_matrix, sparse.bsr_array, sparse.csr_matrix, sparse.csc_matrix,
                                     sparse.lil_array, sparse.dok_array])
def test_parts_survive_every_form(convert):
    B, A = stored_in_parts("csr")
    if convert in (sparse.bsr_matrix, sparse.bsr_array):
        B = convert((B.data[:, None, None], B.indices, B.indptr), shape=B.shape)       # blocks of 1 x 1
    else:
        B = convert(B)
    check_all_verbs(linear_map(B), A)


def test_a_flag_that_lies_is_not_believed_and_no_flag_is_left():
    """A canonical matrix whose indices were changed afterwards: SciPy remembers that it is canonical."""
    B = sparse.csr_array(np.array([[1.0, 0, 2, 0], [0, 3, 0, 4], [5, 0, 0, 6]]))
    assert B.has_canonical_format
    B.indices[1] = 0
    check_all_verbs(linear_map(B), np.array([[3.0, 0, 0, 0], [0, 3, 0, 4], [5, 0, 0, 6]]))
    fresh, A = stored_in_parts("csr")
    linear_map(fresh).column_norms()
    assert not hasattr(fresh, "_has_canonical_format")


def test_parts_of_an_int8_and_of_a_bool_are_added_as_every_product_adds_them():
    for dtype, part, whole in ((np.int8, 100, 200.0), (bool, True, 2.0), (np.uint8, 255, 510.0)):
        for kind in (sparse.csr_array, sparse.csc_array):
            B = kind((np.array([part, part], dtype), [0, 0], [0, 2]), shape=(1, 1))
            M = linear_map(B)
            assert M.column_norms()[0] == M.apply(np.ones((1, 1)))[0, 0] == M.dense()[0, 0] == whole


def test_arrays_with_room_for_more_entries():
    """SciPy allows data and indices that are longer than indptr says."""
    B = sparse.csr_array(np.array([[1.0, 0, 2], [0, 3, 0], [4, 0, 5]]))
    A = B.toarray()
    B.data, B.indices = np.append(B.data, [7.0, np.nan]), np.append(B.indices, [1, 1]).astype(B.indices.dtype)
    check_all_verbs(linear_map(B), A)


def test_parts_that_overflow_are_refused():
    B = sparse.csr_array((np.array([1e308, 1e308, 1.0]), [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    for product in (lambda M: M.column_norms(), lambda M: M.apply(np.eye(2)), lambda M: M.dense()):
        with pytest.raises(ValueError, match="a product with A contains NaN or Inf"):
            product(linear_map(B))


def test_explicit_zeros_and_empty_matrices():
    B = sparse.csr_array((np.zeros(3), [0, 1, 0], [0, 2, 3]), shape=(2, 2))
    for A in (B, sparse.csr_array((3, 2)), sparse.coo_array((2, 5)), sparse.csc_array((1, 1))):
        M = linear_map(A)
        assert not M.column_norms().any() and not M.row_norms().any() and not M.dense().any()


@pytest.mark.parametrize("kind", ["dense", "Fortran order", "csr", "csc", "operator"])
def test_norms_of_lines_in_very_different_units(kind):
    """Columns whose squares leave the range beside others: no norm is lost."""
    for sizes in ([1e-200, 1e-170, 1.0, 1e30, 0.0], [1e200, 1e170, 1e160, 0.0], [1e-200, 1e-170, 0.0, 1e-160]):
        A, expected = np.array([[3.0], [4.0], [0.0]]) * np.array(sizes), 5 * np.array(sizes)
        for B, adjoint in ((A, False), (np.ascontiguousarray(A.T), True)):
            M = linear_map(KINDS[kind](B))
            norms = M.row_norms() if adjoint else M.column_norms()
            np.testing.assert_allclose(M.unscale(norms), expected, rtol=1e-14)


LONG = {"C order": np.asarray, "F order": np.asfortranarray, "csr": sparse.csr_array, "csc": sparse.csc_array}


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("kind", [*LONG, "file", "file, F order"])
def test_long_sums_in_single_precision(kind, dtype, tmp_path):
    """Equal positive terms are the worst for a running sum: 200 000 of them lose 1e-3 in single precision."""
    m = 200_000
    value = np.float32(0.1) * dtype(1 if dtype == np.float32 else 1j)
    for shape in ((m, 2), (2, m)):
        A = np.full(shape, value)
        if kind.startswith("file"):
            B = np.memmap(tmp_path / f"{shape[0]}", dtype, "w+", shape=shape, order="F" if "F" in kind else "C")
            B[:] = A
        else:
            B = LONG[kind](A)
        M, size = linear_map(B), float(abs(value))
        long, short = (M.column_norms, M.row_norms) if shape[0] == m else (M.row_norms, M.column_norms)
        assert long().dtype == np.float64
        np.testing.assert_allclose(M.unscale(long()), size * m**0.5, rtol=1e-11)
        np.testing.assert_allclose(M.unscale(short()), size * 2**0.5, rtol=1e-11)
        product = M.adjoint_apply if shape[0] == m else M.apply
        for width in (1, 3):
            Y = product(np.ones((m, width), dtype))
            assert Y.dtype == dtype
            np.testing.assert_allclose(np.abs(M.unscale(Y)), size * m, rtol=3e-5)


def counting(A, calls):
    """A as a LinearOperator that notes which product was taken with how many columns."""
    return LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: A @ v, rmatvec=lambda v: A.conj().T @ v,
                          matmat=lambda X: calls.append(("A", X.shape[1])) or A @ X,
                          rmatmat=lambda Y: calls.append(("A^H", Y.shape[1])) or A.conj().T @ Y)


@pytest.mark.parametrize("shape", [(3, 200), (200, 3), (70, 90), (90, 70)])
def test_the_short_side_of_an_operator_decides(shape):
    rng = np.random.default_rng(3)
    A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    for verb, expected in ((lambda M: M.dense(), A), (lambda M: M.column_norms(), np.linalg.norm(A, axis=0)),
                           (lambda M: M.row_norms(), np.linalg.norm(A, axis=1))):
        calls = []
        np.testing.assert_allclose(verb(linear_map(counting(A, calls))), expected, rtol=1e-13)
        used = [(name, width) for name, width in calls if width > 1]
        assert {name for name, _ in used} == {"A^H" if shape[0] < shape[1] else "A"}
        assert sum(width for _, width in used) == min(shape)
        assert max(width for _, width in used) <= 64


def test_a_very_wide_operator_takes_memory_of_its_own_size():
    """3 x 200 000: the identity of the long side would be 298 GiB."""
    d = np.arange(1.0, 200_001)
    times = lambda X: np.vstack([d @ X, X.sum(axis=0), X[0]])
    adjoint = lambda Y: np.outer(d, Y[0]) + Y[1] + np.eye(len(d), 1) * Y[2]
    M = linear_map(LinearOperator((3, len(d)), dtype=float, matvec=lambda x: times(x[:, None]).ravel(), matmat=times,
                                  rmatvec=lambda y: adjoint(y[:, None]).ravel(), rmatmat=adjoint))
    tracemalloc.start()
    A, norms = M.unscale(M.dense()), M.unscale(M.column_norms())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(A[0], d) and np.array_equal(A[1], np.ones(len(d))) and A[2].sum() == 1
    np.testing.assert_allclose(norms, np.linalg.norm(A, axis=0))
    assert peak < 100 * len(d) * 8


def test_a_wide_operator_without_adjoint_still_has_columns():
    A = np.random.default_rng(4).standard_normal((3, 150))
    M = linear_map(LinearOperator(A.shape, dtype=float, matvec=lambda v: A @ v))
    np.testing.assert_allclose(M.dense(), A)
    np.testing.assert_allclose(M.column_norms(), np.linalg.norm(A, axis=0))


class Bare(LinearOperator):
    """A LinearOperator of which nobody said the dtype."""

    def __init__(self, A, dtype=None):
        self.matrix = A
        super().__init__(dtype, A.shape)

    def _matvec(self, x):
        return self.matrix @ x

    def _rmatvec(self, y):
        return self.matrix.conj().T @ y


def test_the_dtype_of_an_operator_without_one_is_that_of_its_products():
    A = np.random.default_rng(5).standard_normal((4, 6))
    for B, dtype in ((A, np.float64), (A + 1j, np.complex128), (A.astype("f"), np.float64)):
        operator = Bare(B)
        M = linear_map(operator)
        assert M.dtype == dtype and M.dense().dtype == dtype and operator.dtype is None
        np.testing.assert_allclose(M.dense(), B)
        assert truncated_svd(operator, 2).U.dtype == dtype


def test_a_product_that_is_complex_against_its_word_is_refused():
    for operator in (Bare(np.eye(3) * 1j, np.float64), aslinearoperator(np.eye(3)) * 1j,
                     LinearOperator((3, 3), dtype=np.float32, matvec=lambda v: 1j * v, rmatvec=lambda v: -1j * v)):
        if operator.dtype.kind == "c":                          # SciPy knows
            np.testing.assert_array_equal(linear_map(operator).dense(), 1j * np.eye(3))
            continue
        M = linear_map(operator)
        for product in (M.apply, M.adjoint_apply):
            with pytest.raises(TypeError, match=r"A has dtype float(32|64), and its product with a real vector has"):
                product(np.eye(3, dtype=M.dtype))
    M = linear_map(Bare(np.eye(3), np.float64))                 # a complex vector may give what it likes
    np.testing.assert_array_equal(M.apply(1j * np.eye(3)), 1j * np.eye(3))


def test_products_come_in_the_dtype_of_the_map():
    A = np.random.default_rng(6).standard_normal((4, 3))
    for declared, computed in ((np.float64, np.float32), (np.float32, np.float64), (np.complex128, np.float64),
                               (np.float64, np.int64)):
        B = np.rint(10 * A).astype(computed)
        M = linear_map(LinearOperator(A.shape, dtype=declared, matvec=lambda v: (B @ v.real).astype(computed),
                                      rmatvec=lambda v: (B.T @ v.real).astype(computed)))
        assert M.apply(np.eye(3, dtype=declared)).dtype == declared == M.adjoint_apply(np.eye(4, dtype=declared)).dtype
        np.testing.assert_array_equal(M.dense(), B)


def vectors_only():
    """Operators that are right for vectors of shape (n,), and silently or loudly wrong for (n, 1)."""
    d = np.array([1.0, -2, 3, 4])
    F = np.fft.fft(np.eye(4))
    def strict(v):
        assert v.ndim == 1
        return d * v
    diagonal = LinearOperator((4, 4), dtype=float, matvec=lambda v: d * v, rmatvec=lambda v: d * v)
    return {
        "broadcasts": (diagonal, np.diag(d)),
        "asserts": (LinearOperator((4, 4), dtype=float, matvec=strict, rmatvec=strict), np.diag(d)),
        "transforms": (LinearOperator((4, 4), dtype=complex, matvec=np.fft.fft, rmatvec=lambda v: 4 * np.fft.ifft(v)), F),
        "sum": (diagonal + 2 * diagonal, 3 * np.diag(d)),
        "product": (diagonal @ diagonal, np.diag(d**2)),
        "adjoint": (LinearOperator((4, 4), dtype=complex, matvec=np.fft.fft, rmatvec=lambda v: 4 * np.fft.ifft(v)).H, F.conj().T),
        "power": (diagonal**3, np.diag(d**3)),
        "transpose": (diagonal.T, np.diag(d)),
    }


@pytest.mark.parametrize("name", vectors_only())
def test_a_product_that_knows_vectors_only(name):
    operator, A = vectors_only()[name]
    check_all_verbs(linear_map(operator), A)


def test_blocks_stay_blocks_where_the_operator_has_them():
    calls, A = [], np.eye(5, 4)
    M = linear_map(counting(A, calls))
    M.apply(np.ones((4, 3))), M.adjoint_apply(np.ones((5, 2)))
    assert calls == [("A", 3), ("A^H", 2)]
    seen = []
    class Blocks(LinearOperator):
        def _matmat(self, X):
            seen.append(X.shape)
            return X
        def _adjoint(self):
            return self
    M = linear_map(Blocks(np.float64, (4, 4)))
    M.apply(np.ones((4, 3))), M.adjoint_apply(np.ones((4, 2)))
    assert seen == [(4, 3), (4, 2)]


def test_what_does_not_fit_into_memory_is_named():
    huge = (2**24, 2**24)
    empty = sparse.coo_array((np.ones(1, np.float32), ([5], [7])), shape=(2**20, 2**31))
    free = LinearOperator(huge, dtype=np.float64, matvec=lambda v: v, rmatvec=lambda v: v)
    for A, size in ((empty, "8.39e+06 GiB"), (free, "2.1e+06 GiB")):
        with pytest.raises(MemoryError, match=rf"A has shape \({A.shape[0]}, {A.shape[1]}\): .*{re.escape(size)}"):
            linear_map(A).dense()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
def test_entries_at_the_end_of_the_range(dtype):
    """Both the products and the norms of an array stay in the range, wherever the entries are."""
    info = np.finfo(dtype)
    for unit in (info.max, info.smallest_subnormal * 4):
        pattern = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 0.5]])
        A = (pattern * unit).astype(dtype)
        X = np.array([[1.0, 2], [1, 0], [1, 1]], dtype)
        for kind in (np.asarray, np.asfortranarray, sparse.csr_array, sparse.csc_array):
            M = linear_map(kind(A))
            expected = pattern @ X
            for got in (M.apply(X), M.adjoint_apply(X)):
                np.testing.assert_allclose(got / got.flat[0] * expected.flat[0], expected)
            np.testing.assert_allclose(M.column_norms() / M.column_norms()[2], [8**0.5, 8**0.5, 1], rtol=1e-6)
            np.testing.assert_allclose(M.row_norms() / M.row_norms()[2], [8**0.5, 8**0.5, 1], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_floating_point_error_under_seterr_raise(kind):
    with np.errstate(all="raise"):
        for A in (np.diag([1e-300, 1.0, 1e300]), np.diag([1e-170, 1e-3]), np.full((3, 2), 5e-324), np.zeros((2, 2))):
            M = linear_map(KINDS[kind](A))
            M.column_norms(), M.row_norms(), M.dense(), M.columns([0]), M.rows([1])
            M.apply(np.full((A.shape[1], 2), 1e-10)), M.adjoint_apply(np.ones((A.shape[0], 1)))


WITH_SPARSE_INPUT = {
    "truncated_svd, rank": lambda A: truncated_svd(A, 3),
    "truncated_svd, tol": lambda A: truncated_svd(A, tol=0.3),
    "randomized_svd": lambda A: randomized_svd(A, 3, rng=0),
    "estimate_error, fro": lambda A: estimate_error(A, 0 * A, rng=0),
    "estimate_error, 2": lambda A: estimate_error(A, 0 * A, norm=2, rng=0),
    "range_finder, rank": lambda A: range_finder(A, rank=3, rng=0),
    "range_finder, tol": lambda A: range_finder(A, tol=0.3, rng=0),
    "cr_multiply": lambda A: cr_multiply(A, A.T, 20, return_info=True, rng=0),
    "interp_decomp, qr": lambda A: interp_decomp(A, 3, method="qr"),
    "interp_decomp, sketch": lambda A: interp_decomp(A, tol=0.3, method="sketch", rng=0),
    "cur": lambda A: cur(A, 3, rng=0),
    "cur, ridge": lambda A: cur(A, 3, select="ridge", rng=0),
    "cur, norm": lambda A: cur(A, 3, select="norm", rng=0),
    "aca": lambda A: aca(A, tol=0.1, rng=0),
    "nystrom": lambda A: nystrom(A @ A.T, 3, rng=0),
    "penrose_residuals": lambda A: penrose_residuals(A, A.T.toarray()),
}


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
@pytest.mark.parametrize("name", WITH_SPARSE_INPUT)
def test_every_function_leaves_stored_parts_alone(name, form):
    A = in_parts(random_matrix(0, (40, 30), 30, np.float64, 1.0))
    A = form(A) if form is not sparse.csr_matrix else form((A.data, A.indices, A.indptr), shape=A.shape)
    assert A.nnz == 2400 or form is not sparse.csr_array
    before = bits(A)
    WITH_SPARSE_INPUT[name](A)
    after = bits(A)
    assert before.keys() == after.keys()
    for key, value in before.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, after[key])
