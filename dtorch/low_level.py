"""Layers and losses in the form below `dtorch.nn.functional`: ``dtorch.batch_norm``, ``dtorch.lstm``.

Arguments stand in another order, ``reduction`` is 0 for none (the default), 1 for the mean and 2
for the sum, modes are numbers, too, and recurrent networks take their weights as a list.

>>> import dtorch
>>> x, y = dtorch.tensor([0.0, 1.0]), dtorch.tensor([1.0, -1.0])
>>> dtorch.hinge_embedding_loss(x, y, 1.0, 2), dtorch.nn.functional.hinge_embedding_loss(x, y)
(tensor(0.), tensor(0.))
>>> dtorch.embedding(dtorch.eye(3), dtorch.tensor([2, 0]))
tensor([[0., 0., 1.],
        [1., 0., 0.]])
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError, RankError
from dtorch.core.ops import recurrent
from dtorch.core.ops.embedding import check_lookup, shrink_rows
from dtorch.core.tensor import Tensor
from dtorch.nn.rnn import run_layers
from dtorch.nn.utils.weight_norm import norm_except_dim as _norm_except_dim

__all__ = [
    "affine_grid_generator", "alpha_dropout", "alpha_dropout_", "batch_norm",
    "binary_cross_entropy_with_logits", "constant_pad_nd", "cosine_embedding_loss", "ctc_loss",
    "dropout", "dropout_", "embedding", "embedding_bag", "embedding_renorm_",
    "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
    "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "gru", "gru_cell",
    "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "lstm", "lstm_cell",
    "margin_ranking_loss", "norm_except_dim", "poisson_nll_loss", "rnn_relu", "rnn_relu_cell",
    "rnn_tanh", "rnn_tanh_cell", "triplet_margin_loss",
]  # fmt: skip

_REDUCTIONS = ("none", "mean", "sum")


def _of_code(name: str, argument: str, code: Any, meanings: Sequence[str]) -> str:
    """What the number of a mode stands for."""
    if not isinstance(code, int):
        raise TypeError(f"{name}: {argument} is {code!r}, expected an int")
    if not 0 <= code < len(meanings):
        known = ", ".join(f"{i} ({meaning})" for i, meaning in enumerate(meanings))
        raise ArgumentError(f"{name}: {argument} is {code}, expected one of {known}")
    return meanings[code]


# -- losses -----------------------------------------------------------------------------------------


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None,
    reduction: int = 0,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.binary_cross_entropy_with_logits`."""
    name = "binary_cross_entropy_with_logits"
    return functions.binary_cross_entropy_with_logits(
        input, target, weight, pos_weight=pos_weight,
        reduction=_of_code(name, "reduction", reduction, _REDUCTIONS),
    )  # fmt: skip


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`dtorch.nn.functional.cosine_embedding_loss`."""
    how = _of_code("cosine_embedding_loss", "reduction", reduction, _REDUCTIONS)
    return functions.cosine_embedding_loss(input1, input2, target, margin, reduction=how)


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: int = 0, zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.ctc_loss`."""
    how = _of_code("ctc_loss", "reduction", reduction, _REDUCTIONS)
    return functions.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, how, zero_infinity
    )


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0
) -> Tensor:
    """`dtorch.nn.functional.hinge_embedding_loss`."""
    how = _of_code("hinge_embedding_loss", "reduction", reduction, _REDUCTIONS)
    return functions.hinge_embedding_loss(input, target, margin, reduction=how)


def kl_div(
    input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False
) -> Tensor:
    """`dtorch.nn.functional.kl_div`."""
    how = _of_code("kl_div", "reduction", reduction, _REDUCTIONS)
    if how == "mean":  # F.kl_div warns of it
        return functions.kl_div(input, target, reduction="none", log_target=log_target).mean()
    return functions.kl_div(input, target, reduction=how, log_target=log_target)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`dtorch.nn.functional.margin_ranking_loss`."""
    how = _of_code("margin_ranking_loss", "reduction", reduction, _REDUCTIONS)
    return functions.margin_ranking_loss(input1, input2, target, margin, reduction=how)


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """`dtorch.nn.functional.poisson_nll_loss`."""
    how = _of_code("poisson_nll_loss", "reduction", reduction, _REDUCTIONS)
    return functions.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=how)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-06, swap: bool = False, reduction: int = 0,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.triplet_margin_loss`."""
    how = _of_code("triplet_margin_loss", "reduction", reduction, _REDUCTIONS)
    return functions.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=how
    )


