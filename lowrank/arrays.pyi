"""Types of lowrank.arrays.

Generated from book/foundations/arrays.ipynb; edit the chapter.
"""

from typing import Any


NUMPY: Any


def work_dtype(dtype: Any, name: Any) -> Any: ...


def is_numpy_array(x: Any) -> Any: ...


def is_tensor(x: Any) -> Any: ...


def is_array(x: Any) -> Any: ...


def array_namespace(*arrays: Any) -> Any: ...


def device(x: Any) -> Any: ...


def as_floats(x: Any, name: Any) -> Any: ...


def single(A: Any) -> Any: ...


def adjoint(A: Any) -> Any: ...


def wide(A: Any) -> Any: ...


def compiling() -> Any: ...


def may_hold(condition: Any) -> Any: ...


def fixed(function: Any) -> Any: ...


def is_bounded(x: Any) -> Any: ...


def check_finite(x: Any, name: Any) -> Any: ...


def check_shape(shape: Any, name: Any, *, stacked: Any = False, empty: Any = False) -> Any: ...


def as_matrix(
    A: Any,
    name: Any = 'A',
    *,
    stacked: Any = False,
    empty: Any = False,
    finite: Any = True,
) -> Any: ...


def as_stack(A: Any, name: Any = 'A') -> Any: ...


def check_library(G: Any, name: Any, A: Any, other: Any) -> Any: ...


def matching(G: Any, name: Any, A: Any, other: Any = 'A') -> Any: ...


def as_common(**given: Any) -> Any: ...


def check_parameter(value: Any, name: Any, allowed: Any, holds: Any) -> Any: ...


def uncast(tensors: Any) -> Any: ...


def quiet(function: Any) -> Any: ...


def peak_of(A: Any) -> Any: ...


def finite_peak(A: Any, name: Any) -> Any: ...


def exponent_of(peak: Any) -> Any: ...


def shifted(X: Any, e: Any) -> Any: ...


def squared_norms(X: Any, axis: Any) -> Any: ...


def double_norm(X: Any) -> Any: ...


def safe_norms(X: Any, axis: Any) -> Any: ...


def constant(x: Any) -> Any: ...


def power_of_two(peak: Any) -> Any: ...


def rescaled(X: Any, up: Any, down: Any) -> Any: ...


def frobenius_norm(A: Any) -> Any: ...


def safe_divisor(x: Any) -> Any: ...


def thin_svd(A: Any) -> Any: ...


def singular_values(A: Any) -> Any: ...


def round_off(shape: Any, eps: Any) -> Any: ...


def cut_off(rtol: Any, A: Any) -> Any: ...


def check_hermitian(A: Any, name: Any = 'A') -> Any: ...
