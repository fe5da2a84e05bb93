"""Helpers for any array library: the same numbers everywhere, no derivative through a scale, tracers let pass."""

import array_api_compat
import numpy as np
import pytest
from scipy import sparse

from lowrank.arrays import (
    adjoint,
    as_matrix,
    as_stack,
    check_finite,
    check_hermitian,
    check_parameter,
    cut_off,
    double_norm,
    frobenius_norm,
    is_bounded,
    matching,
    peak_of,
    power_of_two,
    rescaled,
    safe_norms,
    shifted,
    singular_values,
    squared_norms,
    thin_svd,
    wide,
)
from tests.properties.libraries import LIBRARIES, every_library, every_library_and_dtype
from tests.properties.matrices import FLOATS


@every_library_and_dtype
def test_every_library_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    A = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(dtype)
    A[0, 0] = 0
    xp, X = as_stack(convert(A))
    assert xp is array_api_compat.array_namespace(convert(A))
    for helper in (adjoint, peak_of, frobenius_norm, lambda X: power_of_two(peak_of(X)), lambda X: thin_svd(X)[1]):
        expected, found = helper(A), back(helper(X))
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    U, s, Vh = map(back, thin_svd(X))
    np.testing.assert_allclose((U * s[..., None, :]) @ Vh, A, rtol=0, atol=1e-5)


@every_library_and_dtype
def test_large_numbers_are_finite_and_infinities_do_not_cancel(library, dtype):
    """Wherever the entry is, in any layout, and whatever the caller does about warnings."""
    convert, _ = LIBRARIES[library]
    for A in (np.ones((3, 5)), np.zeros((0, 5)), np.full((3, 5), np.finfo(dtype).max)):
        for B in (A, A.T, A[::2, 1::2], A[..., None]):
            with np.errstate(all="raise"):
                check_finite(convert(np.asarray(B, dtype)), "A")
    with np.errstate(all="ignore"):
        assert bool(is_bounded(convert(np.ones((3, 5), dtype)))) and not bool(is_bounded(convert(np.full(3, np.inf, dtype))))
    bad = [np.nan, np.inf, -np.inf] + ([complex(0, np.inf), complex(np.nan, 1)] if np.dtype(dtype).kind == "c" else [])
    for value in bad:
        for entries in ([value], [value, -value], [1, value, np.finfo(dtype).max]):
            A = np.ones((4, 7), dtype)
            A.ravel()[5:5 + len(entries)] = entries
            for B in (A, A.T):
                with pytest.raises(ValueError, match="A contains . NaN and . Inf"), np.errstate(all="raise"):
                    check_finite(convert(B), "A")


def test_parameters():
    check = lambda value: check_parameter(value, "T", "a number from 0", lambda T: T >= 0)
    assert type(check(np.float32(2))) is type(check(np.array(3))) is type(check(1)) is float
    for value in (None, "1", True, [1.0], np.ones(1), np.array(1j), np.array("a"), 1j):
        with pytest.raises(TypeError, match="T is .*; allowed is a number from 0"):
            check(value)
    for value in (-1, np.nan, np.array(-2.0)):
        with pytest.raises(ValueError, match="T is .*; allowed is a number from 0"):
            check(value)


@every_library
def test_bad_values_and_shapes_are_named(library):
    convert, _ = LIBRARIES[library]
    with pytest.raises(ValueError, match=r"W has shape \(3,\); allowed is a matrix"):
        as_stack(convert(np.ones(3)), "W")
    with pytest.raises(ValueError, match="W contains 1 NaN and 2 Inf"):
        as_stack(convert(np.array([[np.nan, np.inf], [1.0, -np.inf]])), "W")
    with pytest.raises(ValueError, match=r"G has shape \(3, 2\); allowed is the shape of A, \(2, 3\)"):
        matching(convert(np.ones((3, 2))), "G", convert(np.ones((2, 3))))


