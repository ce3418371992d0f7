"""Factorizations of matrices: what the derived tests of one triangle or of real samples cannot
show: gradients for symmetric and complex matrices, batches, large blocks, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError, DtypeError, LinAlgError, ShapeError
from dtorch.core.ops.solving import factor_lu

EPS = 1e-6
ZEROS = dtorch.zeros(2, 2)


def numbers(*shape: int, seed: int = 0, complex_: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    real = rng.normal(size=shape)
    return real + 1j * rng.normal(size=shape) if complex_ else real


def check_gradient(function: Any, start: np.ndarray) -> None:
    """The gradient of a real scalar against central differences, in both parts of each element."""
    x = dtorch.from_numpy(start.copy()).requires_grad_()
    function(x).backward()
    numeric = np.zeros_like(start)
    parts = (1, 1j) if start.dtype.kind == "c" else (1,)
    for place in np.ndindex(start.shape):
        for part in parts:
            moved = [start.copy(), start.copy()]
            moved[0][place] += EPS * part
            moved[1][place] -= EPS * part
            up, down = (float(function(dtorch.from_numpy(m))) for m in moved)
            numeric[place] += part * (up - down) / (2 * EPS)
    np.testing.assert_allclose(x.grad.numpy(), numeric, rtol=1e-5, atol=1e-7)


def weighted(out: Any, seed: int = 9) -> Any:
    """A real number that depends on all elements, and for complex ones not on their phase."""
    weight = dtorch.from_numpy(numbers(*out.shape, seed=seed))
    return ((out * out.conj()).real * weight).sum() if out.is_complex() else (out * weight).sum()


def hermitian(x: Any) -> Any:
    return x + x.mH


def definite(x: Any) -> Any:
    return x @ x.mH + dtorch.eye(x.shape[-1], dtype=x.dtype)


linalg = dtorch.linalg
FUNCTIONS = {
    "cholesky": lambda x: weighted(linalg.cholesky(definite(x))),
    "cholesky upper": lambda x: weighted(linalg.cholesky(definite(x), upper=True)),
    "eigenvalues": lambda x: weighted(linalg.eigh(hermitian(x))[0]),
    "eigenvectors": lambda x: weighted(linalg.eigh(hermitian(x))[1].abs()),
    "eigvalsh": lambda x: weighted(linalg.eigvalsh(hermitian(x))),
    "general eigenvalues": lambda x: weighted(linalg.eig(x)[0]),
    "general eigenvectors": lambda x: weighted(linalg.eig(x)[1].abs()),
    "svd values": lambda x: weighted(linalg.svd(x, False)[1]),
    "svd product": lambda x: weighted(
        linalg.svd(x, False)[0][..., :1].abs() * linalg.svd(x, False)[2][..., :1, :].abs()
    ),
    "qr": lambda x: weighted(linalg.qr(x)[0].abs()) + weighted(linalg.qr(x)[1].abs(), 4),
    "solve": lambda x: weighted(linalg.solve(x, x.mH @ x).abs()),
    "inverse": lambda x: weighted(x.inverse().abs()),
    "det": lambda x: weighted(linalg.det(x).abs().reshape(1)),
    "slogdet": lambda x: linalg.slogdet(x)[1].sum(),
    "matrix_exp": lambda x: weighted(dtorch.matrix_exp(x).abs()),
    "pinv": lambda x: weighted(linalg.pinv(x[..., :2]).abs()),
    "lu": lambda x: weighted(linalg.lu_factor(x)[0].abs()),
    "triangular": lambda x: weighted(linalg.solve_triangular(x, x.mH, upper=True).abs()),
    "lstsq": lambda x: weighted(linalg.lstsq(x[:, :2], x)[0].abs()),
}


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient_of(name: str, complex_: bool) -> None:
    check_gradient(FUNCTIONS[name], numbers(3, 3, seed=2, complex_=complex_))


@pytest.mark.parametrize("name", ["symeig", "potrf"])
def test_classic_names_have_gradients(name: str) -> None:
    if name == "potrf":
        check_gradient(lambda x: weighted(definite(x).potrf()), numbers(3, 3))
    else:
        check_gradient(lambda x: weighted(hermitian(x).symeig(True)[1].abs()), numbers(3, 3))


def test_gradient_of_the_determinant_of_a_singular_matrix_is_its_cofactors() -> None:
    x = dtorch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=dtorch.float64, requires_grad=True)
    with dtorch.no_grad():
        assert float(linalg.det(x)) == 0
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-12)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("shape", [(2, 4), (4, 2), (2, 3, 5), (3, 3)])
def test_gradient_of_rectangular_lu(shape: tuple[int, ...], complex_: bool) -> None:
    start = numbers(*shape, complex_=complex_)
    check_gradient(lambda x: weighted(dtorch.linalg.lu_factor(x)[0]), start)


@pytest.mark.parametrize("complex_", [False, True])
def test_gradient_of_complete_qr_holds_for_the_space_beside_the_columns(complex_: bool) -> None:
    def projection(x: Any) -> Any:
        q, r = dtorch.linalg.qr(x, "complete")
        beside = q[:, 2:] @ q[:, 2:].mH
        return weighted(beside) + weighted((q[:, :2] @ r[:2]) ** 2) + weighted(r.abs())

    check_gradient(projection, numbers(4, 2, complex_=complex_))


def test_gradient_of_the_sign_of_complex_determinants() -> None:
    check_gradient(
        lambda x: weighted(dtorch.linalg.slogdet(x)[0]) + weighted(dtorch.logdet(x)),
        numbers(3, 3, complex_=True),
    )


@pytest.mark.parametrize("name", ["svd", "svdvals", "eigh", "eig", "eigvals", "pinv"])
def test_factorizations_refuse_nan_instead_of_iterating_for_ever(name: str) -> None:
    broken = dtorch.eye(3)
    broken[1, 2] = float("nan")
    with pytest.raises(LinAlgError, match="nan or infinite"):
        getattr(dtorch.linalg, name)(broken)


@pytest.mark.parametrize("shape", [(150, 150), (200, 130), (130, 200), (3, 70, 70)])
def test_blocked_lu_gives_back_the_matrix(shape: tuple[int, ...]) -> None:
    a = numbers(*shape)
    lu, _, order = factor_lu(np, a)
    k = min(shape[-2:])
    lower = np.tril(lu[..., :k], -1) + np.eye(shape[-2], k)
    upper = np.triu(lu[..., :k, :])
    picked = np.take_along_axis(a, order[..., None], -2)
    np.testing.assert_allclose(lower @ upper, picked, atol=1e-10)
    assert abs(lower).max() <= 1


@pytest.mark.parametrize("upper", [True, False])
def test_blocked_substitution_solves_large_triangles(upper: bool) -> None:
    a, b = numbers(200, 200) / 20 + 3 * np.eye(200), numbers(200, 3)
    x = linalg.solve_triangular(dtorch.from_numpy(a), dtorch.from_numpy(b), upper=upper).numpy()
    np.testing.assert_allclose((np.triu(a) if upper else np.tril(a)) @ x, b, atol=1e-9)


def test_lu_of_a_batch_and_its_parts_fit_together() -> None:
    a = dtorch.from_numpy(numbers(4, 5, 5))
    lu, pivots = a.btrifact()
    p, lower, upper = dtorch.btriunpack(lu, pivots)
    np.testing.assert_allclose((p @ lower @ upper).numpy(), a.numpy(), atol=1e-12)
    b = dtorch.from_numpy(numbers(4, 5, seed=3))
    x = dtorch.btrisolve(b, lu, pivots)
    np.testing.assert_allclose((a @ x.unsqueeze(-1)).squeeze(-1).numpy(), b.numpy(), atol=1e-10)
    assert pivots.dtype is dtorch.int32
    assert int(pivots.min()) >= 1


def test_btrifact_reports_singular_matrices_in_info_or_raises() -> None:
    a = dtorch.from_numpy(np.stack([np.eye(2), np.ones((2, 2))]))
    info = dtorch.zeros(2, dtype=dtorch.int32)
    a.btrifact(info=info)
    assert info.tolist() == [0, 2]
    with pytest.raises(LinAlgError, match="pivot 2 of matrix 1"):
        a.btrifact()


def test_pivoted_cholesky_factors_a_singular_matrix() -> None:
    root = numbers(4, 2)
    a = root @ root.T
    factor, pivots = dtorch.pstrf(dtorch.from_numpy(a))
    order = pivots.numpy()
    np.testing.assert_allclose((factor.t() @ factor).numpy(), a[order][:, order], atol=1e-10)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: dtorch.zeros(2, 2).inverse(), LinAlgError, "inverse.*pivot 1 is zero"),
        (lambda: linalg.solve(dtorch.ones(2, 2), dtorch.ones(2, 1)), LinAlgError, "pivot 2"),
        (lambda: linalg.cholesky(-dtorch.eye(2)), LinAlgError, "leading minor 1"),
        (
            lambda: linalg.cholesky_ex(-dtorch.eye(2), check_errors=True),
            LinAlgError,
            "leading minor 1",
        ),
        (lambda: linalg.inv_ex(ZEROS, check_errors=True), LinAlgError, "pivot 1 .*is zero"),
        (
            lambda: linalg.solve_ex(ZEROS, ZEROS, check_errors=True),
            LinAlgError,
            "pivot 1 .*is zero",
        ),
        (
            lambda: linalg.lu_factor_ex(ZEROS, check_errors=True),
            LinAlgError,
            "lu_factor_ex: .*pivot 1",
        ),
        (lambda: linalg.lu_factor(ZEROS), LinAlgError, "lu_factor: .*pivot 1"),
        (lambda: linalg.tensorinv(ZEROS, 0), ArgumentError, "ind is 0"),
        (lambda: linalg.tensorinv(dtorch.ones(2, 3)), ShapeError, "got 6 and 1"),
        (lambda: linalg.tensorsolve(ZEROS, dtorch.ones(3)), ShapeError, r"of B, \(3,\)"),
        (lambda: linalg.householder_product(ZEROS, dtorch.ones(3)), ShapeError, "m >= n >= k"),
        (lambda: dtorch.ones(2, 3).inverse(), ShapeError, r"\(2, 3\).*square"),
        (
            lambda: dtorch.ones(2, 2, dtype=dtorch.int64).inverse(),
            DtypeError,
            "int64.*floating-point",
        ),
        (lambda: dtorch.ones(2, 2).half().svd(), DtypeError, "float16.*float32"),
        (lambda: linalg.solve(dtorch.eye(2), dtorch.ones(3, 1)), ShapeError, "do not fit"),
        (
            lambda: linalg.solve_triangular(dtorch.zeros(2, 2), dtorch.ones(2, 1), upper=True),
            LinAlgError,
            "diagonal is zero at index",
        ),
    ],
)
def test_errors_name_the_operation_and_what_is_wrong(use: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        use()


def test_vectors_lie_column_after_column_in_memory() -> None:
    a = dtorch.tensor([[4.0, 1.0, 2.0], [1.0, 3.0, 0.0], [2.0, 0.0, 5.0]])
    columns = {
        "svd": dtorch.svd(a).U, "eig": dtorch.eig(a, True).eigenvectors,
        "symeig": dtorch.symeig(a, True).eigenvectors, "qr": dtorch.qr(a).Q,
        "linalg.eig": dtorch.linalg.eig(a).eigenvectors,
    }  # fmt: skip
    for name, found in columns.items():
        assert found.stride() == (1, 3), name
    assert dtorch.svd(a).V.is_contiguous()


def test_factors_with_info_say_where_the_first_zero_pivot_stands() -> None:
    batch = dtorch.stack([dtorch.eye(2), dtorch.zeros(2, 2)])
    factors, pivots, info = dtorch.btrifact_with_info(batch)
    assert info.tolist() == [0, 1]
    assert factors.shape == (2, 2, 2)
    assert pivots.dtype == dtorch.int32
    into = (dtorch.empty(0), dtorch.empty(0, dtype=dtorch.int), dtorch.empty(0, dtype=dtorch.int))
    dtorch.btrifact_with_info(batch, out=into)
    assert into[2].tolist() == [0, 1]


def test_elements_of_a_tensor_come_by_next_and_by_the_method_next() -> None:
    elements = iter(dtorch.arange(3))
    assert (elements.next().item(), next(elements).item(), [e.item() for e in elements]) == (
        0,
        1,
        [2],
    )


def test_complex_pivots_have_the_largest_sum_of_parts() -> None:
    column = dtorch.tensor([[3.0 + 3.0j], [5.0 + 0.0j]])
    assert dtorch.linalg.lu_factor(column).pivots.tolist() == [1]


def test_gradients_pass_the_matrices_that_have_no_factor() -> None:
    batch = dtorch.stack([2 * dtorch.eye(2), -dtorch.eye(2)]).requires_grad_()
    factor, info = dtorch.linalg.cholesky_ex(batch)
    assert info.tolist() == [0, 1]
    factor[0].sum().backward()
    assert batch.grad.isfinite().all()
    assert (batch.grad[0] != 0).any()