# -- normalization ----------------------------------------------------------------------------------
# What computes is not the caller's to choose: cudnn_enabled has no effect on the result.


def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.batch_norm`; ``cudnn_enabled`` does not change the result."""
    return functions.batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-05, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.group_norm`; ``cudnn_enabled`` does not change the result."""
    return functions.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, use_input_stats: bool, momentum: float, eps: float,
    cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.instance_norm`; ``cudnn_enabled`` does not change the result."""
    return functions.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-05, cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.layer_norm`; ``cudnn_enable`` does not change the result."""
    return functions.layer_norm(input, normalized_shape, weight, bias, eps)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """Norms of order ``pow`` over all dims but ``dim``, which stay with size 1; of all elements
    for -1."""
    return _norm_except_dim(v, dim, pow)  # type: ignore[no-any-return]


# -- dropout ----------------------------------------------------------------------------------------


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`dtorch.nn.functional.alpha_dropout`."""
    return functions.alpha_dropout(input, p, train)


def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`alpha_dropout` in place."""
    return functions.alpha_dropout(input, p, train, inplace=True)


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`dtorch.nn.functional.dropout`."""
    return functions.dropout(input, p, train)


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` in place."""
    return functions.dropout(input, p, train, inplace=True)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`dtorch.nn.functional.feature_alpha_dropout`."""
    return functions.feature_alpha_dropout(input, p, train)


def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_alpha_dropout` in place."""
    return functions.feature_alpha_dropout(input, p, train, inplace=True)


def _of_channels(name: str, input: Tensor, p: float, train: bool) -> Tensor:
    """Zeros and factors for the channels of ``input``."""
    if input.ndim < 2:
        raise RankError(f"{name}: input has {input.ndim} dimensions, expected at least 2")
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return functions.dropout(input.new_ones(shape), p, train)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` of whole channels of ``(N, C, ...)``."""
    return input * _of_channels("feature_dropout", input, p, train)


def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_dropout` in place."""
    return input.mul_(_of_channels("feature_dropout_", input, p, train))