@every_library
def test_integers_become_floats_and_empty_stacks_pass(library):
    convert, _ = LIBRARIES[library]
    xp, X = as_stack(convert(np.ones((2, 2), np.int64)))
    assert xp.isdtype(X.dtype, "real floating")
    for shape in ((0, 3, 2), (2, 0, 4), (3, 0)):
        xp, X = as_stack(convert(np.zeros(shape)))
        assert peak_of(X).shape == (*shape[:-2], 1, 1)


@every_library
def test_two_libraries_do_not_mix(library):
    convert, _ = LIBRARIES[library]
    if library != "numpy":
        with pytest.raises(TypeError, match="G is a ndarray and A is a .*one array library"):
            matching(np.ones((2, 2)), "G", convert(np.ones((2, 2))))


@pytest.mark.parametrize("not_an_array", [sparse.eye_array(3), np.ma.masked_equal([[1, 2]], 2)])
def test_what_is_no_array_is_refused(not_an_array):
    with pytest.raises(TypeError, match="A is a"):
        as_stack(not_an_array)


@pytest.mark.parametrize("dtype", FLOATS)
def test_scales_of_subnormal_numbers_have_a_reciprocal(dtype):
    info = np.finfo(dtype)
    for peak in (info.smallest_subnormal, info.smallest_subnormal * 100, info.tiny, info.max):
        A = np.full((2, 2), peak, dtype)
        c = power_of_two(peak_of(A))
        assert np.isfinite(A / c).all() and np.all(A / c * c == A) and np.all(1 / c > 0)


def test_the_default_cut_off_belongs_to_the_decomposition():
    assert cut_off(None, np.ones((9, 25))) == cut_off(None, np.ones((10**5, 9))) == 12 * 2.0**-52
    assert cut_off(None, np.ones((2, 7, 4), np.float32)) == 8 * 2.0**-23
    assert cut_off(0.5, np.ones((3, 5))) == 0.5
    with pytest.raises(ValueError, match="rtol is 1; allowed"):
        cut_off(1, np.ones((3, 5)))
    torch = pytest.importorskip("torch")
    assert cut_off(None, torch.ones(4, 200, dtype=torch.bfloat16)) == 8 * 2.0**-23


@pytest.mark.parametrize("power", [-70, 0, 70])
def test_no_derivative_passes_through_the_scale(power):
    torch = pytest.importorskip("torch")
    A = torch.randn(3, 4, dtype=torch.float64, generator=torch.manual_seed(0)) * 2.0**power
    A.requires_grad_()
    c = power_of_two(peak_of(A))
    (c * frobenius_norm(A / c)).sum().backward()
    assert torch.allclose(A.grad, A.detach() / torch.linalg.norm(A.detach()), atol=1e-14)
    zero = torch.zeros(2, 2, requires_grad=True)
    (zero / power_of_two(peak_of(zero))).sum().backward()
    assert torch.equal(zero.grad, torch.ones(2, 2))


def test_torch_maps_and_half_precision_pass():
    torch = pytest.importorskip("torch")
    A = torch.randn(5, 4, 3, generator=torch.manual_seed(0))
    scale = lambda X: as_stack(X)[1] / power_of_two(peak_of(X))
    assert torch.equal(torch.func.vmap(scale)(A), scale(A))
    half = A.to(torch.bfloat16)
    U, s, Vh = thin_svd(half)
    assert U.dtype == s.dtype == Vh.dtype == scale(half).dtype == torch.bfloat16


def test_parameters_without_a_value_stay_as_they_are():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    check = lambda value: check_parameter(value, "T", "a number above 0", lambda T: T > 0)
    for value in (torch.tensor(-1.0), torch.tensor(-1.0, requires_grad=True), jax.numpy.asarray(-1.0)):
        with pytest.raises(ValueError, match="T is .*; allowed is a number above 0"):
            check(value)
    with pytest.raises(TypeError, match="T is "):
        check(torch.ones(2, requires_grad=True))
    assert type(check(jax.numpy.asarray(2.0))) is float         # what is differentiated there is a tracer
    for T in (torch.tensor(2.0, requires_grad=True), torch.tensor(2.0)):
        assert check(T) is T
    assert jax.jit(lambda T: 3 * check(T))(2.0) == 6 and jax.grad(lambda T: check(T)**2)(3.0) == 6
    assert torch.func.grad(lambda T: check(T)**2)(torch.tensor(3.0)) == 6
    assert torch.equal(torch.func.vmap(lambda T: 3 * check(T))(torch.ones(2)), 3 * torch.ones(2))


