"""Derivatives of functions whose arguments and results are containers of tensors.

A function is run once on tensors that are recorded, apart from other uses of the arguments. The
result of a transform is recorded itself only where it depends on tensors that require grad outside:
on arguments, on what the function captures, or on the arguments of a transform around this one. So
transforms nest, and cost no graph where nothing asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from dtorch.autograd.backward import grad as gradients
from dtorch.core.base import wrap
from dtorch.core.errors import DimensionError
from dtorch.core.functions import stack
from dtorch.core.grad_mode import enable_grad, is_grad_enabled
from dtorch.core.tensor import Tensor
from dtorch.pytree import (
    TreeSpec,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_unflatten,
    treespec_pprint,
)

Argnums = int | tuple[int, ...]


class _Run:
    """One run of a function on recorded arguments.

    Attributes:
        inputs: the leaves of the arguments to differentiate by, as the function got them.
        outputs, spec: leaves and structure of the result.
        aux: what came beside the result.
        recorded: whether derivatives are recorded, too.
    """

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: tuple[int, ...],
        has_aux: bool,
    ) -> None:
        outside = is_grad_enabled()
        chosen, self.input_spec = tree_flatten([args[i] for i in argnums])
        for value in chosen:
            if not isinstance(value, Tensor):
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(value)}")
        with enable_grad():
            self.inputs = [_apart(value) for value in chosen]
            own = tree_unflatten(self.inputs, self.input_spec)
            arguments = list(args)
            for i, value in zip(argnums, own, strict=True):
                arguments[i] = value
            result = func(*arguments, **kwargs)
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise RuntimeError(
                    f"{name}: output of function f should be a tuple: (output, aux) if has_aux is "
                    "True"
                )
            result, self.aux = result
        self.result = result
        self.outputs, self.spec = tree_flatten(result)
        self.recorded = outside and _depend_on_others(self.outputs, self.inputs)
        if has_aux and not (outside and _depend_on_others(tree_leaves(self.aux), self.inputs)):
            self.aux = tree_map(_detached, self.aux)

    def by(self, cotangents: list[Any], again: bool = False, record: bool | None = None) -> Any:
        """The gradients of the inputs for those of the outputs, in the structure of the inputs."""
        return tree_unflatten(self.flat(cotangents, again, record), self.input_spec)

    def flat(
        self, cotangents: list[Any], again: bool = False, record: bool | None = None
    ) -> list[Any]:
        recorded = self.recorded if record is None else record
        linked = [(o, c) for o, c in zip(self.outputs, cotangents, strict=True) if o.requires_grad]
        if not linked or not self.inputs:
            return [_zeros(value) for value in self.inputs]
        found = gradients(
            [o for o, _ in linked], self.inputs, [c for _, c in linked], allow_unused=True,
            retain_graph=again or recorded, create_graph=recorded,
        )  # fmt: skip
        return [
            _zeros(value) if g is None else g for g, value in zip(found, self.inputs, strict=True)
        ]

    def shown(self) -> Any:
        """The result as the caller gets it."""
        return self.result if self.recorded else tree_map(_detached, self.result)

    def expect_tensors(self, name: str) -> None:
        for output in self.outputs:
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"{name}: expected the function to return only tensors, got unsupported type "
                    f"{type(output)}"
                )


def _apart(value: Tensor) -> Tensor:
    """The same numbers, recorded apart from other uses of the tensor."""
    if value.requires_grad:
        return value.view_as(value)
    if not (value.is_floating_point() or value.is_complex()):
        raise RuntimeError(
            f"only Tensors of floating point dtype can require gradients, got {value.dtype}"
        )
    return value.detach().requires_grad_()


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _zeros(like: Any) -> Any:
    return wrap(np.zeros_like(like.array))


def _depend_on_others(outputs: list[Any], inputs: list[Any]) -> bool:
    """Whether outputs were made of tensors that require grad beside these inputs."""
    own = {id(value) for value in inputs if value.is_leaf}
    seen: set[int] = set()
    waiting = []
    for output in outputs:
        if isinstance(output, Tensor) and output.requires_grad:
            if output.grad_fn is not None:
                waiting.append(output.grad_fn)
            elif id(output) not in own:
                return True
    while waiting:
        node: Any = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        variable = getattr(node, "variable", None)
        if variable is not None and not node.next_functions:
            if id(variable) not in own:
                return True
            continue
        waiting += [following for following, _ in node.next_functions if following is not None]
    return False


def _numbers(argnums: Any, args: tuple[Any, ...]) -> tuple[int, ...]:
    """The positions of arguments, from 0."""
    if not isinstance(argnums, (int, tuple)) or argnums == ():
        raise RuntimeError(f"argnums must be int or a tuple of ints, got {argnums!r}")
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise DimensionError(f"Got argnum={i}, but only {len(args)} positional inputs")
    return tuple(i % len(args) for i in numbers)


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that gives the gradient of ``func``, which returns one number.

    Args:
        func: a function of tensors, or of containers of them.
        argnums: by which argument; a tuple for several, whose gradients come as a tuple.
        has_aux: ``func`` returns a pair of the number and anything else, which comes beside the
            gradient.

    Example:
        >>> import dtorch
        >>> grad(dtorch.sin)(dtorch.zeros(()))
        tensor(1.)
        >>> grad(grad(dtorch.cos))(dtorch.zeros(()))
        tensor(-1.)
    """

    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`, giving a pair of the gradient and the value, or of the gradient and ``func``'s
    pair."""

    @wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        run = _Run("grad", func, args, kwargs, _numbers(argnums, args), has_aux)
        output = run.result
        if not isinstance(output, Tensor):
            raise RuntimeError(f"grad: expected f(*args) to return a Tensor, got {type(output)}")
        if output.dim():
            raise RuntimeError(
                "grad: expected f(*args) to return a scalar Tensor, got tensor with "
                f"{output.dim()} dims; vjp and jacrev are for those"
            )
        by_each = run.by([wrap(np.ones_like(output.array))])
        found = by_each[0] if isinstance(argnums, int) else tuple(by_each)
        value = run.shown()
        return found, (value, run.aux) if has_aux else value

    return gradient_and_value


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``func``, and a function that multiplies vectors with its Jacobian.

    Returns: the value; the function, which takes a value like it and gives a tuple of one for each
    primal; with ``has_aux`` what came beside the value.

    Example:
        >>> import dtorch
        >>> value, product = vjp(lambda x: x * x, dtorch.tensor([1.0, 2.0]))
        >>> product(dtorch.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)
    """
    run = _Run("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)
    run.expect_tensors("vjp")

    def product(*cotangents: Any, retain_graph: bool = True, create_graph: Any = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        flat, spec = tree_flatten(given)
        if spec != run.spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {treespec_pprint(spec)}, primal output: "
                f"{treespec_pprint(run.spec)}"
            )
        for k, (cotangent, output) in enumerate(zip(flat, run.outputs, strict=True)):
            if cotangent.shape != output.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{k}] has a shape of {cotangent.shape} and "
                    f"output[{k}] has a shape of {output.shape}."
                )
        outside = is_grad_enabled() and any(c.requires_grad for c in flat)
        return tuple(run.by(flat, retain_graph, run.recorded or outside))

    return (run.shown(), product, run.aux) if has_aux else (run.shown(), product)


class _Linear:
    """The Jacobian of a run, times vectors: found by two backward passes.

    The first is linear in the gradients put in, and its derivative by these is the product.
    """

    def __init__(self, run: _Run) -> None:
        self.run = run
        with enable_grad():
            self.by = [_apart(_zeros(output)) for output in run.outputs]
            self.first = run.flat(self.by, True, True)

    def __call__(self, tangents: list[Any], again: bool) -> Any:
        recorded = is_grad_enabled() and (
            self.run.recorded or any(t.requires_grad for t in tangents)
        )
        linked = [(f, t) for f, t in zip(self.first, tangents, strict=True) if f.requires_grad]
        found: Any = [None] * len(self.by)
        if linked:
            found = gradients(
                [f for f, _ in linked], self.by, [t for _, t in linked], allow_unused=True,
                retain_graph=again or recorded, create_graph=recorded,
            )  # fmt: skip
        filled = [_zeros(b) if f is None else f for f, b in zip(found, self.by, strict=True)]
        return tree_unflatten(filled, self.run.spec)


def _expect_like(name: str, tangents: list[Any], spec: TreeSpec, run: _Run) -> None:
    expected = run.input_spec
    if spec != expected:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure: primals are "
            f"{treespec_pprint(expected)}, tangents {treespec_pprint(spec)}"
        )
    for tangent, value in zip(tangents, run.inputs, strict=True):
        if tangent.shape != value.shape:
            raise RuntimeError(
                f"{name}: a tangent has shape {tuple(tangent.shape)}, its primal "
                f"{tuple(value.shape)}"
            )


def jvp(
    func: Callable[..., Any],
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """The value of ``func`` at ``primals``, and its Jacobian times ``tangents``.

    There is no forward mode: the product comes from two backward passes, and is the same.

    Args:
        primals, tangents: tuples, of arguments and of what is like them.

    Example:
        >>> import dtorch
        >>> jvp(lambda x: x * x, (dtorch.tensor([1.0, 2.0]),), (dtorch.tensor([1.0, 10.0]),))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    for what, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, tuple):
            raise RuntimeError(
                f"jvp(f, primals, tangents): Expected {what} to be a tuple, got {type(value)}"
            )
    run = _Run("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    run.expect_tensors("jvp")
    flat, spec = tree_flatten(list(tangents))
    _expect_like("jvp", flat, spec, run)
    product = _Linear(run)(flat, False)
    return (run.shown(), product, run.aux) if has_aux else (run.shown(), product)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of ``func``, and the function that multiplies its Jacobian there with tangents.

    Example:
        >>> import dtorch
        >>> value, product = linearize(lambda x: x * x, dtorch.tensor([1.0, 2.0]))
        >>> product(dtorch.tensor([1.0, 10.0]))
        tensor([ 2., 40.])
    """
    run = _Run("linearize", func, primals, {}, tuple(range(len(primals))), False)
    run.expect_tensors("linearize")
    linear = _Linear(run)

    def product(*tangents: Any) -> Any:
        flat, spec = tree_flatten(list(tangents))
        _expect_like("linearize", flat, spec, run)
        return linear(flat, True)

    return run.shown(), product


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that gives the Jacobian of ``func``: for each tensor it returns and each argument
    the shape of that tensor followed by that of the argument.

    Args:
        argnums: by which argument; a tuple for several.
        has_aux: ``func`` returns a pair of what is differentiated and anything else.
        chunk_size: taken, and without effect: rows are computed one by one.

    Example:
        >>> import dtorch
        >>> jacrev(lambda x: x * x)(dtorch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Run("jacrev", func, args, kwargs, _numbers(argnums, args), has_aux)
        run.expect_tensors("jacrev")
        blocks = [_blocks(run, k) for k in range(len(run.outputs))]

        def of_inputs(flat: list[Any]) -> Any:
            by_each = tree_unflatten(flat, run.input_spec)
            return by_each[0] if isinstance(argnums, int) else tuple(by_each)

        # The structure of the result with that of the arguments in place of each leaf.
        result = run.spec.unflatten([of_inputs(row) for row in blocks])
        return (result, run.aux) if has_aux else result

    return jacobian


def _blocks(run: _Run, k: int) -> list[Any]:
    """The derivatives of every element of one output by every input."""
    array = run.outputs[k].array
    cotangents = [_zeros(output) for output in run.outputs]
    rows = []
    for n in range(array.size):
        unit = np.zeros(array.size, array.dtype)
        unit[n] = 1
        cotangents[k] = wrap(unit.reshape(array.shape))
        rows.append(run.flat(cotangents, True))
    shapes = [tuple(value.shape) for value in run.inputs]
    if not rows:
        return [wrap(np.zeros(array.shape + shape, array.dtype)) for shape in shapes]
    columns = zip(*rows, strict=True)
    return [
        stack(list(column)).reshape(array.shape + shape)
        for column, shape in zip(columns, shapes, strict=True)
    ]


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    """`jacrev`: there is no forward mode, and the Jacobian is the same.

    Args:
        randomness: taken, and without effect: ``func`` runs once.
    """
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the second derivatives of ``func``.

    Example:
        >>> import dtorch
        >>> hessian(lambda x: (x**3).sum())(dtorch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
