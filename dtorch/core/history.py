"""What becomes of the outputs of a call: their mode, and the node where the call is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core import dispatch
from dtorch.core.backend import compiled, tell
from dtorch.core.base import (
    INFERENCE,
    PLAIN,
    REQUIRES_GRAD,
    VOLATILE,
    SavedOutput,
    TensorBase,
    version_of,
)
from dtorch.core.definition import Definition, Plan
from dtorch.core.errors import GradError
from dtorch.core.grad_mode import mode
from dtorch.core.graph import edge_of
from dtorch.core.record import OpNode


def follow(
    op: Definition,
    values: Sequence[Any],
    outs: tuple[Any, ...],
    results: Sequence[Any],
    combined: int,
) -> None:
    """Give ``outs`` the mode their operands call for, and a node if they are recorded."""
    if combined & VOLATILE:
        for out in outs:
            out._mode = VOLATILE
    elif mode.enabled:
        if combined & INFERENCE:
            _refuse_to_save_inference(op, values)
        node = record(op, values, outs, results)
        if node is None:
            return
        for nr, out in enumerate(outs):
            if out._array.dtype.kind in "fcV":
                out._grad_fn = node
                out._output_nr = nr
                out._mode = REQUIRES_GRAD
    elif mode.enabled is None:
        for out in outs:
            out._mode = INFERENCE


@compiled
def set_history(
    op: Definition,
    values: Sequence[Any],
    outs: tuple[Any, ...],
    results: Sequence[Any],
    combined: int,
) -> None:
    """`follow`, where no operand was made in inference mode and nobody watches."""
    follow(op, values, outs, results, combined)


def needed_by_formulas(op: Definition, values: Sequence[Any]) -> set[str]:
    """Names of what the gradients of these operands are computed from."""
    return {
        param
        for name, formula in op.formulas.items()
        if getattr(values[op.index[name]], "_mode", PLAIN) == REQUIRES_GRAD
        for param in formula.params
    }


def _refuse_to_save_inference(op: Definition, values: Sequence[Any]) -> None:
    """Complain if a gradient formula needs an operand that inference mode made."""
    needed = needed_by_formulas(op, values)
    for name, i in zip(op.tensors, op.tensor_indices, strict=True):
        if name in needed and getattr(values[i], "_mode", PLAIN) == INFERENCE:
            raise GradError(
                f"{op.name}: {name} was made in inference mode and cannot be saved for the "
                "gradient; clone() it outside"
            )


def record(
    op: Definition, values: Sequence[Any], outs: tuple[Any, ...], results: Sequence[Any]
) -> OpNode | None:
    """The node of a call, or None if no input that wants a gradient has a formula."""
    bits = 0
    edges: list[Any] = []
    inputs: list[Any] = []
    for bit, i in op.differentiable:
        value = values[i]
        if isinstance(value, TensorBase):
            if value._mode == REQUIRES_GRAD:
                bits |= bit
                edges.append(edge_of(value))
                array = value._array
                inputs.append((array.shape, array.dtype))
        elif type(value) is list and any(v._mode == REQUIRES_GRAD for v in value):
            bits |= bit
            edges.extend(map(edge_of, value))
            inputs.extend((v._array.shape, v._array.dtype) for v in value)
    if not bits:
        return None
    plan = op.plan_for_bits(bits)
    node: Any = OpNode.__new__(OpNode)
    node.op = op
    node.plan = plan
    node.edges = tuple(edges)
    node.inputs = tuple(inputs)
    node.n_outputs = len(outs)
    node.out_like = (
        None if len(outs) == 1 else tuple((o._array.shape, o._array.dtype) for o in outs)
    )
    node.saved, node.versions = _save(op, plan, values, outs, results)
    for observer in tuple(dispatch.observers):
        observer(node)
    return node  # type: ignore[no-any-return]  # __new__ of the base says less


def _save(
    op: Definition, plan: Plan, values: Sequence[Any], outs: tuple[Any, ...], results: Sequence[Any]
) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    saved: list[Any] = []
    versions: list[int] = []
    for where, i in plan.saves:
        version = 0
        if where == "arg":
            value = values[i] if i < len(values) else op.defaults[i]
            if isinstance(value, TensorBase):
                version = version_of(value)
        elif where == "shape":
            value = _shape_of(values[i])
        elif i < len(outs):
            value = SavedOutput(outs[i], i)
            version = value.version.value
        else:
            value = results[i]
        saved.append(value)
        versions.append(version)
    return tuple(saved), tuple(versions)


def _shape_of(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return tuple(value._array.shape)
    if isinstance(value, list):
        return [tuple(v._array.shape) for v in value]
    return ()


tell("set_grad_mode", mode)