def test_jax_traces_and_maps():
    jax = pytest.importorskip("jax")
    convert, _ = LIBRARIES["jax"]
    A = convert(np.random.default_rng(0).standard_normal((5, 4, 3)))

    def scale(X):
        check_finite(X, "X")
        return as_stack(X)[1] / power_of_two(peak_of(X))

    for way in (jax.jit, jax.vmap):
        np.testing.assert_array_equal(way(scale)(A), scale(A))
    gradient = jax.grad(lambda X: frobenius_norm(X / power_of_two(peak_of(X))).sum())(A[0])
    c = power_of_two(peak_of(A[0]))
    np.testing.assert_allclose(gradient, A[0] / frobenius_norm(A[0]) / c, rtol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_power_of_two_is_near(dtype):
    """Within a factor of two of every normal number, the largest included, and of the smallest normal one below."""
    info = np.finfo(dtype)
    peaks = np.append(np.geomspace(info.tiny, info.max / 4, 999), info.max).astype(info.dtype)
    ratio = peaks / power_of_two(peaks)
    assert ratio.min() > 1 - 1e-6 and ratio.max() < 2 + 1e-6
    assert power_of_two(np.array([info.max], info.dtype)) == 2.0 ** (info.maxexp - 1)
    assert power_of_two(np.array([info.smallest_subnormal], info.dtype)) == info.tiny
    assert power_of_two(np.zeros(1, info.dtype)) == 1


@every_library
def test_the_wide_one_of_a_matrix_and_its_adjoint(library):
    """At least as many columns as rows, and the way back to what was given."""
    convert, back = LIBRARIES[library]
    for shape in ((2, 5), (5, 2), (3, 3), (4, 5, 2), (4, 2, 5), (6, 5, 1, 3)):
        A = (np.arange(1, np.prod(shape) + 1) * (1 + 2j)).reshape(shape)
        W, undo = wide(convert(A))
        assert W.shape[-2] <= W.shape[-1] and W.shape[:-2] == shape[:-2]
        np.testing.assert_array_equal(back(undo(W)), A)
        np.testing.assert_array_equal(back(W), A if shape[-2] <= shape[-1] else A.conj().mT)


@pytest.mark.parametrize("dtype", FLOATS)
def test_shifts_reach_from_the_smallest_numbers_to_the_largest_ones(dtype):
    limits = np.finfo(dtype)
    smallest, e = np.array([[limits.smallest_subnormal]], dtype), 2 * limits.maxexp - 2
    large = shifted(smallest, e)
    assert np.log2(large.real.item()) == limits.minexp - limits.nmant + e
    assert np.array_equal(shifted(large, -e), smallest)


@pytest.mark.parametrize("up, down", [(900, 600), (-900, -600), (600, -300), (-600, 300), (0, 40), (40, 0)])
def test_two_scales_at_once(up, down):
    X = np.array([[1.0, -0.75], [0.5, 0.625]])
    scale = lambda power: np.array([[2.0**power]])
    assert np.array_equal(rescaled(X, scale(up), scale(down)), np.ldexp(X, up - down))


def test_the_older_routine_has_the_factors_of_the_fast_one(monkeypatch):
    stacks = [np.random.default_rng(0).standard_normal(shape) for shape in ((3, 6, 4), (2, 2, 4, 6), (5, 3))]
    fast = [thin_svd(A) for A in stacks]

    def fails(*args, **kwargs):
        raise np.linalg.LinAlgError
    monkeypatch.setattr(np.linalg, "svd", fails)
    for A, expected in zip(stacks, fast, strict=True):
        for found, right in zip(thin_svd(A), expected, strict=True):
            assert found.shape == right.shape and np.allclose(np.abs(found), np.abs(right))


@pytest.mark.parametrize("m, n", [(100, 3), (10**4, 100), (10**6, 3)])
def test_rounding_makes_little_of_a_zero_however_long_the_columns_are(m, n):
    """Dependent columns of float32 are dependent, and independent ones are not; max(m, n) eps calls both dependent."""
    rng = np.random.default_rng(m)
    known = rng.integers(-9, 10, (m, n - 1))
    A = (np.column_stack([known, known @ rng.integers(-3, 4, n - 1)]) / 3).astype(np.float32)
    s = singular_values(A)
    assert s[-1] <= cut_off(None, A) * s[0] < s[-2]
    A[:, -1] += np.float32(1e-3) * rng.standard_normal(m, np.float32) * np.abs(A).max()
    s = singular_values(A)
    assert cut_off(None, A) * s[0] < s[-1]
    if m >= 10**4:
        assert s[-1] < m * np.finfo(np.float32).eps * s[0]


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_of_squares_are_those_of_double_precision(dtype, layout):
    """A long constant column is the worst case: the terms never cancel."""
    X = np.full((200_000, 3), dtype(0.1 if np.dtype(dtype).kind == "f" else 0.1j))
    X = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=0)[::2]}[layout]
    square = abs(complex(X[0, 0])) ** 2
    for Y in (X, X.T):
        for axis in (0, 1):
            np.testing.assert_allclose(squared_norms(Y, axis), Y.shape[axis] * square, rtol=1e-11)
            np.testing.assert_allclose(safe_norms(Y, axis), (Y.shape[axis] * square) ** 0.5, rtol=max(1e-11, 2 * np.finfo(dtype).eps))
        assert abs(double_norm(Y) / (X.size * square) ** 0.5 - 1) < 1e-11


