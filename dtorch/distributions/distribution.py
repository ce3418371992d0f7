"""The base of all distributions."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from dtorch.core.functions import exp
from dtorch.core.grad_mode import no_grad
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A distribution, or a batch of independent ones.

    A sample has the shape ``sample_shape + batch_shape + event_shape``: so many draws of so many
    distributions, each of which gives that many numbers at once. ``log_prob`` of it has the shape
    ``sample_shape + batch_shape``.

    Subclasses set their parameters as attributes and then call this constructor.

    Attributes:
        arg_constraints: the constraint of each parameter, by name.
        support: the constraint of samples.
        has_rsample: whether samples have gradients by the parameters (``rsample``).
        has_enumerate_support: whether there are finitely many values (``enumerate_support``).

    Args:
        batch_shape: how many distributions there are.
        event_shape: the sizes of one sample of one of them.
        validate_args: check parameters, and values given to methods, against their constraints.
            Default: what `set_default_validate_args` set, at first True but under ``python -O``.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__
    # The attributes that have the batch shape in front: tensors, or distributions of that batch
    # shape. A class that lists them can be expanded.
    _parts: ClassVar[tuple[str, ...]]

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on validate, where they are not told."""
        if value not in (True, False):
            raise ValueError(f"validate_args: got {value!r}, expected True or False")
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Any = Size(),  # noqa: B008  # it cannot be changed
        event_shape: Any = Size(),  # noqa: B008
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            arg_constraints = {}
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = "
                "{}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.",
                stacklevel=5,
            )
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue  # on other parameters: there is nothing to check
            if name not in vars(self) and isinstance(getattr(type(self), name), lazy_property):
                continue  # it follows from another one, which is checked
            value = getattr(self, name)
            valid = constraint.check(value)
            if not valid.all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{_shown(value)}"
                )

    # -- shapes -------------------------------------------------------------------------------

    @property
    def batch_shape(self) -> Size:
        """How many distributions there are."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The sizes of one sample of one of them."""
        return self._event_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distributions repeated to a larger batch shape, without copying parameters.

        Args:
            batch_shape: one that the batch shape broadcasts to.
            _instance: an empty instance to fill, from an ``expand`` of a subclass that has a
                constructor of its own.
        """
        owner = next((c for c in type(self).__mro__ if "_parts" in vars(c)), None)
        if owner is None:
            raise NotImplementedError(f"{type(self).__name__} does not implement expand")
        new = self._get_checked_instance(owner, _instance)
        batch_shape = Size(batch_shape)
        for name, value in vars(self).items():
            if name in self._parts:
                vars(new)[name] = self._expanded(value, batch_shape)
            elif not isinstance(getattr(type(self), name, None), lazy_property):
                vars(new)[name] = value
        new._batch_shape = batch_shape
        return new

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        if isinstance(value, Distribution):
            return value.expand(batch_shape)
        return value.expand(batch_shape + value.shape[len(self._batch_shape) :])

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        own: Any = type(self)
        if _instance is None and own.__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        """The shape of samples."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    # -- what is known about it -----------------------------------------------------------------

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """The constraint of each parameter, by name."""
        raise NotImplementedError(f"{type(self)} does not define arg_constraints")

    @property
    def support(self) -> Any:
        """The constraint of samples."""
        raise NotImplementedError(f"{type(self)} does not define support")

    @property
    def mean(self) -> Tensor:
        """The expectation."""
        raise NotImplementedError(f"{type(self)} does not implement mean")

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError(f"{type(self)} does not implement variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """Draw, without gradients.

        Args:
            sample_shape: how many draws.
        """
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """Draw so that the samples have gradients by the parameters.

        Args:
            sample_shape: how many draws.
        """
        raise NotImplementedError(f"{type(self)} does not implement rsample")

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``; deprecated."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density, or of the probability, of ``value``."""
        raise NotImplementedError(f"{type(self)} does not implement log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of values up to ``value``."""
        raise NotImplementedError(f"{type(self)} does not implement cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """Quantile: where the distribution function is ``value``."""
        raise NotImplementedError(f"{type(self)} does not implement icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dim.

        Args:
            expand: repeat them for each distribution of the batch; else those dims are 1.
        """
        raise NotImplementedError(f"{type(self)} does not implement enumerate_support")

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        """Values along the first dim, with dims for the batch behind it."""
        event = values.shape[1:]
        values = values.reshape((-1,) + (1,) * len(self._batch_shape) + event)
        return values.expand((-1, *self._batch_shape, *event)) if expand else values

    def entropy(self) -> Tensor:
        """Entropy, in nats."""
        raise NotImplementedError(f"{type(self)} does not implement entropy")

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return exp(self.entropy())

    # -- values ---------------------------------------------------------------------------------

    def _validate_sample(self, value: Tensor) -> None:
        """Complain about a value that no sample can be.

        Raises:
            ValueError: it is no tensor, has another shape, or lies outside the support.
        """
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        event = self._event_shape
        own = value.shape[value.dim() - len(event) :]
        if own != event:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs {event}."
            )
        expected = self._batch_shape + event
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i not in (1, j) and j != 1:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs "
                    f"{expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{_shown(value)}"
            )

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in vars(self)]
        shown = [(name, vars(self)[name]) for name in names]
        args = ", ".join(f"{n}: {_shown(v) if v.numel() == 1 else v.size()}" for n, v in shown)
        return f"{type(self).__name__}({args})"


def _shown(value: Tensor) -> Any:
    return value.item() if value.dim() == 0 else value
