"""Sparse tensors: equal to dense ones in values and gradients, or an error that says why not."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import (
    ArgumentError,
    DimensionError,
    DtypeError,
    LayoutError,
    ShapeError,
)
from dtorch.core.ops.sparse import sparse_rows


def example(seed: int = 0, shape: Any = (4, 5), nnz: int = 7, dense: Any = ()) -> Any:
    """A sparse tensor with repeated indices, and its dense equal from a loop."""
    rng = np.random.default_rng(seed)
    indices = np.stack([rng.integers(0, n, nnz) for n in shape])
    values = rng.normal(size=(nnz, *dense))
    whole = np.zeros((*shape, *dense))
    for place, value in zip(indices.T, values, strict=True):
        whole[tuple(place)] += value
    return (
        dtorch.sparse_coo_tensor(
            dtorch.from_numpy(indices), dtorch.from_numpy(values), (*shape, *dense)
        ),
        whole,
    )


def same(result: Any, expected: Any) -> None:
    dense = result.to_dense() if result.is_sparse else result
    np.testing.assert_allclose(dense.detach().numpy(), expected, atol=1e-12)


def test_construction_infers_the_size_from_the_largest_index() -> None:
    s = dtorch.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0])
    assert tuple(s.shape) == (3, 2)
    assert (s.sparse_dim(), s.dense_dim(), s._nnz(), s.nnz()) == (2, 0, 2, 2)
    assert s.is_sparse
    assert s.layout is dtorch.sparse_coo
    assert dtorch.ones(2).layout is dtorch.strided


def test_coalesce_sorts_and_adds_up_repeated_indices() -> None:
    s, whole = example()
    assert not s.is_coalesced()
    c = s.coalesce()
    assert c.is_coalesced()
    assert c.coalesce() is c
    assert c.indices().numpy().T.tolist() == sorted(
        {tuple(i) for i in s._indices().numpy().T.tolist()}
    ) or c.indices().numpy().T.tolist() == [list(i) for i in sorted(
        {tuple(i) for i in s._indices().numpy().T.tolist()})]  # fmt: skip
    same(c, whole)
    same(s, whole)


@pytest.mark.parametrize("dense", [(), (2,)])
def test_dense_and_back_gives_the_same(dense: Any) -> None:
    s, whole = example(dense=dense)
    same(s, whole)
    again = dtorch.from_numpy(whole).to_sparse(2)
    same(again, whole)
    assert again.is_coalesced()
    assert again.dense_dim() == len(dense)


def test_sums_differences_products_and_multiples_equal_dense_ones() -> None:
    (a, da), (b, db) = example(1), example(2)
    d = np.random.default_rng(5).normal(size=(4, 5))
    t = dtorch.from_numpy(d)
    same(a + b, da + db)
    same(a - b, da - db)
    same(a * b, da * db)
    same(a * 3, da * 3)
    same(2.0 * a, da * 2)
    same(a / 4, da / 4)
    same(-a, -da)
    same(a * t, da * d)
    same(a + t, da + d)
    same(t - a, d - da)
    same(t.add(a, alpha=2), d + 2 * da)
    same(dtorch.add(a, b, alpha=0.5), da + 0.5 * db)
    same(abs(a), abs(da))
    assert (a * b).is_sparse
    assert (a + b).is_sparse
    assert not (a + t).is_sparse


def test_in_place_changes_of_dense_and_sparse_tensors() -> None:
    (a, da), (b, db) = example(1), example(2)
    t = dtorch.ones(4, 5, dtype=dtorch.float64)
    t.add_(a, alpha=-0.5)
    same(t, 1 - 0.5 * da)
    t += b
    same(t, 1 - 0.5 * da + db)
    a.add_(b)
    same(a, da + db)
    a.mul_(2)
    same(a, 2 * (da + db))
    a.zero_()
    assert a._nnz() == 0


def test_transpose_norm_and_sum_equal_dense_ones() -> None:
    s, whole = example()
    same(s.t(), whole.T)
    same(s.transpose(0, 1), whole.T)
    assert float(s.norm()) == pytest.approx(np.linalg.norm(whole))
    assert float(s.sum()) == pytest.approx(whole.sum())
    same(dtorch.sparse.sum(s, 0), whole.sum(0))
    same(dtorch.sparse.sum(s, (0, 1)), whole.sum())
    deep, cube = example(dense=(3,))
    same(dtorch.sparse.sum(deep, 2), cube.sum(2))
    same(dtorch.sparse.sum(deep, (0, 1)), cube.sum((0, 1)))


def test_products_of_matrices_equal_dense_ones() -> None:
    (a, da), (b, db) = example(1), example(2, (5, 3))
    d = np.random.default_rng(5).normal(size=(5, 2))
    t = dtorch.from_numpy(d)
    base = dtorch.ones(4, 2, dtype=dtorch.float64)
    same(dtorch.spmm(a, t), da @ d)
    same(dtorch.sparse.mm(a, t), da @ d)
    same(dtorch.mm(a, t), da @ d)
    same(dtorch.sparse.mm(a, b), da @ db)
    same(dtorch.sspmm(a, b), da @ db)
    assert dtorch.sspmm(a, b).is_sparse
    same(dtorch.sparse.addmm(base, a, t, beta=0.5, alpha=2), 0.5 + 2 * da @ d)
    c, dc = example(3, (4, 3))
    same(dtorch.sspaddmm(c, a, b, beta=0.5, alpha=2), 0.5 * dc + 2 * da @ db)
    same(dtorch.sspaddmm(0.5, c, 2, a, b), 0.5 * dc + 2 * da @ db)
    same(dtorch.sspaddmm(0.5, c, a, b), 0.5 * dc + da @ db)
    same(dtorch.spadd(base @ dtorch.ones(2, 5, dtype=dtorch.float64), 3, a), 2 + 3 * da)


def test_softmax_leaves_out_what_is_not_stored() -> None:
    s, _ = example()
    c = s.coalesce()
    stored = np.zeros((4, 5), bool)
    stored[tuple(c.indices().numpy())] = True
    logits = np.where(stored, c.to_dense().numpy(), -np.inf)
    e = np.exp(logits - logits.max(1, keepdims=True, initial=-1e9))
    same(dtorch.sparse.softmax(s, 1), e / np.maximum(e.sum(1, keepdims=True), 1e-300))


def test_sparse_mask_takes_the_pattern_of_a_sparse_tensor() -> None:
    s, whole = example()
    d = np.random.default_rng(5).normal(size=(4, 5))
    same(dtorch.from_numpy(d).sparse_mask(s), np.where(whole != 0, d, 0))


def gradients_equal_dense_ones(function: Any, sparse: Any, *others: Any) -> None:
    """The gradient of a sparse leaf is sparse and equals the dense one where it stores."""
    leaf = sparse.detach().coalesce().requires_grad_()
    dense = sparse.to_dense().requires_grad_()
    first = [o.clone().requires_grad_() for o in others]
    second = [o.clone().requires_grad_() for o in others]
    weight = None
    for x, rest in ((leaf, first), (dense, second)):
        out = function(x, *rest)
        out = out.to_dense() if out.is_sparse else out
        if weight is None:
            weight = dtorch.from_numpy(np.random.default_rng(3).normal(size=tuple(out.shape)))
        (out * weight).sum().backward()
    stored = leaf.detach().to_dense().numpy() != 0
    same(leaf.grad, np.where(stored, dense.grad.numpy(), 0) if leaf.grad.is_sparse
         else dense.grad.numpy())  # fmt: skip
    for a, b in zip(first, second, strict=True):
        same(a.grad, b.grad.numpy())


def test_gradients_of_products_and_sums() -> None:
    s, _ = example()
    t = dtorch.from_numpy(np.random.default_rng(5).normal(size=(5, 2)))
    d = dtorch.from_numpy(np.random.default_rng(6).normal(size=(4, 5)))
    gradients_equal_dense_ones(lambda x, y: dtorch.sparse.mm(x, y) if x.is_sparse else x @ y, s, t)
    gradients_equal_dense_ones(lambda x, y: x + y, s, d)
    gradients_equal_dense_ones(lambda x: x * 3, s)
    gradients_equal_dense_ones(lambda x: dtorch.sparse.sum(x, 0) if x.is_sparse else x.sum(0), s)
    gradients_equal_dense_ones(lambda x: x.t(), s)


def test_gradient_reaches_the_values_a_tensor_was_made_of() -> None:
    indices = dtorch.tensor([[0, 1, 0], [2, 0, 2]])
    values = dtorch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    s = dtorch.sparse_coo_tensor(indices, values, (2, 3))
    w = dtorch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (s.to_dense() * w).sum().backward()
    assert values.grad.tolist() == [3, 4, 3]


def test_second_derivative_through_a_product() -> None:
    values = dtorch.tensor([1.0, 2.0], dtype=dtorch.float64, requires_grad=True)
    d = dtorch.tensor([[1.0], [3.0]], dtype=dtorch.float64, requires_grad=True)
    s = dtorch.sparse_coo_tensor(dtorch.tensor([[0, 1], [1, 0]]), values, (2, 2))
    out = (dtorch.sparse.mm(s, d) ** 2).sum()  # (3 v0)^2 + (1 v1)^2
    (first,) = dtorch.autograd.grad(out, [values], create_graph=True)
    assert first.tolist() == [18, 4]
    (second,) = dtorch.autograd.grad(first.sum(), [values])
    assert second.tolist() == [18, 2]


def test_sparse_gradients_of_rows_accumulate_and_turn_dense_with_dense_ones() -> None:
    table = dtorch.zeros(4, 2, requires_grad=True)
    assert table.is_leaf
    grad = sparse_rows(np.ones((3, 2), np.float32), np.array([1, 3, 1]), (4, 2))
    table.grad = dtorch.Tensor._wrap(grad)
    table.grad += dtorch.Tensor._wrap(grad)
    assert table.grad.is_sparse
    assert table.grad.coalesce().values().tolist() == [[4, 4], [2, 2]]
    total = table.grad + dtorch.ones(4, 2)
    assert total.tolist() == [[1, 1], [5, 5], [1, 1], [3, 3]]


def test_backward_adds_sparse_to_sparse_and_sparse_to_dense() -> None:
    s, whole = example()
    leaf = s.coalesce().detach().requires_grad_()
    for _ in range(2):
        dtorch.sparse.mm(leaf, dtorch.ones(5, 1, dtype=dtorch.float64)).sum().backward()
    assert leaf.grad.is_sparse
    same(leaf.grad, 2.0 * (whole != 0))
    (leaf + dtorch.zeros(4, 5, dtype=dtorch.float64)).sum().backward()
    same(leaf.grad, 2.0 * (whole != 0) + 1)


def test_hooks_see_sparse_gradients() -> None:
    s, _ = example()
    leaf = s.coalesce().detach().requires_grad_()
    seen: list[bool] = []
    leaf.register_hook(lambda grad: seen.append(grad.is_sparse))
    dtorch.sparse.mm(leaf, dtorch.ones(5, 1, dtype=dtorch.float64)).sum().backward()
    assert seen == [True]


def test_copies_conversions_and_pickles_keep_layout_and_values() -> None:
    s, whole = example()
    for twin in (s.clone(), copy.deepcopy(s), pickle.loads(pickle.dumps(s)), s.cpu()):
        assert twin.is_sparse
        same(twin, whole)
    narrow = s.float()
    assert narrow.dtype is dtorch.float32
    assert isinstance(narrow, dtorch.sparse.FloatTensor)
    assert not isinstance(narrow, dtorch.sparse.DoubleTensor)


def test_classic_constructors() -> None:
    s = dtorch.sparse.DoubleTensor(dtorch.LongTensor([[0, 1], [1, 0]]), dtorch.ones(2).double(),
                                   dtorch.Size([2, 2])) if hasattr(dtorch, "LongTensor") else (
        dtorch.sparse.DoubleTensor([[0, 1], [1, 0]], [1, 1], (2, 2)))  # fmt: skip
    assert s.to_dense().tolist() == [[0, 1], [1, 0]]
    assert dtorch.sparse.FloatTensor()._nnz() == 0
    assert tuple(dtorch.sparse.LongTensor(2, 3).shape) == (2, 3)
    assert tuple(dtorch.sparse.LongTensor(dtorch.Size([2, 3])).shape) == (2, 3)


@pytest.mark.parametrize(
    ("indices", "values", "size", "error", "message"),
    [
        ([[0, 5]], [1.0, 2.0], (3,), DimensionError, "outside of size"),
        ([[0, -1]], [1.0, 2.0], None, DimensionError, "negative"),
        ([[0, 1]], [1.0], None, ShapeError, "expected"),
        ([[0, 1]], [1.0, 2.0], (3, 3), ShapeError, "sparse dims"),
        ([[0.5, 1.0]], [1.0, 2.0], None, DtypeError, "int64"),
        (dtorch.zeros(2**32, 0), [], None, ShapeError, "at most 64"),
        (dtorch.zeros(2, 0, dtype=dtorch.complex64), [], None, DtypeError, "int64"),
        ((1,) * 65, None, None, ShapeError, "at most 64"),
    ],
)
def test_construction_names_what_does_not_fit(
    indices: Any, values: Any, size: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        dtorch.sparse_coo_tensor(indices, values, size)


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.numpy(),
        lambda s: s.tolist(),
        lambda s: s[[0, 1]],
        lambda s: s[::2],
        lambda s: s.view(20),
        lambda s: s.reshape(20),
        lambda s: s.exp(),
        lambda s: s + 1,
        lambda s: s.storage().nbytes(),
        lambda s: s.fill_(2),
    ],
)
def test_what_is_not_defined_says_to_use_to_dense(use: Any) -> None:
    with pytest.raises(RuntimeError, match="sparse"):
        use(example()[0])


def test_raw_parts_need_coalesced_tensors_or_the_raw_names() -> None:
    s, _ = example()
    for name in ("indices", "values"):
        with pytest.raises(LayoutError, match=rf"coalesce\(\).*_{name}\(\)"):
            getattr(s, name)()
    with pytest.raises(LayoutError, match="to_sparse"):
        dtorch.ones(2).coalesce()
    with pytest.raises(ArgumentError, match="sparse_dim is 3"):
        dtorch.ones(2).to_sparse(3)


def test_empty_and_zero_dimensional_sparse_tensors() -> None:
    empty = dtorch.sparse_coo_tensor((2, 3))
    assert empty.to_dense().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert dtorch.sparse.mm(empty, dtorch.ones(3, 1)).tolist() == [[0], [0]]
    assert (empty + empty).coalesce()._nnz() == 0
    assert "nnz=0" in repr(empty)


@pytest.mark.parametrize("padding", [None, 1])
def test_embedding_with_sparse_gradient_equals_the_dense_one(padding: Any) -> None:
    table = dtorch.from_numpy(np.random.default_rng(1).normal(size=(5, 3)))
    index = dtorch.tensor([[1, 4, 1], [0, 1, 4]])
    weight = dtorch.from_numpy(np.random.default_rng(2).normal(size=(2, 3, 3)))
    grads = []
    for sparse in (True, False):
        leaf = table.clone().requires_grad_()
        out = dtorch.nn.functional.embedding(index, leaf, padding, sparse=sparse)
        (out * weight).sum().backward()
        grads.append(leaf.grad)
    assert grads[0].is_sparse
    assert not grads[1].is_sparse
    same(grads[0], grads[1].numpy())


def test_step_along_a_sparse_gradient_changes_only_rows_looked_up() -> None:
    layer = dtorch.nn.Embedding(4, 2, sparse=True)
    before = layer.weight.detach().clone()
    layer(dtorch.tensor([2, 2])).sum().backward()
    assert layer.weight.grad.is_sparse
    with dtorch.no_grad():
        layer.weight.add_(layer.weight.grad, alpha=-0.5)
    changed = (layer.weight.detach() - before).numpy()
    np.testing.assert_allclose(changed, [[0, 0], [0, 0], [-1, -1], [0, 0]], atol=1e-6)


# -- parts, joined and multiplied: each equals what the dense tensor gives --------------------------


def _tables() -> dict[str, Any]:
    """Sparse tensors with repeated indices: flat, with a dense dim, with nothing stored, and all."""
    places = dtorch.tensor([[0, 1, 0], [2, 0, 2]])
    return {
        "flat": dtorch.sparse_coo_tensor(places, [1.0, 2.0, 3.0], (2, 3)),
        "hybrid": dtorch.sparse_coo_tensor(places, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], (2, 3, 2)),
        "empty": dtorch.sparse_coo_tensor(
            dtorch.zeros(2, 0, dtype=dtorch.long), dtorch.zeros(0), (2, 3)
        ),
        "no element": dtorch.sparse_coo_tensor(places, dtorch.zeros(3, 0), (2, 3, 0)),
    }


AS_DENSE: dict[str, Callable[[Any], Any]] = {
    "int": lambda s: s[1],
    "int of another dim": lambda s: s[:, -1],
    "none": lambda s: s[None, ..., 0, :] if s.dim() > 2 else s[None],
    "select": lambda s: s.select(1, 2),
    "narrow": lambda s: s.narrow_copy(1, 1, 2),
    "narrow of the last": lambda s: s.narrow_copy(-1, 0, s.size(-1) // 2),
    "index_select": lambda s: s.index_select(0, dtorch.tensor([1, 0, 1])),
    "index_select of the last": lambda s: s.index_select(-1, dtorch.zeros(min(2, s.size(-1)), dtype=dtorch.long)),
    "unsqueeze": lambda s: s.unsqueeze(0),
    "unsqueeze at the end": lambda s: s.unsqueeze(-1),
    "cat": lambda s: dtorch.cat([s, s], 1),
    "cat of the last": lambda s: dtorch.cat([s, s, s], -1),
    "stack": lambda s: dtorch.stack([s, s]),
    "square": lambda s: s**2,
    "floor_divide": lambda s: s // 2,
    "transpose": lambda s: s.transpose(0, 1),
    "add": lambda s: s.add(2, s) - s / 4,
    "mul": lambda s: s * s,
    "add to dense": lambda s: dtorch.ones(s.shape).add(2, s.to_dense() if s.layout is dtorch.strided else s),
    "zeros_like": dtorch.zeros_like,
    "sign": lambda s: s.sign(),
    "relu": lambda s: s.relu(),
    "round": lambda s: (s / 2).round(),
    "erf": lambda s: s.erf(),
    "isnan": lambda s: s.isnan(),
    "sum of a dim": lambda s: s.sum(-1),
    "copy_": lambda s: dtorch.empty_like(s).copy_(s),
}  # fmt: skip


@pytest.mark.parametrize("use", AS_DENSE.values(), ids=AS_DENSE)
@pytest.mark.parametrize("table", _tables())
def test_parts_and_sums_of_sparse_tensors_equal_those_of_dense_ones(table: str, use: Any) -> None:
    sparse = _tables()[table]
    result = use(sparse)
    expected = use(sparse.to_dense())
    assert result.shape == expected.shape
    assert (result.to_dense() == expected).all()


@pytest.mark.parametrize("use", ["int", "select", "cat", "unsqueeze", "stack"])
def test_gradients_of_parts_reach_the_values(use: str) -> None:
    places = dtorch.tensor([[0, 1, 0], [2, 0, 1]])
    grads = []
    for dense in (False, True):
        values = dtorch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        x = dtorch.sparse_coo_tensor(places, values, (2, 3))
        result = AS_DENSE[use](x.to_dense() if dense else x).to_dense()
        (result * dtorch.arange(float(result.numel())).view(result.shape)).sum().backward()
        grads.append(values.grad)
    assert (grads[0] == grads[1]).all()


CLASSIC: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "new of nothing": (lambda s, d: s.new(), (0,)),
    "new of sizes": (lambda s, d: s.new(3, 4), (3, 4)),
    "new of a Size": (lambda s, d: s.new(dtorch.Size([3, 4])), (3, 4)),
    "new of elements": (lambda s, d: s.new(s._indices(), s._values()), (2, 3)),
    "new with a size": (lambda s, d: s.new(s._indices(), s._values(), dtorch.Size([4, 5])), (4, 5)),
    "type with a device": (lambda s, d: dtorch.sparse.FloatTensor(2, 3, device="cpu"), (2, 3)),
    "size by keyword": (lambda s, d: dtorch.sparse_coo_tensor(size=(2, 3)), (2, 3)),
    "one value": (lambda s, d: dtorch.sparse_coo_tensor([[1]], 2.0, (3,)), (3,)),
    "hspmm": (lambda s, d: dtorch.hspmm(s, d), (2, 2)),
    "hsmm": (lambda s, d: dtorch.hsmm(s, d), (2, 2)),
    "smm": (lambda s, d: dtorch.smm(s, d), (2, 2)),
    "smm as a method": (lambda s, d: s.smm(d), (2, 2)),
    "saddmm": (lambda s, d: dtorch.saddmm(2, s.mm(s.t()), 3, s, d), (2, 2)),
    "sspaddmm as a method": (lambda s, d: s.mm(s.t()).sspaddmm(s, d), (2, 2)),
    "resize_as_": (lambda s, d: s.clone().resize_as_(dtorch.sparse.FloatTensor(4, 5)), (4, 5)),
    "sparse_resize_and_clear_": (lambda s, d: s.clone().sparse_resize_and_clear_((4, 5), 1, 1), (4, 5)),
    "copy_ of other sizes": (lambda s, d: dtorch.sparse.DoubleTensor(4, 4).copy_(s), (2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("form", CLASSIC)
def test_classic_forms_make_sparse_tensors(form: str) -> None:
    use, size = CLASSIC[form]
    sparse = _tables()["flat"]
    result = use(sparse, dtorch.arange(6.0).view(3, 2))
    assert result.is_sparse
    assert tuple(result.shape) == size


def test_products_of_classic_names_equal_the_dense_ones() -> None:
    sparse, dense = _tables()["flat"], dtorch.arange(6.0).view(3, 2)
    expected = sparse.to_dense() @ dense
    for product in (dtorch.hspmm, dtorch.smm, dtorch.dsmm):
        assert (product(sparse, dense).to_dense() == expected).all()
    assert (dtorch.hspmm(sparse, dense).sparse_dim(), dtorch.hspmm(sparse, dense).dense_dim()) == (
        1,
        1,
    )
    batch = dtorch.stack([sparse, sparse * 2])
    assert (
        dtorch.bmm(batch, dtorch.stack([dense, dense])) == dtorch.stack([expected, expected * 2])
    ).all()


def test_dims_of_a_dense_tensor_are_dense() -> None:
    x = dtorch.ones(2, 3)
    assert (x.sparse_dim(), x.dense_dim()) == (0, 2)
    assert (_tables()["hybrid"]._dimI(), _tables()["hybrid"]._dimV()) == (2, 1)


def test_a_number_is_a_sparse_tensor_without_sparse_dims() -> None:
    x = dtorch.tensor(3.0).to_sparse()
    assert (x.sparse_dim(), x._nnz(), x.to_dense().item()) == (0, 1, 3)
    assert (x + x).coalesce().to_dense().item() == 6


def test_stored_elements_keep_a_tensor_from_shrinking() -> None:
    x = _tables()["flat"]
    with pytest.raises(ShapeError, match="cannot shrink"):
        x.sparse_resize_((1, 1), 2, 0)
    assert x.shape == (2, 3)


def test_a_sparse_tensor_prints_indices_values_and_what_is_not_evident() -> None:
    assert str(_tables()["flat"].double()) == (
        "tensor(indices=tensor([[0, 1, 0],\n"
        "                       [2, 0, 2]]),\n"
        "       values=tensor([1., 2., 3.]),\n"
        "       size=(2, 3), nnz=3, dtype=dtorch.float64, layout=dtorch.sparse_coo)"
    )


def test_functions_of_0_that_are_not_0_say_to_use_to_dense() -> None:
    for use in (dtorch.exp, dtorch.cos, dtorch.logical_not):
        with pytest.raises(LayoutError, match="to_dense"):
            use(_tables()["flat"])


def test_a_sparse_tensor_knows_whether_some_element_is_not_zero() -> None:
    assert _tables()["flat"].any().item() is True
    assert _tables()["empty"].any().item() is False


def test_softmax_along_a_dense_dim_is_that_of_each_value() -> None:
    x = _tables()["hybrid"]
    found = dtorch.sparse.softmax(x, 2)
    assert dtorch.allclose(found.values(), x.coalesce().values().softmax(1))
    assert dtorch.allclose(dtorch.sparse.log_softmax(x, -1).values(), found.values().log())


def test_zero_empties_a_sparse_tensor_that_is_recorded() -> None:
    values = dtorch.ones(3, requires_grad=True)
    x = dtorch.sparse_coo_tensor([[0, 1, 0], [2, 0, 2]], values, (2, 3)).clone()
    assert x.zero_()._nnz() == 0
    x.to_dense().sum().backward()
    assert values.grad.tolist() == [0, 0, 0]
