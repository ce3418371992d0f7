"""Derivatives of functions: Jacobians, Hessians, and their products with vectors.

Arguments and results follow one rule: a tensor for a tensor, a tuple for a tuple; with both, the
outputs nest outside and the inputs inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtorch.autograd.backward import grad
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.errors import GradError, ShapeError
from dtorch.core.grad_mode import enable_grad
from dtorch.core.ops.joining import stack
from dtorch.core.tensor import Tensor

Tensors = Tensor | tuple[Tensor, ...]


def _tuple(name: str, what: str, value: Any) -> tuple[tuple[Any, ...], bool]:
    """``value`` as a tuple of tensors, and whether it was one."""
    several = isinstance(value, (tuple, list))
    tensors = tuple(value) if several else (value,)
    for tensor in tensors:
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"{name}: {what} has {type(tensor).__name__}, expected tensors")
    return tensors, several


def _leaves(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    """The inputs, to be differentiated by, apart from other uses of them."""
    if create_graph:
        return tuple(t.view_as(t) if t.requires_grad else t.detach().requires_grad_()
                     for t in inputs)  # fmt: skip
    return tuple(t.detach().requires_grad_() for t in inputs)


def _run(
    name: str, func: Callable[..., Any], inputs: Any, create_graph: bool
) -> tuple[tuple[Any, ...], bool, tuple[Any, ...], bool]:
    given, several_inputs = _tuple(name, "inputs", inputs)
    leaves = _leaves(given, create_graph)
    outputs, several_outputs = _tuple(name, "the result", func(*leaves))
    return leaves, several_inputs, outputs, several_outputs


def _grad(
    name: str,
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    by: Sequence[Any],
    create_graph: bool,
    strict: bool,
) -> tuple[Any, ...]:
    """Gradients, zeros for inputs without part in the outputs."""
    linked = [(o, g) for o, g in zip(outputs, by, strict=True) if o._mode == REQUIRES_GRAD]
    found: Sequence[Any] = [None] * len(inputs)
    if linked:
        found = grad(
            [o for o, _ in linked], inputs, [g for _, g in linked],
            create_graph=create_graph, retain_graph=True, allow_unused=True,
        )  # fmt: skip
    for position, g in enumerate(found):
        if strict and (g is None or (create_graph and g._mode != REQUIRES_GRAD)):
            raise GradError(
                f"{name}: the outputs do not depend on input {position}; pass strict=False to get "
                "zeros"
            )
    return tuple(
        wrap(np.zeros_like(t.array)) if g is None else g for t, g in zip(inputs, found, strict=True)
    )


def _vector(name: str, v: Any, like: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if v is None:
        if len(like) != 1 or like[0].array.size != 1:
            raise ShapeError(f"{name}: v can be left out only where {what} has one element")
        return (wrap(np.ones_like(like[0].array)),)
    vectors, _ = _tuple(name, "v", v)
    shapes = [tuple(t.array.shape) for t in vectors]
    expected = [tuple(t.array.shape) for t in like]
    if shapes != expected:
        raise ShapeError(f"{name}: v has shapes {shapes}, expected {expected} like {what}")
    return vectors


def _shown(tensors: tuple[Any, ...], several: bool, create_graph: bool) -> Any:
    result = tensors if create_graph else tuple(t.detach() for t in tensors)
    return result if several else result[0]


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
) -> Any:
    """The Jacobian of ``func`` at ``inputs``: shape of the output, then of the input.

    Args:
        create_graph: record it, to differentiate it again.
        strict: complain about an input that the outputs do not depend on, instead of giving zeros.
        vectorize: ask for the gradients of one output as a batch.
    Example:
        >>> import dtorch
        >>> jacobian(lambda x: x * x, dtorch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    with enable_grad():
        leaves, several_inputs, outputs, several_outputs = _run(
            "jacobian", func, inputs, create_graph
        )
        rows = tuple(_rows(output, leaves, create_graph, strict, vectorize) for output in outputs)
    blocks = tuple(_shown(row, several_inputs, create_graph) for row in rows)
    return blocks if several_outputs else blocks[0]


def _rows(
    output: Any, leaves: tuple[Any, ...], create_graph: bool, strict: bool, vectorize: bool
) -> tuple[Any, ...]:
    """For each input the gradients of all elements of ``output``."""
    array = output.array
    if not array.size:
        return tuple(wrap(np.zeros(array.shape + t.array.shape, array.dtype)) for t in leaves)
    units = np.eye(array.size, dtype=array.dtype).reshape(array.size, *array.shape)
    if vectorize and output._mode == REQUIRES_GRAD and not strict:
        stacked: Any = grad(
            output, leaves, wrap(units), retain_graph=True, create_graph=create_graph,
            is_grads_batched=True, materialize_grads=True,
        )  # fmt: skip
        full = [
            g if g.array.shape[1:] == t.array.shape and len(g.array) == array.size
            else wrap(np.zeros((array.size, *t.array.shape), t.array.dtype))
            for g, t in zip(stacked, leaves, strict=True)
        ]  # fmt: skip
    else:
        each = [
            _grad("jacobian", [output], leaves, [wrap(unit)], create_graph, strict)
            for unit in units
        ]
        full = [stack(list(column)) for column in zip(*each, strict=True)]
    return tuple(g.reshape(array.shape + t.array.shape) for g, t in zip(full, leaves, strict=True))


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
) -> Any:
    """The Hessian of ``func``, which returns one element, at ``inputs``.

    Args:
        others: as of `jacobian`.
    Example:
        >>> import dtorch
        >>> hessian(lambda x: (x**3).sum(), dtorch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    _, several = _tuple("hessian", "inputs", inputs)

    def gradient(*arguments: Any) -> Any:
        first = jacobian(lambda *a: _one_element("hessian", func(*a)), arguments, True, strict)
        return first if several else first[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize)


def _one_element(name: str, output: Any) -> Any:
    if not isinstance(output, TensorBase) or output.array.size != 1:
        got = tuple(output.array.shape) if isinstance(output, TensorBase) else type(output).__name__
        raise ShapeError(f"{name}: func returned {got}, expected a tensor of one element")
    return output.reshape(())  # type: ignore[attr-defined]  # an operation


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result of ``func``, and ``v`` times its Jacobian.

    Args:
        v: shaped like the result; may be left out for one element.

    Returns: the result, and the product, shaped like the inputs.

    Example:
        >>> import dtorch
        >>> vjp(lambda x: x * x, dtorch.tensor([1.0, 2.0]), dtorch.tensor([1.0, 10.0]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        leaves, several_inputs, outputs, several_outputs = _run("vjp", func, inputs, create_graph)
        vectors = _vector("vjp", v, outputs, "the result")
        found = _grad("vjp", outputs, leaves, vectors, create_graph, strict)
    return (
        _shown(outputs, several_outputs, create_graph),
        _shown(found, several_inputs, create_graph),
    )


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result of ``func``, and its Jacobian times ``v``.

    Found by two backward passes: the first is linear in the gradient put in, and its derivative
    by that gradient is the product.

    Args:
        v: shaped like the inputs; may be left out for one element.

    Returns: the result, and the product, shaped like it.

    Example:
        >>> import dtorch
        >>> jvp(lambda x: x * x, dtorch.tensor([1.0, 2.0]), dtorch.tensor([1.0, 10.0]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        leaves, _, outputs, several_outputs = _run("jvp", func, inputs, create_graph)
        vectors = _vector("jvp", v, leaves, "inputs")
        by = tuple(wrap(np.zeros_like(o.array)).requires_grad_() for o in outputs)
        first = _grad("jvp", outputs, leaves, by, True, strict)
        found = _grad("jvp", first, by, vectors, create_graph, False)
    return (
        _shown(outputs, several_outputs, create_graph),
        _shown(found, several_outputs, create_graph),
    )


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result of ``func``, which has one element, and ``v`` times its Hessian.

    Args:
        v: shaped like the inputs; may be left out for one element.

    Returns: the result, and the product, shaped like the inputs.

    Example:
        >>> import dtorch
        >>> vhp(lambda x: (x**3).sum(), dtorch.tensor([1.0, 2.0]), dtorch.tensor([1.0, 1.0]))[1]
        tensor([ 6., 12.])
    """
    with enable_grad():
        leaves, several, outputs, _ = _run("vhp", func, inputs, create_graph)
        output = _one_element("vhp", outputs[0])
        vectors = _vector("vhp", v, leaves, "inputs")
        ones = wrap(np.ones_like(output.array))
        first = _grad("vhp", [output], leaves, [ones], True, strict)
        found = _grad("vhp", first, leaves, vectors, create_graph, strict)
    return _shown(outputs, False, create_graph), _shown(found, several, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result of ``func``, which has one element, and its Hessian times ``v``.

    The Hessian is symmetric, so this is `vhp`.

    Example:
        >>> import dtorch
        >>> hvp(lambda x: (x**3).sum(), dtorch.tensor([1.0, 2.0]), dtorch.tensor([1.0, 1.0]))[1]
        tensor([ 6., 12.])
    """
    return vhp(func, inputs, v, create_graph, strict)
