"""Averages of weights: stochastic weight averaging and exponential moving averages.

Reference: Izmailov et al. 2018, arXiv:1803.05407.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.dtype import from_numpy_dtype
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import no_grad
from dtorch.core.half import widened
from dtorch.nn.module import Module
from dtorch.nn.normalization import _BatchNorm
from dtorch.optim.lr_scheduler.base import LRScheduler, for_groups
from dtorch.optim.optimizer import Optimizer, changed

MultiAverage = Callable[[list[Any], list[Any], Any], None]


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """A function for `AveragedModel` that keeps ``decay`` of the average at each update.

    Args:
        decay: from 0 to 1.

    Raises:
        ValueError: ``decay`` is out of its range.

    Example:
        >>> import dtorch
        >>> model = dtorch.nn.Linear(2, 1)
        >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        >>> average.update_parameters(model)
        >>> int(average.n_averaged)
        1
    """
    if not 0 <= decay <= 1:
        raise ArgumentError(f"get_ema_multi_avg_fn: decay is {decay}, expected 0 to 1")

    def average(averages: list[Any], currents: list[Any], num_averaged: Any) -> None:
        for mean, current in zip(averages, currents, strict=True):
            _toward(mean, current, 1 - decay)

    return average


def get_swa_multi_avg_fn() -> MultiAverage:
    """A function for `AveragedModel` that averages all updates alike.

    Example:
        >>> import dtorch
        >>> mean, new = dtorch.tensor([1.0]), dtorch.tensor([4.0])
        >>> get_swa_multi_avg_fn()([mean], [new], 2)
        >>> mean.tolist()
        [2.0]
    """

    def average(averages: list[Any], currents: list[Any], num_averaged: Any) -> None:
        share = 1 / (float(num_averaged) + 1)
        for mean, current in zip(averages, currents, strict=True):
            _toward(mean, current, share)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], Any]:
    """Like `get_ema_multi_avg_fn`, for one tensor at a time.

    Raises:
        ValueError: ``decay`` is not from 0 to 1.

    Example:
        >>> import dtorch
        >>> get_ema_avg_fn(0.5)(dtorch.tensor(1.0), dtorch.tensor(3.0), 1).item()
        2.0
    """
    if not 0 <= decay <= 1:
        raise ArgumentError(f"get_ema_avg_fn: decay is {decay}, expected 0 to 1")
    return lambda mean, current, num_averaged: mean * decay + current * (1 - decay)


def get_swa_avg_fn() -> Callable[[Any, Any, Any], Any]:
    """Like `get_swa_multi_avg_fn`, for one tensor at a time.

    Example:
        >>> import dtorch
        >>> get_swa_avg_fn()(dtorch.tensor(1.0), dtorch.tensor(4.0), 2).item()
        2.0
    """
    return lambda mean, current, num_averaged: mean + (current - mean) / (num_averaged + 1)


@entry("_toward")
def _toward(mean: Any, current: Any, share: float) -> None:
    array = mean.array
    if from_numpy_dtype(array.dtype).category < 2:
        array[...] = current.array
    else:
        wide = widened(array)
        array[...] = wide + (widened(current.array) - wide) * share
    changed(mean)


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's.

    Args:
        model: the model; it is copied.
        avg_fn: ``avg_fn(average, current, number averaged)`` gives the new average of a tensor.
            Default: the mean of all.
        multi_avg_fn: the same for lists of tensors, changing the averages in place.
        use_buffers: average buffers, too; otherwise they are copied.

    Attributes:
        module: the averaged copy.
        n_averaged: number of updates.

    Raises:
        ValueError: both ``avg_fn`` and ``multi_avg_fn``.

    Example:
        >>> import dtorch
        >>> model = dtorch.nn.Linear(1, 1, bias=False)
        >>> average = AveragedModel(model)
        >>> for value in (1.0, 2.0):
        ...     _ = dtorch.nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average.module.weight.tolist()
        [[1.5]]
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: MultiAverage | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: avg_fn and multi_avg_fn exclude each other")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(np.zeros((), np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @entry("update_parameters")
    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of ``model`` into the averages."""
        averages, currents = self._tensors(self.module), self._tensors(model)
        with no_grad():
            if int(self.n_averaged) == 0:
                for mean, current in zip(averages, currents, strict=True):
                    mean.copy_(current.detach())
            elif self.avg_fn is not None:
                for mean, current in zip(averages, currents, strict=True):
                    mean.copy_(self.avg_fn(mean.detach(), current.detach(), self.n_averaged))
            else:
                average = self.multi_avg_fn or get_swa_multi_avg_fn()
                average(averages, currents, self.n_averaged)
            if not self.use_buffers:
                for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                    mine.copy_(theirs.detach())
        self.n_averaged.array += 1

    def _tensors(self, model: Module) -> list[Any]:
        if not self.use_buffers:
            return list(model.parameters())
        return list(itertools.chain(model.parameters(), model.buffers()))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of all batch norms anew, over a whole data set.

    Args:
        loader: gives batches: inputs, or lists and tuples that begin with them.
        model: run in training mode without gradients; its mode is restored.
        device: where batches are moved first.

    Example:
        >>> import dtorch
        >>> norm = dtorch.nn.BatchNorm1d(1)
        >>> update_bn([dtorch.tensor([[1.0], [3.0]]), dtorch.tensor([[5.0], [7.0]])], norm)
        >>> norm.running_mean.tolist()
        [4.0]
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    training = model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(inputs if device is None else inputs.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Rate to a fixed value ``swa_lr`` in ``anneal_epochs`` epochs.

    Args:
        swa_lr: the value, for all groups or each.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        anneal_epochs: at least 0; 0 sets the value at the first step.

    Raises:
        ValueError: ``anneal_strategy`` or ``anneal_epochs`` as above, or a list ``swa_lr`` that is not
            as long as the list of groups.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10,
        anneal_strategy: str = "cos", last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"SWALR: anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ArgumentError(
                f"SWALR: anneal_epochs is {anneal_epochs!r}, expected an int of at least 0"
            )
        for group, lr in zip(
            optimizer.param_groups,
            for_groups("SWALR", "swa_lr", swa_lr, len(optimizer.param_groups)),
            strict=True,
        ):
            group["swa_lr"] = lr
        self.anneal_epochs = anneal_epochs
        self._anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: int) -> float:
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        # Undo the share of the step before, then apply that of this one: chainable.
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        values = []
        for group in self.optimizer.param_groups:
            lr, goal = float(group["lr"]), group["swa_lr"]
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            values.append(goal * now + start * (1 - now))
        return values
