"""Losses as modules."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.base import TensorBase
from dtorch.core.errors import ArgumentError
from dtorch.core.notices import warn
from dtorch.core.ops.loss import check_reduction, legacy_reduction
from dtorch.core.ops.loss_margin import triplet
from dtorch.core.tensor import Tensor
from dtorch.nn.distance import PairwiseDistance
from dtorch.nn.module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss",
    "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss",
    "MarginRankingLoss", "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
    "NLLLoss", "NLLLoss2d", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Loss(Module):
    """A loss and how it is reduced.

    Args:
        size_average, reduce: classic; False for ``reduction="sum"`` and ``"none"``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    reduction = "mean"  # in files of before 1.0

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for argument in (size_average, reduce, reduction):
            if isinstance(argument, TensorBase):
                raise TypeError(
                    f"{name}: got tensors when it is made, expected settings; it takes tensors when "
                    f"it is called, as in {name}()(input, target)"
                )
        if size_average is not None or reduce is not None:
            reduction = legacy_reduction(size_average, reduce, reduction)
            warn(f"size_average and reduce are deprecated; use reduction={reduction!r}")
        check_reduction(name, reduction)
        self.reduction = reduction

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "reduction" not in state:  # before 1.0
            self.reduction = legacy_reduction(
                state.get("size_average"), state.get("reduce"), self.reduction
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; the classic ``size_average`` and ``reduce`` change the reduction."""
        if name == "size_average" and self.reduction != "none":
            self.reduction = legacy_reduction(value, None, self.reduction)
        elif name == "reduce" and bool(value) != (self.reduction != "none"):
            self.reduction = "mean" if value else "none"
        super().__setattr__(name, value)


class _WeightedLoss(_Loss):
    """A loss with a weight of each class, or of each element."""

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        if weight is not None and not isinstance(weight, TensorBase):
            raise TypeError(
                f"{type(self).__name__}: weight is {type(weight).__name__}, expected a tensor"
            )
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """Absolute difference of input and target.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> L1Loss()(dtorch.tensor([1.0, 2.0]), dtorch.tensor([2.0, 4.0])).item()
        1.5
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """Squared difference of input and target.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> MSELoss()(dtorch.tensor([1.0, 2.0]), dtorch.tensor([2.0, 5.0])).item()
        5.0
        >>> MSELoss(reduction="none")(dtorch.tensor([1.0, 2.0]), dtorch.tensor([2.0, 5.0])).tolist()
        [1.0, 9.0]
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared difference over ``2 * beta`` up to ``beta``, absolute less ``beta / 2`` beyond.

    Args:
        beta: at least 0; 0 gives `L1Loss`.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Reference: Girshick 2015, arXiv:1504.08083.

    Example:
        >>> import dtorch
        >>> SmoothL1Loss()(dtorch.tensor([0.0]), dtorch.tensor([3.0])).item()
        2.5
    """

    beta = 1.0  # in files of before 1.6

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Half the squared difference up to ``delta``, linear with slope ``delta`` beyond.

    Args:
        delta: above 0.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Reference: Huber 1964, "Robust estimation of a location parameter".

    Example:
        >>> import dtorch
        >>> HuberLoss(delta=2.0)(dtorch.tensor([0.0]), dtorch.tensor([3.0])).item()
        4.0
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence; input are log-probabilities, target probabilities.

    Args:
        reduction: also ``"batchmean"``: the sum over the batch size, the true divergence.
        log_target: the target are log-probabilities, too.

    Example:
        >>> import dtorch
        >>> p = dtorch.tensor([[0.5, 0.5]])
        >>> KLDivLoss(reduction="batchmean")(p.log(), p).item()
        0.0
    """

    log_target = False  # in files of before 1.6

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
        log_target: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            size_average, reduce, "mean" if reduction == "batchmean" else reduction
        )  # fmt: skip
        if reduction == "batchmean":
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.kl_div(
            input, target, reduction=self.reduction, log_target=self.log_target
        )  # fmt: skip


class BCELoss(_WeightedLoss):
    """Cross-entropy of probabilities and target probabilities of one event each.

    Args:
        weight: factor of each element; broadcasts.

    Raises:
        ValueError: a probability outside 0 to 1.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> round(BCELoss()(dtorch.tensor([0.5, 0.5]), dtorch.tensor([1.0, 0.0])).item(), 4)
        0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.binary_cross_entropy(
            input, target, self.weight, reduction=self.reduction
        )  # fmt: skip


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of the sigmoid of scores, without overflow.

    Args:
        weight: factor of each element; broadcasts.
        pos_weight: factor of the part of events that happen; broadcasts.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> loss = BCEWithLogitsLoss()(dtorch.tensor([0.0, 0.0]), dtorch.tensor([1.0, 0.0]))
        >>> round(loss.item(), 4)
        0.6931
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean", pos_weight: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._buffers.setdefault("pos_weight", None)  # before 0.4.1

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts under Poisson distributions.

    Args:
        log_input: the input are logarithms of the expected counts.
        full: add Stirling's approximation of the constant term.
        eps: added to expected counts before their logarithm is taken.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> PoissonNLLLoss()(dtorch.tensor([0.0]), dtorch.tensor([2.0])).item()
        1.0
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, size_average: Any = None,
        eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Any:
        return functions.poisson_nll_loss(
            log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood of values under normal distributions.

    Args:
        full: add the constant term.
        eps: least variance.

    Shape: input and target alike; the variance like them, or one for each row.

    Raises:
        ValueError: a negative variance.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> one = dtorch.tensor([1.0])
        >>> GaussianNLLLoss()(one, dtorch.tensor([3.0]), one).item()
        2.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Any) -> Any:
        return functions.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood of the target classes; input are log-probabilities ``(N, C, *)``.

    Args:
        weight: ``(C,)``; the mean divides by the weights used.
        ignore_index: target that counts nothing.

    Shape: target ``(N, *)`` of int64. ``reduction``: ``"mean"`` (default),
    ``"sum"`` or ``"none"``, which keeps that shape.

    Raises:
        IndexError: a target that is no class.

    Example:
        >>> import dtorch
        >>> scores = dtorch.tensor([[-1.0, -2.0], [-3.0, -4.0]])
        >>> NLLLoss()(scores, dtorch.tensor([0, 1])).item()
        2.5
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class NLLLoss2d(NLLLoss):
    """Classic name of `NLLLoss` for images ``(N, C, H, W)``.

    Example:
        >>> import dtorch
        >>> loss = NLLLoss2d()(dtorch.zeros(1, 3, 2, 2), dtorch.zeros(1, 2, 2).long())
        >>> abs(loss.item())
        0.0
    """


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of scores ``(N, C, *)`` and target classes, or class probabilities.

    Args:
        weight: ``(C,)``; the mean divides by the weights used.
        ignore_index: target that counts nothing.
        label_smoothing: share of the target given to all classes alike.

    Shape: target ``(N, *)`` of int64, or probabilities ``(N, C, *)``.

    Raises:
        IndexError: a target that is no class.

    Example:
        >>> import dtorch
        >>> loss = CrossEntropyLoss()(dtorch.zeros(2, 4), dtorch.tensor([0, 3]))
        >>> round(loss.item(), 4)
        1.3863
    """

    label_smoothing = 0.0  # in files of before 1.10

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index,
            reduction=self.reduction, label_smoothing=self.label_smoothing,
        )  # fmt: skip


class HingeEmbeddingLoss(_Loss):
    """The distance itself for pairs alike (1), what it lacks of ``margin`` for others (-1).

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> HingeEmbeddingLoss()(dtorch.tensor([2.0, 0.25]), dtorch.tensor([1, -1])).item()
        1.375
    """

    def __init__(
        self, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        if isinstance(margin, bool):  # classic: size_average stood first
            margin, size_average = 1.0, margin
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.hinge_embedding_loss(
            input, target, self.margin, reduction=self.reduction
        )  # fmt: skip


class MarginRankingLoss(_Loss):
    """``max(0, -target * (input1 - input2) + margin)``.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> first, second = dtorch.tensor([1.0, 2.0]), dtorch.tensor([2.0, 1.0])
        >>> MarginRankingLoss()(first, second, dtorch.tensor([1, 1])).item()
        0.5
    """

    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Any:
        return functions.margin_ranking_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """``1 - cos`` for pairs alike (1), ``max(0, cos - margin)`` for others (-1).

    Args:
        margin: -1 to 1, usually 0 to 0.5.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> CosineEmbeddingLoss()(dtorch.ones(1, 2), dtorch.ones(1, 2), dtorch.tensor([-1])).item()
        1.0
    """

    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Any:
        return functions.cosine_embedding_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-target * input))`` for targets of 1 and -1.

    ``reduction``: ``"mean"`` (default), ``"sum"`` or ``"none"``, which keeps the shape of the input.

    Example:
        >>> import dtorch
        >>> round(SoftMarginLoss()(dtorch.tensor([0.0]), dtorch.tensor([1.0])).item(), 4)
        0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """What every wrong class lacks of being 1 below each right one; targets list the right ones,
    then -1.

    Shape: input and target ``(N, C)`` or ``(C,)``; the target of int64.

    Example:
        >>> import dtorch
        >>> MultiLabelMarginLoss()(dtorch.tensor([[0.5, 1.0]]), dtorch.tensor([[0, -1]])).item()
        0.75
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of scores, averaged over the classes.

    Args:
        weight: of each class.

    Shape: input and target ``(N, C)``; each target 0 or 1.

    Example:
        >>> import dtorch
        >>> loss = MultiLabelSoftMarginLoss()(dtorch.zeros(1, 2), dtorch.tensor([[1.0, 0.0]]))
        >>> round(loss.item(), 4)
        0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.multilabel_soft_margin_loss(
            input, target, self.weight, reduction=self.reduction
        )


class MultiMarginLoss(_WeightedLoss):
    """What every wrong class lacks of being ``margin`` below the right one, to the power ``p``.

    Args:
        p: 1 or 2.
        weight: of each class.

    Shape: input ``(N, C)``, target ``(N,)`` of int64.

    Raises:
        ValueError: another ``p``.

    Example:
        >>> import dtorch
        >>> MultiMarginLoss()(dtorch.tensor([[0.5, 1.0]]), dtorch.tensor([0])).item()
        0.75
    """

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
        size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ArgumentError(f"MultiMarginLoss: p is {p}, expected 1 or 2")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.multi_margin_loss(
            input, target, self.p, self.margin, self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``.

    Args:
        p, eps: of the distance d; see `dtorch.nn.functional.pairwise_distance`.
        swap: take the distance of positive and negative if it is smaller.

    Shape: three inputs ``(N, D)`` or ``(D,)``. ``reduction``: ``"mean"`` (default),
    ``"sum"`` or ``"none"``, which keeps the batch.

    Reference: Balntas et al. 2016, "Learning local feature descriptors with triplets".

    Example:
        >>> import dtorch
        >>> zero = dtorch.zeros(1, 2)
        >>> TripletMarginLoss()(zero, zero, zero).item()
        1.0
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Any:
        return functions.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with a distance of your own.

    Args:
        distance_function: takes two tensors. Default: the Euclidean distance.

    Example:
        >>> import dtorch
        >>> distance = dtorch.nn.PairwiseDistance(p=1, eps=0)
        >>> loss = TripletMarginWithDistanceLoss(distance_function=distance)
        >>> loss(dtorch.zeros(1, 2), dtorch.ones(1, 2), dtorch.zeros(1, 2)).item()
        3.0
    """

    def __init__(
        self, *, distance_function: Any = None, margin: float = 1.0, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction=reduction)
        self.distance_function = (
            PairwiseDistance() if distance_function is None else distance_function
        )
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Any:
        return triplet(
            "TripletMarginWithDistanceLoss", self.distance_function, anchor, positive, negative,
            self.margin, self.swap, self.reduction,
        )  # fmt: skip


class CTCLoss(_Loss):
    """Negative log-likelihood of label sequences under all their alignments.

    Args:
        blank: class that stands for no label.
        zero_infinity: infinite losses count as 0.

    Shape: log-probabilities ``(T, N, C)`` or ``(T, C)``; targets ``(N, S)``, or all joined; lengths
    ``(N,)``. The mean first divides each loss by the length of its target.

    Reference: Graves et al. 2006, "Connectionist temporal classification".

    Example:
        >>> import dtorch
        >>> scores = dtorch.zeros(2, 1, 2).log_softmax(2)
        >>> round(CTCLoss()(scores, dtorch.tensor([[1]]), [2], [1]).item(), 4)
        0.2877
    """

    zero_infinity = False  # in files of before 1.1

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Any:
        return functions.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction,
            self.zero_infinity,
        )  # fmt: skip
