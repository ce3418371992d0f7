"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError, DimensionError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.recording import Recording, Table

__all__ = [
    "Concat", "ConcatTable", "Container", "DepthConcat", "Parallel", "ParallelTable", "Sequential",
]  # fmt: skip


class Container(Module):
    """A layer with other layers in it.

    Attributes:
        modules: the layers.
    """

    def __init__(self, *args: Module) -> None:
        super().__init__()
        self.modules: list[Any] = []
        for module in args:
            self.add(module)

    def add(self, module: Module) -> Any:
        """Append a layer; returns self."""
        self.modules.append(module)
        return self

    def get(self, index: int) -> Any:
        """The layer at a place, from 0."""
        return self.modules[index]

    def size(self) -> int:
        """The number of layers."""
        return len(self.modules)

    def applyToModules(self, func: Callable[[Module], Any]) -> None:
        """Call a function with each layer that is directly in this one."""
        for module in self.modules:
            func(module)

    def zeroGradParameters(self) -> None:
        """Set the gradients of all parameters to zero."""
        self.applyToModules(lambda module: module.zeroGradParameters())

    def updateParameters(self, learningRate: float) -> None:
        """Take ``learningRate`` times its gradient from each parameter."""
        self.applyToModules(lambda module: module.updateParameters(learningRate))

    def training(self) -> None:
        """Behave as in training, with all layers."""
        self.applyToModules(lambda module: module.training())
        super().training()

    def evaluate(self) -> None:
        """Behave as in use, with all layers."""
        self.applyToModules(lambda module: module.evaluate())
        super().evaluate()

    def share(self, mlp: Module, *args: str) -> Any:
        """Let the attributes named of all layers share memory with those of a like container."""
        others = mlp._children()
        if len(others) != len(self.modules):
            raise ArgumentError(
                f"{type(self).__name__}.share: the other has {len(others)} layers, expected "
                f"{len(self.modules)} as here"
            )
        for mine, other in zip(self.modules, others, strict=True):
            mine.share(other, *args)
        return self

    def reset(self, stdv: float | None = None) -> None:
        """Draw all parameters again."""
        self.applyToModules(lambda module: module.reset(stdv))

    def parameters(self) -> tuple[list[Any], list[Any]] | None:
        """The parameters and gradients of all layers; None without any."""
        found = [pair for module in self.modules if (pair := module.parameters()) is not None]
        if not found:
            return None
        return [p for pair in found for p in pair[0]], [g for pair in found for g in pair[1]]

    def clearState(self) -> Any:
        """Forget outputs and gradients of inputs, also in the layers."""
        self.applyToModules(lambda module: module.clearState())
        return super().clearState()

    def __repr__(self) -> str:
        inner = "".join(
            f"  ({place}): {line}\n"
            for place, module in enumerate(self.modules)
            for line in [repr(module).replace("\n", "\n  ")]
        )
        return f"{super().__repr__()} {{\n{self._flow()}{inner}}}"

    def _flow(self) -> str:
        return ""