def test_squares_of_single_precision_stay_in_the_range_of_double():
    for x in (np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max):
        X = np.full((100, 1), x)
        with np.errstate(all="raise"):
            assert squared_norms(X, 0).item() == pytest.approx(100 * float(x) ** 2, rel=1e-14)


@pytest.mark.parametrize("n", [1, 30, 400])
@pytest.mark.parametrize("dtype", FLOATS)
def test_products_of_hermitian_matrices_are_hermitian_and_others_are_not(dtype, n):
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n)).astype(dtype)
    A = A + A.conj().T
    P = A @ A @ A
    check_hermitian(P)
    for unit in (1e-30, 1.0, np.finfo(dtype).max / 2 / max(1, np.abs(P).max())):
        check_hermitian(dtype(unit) * P)
    if n > 1:
        P[0, 1] += 5 * n**0.5 * np.finfo(dtype).eps * np.abs(P).max()
        with pytest.raises(ValueError, match="A is not Hermitian"):
            check_hermitian(P)
    if n == 30:
        P = np.full((2, 2), dtype(np.finfo(dtype).max))
        P[0, 1] *= -1
        with pytest.raises(ValueError, match="A is not Hermitian: A - A.H has entries of 2.0e"):
            check_hermitian(P)


def test_numbers_in_other_clothes():
    """Objects that are numbers are numbers; what refuses to be an array is named with its own words."""
    A = np.array([[1, 2.5], [3, 4]], object)
    assert as_matrix(A).dtype == np.float64 and np.array_equal(as_matrix(A), [[1, 2.5], [3, 4]])
    assert as_matrix(np.array([[1, 2j]], object)).dtype == np.complex128
    for bad in ("1.5", None, {}):
        A[0, 0] = bad
        with pytest.raises(TypeError, match="A has dtype"):
            as_matrix(A)


def test_a_table_of_pandas_with_room_for_missing_entries():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.5, 2], "b": [3, 4]}).astype("Float64")
    assert np.array_equal(as_matrix(table), [[1.5, 3], [2, 4]])
    table.loc[0, "a"] = pandas.NA
    with pytest.raises((TypeError, ValueError), match="A (has dtype object|contains 1 NaN)"):
        as_matrix(table)


def test_a_tensor_with_a_gradient_is_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="B does not form an array: .*detach"):
        as_matrix(torch.ones(2, 2, requires_grad=True), "B")
    with pytest.raises(TypeError, match="A does not form an array: .*BFloat16"):
        as_matrix(torch.ones(2, 2, dtype=torch.bfloat16))
