"""The base of layers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from dtorch.core.creation import empty, zeros
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.conversion import Typed
from dtorch.legacy.nn.flattening import flatten
from dtorch.legacy.nn.recording import Recording, Table, mapped, tensors_of
from dtorch.legacy.nn.utils import clear


def gradient_name(name: str) -> str:
    """The attribute with the gradient of a parameter: ``gradWeight`` of ``weight``."""
    return f"grad{name[0].upper()}{name[1:]}"


def _no_compute(self: Any, input: Table, *parameters: Tensor | None) -> Table:
    """The output for an input; what a layer defines."""
    raise NotImplementedError(
        f"{type(self).__name__}: define compute(input, *parameters), or updateOutput and "
        "updateGradInput"
    )


class Module(Typed):
    """A layer with Torch7's protocol; tensors in and out, no autograd.

    A layer says how its output is computed, by defining ``compute(input, *parameters)`` with
    tensors' own operations and those of `dtorch.nn.functional`; its gradients follow. Or it defines
    ``updateOutput``, ``updateGradInput`` and ``accGradParameters`` itself.

    ``backward`` has to follow a ``forward`` with the same input. Inputs and outputs may be tables:
    lists of tensors, also nested.

    Attributes:
        output: what the last ``forward`` gave.
        gradInput: what the last ``backward`` gave. A layer whose ``gradInput`` is set to None
            computes none.
        train: whether the layer trains; see `training` and `evaluate`.

    Example:
        >>> import dtorch
        >>> class Cube(Module):
        ...     def compute(self, input):
        ...         return input**3
        >>> cube = Cube()
        >>> cube.forward(dtorch.tensor([2.0])), cube.backward(dtorch.tensor([2.0]), dtorch.ones(1))
        (tensor([8.]), tensor([12.]))
    """

    # Those of a layer that has them as attributes, in this order, are arguments of ``compute``.
    _parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")
    inplace = False
    train = True
    output: Any = None  # which a layer of a file may lack

    def __init__(self) -> None:
        super().__init__()
        self.output = empty(0)

    # -- parameters -----------------------------------------------------------------------------

    def _own(self, **sizes: Sequence[int] | None) -> None:
        """Have parameters of these sizes, and gradients for them."""
        for name, size in sizes.items():
            for attribute in (name, gradient_name(name)):
                setattr(self, attribute, None if size is None else zeros(*size))

    def _draw(self, stdv: float | None, bound: float) -> None:
        """Draw all parameters from ``[-bound, bound]``, or with a standard deviation."""
        bound = bound if stdv is None else stdv * math.sqrt(3)
        for parameter, _ in self._pairs():
            parameter.uniform_(-bound, bound)

    def _pairs(self) -> list[tuple[Tensor, Tensor | None]]:
        """The parameters that are there, each with its gradient."""
        named = vars(self)
        return [
            (named[name], named.get(gradient_name(name)))
            for name in self._parameters
            if named.get(name) is not None
        ]

    def parameters(self) -> tuple[list[Any], list[Any]] | None:
        """The parameters and their gradients; None without any."""
        pairs = self._pairs()
        return ([p for p, _ in pairs], [g for _, g in pairs]) if pairs else None

    def reset(self, stdv: float | None = None) -> None:
        """Draw the parameters again, uniformly, with a standard deviation if given."""

    def zeroGradParameters(self) -> None:
        """Set the gradients of the parameters to zero."""
        for gradient in (self.parameters() or ([], []))[1]:
            if gradient is not None:
                gradient.zero_()

    def updateParameters(self, learningRate: float) -> None:
        """Take ``learningRate`` times its gradient from each parameter."""
        for parameter, gradient in zip(*(self.parameters() or ([], [])), strict=True):
            parameter.add_(gradient, alpha=-learningRate)

    def flattenParameters(self) -> tuple[Tensor, Tensor]:
        """All parameters and all gradients as two tensors of one dim, which share their memory.

        Parameters that were shared still are, and are there once. Tensors that shared memory with a
        parameter but are no parameter of this layer no longer do. Call it once, after conversions
        to another type.
        """
        parameters, gradients = self.parameters() or ([], [])
        return flatten(parameters), flatten(gradients)

    # -- computing ------------------------------------------------------------------------------

    # Declared as a variable: how many parameters it takes is up to the layer.
    compute: Callable[..., Any] = _no_compute

    def updateOutput(self, input: Table) -> Table:
        """Compute the output."""
        used = mapped(lambda tensor: tensor.data.clone(), input) if self.inplace else input
        parameters = [vars(self)[name] for name in self._parameters if name in vars(self)]
        self._recorded = Recording(type(self).__name__, self.compute, used, parameters)
        self.output = self._recorded.output
        if self.inplace:
            self.output = tensors_of(input)[0].data.copy_(self.output)
        return self.output

    def forward(self, input: Table) -> Table:
        """Compute the output; see `updateOutput`."""
        return self.updateOutput(input)

    def backward(self, input: Table, gradOutput: Table, scale: float = 1) -> Table:
        """Compute the gradient of the input, and add those of the parameters to theirs.

        Args:
            input: the one of the last `forward`.
            gradOutput: gradient of the output.
            scale: times the gradients of the parameters.
        Returns: the gradient of the input.
        """
        own, pairs = type(self), self._pairs()
        if (
            pairs
            and self.gradInput is not None
            and own.updateGradInput is Module.updateGradInput
            and own.accGradParameters is Module.accGradParameters
        ):
            self.gradInput, found = self._record_of(input).gradients(gradOutput)
            self._accumulate(pairs, found, scale)
        else:
            self.updateGradInput(input, gradOutput)
            self.accGradParameters(input, gradOutput, scale)
        return self.gradInput

    def backwardUpdate(self, input: Table, gradOutput: Table, lr: float) -> Table:
        """`backward`, with a step of gradient descent instead of adding gradients."""
        self.updateGradInput(input, gradOutput)
        self.accUpdateGradParameters(input, gradOutput, lr)
        return self.gradInput

    def updateGradInput(self, input: Table, gradOutput: Table) -> Table:
        """Compute the gradient of the input."""
        if self.gradInput is not None:
            self.gradInput = self._record_of(input).input_gradient(gradOutput)
        return self.gradInput

    def accGradParameters(self, input: Table, gradOutput: Table, scale: float = 1) -> None:
        """Add ``scale`` times the gradients of the parameters to theirs."""
        pairs = self._pairs()
        if pairs:
            found = self._record_of(input).parameter_gradients(gradOutput)
            self._accumulate(pairs, found, scale)

    @staticmethod
    def _accumulate(pairs: list[tuple[Tensor, Any]], found: list[Tensor], scale: float) -> None:
        for (_, gradient), more in zip(pairs, found, strict=True):
            if gradient is not None:
                gradient.add_(more, alpha=scale)

    def accUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """Take ``lr`` times its gradient from each parameter; their gradients stay as they were."""
        named = vars(self)
        names = [name for name in self._parameters if named.get(name) is not None]
        before = {gradient_name(name): named.get(gradient_name(name)) for name in names}
        named.update({gradient_name(name): named[name] for name in names})
        try:
            self.accGradParameters(input, gradOutput, -lr)
        finally:
            named.update(before)

    def sharedAccUpdateGradParameters(self, input: Table, gradOutput: Table, lr: float) -> None:
        """`accUpdateGradParameters` for a layer whose parameters others share."""
        if self.parameters() is not None:
            self.zeroGradParameters()
            self.accGradParameters(input, gradOutput, 1)
            self.updateParameters(lr)

    def _record_of(self, input: Table) -> Recording:
        if self._recorded is None:
            self.updateOutput(input)
        assert self._recorded is not None
        self._recorded.expect(input)
        return self._recorded

    # -- state ----------------------------------------------------------------------------------

    def training(self) -> None:
        """Behave as in training."""
        self.train = True

    def evaluate(self) -> None:
        """Behave as in use: nothing is dropped, statistics stay."""
        self.train = False

    def clearState(self) -> Module:
        """Forget outputs and gradients of inputs, so that files with the layer are small."""
        self._recorded = None
        return clear(self, "output", "gradInput")  # type: ignore[no-any-return]

    def clone(self, *arg: str) -> Any:
        """A copy; the attributes named share their memory with those here.

        Example:
            >>> import dtorch
            >>> layer = dtorch.legacy.nn.Linear(2, 1)
            >>> twin = layer.clone("weight", "gradWeight")
            >>> _ = layer.weight.fill_(3)
            >>> twin.weight.tolist()
            [[3.0, 3.0]]
        """
        twin = copy.deepcopy(self)
        return twin.share(self, *arg) if arg else twin

    def share(self, mlp: Module, *arg: str) -> Any:
        """Let the attributes named share the memory of those of another layer; returns self."""
        for name in arg:
            mine, other = vars(self).get(name), vars(mlp).get(name)
            if mine is not None and other is not None:
                mine.set_(other)
        return self

    def read(self, f: Any) -> None:
        """Not there: layers are loaded whole.

        Raises:
            NotImplementedError: always; it says what to do instead.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.read: load the layer with "
            "dtorch.utils.serialization.load_lua(path), or dtorch.load(path, weights_only=False)"
        )

    def write(self, f: Any) -> None:
        """Not there: layers are saved whole.

        Raises:
            NotImplementedError: always; it says what to do instead.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.write: save the layer with dtorch.save(layer, path)"
        )

    # -- layers in each other -------------------------------------------------------------------

    def _children(self) -> list[Module]:
        """The layers of a container; see `Container`."""
        return vars(self).get("modules", [])  # type: ignore[no-any-return]

    def apply(self, callback: Callable[[Module], Any]) -> None:
        """Call a function with this layer, then with those in it."""
        callback(self)
        for module in self._children():
            module.apply(callback)

    def findModules(self, cls: type, container: Any = None) -> tuple[list[Any], list[Any]]:
        """The layers of a class, and the container that holds each of them."""
        nodes, containers = ([self], [container]) if isinstance(self, cls) else ([], [])
        for module in self._children():
            below, holders = module.findModules(cls, self)
            nodes += below
            containers += holders
        return nodes, containers

    def listModules(self) -> list[Any]:
        """This layer and those in it."""
        return [self, *(found for module in self._children() for found in module.listModules())]

    def replace(self, callback: Callable[[Module], Any]) -> Any:
        """What a function makes of this layer, with the layers in that replaced likewise."""
        made = callback(self)
        below = made._children()
        below[:] = [module.replace(callback) for module in below]
        return made