class Sequential(Container):
    """Layers one after the other.

    Example:
        >>> import dtorch
        >>> from dtorch.legacy import nn
        >>> net = nn.Sequential().add(nn.MulConstant(2)).add(nn.Square())
        >>> net.forward(dtorch.tensor([3.0])), net.backward(dtorch.tensor([3.0]), dtorch.ones(1))
        (tensor([36.]), tensor([24.]))
        >>> net
        nn.Sequential {
          [input -> (0) -> (1) -> output]
          (0): nn.MulConstant
          (1): nn.Square
        }
    """

    def add(self, module: Module) -> Any:
        """Append a layer; returns self."""
        super().add(module)
        self.output = module.output
        return self

    def insert(self, module: Module, index: int) -> None:
        """Put a layer in at a place, 0 to the number of layers."""
        self._check(index, len(self.modules) + 1)
        self.modules.insert(index, module)
        self._take_over()

    def remove(self, index: int = -1) -> None:
        """Take a layer out, the last one by default."""
        self._check(index if index >= 0 else index + len(self.modules), len(self.modules))
        del self.modules[index]
        self._take_over()

    def _check(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise DimensionError(
                f"Sequential: index is {index}, expected 0 to {size - 1}, of {len(self.modules)} "
                "layers"
            )

    def _take_over(self) -> None:
        if self.modules:
            self.output, self.gradInput = self.modules[-1].output, self.modules[0].gradInput

    def __len__(self) -> int:
        return len(self.modules)

    def __bool__(self) -> bool:
        return True

    def updateOutput(self, input: Table) -> Table:
        """Compute the output of each layer from that of the one before."""
        for module in self.modules:
            input = module.updateOutput(input)
        self.output = input
        return input

    def updateGradInput(self, input: Table, gradOutput: Table) -> Table:
        """Compute the gradient of the input."""
        return self._back(input, gradOutput, lambda m, i, g: m.updateGradInput(i, g))

    def backward(self, input: Table, gradOutput: Table, scale: float = 1) -> Table:
        """Go back through the layers; see `Module.backward`."""
        return self._back(input, gradOutput, lambda m, i, g: m.backward(i, g, scale))

    def backwardUpdate(self, input: Table, gradOutput: Table, lr: float) -> Table:
        """Go back through the layers, each of which takes a step of gradient descent."""
        return self._back(input, gradOutput, lambda m, i, g: m.backwardUpdate(i, g, lr))

    def _back(self, input: Table, grad: Table, step: Callable[[Any, Any, Any], Any]) -> Table:
        for module, given in self._from_last(input):
            grad = step(module, given, grad)
        self.gradInput = grad
        return grad

    def accGradParameters(self, input: Table, gradOutput: Table, scale: float = 1) -> None:
        """Add the gradients of parameters to theirs, after `updateGradInput`."""
        self._visit(input, gradOutput, lambda m, i, g: m.accGradParameters(i, g, scale))

    def accUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """Take a step of gradient descent, after `updateGradInput`."""
        self._visit(input, gradOutput, lambda m, i, g: m.accUpdateGradParameters(i, g, lr))

    def sharedAccUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """`accUpdateGradParameters` for layers whose parameters others share."""
        self._visit(input, gradOutput, lambda m, i, g: m.sharedAccUpdateGradParameters(i, g, lr))

    def _visit(self, input: Table, grad: Table, step: Callable[[Any, Any, Any], Any]) -> None:
        for module, given in self._from_last(input):
            step(module, given, grad)
            grad = module.gradInput

    def _from_last(self, input: Table) -> list[tuple[Any, Table]]:
        """The layers with their inputs, the last one first."""
        inputs = [input, *(module.output for module in self.modules)]
        return list(zip(self.modules, inputs, strict=False))[::-1]

    def _flow(self) -> str:
        places = "".join(f"({place}) -> " for place in range(len(self.modules)))
        return f"  [input -> {places}output]\n"


class Branches(Container):
    """Layers beside each other.

    ``_spread`` says which part of the input each one gets, ``_join`` what becomes of the outputs.
    """

    _recorded: Any  # of `_spread` and of `_join`

    def _spread(self, input: Table) -> list[Table]:
        return [input] * len(self.modules)

    def _join(self, outputs: list[Table]) -> Table:
        return outputs

    def updateOutput(self, input: Table) -> Table:
        """Compute the output of each layer."""
        name = type(self).__name__
        spread = Recording(name, self._spread, input)
        outputs = [
            module.updateOutput(part)
            for module, part in zip(self.modules, spread.output, strict=True)
        ]
        joined = Recording(name, self._join, outputs)
        self._recorded = spread, joined
        self.output = joined.output
        return self.output

    def updateGradInput(self, input: Table, gradOutput: Table) -> Table:
        """Compute the gradient of the input."""
        return self._back(input, gradOutput, lambda m, i, g: m.updateGradInput(i, g))

    def backward(self, input: Table, gradOutput: Table, scale: float = 1) -> Table:
        """Go back through the layers; see `Module.backward`."""
        return self._back(input, gradOutput, lambda m, i, g: m.backward(i, g, scale))

    def backwardUpdate(self, input: Table, gradOutput: Table, lr: float) -> Table:
        """Go back through the layers, each of which takes a step of gradient descent."""
        return self._back(input, gradOutput, lambda m, i, g: m.backwardUpdate(i, g, lr))

    def _back(self, input: Table, grad: Table, step: Callable[[Any, Any, Any], Any]) -> Table:
        found = self._visit(input, grad, step)
        self.gradInput = self._recorded[0].input_gradient(found)
        return self.gradInput

    def accGradParameters(self, input: Table, gradOutput: Table, scale: float = 1) -> None:
        """Add the gradients of parameters to theirs."""
        self._visit(input, gradOutput, lambda m, i, g: m.accGradParameters(i, g, scale))

    def accUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """Take a step of gradient descent."""
        self._visit(input, gradOutput, lambda m, i, g: m.accUpdateGradParameters(i, g, lr))

    def sharedAccUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """`accUpdateGradParameters` for layers whose parameters others share."""
        self._visit(input, gradOutput, lambda m, i, g: m.sharedAccUpdateGradParameters(i, g, lr))

    def _visit(
        self, input: Table, grad: Table, step: Callable[[Any, Any, Any], Any]
    ) -> list[Table]:
        if self._recorded is None:
            self.updateOutput(input)
        spread, joined = self._recorded
        spread.expect(input)
        parts = joined.input_gradient(grad)
        given = zip(self.modules, spread.output, parts, strict=True)
        # A layer without a gradient of its input has one of zeros, which `Recording` knows as None.
        return [_filled(step(module, part, grad), part) for module, part, grad in given]


def _filled(found: Table, part: Table) -> Table:
    if found is None and isinstance(part, list):
        return [_filled(None, inner) for inner in part]
    return found


class ConcatTable(Branches):
    """Each layer gets the input; the output is the table of theirs."""


class ParallelTable(Branches):
    """The i-th layer gets the i-th part of a table; the output is the table of theirs."""

    def _spread(self, input: Table) -> list[Table]:
        if not isinstance(input, list) or len(input) != len(self.modules):
            count = len(input) if isinstance(input, list) else type(input).__name__
            raise ArgumentError(
                f"ParallelTable: input is a table of {count}, expected a list of "
                f"{len(self.modules)}, a part for each layer"
            )
        return input


class Concat(Branches):
    """Each layer gets the input; the output is theirs, joined along a dim."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def _join(self, outputs: list[Tensor]) -> Table:
        return functions.cat(outputs, self.dimension)


class DepthConcat(Concat):
    """`Concat` of outputs of several sizes: zeros around the smaller ones.

    Reference: Szegedy et al. 2014, arXiv:1409.4842.
    """

    def _join(self, outputs: list[Tensor]) -> Table:
        sizes = [max(sizes) for sizes in zip(*(output.shape for output in outputs), strict=True)]
        return super()._join([self._centred(output, sizes) for output in outputs])

    def _centred(self, output: Any, sizes: list[int]) -> Any:
        pads: list[int] = []
        for dim in reversed(range(output.ndim)):
            room = 0 if dim == self.dimension % output.ndim else sizes[dim] - output.shape[dim]
            pads += [room // 2, room - room // 2]
        return functions.pad(output, pads)


class Parallel(Branches):
    """The i-th layer gets the i-th slice of the input; the output is theirs, joined along a dim."""

    def __init__(self, inputDimension: int, outputDimension: int) -> None:
        super().__init__()
        self.inputDimension = inputDimension
        self.outputDimension = outputDimension

    def _spread(self, input: Any) -> list[Table]:
        if input.size(self.inputDimension) != len(self.modules):
            raise ArgumentError(
                f"Parallel: input has {input.size(self.inputDimension)} slices along dim "
                f"{self.inputDimension}, expected {len(self.modules)}, one for each layer"
            )
        return list(input.unbind(self.inputDimension))

    def _join(self, outputs: list[Tensor]) -> Table:
        return functions.cat(outputs, self.outputDimension)
