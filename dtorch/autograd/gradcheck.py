"""Comparing gradients with finite differences.

The module itself can be called, as `gradcheck.gradcheck`.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.autograd.backward import grad
from dtorch.autograd.jacobian import (
    analytic,
    contiguous,
    get_analytical_jacobian,
    get_numerical_jacobian,
    iter_tensors,
    numeric,
    of_input,
    stored,
    zero_gradients,
)
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.grad_mode import enable_grad
from dtorch.core.random import rand
from dtorch.core.shapes import repeats
from dtorch.core.tensor import Tensor

__all__ = [
    "GradcheckError", "contiguous", "get_analytical_jacobian", "get_numerical_jacobian",
    "gradcheck", "gradgradcheck", "iter_tensors", "zero_gradients",
]  # fmt: skip


class GradcheckError(GradError):
    """Gradients and finite differences do not agree."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    check_sparse_nnz: bool = False,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of ``func`` agree with finite differences.

    Also checked: gradients of zero are zero, and two backward passes give the same.

    Args:
        func: takes tensors, returns a tensor or a tuple of tensors.
        inputs: its arguments; those that require grad are checked, and should be float64. Of a
            sparse tensor the stored elements are checked.
        eps: step of the differences.
        atol, rtol: ``|analytic - numeric| <= atol + rtol * |numeric|`` must hold.
        raise_exception: raise an error where they differ, instead of returning False.
        nondet_tol: how far two backward passes may differ.
        check_undefined_grad: also go back from each of several outputs without the others.
        check_grad_dtypes: nothing more: a gradient always has the dtype of its input.
        check_batched_grad: also compare ``grad(..., is_grads_batched=True)``.
        fast_mode: nothing: every element is compared.
        check_sparse_nnz, masked: nothing: only stored elements are ever checked.
    Raises:
        GradcheckError: they differ: naming output, input and both values; a RuntimeError.
        ValueError: no input requires grad, or an output is sparse.
        NotImplementedError: forward-mode differentiation is to be checked.
    Example:
        >>> import dtorch
        >>> x = dtorch.rand(3, dtype=dtorch.float64, requires_grad=True)
        >>> gradcheck(lambda t: t.exp(), (x,))
        True
    """
    if check_forward_ad or check_batched_forward_grad:
        raise NotImplementedError(
            "gradcheck: check_forward_ad: dtorch differentiates backward only; leave it out"
        )
    if not check_backward_ad:
        raise AssertionError("gradcheck: check_backward_ad=False leaves nothing to check")
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        checked = _checked(arguments)
        outputs = _outputs(func(*arguments))
        for number, output in enumerate(outputs):
            again = functools.partial(_output, func, arguments, number)
            _compare_with_differences(number, output, again, checked, eps, atol, rtol, nondet_tol)
            if check_batched_grad and output._mode == REQUIRES_GRAD:
                _check_batches(number, output, checked)
        if check_undefined_grad:
            _check_outputs_alone([o for o in outputs if o._mode == REQUIRES_GRAD], checked)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _checked(arguments: tuple[Any, ...]) -> list[Any]:
    """The arguments that differences are taken of."""
    checked: list[Any] = [
        a for a in arguments if isinstance(a, TensorBase) and a._mode == REQUIRES_GRAD
    ]
    if not checked:
        raise ArgumentError(
            "gradcheck: none of the inputs requires grad; at least one must, as by "
            "x.requires_grad_()"
        )
    for tensor in checked:
        values = stored(tensor)
        if values.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"gradcheck: an input is {tensor.dtype}; finite differences need float64",
                stacklevel=3,
            )
        if repeats(values):
            raise GradcheckError(
                f"gradcheck: elements of an input of shape {tuple(tensor.shape)} share memory (it "
                "was expanded); differences cannot be taken, clone() it first"
            )
    return checked


def _compare_with_differences(
    number: int, output: Any, again: Callable[[], Any], checked: list[Any], eps: float,
    atol: float, rtol: float, nondet_tol: float,
) -> None:  # fmt: skip
    if output._mode != REQUIRES_GRAD:
        for i, tensor in enumerate(checked):
            if not np.allclose(numeric(again, tensor, eps), 0, rtol=0, atol=atol):
                raise GradcheckError(
                    f"gradcheck: Numerical gradient for function expected to be zero: output "
                    f"{number} does not require grad, but depends on input {i}"
                )
        return
    first, second = analytic(output, checked), analytic(output, checked)
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        if not np.allclose(a, b, rtol=0, atol=nondet_tol, equal_nan=True):
            raise GradcheckError(
                "gradcheck: Backward is not reentrant: two backward passes give different "
                f"gradients of input {i}, by up to {np.abs(a - b).max()}, more than nondet_tol"
            )
    for i, (tensor, jacobian) in enumerate(zip(checked, first, strict=True)):
        _compare(number, i, jacobian, numeric(again, tensor, eps), atol, rtol)
    zeros = grad(output, checked, wrap(np.zeros_like(output.array)), retain_graph=True,
                 allow_unused=True)  # fmt: skip
    for i, (gradient, tensor) in enumerate(zip(zeros, checked, strict=True)):
        if gradient is not None and of_input(gradient, tensor).any():
            raise GradcheckError(
                f"gradcheck: backward not multiplied by grad_output: the gradient of input {i} for "
                "a zero gradient is not 0"
            )


def _compare(
    output: int, input: int, analytic: np.ndarray, numeric: np.ndarray, atol: float, rtol: float
) -> None:
    bad = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise GradcheckError(
            f"gradcheck: Jacobian mismatch for output {output} with respect to input {input}: they "
            f"differ at {place} (input element, output element): backward gives "
            f"{analytic[place]:.6g}, finite differences {numeric[place]:.6g}"
        )


def _check_outputs_alone(outputs: list[Any], checked: list[Any]) -> None:
    """Each of several outputs must be able to go without a gradient."""
    for output in outputs if len(outputs) > 1 else ():
        try:
            grad(output, checked, wrap(np.ones_like(output.array)), True, allow_unused=True)
        except Exception as error:
            raise GradcheckError(
                "gradcheck: Expected backward function to handle undefined output grads: it raised "
                f"{type(error).__name__}: {error}"
            ) from error


def _check_batches(number: int, output: Any, checked: list[Any]) -> None:
    """A batch of gradients must give what they give one by one."""
    shape = output.array.shape
    batch: Any = rand(2, *shape, dtype=output.dtype)
    together = grad(output, checked, batch, True, allow_unused=True, is_grads_batched=True)
    for k in range(2):
        alone = grad(output, checked, batch[k], retain_graph=True, allow_unused=True)
        for i, (a, b) in enumerate(zip(together, alone, strict=True)):
            if (a is None) != (b is None) or (a is not None and not np.allclose(a[k], b)):
                raise GradcheckError(
                    f"gradcheck: a batch of gradients of output {number} gives another gradient "
                    f"of input {i} than they give one by one"
                )


def _outputs(result: Any) -> list[Any]:
    results = result if isinstance(result, (tuple, list)) else (result,)
    for each in results:
        if not isinstance(each, TensorBase):
            raise GradcheckError(
                f"gradcheck: the function returned {type(each).__name__}, expected tensors"
            )
        if isinstance(each.array, CooArray):
            raise ArgumentError("gradcheck: an output is sparse; return its to_dense()")
    return [r for r in results if r.array.dtype.kind in "fcV"]


def _output(func: Callable[..., Any], arguments: tuple[Any, ...], number: int) -> Any:
    return _outputs(func(*arguments))[number]


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second gradients of ``func`` agree with finite differences of the first.

    Args:
        grad_outputs: gradient of each output at which that is checked. Default, and for None among
            them: random numbers.
        gen_non_contig_grad_outputs: make those random numbers with elements that do not lie one
            after the other.
        check_rev_over_rev: as ``check_backward_ad`` of `gradcheck`.
        check_fwd_over_rev: as ``check_forward_ad`` of `gradcheck`.
        others: as of `gradcheck`.

    Raises:
        GradcheckError: they differ; a RuntimeError.

    Example:
        >>> import dtorch
        >>> x = dtorch.rand(3, dtype=dtorch.float64, requires_grad=True)
        >>> gradgradcheck(lambda t: t.exp(), (x,))
        True
    """
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    results = [r for r in _outputs(func(*arguments)) if r._mode == REQUIRES_GRAD]
    given = [None] * len(results) if grad_outputs is None else grad_outputs
    given = given if isinstance(given, (tuple, list)) else (given,)
    grads = [
        _random_like(r, gen_non_contig_grad_outputs) if g is None else g.detach().clone()
        for r, g in zip(results, given, strict=True)
    ]
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

    return gradcheck(
        with_grad, (*arguments, *grads), eps, atol, rtol, raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _random_like(result: Any, scattered: bool) -> Any:
    """Random numbers in [0.5, 1.5) as the gradient of ``result``."""
    numbers: Any = rand(*result.shape, 2 if scattered else 1, dtype=result.dtype).add_(0.5)
    return numbers[..., 0].detach()


class _CallableModule(types.ModuleType):
    __wrapped__ = staticmethod(gradcheck)  # what `inspect.signature` shows

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
