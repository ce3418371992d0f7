"""Operations go by several names, as functions, methods and in place."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import dtorch
from dtorch.core.other_names import ALSO_GENERAL, OTHER_NAMES, changing


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_name_is_the_same_function(name: str) -> None:
    own = OTHER_NAMES[name]
    assert getattr(dtorch, name) is getattr(dtorch.core.functions, own)
    method = getattr(dtorch.Tensor, name, None)
    assert method is getattr(dtorch.Tensor, own, None)


@pytest.mark.parametrize("name", ALSO_GENERAL)
def test_functions_of_nn_are_offered_by_the_package(name: str) -> None:
    assert getattr(dtorch, name) is getattr(dtorch.core.functions, name)
    assert hasattr(dtorch.nn.functional, name)


def test_functions_that_change_their_one_tensor() -> None:
    assert {"abs_", "relu_", "sqrt_", "clamp_", "neg_"} <= set(changing())
    x = dtorch.tensor([-4.0])
    assert dtorch.abs_(x) is x
    assert dtorch.sqrt_(x).tolist() == [2]
    assert dtorch.fill_(x, 3).tolist() == dtorch.zero_(x.clone()).add_(3).tolist() == [3]
    assert pickle.loads(pickle.dumps(dtorch.abs_)) is dtorch.abs_
    assert dtorch.ones(2, 3).swapdims_(0, 1).shape == (3, 2)
    assert dtorch.adjoint(dtorch.tensor([[1j, 2.0]])).tolist() == [[-1j], [2]]


a, b, c, d = (dtorch.arange(4.0).view(2, 2) + k for k in range(4))
CLASSIC: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "addmm of beta": (lambda: a.addmm(2, b, c), lambda: 2 * a + b @ c),
    "addmm of beta and alpha": (lambda: a.addmm(2, 3, b, c), lambda: 2 * a + 3 * b @ c),
    "addmm in place": (lambda: a.clone().addmm_(2, 3, b, c), lambda: 2 * a + 3 * b @ c),
    "addmm as a function": (lambda: dtorch.addmm(2, a, 3, b, c), lambda: 2 * a + 3 * b @ c),
    "addmv": (lambda: a[0].addmv(2, 3, b, c[0]), lambda: 2 * a[0] + 3 * b @ c[0]),
    "addr": (lambda: a.addr(2, b[0], c[0]), lambda: 2 * a + dtorch.outer(b[0], c[0])),
    "addbmm in place": (lambda: a.clone().addbmm_(1, b[None], c[None]), lambda: a + b @ c),
    "baddbmm in place": (lambda: a[None].clone().baddbmm_(1, 2, b[None], c[None]),
                         lambda: (a + 2 * b @ c)[None]),
    "rdiv": (lambda: b.__rdiv__(2), lambda: 2 / b),
    "idiv": (lambda: b.clone().__idiv__(2), lambda: b / 2),
    "rsub": (lambda: dtorch.rsub(a, 2), lambda: 2 - a),
    "polygamma": (lambda: b.polygamma(1), lambda: dtorch.polygamma(1, b)),
    "split_with_sizes": (lambda: a.split_with_sizes([1, 1])[1], lambda: a[1:]),
    "sum_to_size": (lambda: a.sum_to_size(1, 2), lambda: a.sum(0, keepdim=True)),
    "as_strided_": (lambda: a.clone().as_strided_((2, 2), (1, 2)), lambda: a.t()),
    "clamp_max_": (lambda: dtorch.clamp_max_(a.clone(), 1), lambda: a.clamp(max=1)),
    "negative_": (lambda: dtorch.negative_(a.clone()), lambda: -a),
    "frobenius_norm": (lambda: dtorch.frobenius_norm(a, (0, 1)), lambda: a.norm()),
    "nuclear_norm": (lambda: dtorch.nuclear_norm(a), lambda: dtorch.svd(a).S.sum()),
    "copy_ of a number": (lambda: a.clone().copy_(3.0), lambda: dtorch.full((2, 2), 3.0)),
    "fft": (lambda: dtorch.fft(dtorch.stack([a, b], -1), 1),
            lambda: dtorch.view_as_real(dtorch.fft.fft(dtorch.complex(a, b)))),
    "rfft": (lambda: a.rfft(2, onesided=False), lambda: dtorch.view_as_real(dtorch.fft.fft2(a))),
    "irfft": (lambda: dtorch.irfft(a.rfft(1), 1, signal_sizes=(2,)), lambda: a),
    "istft": (lambda: dtorch.istft(dtorch.stft(dtorch.arange(16.0), 4), 4), lambda: dtorch.arange(16.0)),
}  # fmt: skip


@pytest.mark.parametrize("form", CLASSIC)
def test_classic_forms_equal_todays(form: str) -> None:
    classic, today = CLASSIC[form]
    assert classic().shape == today().shape
    assert dtorch.allclose(classic(), today(), atol=1e-5)


def test_classic_positions_have_gradients() -> None:
    x, m = (t.clone().requires_grad_() for t in (a, b))
    x.addmm(2, 3, m, c).sum().backward()
    assert x.grad.tolist() == [[2, 2], [2, 2]]
    assert dtorch.allclose(m.grad, 3 * dtorch.ones(2, 2) @ c.t())


def test_positions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(TypeError, match="by position"):
        a.addmm(1, 2, 3, b, c)


def test_sizes_are_ints_and_stay_sizes() -> None:
    size = dtorch.Size([dtorch.tensor(2), 3])
    assert size == (2, 3)
    one = (1,)
    for made in (size + one, one + size, size * 2, 2 * size, size[:1]):
        assert type(made) is dtorch.Size
    for wrong in (dtorch.ones(3), [1.5], ["x"]):
        with pytest.raises(TypeError, match="expected ints"):
            dtorch.Size(wrong)


def test_a_storage_is_known_by_its_memory() -> None:
    x = dtorch.zeros(4)
    assert x.storage()._cdata == x[1:].storage()._cdata == x.untyped_storage()._cdata
    assert x.storage()._cdata != dtorch.zeros(4).storage()._cdata
    longer, shorter = (dtorch.DoubleStorage(n).__sizeof__() for n in (10, 5))
    assert longer - shorter == 40


def test_a_typed_storage_is_of_the_dtype_it_is_asked_for() -> None:
    assert type(dtorch.TypedStorage([1, 2])) is dtorch.FloatStorage
    assert dtorch.TypedStorage([1, 2], dtype=dtorch.int).tolist() == [1, 2]
    assert dtorch.FloatStorage(wrap_storage=dtorch.UntypedStorage(8)).size() == 2
    for wrong in ("x", [1, "x"]):
        with pytest.raises(TypeError, match="expected numbers"):
            dtorch.FloatStorage(wrong)
    with pytest.raises(RuntimeError, match="cannot index a storage with str"):
        dtorch.FloatStorage(2)["x"]


def test_a_tensor_lies_over_a_file(tmp_path: Any) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(dtorch.arange(4.0).numpy().tobytes())
    assert dtorch.from_file(path, size=4).tolist() == [0, 1, 2, 3]
    dtorch.from_file(path, shared=True, size=4).fill_(7)
    assert dtorch.from_file(path, size=2, dtype=dtorch.float).tolist() == [7, 7]


def test_sums_to_sizes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(RuntimeError, match="sum_to_size"):
        a.sum_to_size(3)
