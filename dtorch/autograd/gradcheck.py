"""Comparing gradients with finite differences.

The module itself can be called, as `gradcheck.gradcheck`.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtorch.autograd.backward import grad
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.errors import GradError
from dtorch.core.grad_mode import enable_grad, no_grad
from dtorch.core.random import rand
from dtorch.core.tensor import Tensor


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Whether the gradients of ``func`` agree with finite differences.

    Also checked: gradients of zero are zero, and two backward passes give the same.

    Args:
        func: takes tensors, returns a tensor or a tuple of tensors.
        inputs: its arguments; those that require grad are checked, and should be float64.
        eps: step of the differences.
        atol, rtol: ``|analytic - numeric| <= atol + rtol * |numeric|`` must hold.
        raise_exception: raise an error where they differ, instead of returning False.
        nondet_tol: how far two backward passes may differ.
    Raises:
        GradError: they differ: naming output, input and both values.
    Example:
        >>> import dtorch
        >>> x = dtorch.rand(3, dtype=dtorch.float64, requires_grad=True)
        >>> gradcheck(lambda t: t.exp(), (x,))
        True
    """
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    checked = [a for a in arguments if isinstance(a, TensorBase) and a._mode == REQUIRES_GRAD]
    if not checked:
        raise ValueError("gradcheck: none of the inputs requires grad")
    for tensor in checked:
        if tensor.array.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"gradcheck: an input is {tensor.dtype}; finite differences need float64",  # type: ignore[attr-defined]
                stacklevel=2,
            )
    try:
        _check(func, arguments, checked, eps, atol, rtol, nondet_tol)
    except GradError:
        if raise_exception:
            raise
        return False
    return True


def _check(
    func: Callable[..., Any], arguments: Any, checked: Any, eps: float, atol: float, rtol: float,
    nondet_tol: float,
) -> None:  # fmt: skip
    outputs = _outputs(func(*arguments))
    for i, output in enumerate(outputs):
        if output._mode != REQUIRES_GRAD:
            continue
        analytic = _analytic(output, checked)
        again = _analytic(output, checked)
        for j, (a, b) in enumerate(zip(analytic, again, strict=True)):
            if not np.allclose(a, b, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradError(
                    f"gradcheck: two backward passes give different gradients of input {j}, by up "
                    f"to {np.abs(a - b).max()}"
                )
        for j, (tensor, exact) in enumerate(zip(checked, analytic, strict=True)):
            numeric = _numeric(functools.partial(_output, func, arguments, i), tensor, eps)
            _compare(i, j, exact, numeric, atol, rtol)
        zeros = grad(output, checked, wrap(np.zeros_like(output.array)), retain_graph=True,
                     allow_unused=True)  # fmt: skip
        for j, g in enumerate(zeros):
            if g is not None and g.array.any():
                raise GradError(
                    f"gradcheck: the gradient of input {j} for a zero gradient is not 0"
                )


def _compare(
    output: int, input: int, analytic: np.ndarray, numeric: np.ndarray, atol: float, rtol: float
) -> None:
    bad = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise GradError(
            f"gradcheck: gradients of output {output} by input {input} differ at {place} (input "
            f"element, output element): backward gives {analytic[place]:.6g}, finite differences "
            f"{numeric[place]:.6g}"
        )


def _outputs(result: Any) -> list[Any]:
    results = result if isinstance(result, (tuple, list)) else (result,)
    return [r for r in results if isinstance(r, TensorBase) and r.array.dtype.kind in "fcV"]


def _output(func: Callable[..., Any], arguments: tuple[Any, ...], number: int) -> Any:
    return _outputs(func(*arguments))[number]


def _parts(array: np.ndarray) -> np.ndarray:
    """The real numbers an array is made of, flat."""
    if array.dtype.kind == "c":
        array = np.ascontiguousarray(array)
        return array.reshape(-1).view(array.real.dtype)
    return array.reshape(-1)


def _analytic(output: Any, inputs: Sequence[Any]) -> list[np.ndarray]:
    """Jacobians ``(input element, output element)`` by backward passes."""
    array = output.array
    count = _parts(array).size
    found = [np.zeros((_parts(t.array).size, count)) for t in inputs]
    for k in range(count):
        one_hot = np.zeros(array.shape, array.dtype)
        _parts(one_hot)[k] = 1
        for jacobian, g in zip(
            found,
            grad(output, inputs, wrap(one_hot), retain_graph=True, allow_unused=True),
            strict=True,
        ):
            if g is not None:
                jacobian[:, k] = _parts(g.array)
    return found


def _numeric(function: Callable[[], Any], tensor: Any, eps: float) -> np.ndarray:
    """The same by central differences."""
    array = tensor.array
    columns = []
    imaginary = (1, 1j) if array.dtype.kind == "c" else (1,)
    with no_grad():
        for place in np.ndindex(array.shape):
            kept = array[place]
            for unit in imaginary:
                array[place] = kept + eps * unit
                up = _parts(function().array).copy()
                array[place] = kept - eps * unit
                down = _parts(function().array).copy()
                array[place] = kept
                columns.append((up - down) / (2 * eps))
    return np.array(columns).reshape(len(columns), -1)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Whether the second gradients of ``func`` agree with finite differences of the first.

    Args:
        grad_outputs: gradient of each output at which that is checked. Default: random numbers.
        others: as of `gradcheck`.

    Raises:
        RuntimeError: they differ.

    Example:
        >>> import dtorch
        >>> x = dtorch.rand(3, dtype=dtorch.float64, requires_grad=True)
        >>> gradgradcheck(lambda t: t.exp(), (x,))
        True
    """
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    results = [r for r in _outputs(func(*arguments)) if r._mode == REQUIRES_GRAD]
    if grad_outputs is None:
        grads: list[Any] = [rand(*r.shape, dtype=r.dtype).add_(0.5) for r in results]
    else:
        given = grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
        grads = [g.detach().clone() for g in given]
    for g in grads:
        g.requires_grad_()
    count = len(arguments)

    def first(*all_arguments: Any) -> tuple[Tensor, ...]:
        given, by = all_arguments[:count], all_arguments[count:]
        outputs = [r for r in _outputs(func(*given)) if r._mode == REQUIRES_GRAD]
        leaves = [a for a in given if isinstance(a, TensorBase) and a._mode == REQUIRES_GRAD]
        found = grad(outputs, leaves, by, create_graph=True, allow_unused=True)  # type: ignore[arg-type]
        return tuple(g for g in found if g is not None)

    def with_grad(*all_arguments: Any) -> tuple[Tensor, ...]:
        with enable_grad():  # differences are taken under no_grad
            return first(*all_arguments)

    return gradcheck(with_grad, (*arguments, *grads), eps, atol, rtol, raise_exception, nondet_tol)


class _CallableModule(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
