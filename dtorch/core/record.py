"""What is recorded of a call: the node, what it saves, and how views follow their base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from dtorch.core.backend import array_module, device_of, tell
from dtorch.core.base import (
    REQUIRES_GRAD,
    SavedOutput,
    TensorBase,
    View,
    set_counter,
    version_of,
    wrap,
)
from dtorch.core.definition import GRAD, GRADS
from dtorch.core.errors import GradError
from dtorch.core.graph import Node, check_version, edge_of
from dtorch.core.half import widened
from dtorch.core.shapes import each_once, repeats

ndarray = np.ndarray
generic = np.generic


class OpNode(Node):
    """The record of one call of an `Op`."""

    __slots__ = ()

    @property
    def label(self) -> str:
        return self.op.node_name  # type: ignore[no-any-return]

    def release(self) -> None:
        if self.plan.keeps_tensors:
            self.saved = None

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        if self.saved is None:
            self.refuse_freed()
        saved = self._unpack(create_graph)
        if not create_graph and self.op.widens(self.plan.names, saved):
            saved, grad = [widened(value) for value in saved], widened(grad)
        grads: list[Any] = []
        device = _device_of(grad)
        for function, sources, select, kernels in self.plan.steps:
            args: list[Any] = []
            for source in sources:
                if type(source) is tuple:
                    args.append(source)  # which of several inputs want a gradient
                elif source >= 0:
                    args.append(saved[source])
                elif source == GRAD:
                    args.append(self.materialize(grad, create_graph)[0]
                                if self.n_outputs > 1 else grad)  # fmt: skip
                else:
                    args.append(self.materialize(grad, create_graph))
            kernel = None if create_graph else kernels.get(device)
            result = None if kernel is None else kernel(*args)
            if result is None:
                result = function(*args)
            if select is not None:
                grads.extend(result[i] for i in select)
            elif type(result) is list:
                grads.extend(result)
            else:
                grads.append(result)
        if not create_graph:
            for i, g in enumerate(grads):
                if type(g) is not ndarray and isinstance(g, (generic, bool, int, float, complex)):
                    grads[i] = np.asarray(g)
        return grads

    def refuse_freed(self) -> NoReturn:
        """Complain that what was saved is gone."""
        raise GradError(
            f"{self.op.name}: the graph was already used by backward and its saved tensors "
            "freed; pass retain_graph=True to the earlier backward"
        )

    def refuse_version(self, saved: int, expected: int, actual: int) -> None:
        """Complain that the saved tensor of that number was changed."""
        check_version(self.op.name, self.plan.names[saved], expected, actual)

    def _unpack(self, create_graph: bool) -> list[Any]:
        values = []
        for saved, version, name in zip(
            self.saved or (), self.versions, self.plan.names, strict=True
        ):
            if isinstance(saved, TensorBase):
                check_version(self.op.name, name, version, version_of(saved))
                values.append(saved if create_graph else saved._array)
            elif type(saved) is SavedOutput:
                check_version(self.op.name, name, version, saved.version.value)
                values.append(self._rewrap(saved) if create_graph else saved.array)
            elif type(saved) is list:
                values.append(_unpack_list(saved, create_graph))
            elif create_graph and isinstance(saved, (ndarray, generic)):
                values.append(wrap(saved))
            else:
                values.append(saved)
        return values

    def _rewrap(self, saved: SavedOutput) -> Any:
        tensor = wrap(saved.array)
        set_counter(tensor, saved.version)
        tensor._grad_fn = self
        tensor._output_nr = saved.nr
        tensor._mode = REQUIRES_GRAD
        return tensor

    def materialize(self, grad: Any, create_graph: bool = False) -> list[Any]:
        """The gradients of all outputs, zeros for those that took no part."""
        grads = list(grad) if self.n_outputs > 1 else [grad]
        for i, g in enumerate(grads):
            if g is None:
                shape, numpy_dtype = self.out_like[i]
                other = next(g for g in grads if g is not None)
                xp = array_module(getattr(other, "_array", other))
                zeros = xp.zeros(shape, numpy_dtype)
                grads[i] = wrap(zeros) if create_graph else zeros
        return grads


def _device_of(grad: Any) -> str:
    """The kind of device whose kernels run: that of the first gradient there is."""
    for g in grad if isinstance(grad, (list, tuple)) else (grad,):
        if type(g) is ndarray:
            return "cpu"
        if g is not None:
            return device_of(getattr(g, "_array", g)).type
    return "cpu"


def _unpack_list(values: list[Any], create_graph: bool) -> list[Any]:
    if create_graph:
        return values
    return [v._array if isinstance(v, TensorBase) else v for v in values]


class CopySlices(Node):
    """What an in-place operation on a view does to the history of its base."""

    __slots__ = ("inner", "layout", "steps", "through_self")

    def __init__(self, base: TensorBase, view: View, inner: Node, through_self: bool) -> None:
        own, inputs = inner.edges, inner.inputs
        if through_self:
            own, inputs = own[1:], inputs[1:]
        array = base._array
        super().__init__((edge_of(base), *own), ((array.shape, array.dtype), *inputs))
        self.layout = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
        self.steps = view.steps
        self.inner = inner
        self.through_self = through_self

    def release(self) -> None:
        self.inner.release()

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        whole = self._copy_in_layout(grad, create_graph)
        part = whole
        for op, args, nr in self.steps:
            part = op(part, *args)
            part = part if nr is None else part[nr]
        grads = list(self.inner.apply(part.clone() if create_graph else part.copy(), create_graph))
        into = grads.pop(0) if self.through_self else None
        if create_graph:
            part.zero_() if into is None or repeats(part._array) else part.copy_(into)
        elif repeats(part):  # only one value everywhere is written there, which has no slope
            once = each_once(part)
            once.flags.writeable = True
            once[...] = 0
        else:
            part[...] = 0 if into is None else into
        return [whole, *grads]

    def _copy_in_layout(self, grad: Any, create_graph: bool) -> Any:
        """A dense copy with the dims in the order the base has in memory, so that views of the
        base are views of it as well."""
        if create_graph:
            back = np.argsort(self.layout).tolist()
            return grad.permute(self.layout).clone().permute(back) if grad.ndim else grad.clone()
        out = np.empty([grad.shape[dim] for dim in self.layout], grad.dtype)
        out = out.transpose(np.argsort(self.layout)) if grad.ndim else out
        out[...] = grad
        return out


tell("register_op_node", OpNode, GRAD, GRADS)