# -- lookup, padding, sampling ----------------------------------------------------------------------


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:  # fmt: skip
    """`dtorch.nn.functional.embedding`; ``padding_idx`` -1 stands for none."""
    padding = None if padding_idx == -1 else padding_idx
    return functions.embedding(
        indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scale the rows of ``input`` at ``indices`` whose norm exceeds ``max_norm`` down to it."""
    numbers = check_lookup("embedding_renorm_", indices, input.shape[0])
    shrink_rows(input, numbers, max_norm, norm_type)
    return input


def embedding_bag(
    weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool = False,
    mode: int = 0, sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """`dtorch.nn.functional.embedding_bag`; ``mode`` is 0 for sums, 1 for means, 2 for maxima.

    Returns: the rows of the bags; the bag of each index; the sizes of the bags; and of each maximum
        the index of the row that it is from, in other modes the sizes again.
    """
    how = _of_code("embedding_bag", "mode", mode, ("sum", "mean", "max"))
    out = functions.embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, how, sparse, per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip
    starts = offsets.tolist()[: len(out)]
    ends = [*starts[1:], len(indices)]
    spans = list(zip(starts, ends, strict=True))
    number = offsets.new_tensor([i for i, span in enumerate(spans) for _ in range(*span)])
    bags = [indices[start:end] for start, end in spans]
    if padding_idx is not None:
        bags = [bag[bag != padding_idx % len(weight)] for bag in bags]
    sizes = offsets.new_tensor([len(bag) for bag in bags])
    if how != "max":
        return out, number, sizes, sizes.clone()
    places = offsets.new_zeros(out.shape)
    for i, bag in enumerate(bags):
        if len(bag):
            places[i] = bag[weight.detach()[bag].argmax(0)]
    return out, number, sizes, places


def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    """`dtorch.nn.functional.pad` with a constant."""
    return functions.pad(input, pad, "constant", value)


def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`dtorch.nn.functional.affine_grid`."""
    return functions.affine_grid(theta, size, align_corners)


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`dtorch.nn.functional.grid_sample`; ``interpolation_mode`` is 0 for bilinear, 1 for nearest, 2
    for bicubic, ``padding_mode`` 0 for zeros, 1 for border, 2 for reflection."""
    name = "grid_sampler"
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    mode = _of_code(name, "interpolation_mode", interpolation_mode, modes)
    padding = _of_code(name, "padding_mode", padding_mode, paddings)
    return functions.grid_sample(input, grid, mode, padding, align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


# -- recurrent networks -----------------------------------------------------------------------------

_OF_STEPS = ("input", "hx", "params", "has_biases", "num_layers", "dropout", "train",
             "bidirectional", "batch_first")  # fmt: skip
_OF_PACKED = ("data", "batch_sizes", *_OF_STEPS[1:-1])


def _signature(names: Sequence[str]) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


def _network(name: str, mode: str) -> Callable[..., tuple[Tensor, ...]]:
    """A recurrent network of given weights."""

    def function(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        packed = "batch_sizes" in kwargs or (len(args) > 3 and isinstance(args[3], (list, tuple)))
        try:
            given = _signature(_OF_PACKED if packed else _OF_STEPS).bind(*args, **kwargs).arguments
        except TypeError as error:
            expected = " or ".join(f"({', '.join(names)})" for names in (_OF_STEPS, _OF_PACKED))
            raise TypeError(f"{name}: {error}; expected {expected}") from None
        layers = given["num_layers"] * (2 if given["bidirectional"] else 1)
        each, rest = divmod(len(given["params"]), layers)
        fewest = 4 if given["has_biases"] else 2
        if rest or each not in ((fewest, fewest + 1) if mode == "LSTM" else (fewest,)):
            raise ArgumentError(
                f"{name}: got {len(given['params'])} params, expected {fewest} for each of "
                f"{layers} layers and directions"
            )
        weights = [list(given["params"][each * k : each * (k + 1)]) for k in range(layers)]
        states = list(given["hx"]) if mode == "LSTM" else [given["hx"]]
        more = (2 if given["bidirectional"] else 1, given["dropout"] if given["train"] else 0.0)
        if packed:
            sizes = tuple(given["batch_sizes"].tolist())
            out, last = run_layers(mode, given["data"], states, weights, sizes, *more)
        else:
            input = given["input"]
            if input.ndim != 3:
                raise RankError(f"{name}: input has {input.ndim} dimensions, expected 3")
            if given["batch_first"]:
                input = input.transpose(0, 1)
            steps, n, width = input.shape
            flat = input.reshape((steps * n, width))
            flat, last = run_layers(mode, flat, states, weights, (n,) * steps, *more)
            out = flat.reshape((steps, n, flat.shape[1]))
            out = out.transpose(0, 1) if given["batch_first"] else out
        return (out, *last) if mode == "LSTM" else (out, last)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"What a network of mode {mode} gives of `dtorch.nn.RNNBase`, for weights in a list.\n\n"
        f"Called with ({', '.join(_OF_STEPS)}), or packed with ({', '.join(_OF_PACKED)})."
    )
    return function


lstm = _network("lstm", "LSTM")
gru = _network("gru", "GRU")
rnn_tanh = _network("rnn_tanh", "RNN_TANH")
rnn_relu = _network("rnn_relu", "RNN_RELU")


def _rows(name: str, input: Tensor) -> tuple[int, ...]:
    if input.ndim != 2:
        raise RankError(f"{name}: input has {input.ndim} dimensions, expected 2")
    return (input.shape[0],)


def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of an `lstm`: the new hidden and cell state."""
    _rows("lstm_cell", input)
    h, c = recurrent.lstm_cell(input, *hx, w_ih, w_hh, b_ih, b_hh)
    return h, c


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of a `gru`."""
    rows = _rows("gru_cell", input)
    _, h = recurrent.gru(input, hx, w_ih, w_hh, b_ih, b_hh, rows, False)
    return h  # type: ignore[no-any-return]


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of an `rnn_tanh`."""
    rows = _rows("rnn_tanh_cell", input)
    _, h = recurrent.rnn(input, hx, w_ih, w_hh, b_ih, b_hh, rows, False, "tanh")
    return h  # type: ignore[no-any-return]


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of an `rnn_relu`."""
    rows = _rows("rnn_relu_cell", input)
    _, h = recurrent.rnn(input, hx, w_ih, w_hh, b_ih, b_hh, rows, False, "relu")
    return h  # type: ignore[no-any-return]
