"""What operations share that pick elements along a dim and say where they found them."""

from __future__ import annotations

from typing import Any, NamedTuple

from dtorch.core.arrays import ArrayModule
from dtorch.core.op import Op
from dtorch.core.ops.scatter import scatter_sum
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


class ValuesIndices(NamedTuple):
    """The elements found along a dim, and where."""

    values: Tensor
    indices: Tensor


class SelectionOp(Op):
    """An operation along one dim that also says where it found the elements."""

    def __init__(self, body: Any, **options: Any) -> None:
        options.setdefault("tensors", ("input",))
        # float32 has an order that NumPy's loops know, with nan as the largest; bfloat16 has none.
        options.setdefault("wide", True)
        options.setdefault("rounded", 1)
        options.setdefault("takes", "bif")  # complex numbers have no order
        super().__init__(body, outputs=("values", "indices"), **options)

    def pack(self, outs: tuple[Any, ...]) -> ValuesIndices:
        return ValuesIndices(*outs)


def take_one_along(xp: ArrayModule, input: Any, index: Any, dim: int, keepdim: bool) -> Any:
    """The element at ``index`` of each line along ``dim``, and that index."""
    values = xp.take_along_axis(input, xp.expand_dims(index, dim), dim)
    if keepdim:
        return values, xp.expand_dims(index, dim)
    return xp.squeeze(values, dim), index


def put_back(grad: Any, indices: Any, input_shape: Any, dim: int, keepdim: bool) -> Any:
    """Gradient of elements picked along ``dim``: back to where they came from."""
    if not input_shape:
        return grad
    dim = normalize_dim("max", dim, len(input_shape))
    if not keepdim:
        kept = (*input_shape[:dim], 1, *input_shape[dim + 1 :])
        grad, indices = grad.reshape(kept), indices.reshape(kept)
    return scatter_sum(grad, dim, indices, input_shape)


def selection(body: Any) -> SelectionOp:
    """Define a `SelectionOp`."""
    return SelectionOp(body)
