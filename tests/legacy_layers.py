"""Layers and criteria of `dtorch.legacy.nn`, with inputs and other ways to the same numbers.

A row is a layer, its input, and the output for the input; both are of float64. Layers that choose at
random get an oracle for what they chose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import dtorch
from dtorch.legacy import nn
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so

Case = tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], Any]]


def x(*size: int) -> Any:
    return dtorch.randn(*size, dtype=dtorch.float64)


def positive(*size: int) -> Any:
    return dtorch.rand(*size, dtype=dtorch.float64) + 0.1


def ints(high: int, *size: int) -> Any:
    return dtorch.randint(0, high, size)


def signs(*size: int) -> Any:
    return (dtorch.randint(0, 2, size) * 2 - 1).double()


def pair(*size: int) -> Any:
    return [x(*size), x(*size)]


def exp_normed(a: Any, dim: int) -> Any:
    e = a.exp()
    return e / e.sum(dim, keepdim=True)


def windows(a: Any, side: int, step: int) -> Any:
    """The sum of each square window of an image."""
    return a.unfold(-2, side, step).unfold(-2, side, step).sum((-2, -1))


def kept(layer: Any, i: Any) -> Any:
    """Where a layer that drops kept the input."""
    return (layer.output != 0).double() * i


def map_filters(m: Any) -> Any:
    filters = dtorch.zeros(m.nOutputPlane, m.nInputPlane, m.kH, m.kW, dtype=dtorch.float64)
    for (start, to), window in zip(m.connTable.long().tolist(), m.weight, strict=True):
        filters[to, start] += window
    return filters


def local(m: Any, i: Any) -> Any:
    i = F.pad(i, (m.padW, m.padW, m.padH, m.padH))
    out = dtorch.zeros(*i.shape[:-3], m.nOutputPlane, m.oH, m.oW, dtype=dtorch.float64)
    for r in range(m.oH):
        for c in range(m.oW):
            at = i[..., r * m.dH : r * m.dH + m.kH, c * m.dW : c * m.dW + m.kW]
            out[..., r, c] = (at.unsqueeze(-4) * m.weight[r, c]).sum((-3, -2, -1)) + m.bias[:, r, c]
    return out


def around(i: Any, kernel: Any) -> Any:
    """The weighted mean around each pixel over all planes, and the share of weights that is there."""
    kernel = kernel.double()
    kernel = kernel if kernel.ndim == 2 else kernel.outer(kernel)
    n, planes, rows, columns = i.shape
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    total, share = dtorch.zeros(n, 1, rows, columns).double(), dtorch.zeros(rows, columns).double()
    for r in range(rows):
        for c in range(columns):
            for a in range(kernel.shape[0]):
                for b in range(kernel.shape[1]):
                    y, z = r + a - top, c + b - left
                    if 0 <= y < rows and 0 <= z < columns:
                        total[:, 0, r, c] += kernel[a, b] * i[:, :, y, z].sum(1)
                        share[r, c] += kernel[a, b]
    return total / (kernel.sum() * planes), share / kernel.sum()


def subtracted(i: Any, kernel: Any) -> Any:
    mean, share = around(i, kernel)
    return i - mean / share


def divided(i: Any, kernel: Any, m: Any) -> Any:
    square, share = around(i * i, kernel)
    deviation = square.sqrt() / share
    return i / deviation.where(deviation > m.threshold, dtorch.tensor(m.thresval).double())


def fractional(m: Any, i: Any) -> Any:
    return F.fractional_max_pool2d(
        i, (m.poolSizeH, m.poolSizeW), (3, 2), _random_samples=m.randomSamples
    )


def branches(container: Any, *layers: Any) -> Any:
    for layer in layers:
        container.add(layer)
    return container


def pooled(pool: Any, size: tuple[int, ...]) -> Any:
    pool.double().forward(x(*size))
    return pool


def lrn(m: Any, i: Any) -> Any:
    squares = F.pad(i * i, (0, 0, 0, 0, m.size // 2, m.size // 2))
    total = sum(squares[:, k : k + i.shape[1]] for k in range(m.size))
    return i / (m.k + m.alpha / m.size * total) ** m.beta


def normed(i: Any, m: Any) -> Any:
    dims = [0, *range(2, i.ndim)]
    shape = [1, -1] + [1] * (i.ndim - 2)
    mean, var = i.mean(dims, keepdim=True), i.var(dims, unbiased=False, keepdim=True)
    return (i - mean) / (var + m.eps).sqrt() * m.weight.view(shape) + m.bias.view(shape)


def distances(i: Any, m: Any) -> Any:
    factor = getattr(m, "diagCov", dtorch.ones(1).double())
    columns = [((i - w) * c).square().sum(-1).sqrt() for w, c in zip(
        m.weight.t(), factor.expand_as(m.weight).t(), strict=True)]  # fmt: skip
    return dtorch.stack(columns, -1)


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(-1) / (a.norm(2, -1) * b.norm(2, -1))


CASES: list[Case] = [
    # of each element
    (nn.Abs, lambda: x(3, 4), lambda i, m: i.where(i > 0, -i)),
    (lambda: nn.AddConstant(1.5), lambda: x(3, 4), lambda i, m: i + 1.5),
    (lambda: nn.MulConstant(1.5, True), lambda: x(3, 4), lambda i, m: i * 1.5),
    (nn.Exp, lambda: x(3, 4), lambda i, m: np.e**i),
    (nn.Log, lambda: positive(3, 4), lambda i, m: dtorch.as_tensor(np.log(i.numpy()))),
    (lambda: nn.Power(1.5), lambda: positive(3, 4), lambda i, m: i * i.sqrt()),
    (nn.Square, lambda: x(3, 4), lambda i, m: i**2),
    (lambda: nn.Sqrt(0.5), lambda: positive(3, 4), lambda i, m: (i + 0.5) ** 0.5),
    (lambda: nn.Threshold(0.3, -2), lambda: x(3, 4), lambda i, m: i.where(i > 0.3, -2.0)),
    (lambda: nn.ReLU(True), lambda: x(3, 4), lambda i, m: i * (i > 0)),
    (nn.ReLU6, lambda: x(3, 4) * 5, lambda i, m: i.clamp(0, 6)),
    (lambda: nn.HardTanh(-0.5, 1), lambda: x(3, 4), lambda i, m: i.clamp(-0.5, 1)),
    (lambda: nn.Clamp(-0.2, 0.7), lambda: x(3, 4), lambda i, m: i.clamp(-0.2, 0.7)),
    (lambda: nn.ELU(2, True), lambda: x(3, 4), lambda i, m: i.where(i > 0, 2 * i.expm1())),
    (lambda: nn.LeakyReLU(0.2), lambda: x(3, 4), lambda i, m: i.where(i > 0, 0.2 * i)),
    (nn.RReLU, lambda: x(3, 4).abs(), lambda i, m: i),
    (nn.PReLU, lambda: x(3, 4), lambda i, m: i.where(i > 0, 0.25 * i)),
    (lambda: nn.PReLU(3), lambda: x(3, 4, 4), lambda i, m: i.where(i > 0, 0.25 * i)),
    (lambda: nn.HardShrink(0.3), lambda: x(3, 4), lambda i, m: i * (i.abs() > 0.3)),
    (lambda: nn.SoftShrink(0.3), lambda: x(3, 4), lambda i, m: i.sign() * (i.abs() - 0.3).clamp(0)),
    (lambda: nn.SoftPlus(2), lambda: x(3, 4), lambda i, m: (2 * i).exp().log1p() / 2),
    (nn.SoftSign, lambda: x(3, 4), lambda i, m: i / (1 + i.abs())),
    (nn.Sigmoid, lambda: x(3, 4), lambda i, m: 1 / (1 + (-i).exp())),
    (nn.LogSigmoid, lambda: x(3, 4), lambda i, m: -(-i).exp().log1p()),
    (nn.Tanh, lambda: x(3, 4), lambda i, m: (i.exp() - (-i).exp()) / (i.exp() + (-i).exp())),
    (nn.TanhShrink, lambda: x(3, 4), lambda i, m: i - i.tanh()),
    (nn.SoftMax, lambda: x(3, 4), lambda i, m: exp_normed(i, 1)),
    (nn.SoftMax, lambda: x(5), lambda i, m: exp_normed(i, 0)),
    (nn.SpatialSoftMax, lambda: x(3, 2, 2), lambda i, m: exp_normed(i, 0)),
    (nn.SoftMin, lambda: x(2, 3, 2, 2), lambda i, m: exp_normed(-i, 1)),
    (nn.LogSoftMax, lambda: x(3, 4), lambda i, m: exp_normed(i, 1).log()),
    # chance and penalties
    (nn.Dropout, lambda: x(3, 4), lambda i, m: kept(m, i) * 2),
    (lambda: nn.SpatialDropout(0.4), lambda: x(3, 4, 2, 2), lambda i, m: kept(m, i)),
    (lambda: nn.SpatialDropout(0.4), lambda: x(4, 2, 2), lambda i, m: kept(m, i)),
    (nn.VolumetricDropout, lambda: x(3, 4, 2, 2, 1), lambda i, m: kept(m, i)),
    # weights
    (lambda: nn.Linear(4, 3), lambda: x(2, 4), lambda i, m: i @ m.weight.t() + m.bias),
    (lambda: nn.Linear(4, 3, bias=False), lambda: x(4), lambda i, m: m.weight @ i),
    (lambda: nn.PartialLinear(4, 3), lambda: x(2, 4), lambda i, m: i @ m.weight.t() + m.bias),
    (
        lambda: nn.Bilinear(3, 4, 2),
        lambda: [x(5, 3), x(5, 4)],
        lambda i, m: dtorch.einsum("na,kab,nb->nk", i[0], m.weight, i[1]) + m.bias,
    ),
    (lambda: nn.Add(4), lambda: x(3, 4), lambda i, m: i + m.bias),
    (lambda: nn.Add((2, 2)), lambda: x(3, 2, 2), lambda i, m: i + m.bias),
    (lambda: nn.Add(4, True), lambda: x(3, 4), lambda i, m: i + m.bias[0]),
    (nn.Mul, lambda: x(3, 4), lambda i, m: i * m.weight[0]),
    (lambda: nn.CMul(4, 2), lambda: x(3, 4, 2), lambda i, m: i * m.weight),
    (lambda: nn.CMul(1, 3, 1), lambda: x(2, 3, 2), lambda i, m: i * m.weight),
    (lambda: nn.CMul(6), lambda: x(2, 3, 2), lambda i, m: i * m.weight.view(3, 2)),
    (
        lambda: nn.Cosine(4, 3),
        lambda: x(2, 4),
        lambda i, m: cosines(i.unsqueeze(1), m.weight.unsqueeze(0)),
    ),
    (lambda: nn.Euclidean(4, 3), lambda: x(2, 4), distances),
    (lambda: nn.WeightedEuclidean(4, 3), lambda: x(2, 4), distances),
    (lambda: nn.WeightedEuclidean(4, 3), lambda: x(4), distances),
    (lambda: nn.LookupTable(5, 3), lambda: ints(5, 2, 4), lambda i, m: m.weight[i]),
    # tables
    (nn.CAddTable, lambda: [x(3), x(3), x(3)], lambda i, m: i[0] + i[1] + i[2]),
    (lambda: nn.CAddTable(True), lambda: pair(3), lambda i, m: i[0] + i[1]),
    (nn.CSubTable, lambda: pair(3), lambda i, m: i[0] - i[1]),
    (nn.CMulTable, lambda: [x(3), x(3), x(3)], lambda i, m: i[0] * i[1] * i[2]),
    (nn.CDivTable, lambda: [x(3), positive(3)], lambda i, m: i[0] / i[1]),
    (lambda: nn.JoinTable(1), lambda: [x(2, 3), x(2, 4)], lambda i, m: dtorch.cat(i, 1)),
    (lambda: nn.SplitTable(1), lambda: x(2, 3), lambda i, m: [i[:, 0], i[:, 1], i[:, 2]]),
    (lambda: nn.SelectTable(-1), lambda: [x(2), [x(1), x(3)]], lambda i, m: i[1]),
    (lambda: nn.NarrowTable(1, 2), lambda: [x(2), x(3), x(4)], lambda i, m: i[1:]),
    (nn.FlattenTable, lambda: [x(1), [x(2), [x(3)]]], lambda i, m: [i[0], i[1][0], i[1][1][0]]),
    (
        nn.MixtureTable,
        lambda: [x(5, 2), [x(5, 3), x(5, 3)]],
        lambda i, m: i[0][:, :1] * i[1][0] + i[0][:, 1:] * i[1][1],
    ),
    (
        lambda: nn.MixtureTable(2),
        lambda: [x(5, 2), x(5, 3, 2)],
        lambda i, m: i[0][:, :1] * i[1][..., 0] + i[0][:, 1:] * i[1][..., 1],
    ),
    (nn.MixtureTable, lambda: [x(2), pair(3)], lambda i, m: i[0][0] * i[1][0] + i[0][1] * i[1][1]),
    (lambda: nn.MM(True), lambda: [x(3, 2), x(3, 4)], lambda i, m: i[0].t() @ i[1]),
    (
        lambda: nn.MM(False, True),
        lambda: [x(2, 3, 4), x(2, 5, 4)],
        lambda i, m: dtorch.einsum("nab,ncb->nac", i[0], i[1]),
    ),
    (lambda: nn.MV(), lambda: [x(3, 2), x(2)], lambda i, m: i[0] @ i[1]),
    (
        lambda: nn.MV(True),
        lambda: [x(2, 4, 3), x(2, 4)],
        lambda i, m: dtorch.einsum("nab,na->nb", i[0], i[1]),
    ),
    (nn.DotProduct, lambda: pair(3, 4), lambda i, m: (i[0] * i[1]).sum(1)),
    (nn.DotProduct, lambda: pair(4), lambda i, m: (i[0] * i[1]).sum().view(1)),
    (nn.CosineDistance, lambda: pair(3, 4), lambda i, m: cosines(*i)),
    (
        lambda: nn.PairwiseDistance(3),
        lambda: pair(3, 4),
        lambda i, m: ((i[0] - i[1]).abs() ** 3).sum(1) ** (1 / 3),
    ),
    (
        lambda: nn.Index(1),
        lambda: [x(2, 4), dtorch.tensor([3, 0, 3])],
        lambda i, m: i[0][:, [3, 0, 3]],
    ),
    (
        nn.MaskedSelect,
        lambda: [x(3), dtorch.tensor([1, 0, 1]).byte()],
        lambda i, m: i[0][[0, 2]],
    ),
    # sizes
    (nn.Identity, lambda: [x(2), [x(3)]], lambda i, m: i),
    (nn.Contiguous, lambda: x(3, 2).t(), lambda i, m: i),
    (
        lambda: nn.Copy("dtorch.DoubleTensor", "dtorch.DoubleTensor"),
        lambda: x(3),
        lambda i, m: i,
    ),
    (lambda: nn.View(-1, 2), lambda: x(3, 4), lambda i, m: i.view(6, 2)),
    (lambda: nn.View(6), lambda: x(4, 3, 2), lambda i, m: i.view(4, 6)),
    (lambda: nn.Reshape(2, 3), lambda: x(4, 6), lambda i, m: i.view(4, 2, 3)),
    (lambda: nn.Reshape(2, 3), lambda: x(6), lambda i, m: i.view(2, 3)),
    (lambda: nn.Narrow(1, 1, 2), lambda: x(3, 4), lambda i, m: i[:, 1:3]),
    (lambda: nn.Select(1, -1), lambda: x(3, 4), lambda i, m: i[:, 3]),
    (lambda: nn.Replicate(3, 1), lambda: x(2, 4), lambda i, m: dtorch.stack([i] * 3, 1)),
    (lambda: nn.Transpose((0, 1), (1, 2)), lambda: x(2, 3, 4), lambda i, m: i.permute(1, 2, 0)),
    (lambda: nn.Squeeze(1), lambda: x(2, 1, 1), lambda i, m: i[:, 0]),
    (lambda: nn.Squeeze(), lambda: x(2, 1, 1), lambda i, m: i.view(2)),
    (lambda: nn.Unsqueeze(1), lambda: x(2, 3), lambda i, m: i.view(2, 1, 3)),
    (lambda: nn.Max(1), lambda: x(2, 3), lambda i, m: i.amax(1)),
    (lambda: nn.Min(), lambda: x(4), lambda i, m: i.amin().view(1)),
    (lambda: nn.Sum(1), lambda: x(2, 3), lambda i, m: i @ dtorch.ones(3).double()),
    (lambda: nn.Mean(-1), lambda: x(2, 3), lambda i, m: i.sum(1) / 3),
    # convolutions
    (
        lambda: nn.TemporalConvolution(3, 2, 2, 2),
        lambda: x(2, 6, 3),
        lambda i, m: dtorch.stack(
            [i[:, t : t + 2].reshape(2, 6) @ m.weight.t() + m.bias for t in (0, 2, 4)], 1
        ),
    ),
    (
        lambda: nn.SpatialConvolution(2, 3, 3, 2, 2, 1, 1),
        lambda: x(2, 2, 4, 5),
        lambda i, m: F.conv2d(i, m.weight.view(3, 2, 2, 3), m.bias, (1, 2), (1, 1)),
    ),
    (
        lambda: nn.SpatialConvolution(2, 3, 2, 2).noBias(),
        lambda: x(2, 4, 5),
        lambda i, m: F.conv2d(i, m.weight),
    ),
    (
        lambda: nn.SpatialDilatedConvolution(2, 3, 2, 2, dilationH=1, dilationW=2),
        lambda: x(1, 2, 4, 5),
        lambda i, m: F.conv2d(i, m.weight, m.bias, dilation=(1, 2)),
    ),
    (
        lambda: nn.SpatialConvolutionLocal(2, 3, 4, 3, 2, 2, 2, 1, 1, 0),
        lambda: x(2, 2, 3, 4),
        lambda i, m: local(m, i),
    ),
    (
        lambda: nn.SpatialConvolutionMap(nn.SpatialConvolutionMap.maps.random(3, 4, 2), 2, 1),
        lambda: x(2, 3, 3, 3),
        lambda i, m: F.conv2d(i, map_filters(m), m.bias),
    ),
    (
        lambda: nn.SpatialFullConvolution(2, 3, 3, 2, 2, 1, 1, 0, 1, 0),
        lambda: x(1, 2, 3, 4),
        lambda i, m: F.conv_transpose2d(i, m.weight, m.bias, (1, 2), (0, 1), (0, 1)),
    ),
    (
        lambda: nn.SpatialFullConvolution(2, 3, 3, 3, 2, 2),
        lambda: [x(1, 2, 2, 2), x(1, 3, 6, 5)],
        lambda i, m: F.conv_transpose2d(i[0], m.weight, m.bias, 2, 0, (1, 0)),
    ),
    (
        lambda: nn.SpatialFullConvolutionMap(nn.SpatialConvolutionMap.maps.full(2, 3), 2, 3),
        lambda: x(1, 2, 3, 3),
        lambda i, m: F.conv_transpose2d(i, map_filters(m).transpose(0, 1), m.bias),
    ),
    (
        lambda: nn.VolumetricConvolution(2, 2, 2, 3, 1, 1, 2, 1, 1),
        lambda: x(1, 2, 2, 2, 3),
        lambda i, m: F.conv3d(i, m.weight.view(2, 2, 2, 1, 3), m.bias, (1, 1, 2), 1),
    ),
    (
        lambda: nn.VolumetricFullConvolution(2, 2, 2, 3, 1, 1, 2, 1),
        lambda: x(1, 2, 2, 2, 3),
        lambda i, m: F.conv_transpose3d(i, m.weight.view(2, 2, 2, 1, 3), m.bias, (1, 1, 2)),
    ),
    # pooling
    (
        lambda: nn.SpatialMaxPooling(3, 2, 2, 1).ceil(),
        lambda: x(1, 2, 3, 4),
        lambda i, m: F.max_pool2d(i, (2, 3), (1, 2), ceil_mode=True),
    ),
    (
        lambda: nn.VolumetricMaxPooling(1, 3, 2),
        lambda: x(1, 2, 2, 4, 6),
        lambda i, m: F.max_pool3d(i, (1, 2, 3)),
    ),
    (
        lambda: nn.TemporalMaxPooling(2),
        lambda: x(2, 6, 3),
        lambda i, m: i.view(2, 3, 2, 3).amax(2),
    ),
    (
        lambda: nn.SpatialAdaptiveMaxPooling(2, 3),
        lambda: x(1, 2, 3, 4),
        lambda i, m: i.view(1, 2, 3, 2, 2).amax(-1),
    ),
    (lambda: nn.SpatialFractionalMaxPooling(2, 2, 2, 3).fixPoolingRegions(), lambda: x(1, 2, 6, 5),
     lambda i, m: fractional(m, i)),
    (lambda: nn.SpatialFractionalMaxPooling(2, 2, 0.5, 0.6).fixPoolingRegions(), lambda: x(2, 6, 5),
     lambda i, m: fractional(m, i)),
    (
        lambda: nn.SpatialMaxUnpooling(pooled(nn.SpatialMaxPooling(2, 2), (1, 2, 4, 4))),
        lambda: x(1, 2, 2, 2),
        lambda i, m: F.max_unpool2d(i, m.pooling.indices, 2),
    ),
    (
        lambda: nn.VolumetricMaxUnpooling(
            pooled(nn.VolumetricMaxPooling(1, 2, 2), (1, 2, 2, 4, 4))
        ),
        lambda: x(1, 2, 2, 2, 2),
        lambda i, m: F.max_unpool3d(i, m.pooling.indices, (1, 2, 2)),
    ),
    (
        lambda: nn.SpatialAveragePooling(2, 2, 2, 2),
        lambda: x(1, 2, 4, 4),
        lambda i, m: windows(i, 2, 2) / 4,
    ),
    (
        lambda: nn.SpatialAveragePooling(3, 2, 2, 1, 1, 0).setCountExcludePad(),
        lambda: x(2, 4, 4),
        lambda i, m: F.avg_pool2d(i, (2, 3), (1, 2), (0, 1), count_include_pad=False),
    ),
    (
        lambda: nn.VolumetricAveragePooling(1, 2, 2),
        lambda: x(1, 2, 2, 4, 4),
        lambda i, m: windows(i, 2, 2) / 4,
    ),
    (
        lambda: nn.SpatialLPPooling(2, 3, 2, 2),
        lambda: positive(1, 2, 4, 4),
        lambda i, m: windows(i**3, 2, 2) ** (1 / 3),
    ),
    (
        lambda: nn.SpatialSubSampling(2, 2, 2),
        lambda: x(1, 2, 4, 4),
        lambda i, m: windows(i, 2, 1) * m.weight.view(2, 1, 1) + m.bias.view(2, 1, 1),
    ),
    (
        lambda: nn.TemporalSubSampling(3, 2),
        lambda: x(2, 4, 3),
        lambda i, m: (i[:, :-1] + i[:, 1:]) * m.weight + m.bias,
    ),
    (
        lambda: nn.SpatialUpSamplingNearest(2),
        lambda: x(2, 3, 2),
        lambda i, m: dtorch.as_tensor(np.kron(i.numpy(), np.ones((1, 2, 2)))),
    ),
    # edges
    (
        lambda: nn.Padding(1, -2, 5),
        lambda: x(2, 3),
        lambda i, m: dtorch.cat([dtorch.full((2, 2), 5.0).double(), i], 1),
    ),
    (
        lambda: nn.Padding(1, 1, 0, 1),
        lambda: x(2, 3),
        lambda i, m: dtorch.cat([i[:, :2], dtorch.zeros(2, 1).double(), i[:, 2:]], 1),
    ),
    (
        lambda: nn.SpatialZeroPadding(1, 0, -1, 2),
        lambda: x(2, 3, 3),
        lambda i, m: dtorch.as_tensor(np.pad(i.numpy()[:, 1:], ((0, 0), (0, 2), (1, 0)))),
    ),
    (
        lambda: nn.SpatialReflectionPadding(1, 0, 2, 1),
        lambda: x(1, 2, 3, 3),
        lambda i, m: dtorch.as_tensor(
            np.pad(i.numpy(), ((0, 0), (0, 0), (2, 1), (1, 0)), "reflect")
        ),
    ),
    (
        lambda: nn.SpatialReplicationPadding(1),
        lambda: x(1, 2, 3, 3),
        lambda i, m: dtorch.as_tensor(np.pad(i.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), "edge")),
    ),
    (
        lambda: nn.VolumetricReplicationPadding(1, 0, 2, 0, 1, 0),
        lambda: x(1, 2, 2, 3, 3),
        lambda i, m: dtorch.as_tensor(
            np.pad(i.numpy(), ((0, 0), (0, 0), (1, 0), (2, 0), (1, 0)), "edge")
        ),
    ),
    # normalisation
    (lambda: nn.BatchNormalization(3), lambda: x(4, 3), normed),
    (lambda: nn.SpatialBatchNormalization(3), lambda: x(2, 3, 2, 2), normed),
    (lambda: nn.VolumetricBatchNormalization(3), lambda: x(2, 3, 2, 2, 1), normed),
    (lambda: nn.Normalize(3), lambda: x(2, 4), lambda i, m: i / (i.abs() ** 3).sum(1, True) ** (1 / 3)),
    (lambda: nn.Normalize(np.inf), lambda: x(4), lambda i, m: i / i.abs().max()),
    (lambda: nn.SpatialCrossMapLRN(3, 0.5), lambda: x(2, 4, 2, 2), lambda i, m: lrn(m, i)),
    (
        lambda: nn.SpatialSubtractiveNormalization(2, dtorch.rand(3)),
        lambda: x(1, 2, 3, 4),
        lambda i, m: subtracted(i, m.kernel),
    ),
    (
        lambda: nn.SpatialDivisiveNormalization(2, dtorch.rand(1, 3), 0.9, 0.7),
        lambda: x(1, 2, 3, 3),
        lambda i, m: divided(i, m.kernel, m),
    ),
    (
        lambda: nn.SpatialContrastiveNormalization(2, dtorch.rand(3)),
        lambda: x(1, 2, 3, 3),
        lambda i, m: divided(subtracted(i, m.kernel), m.kernel, m),
    ),
    # containers
    (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        lambda: x(2, 3),
        lambda i, m: m.get(2).weight.matmul((i @ m.get(0).weight.t() + m.get(0).bias).tanh().t()).t()
        + m.get(2).bias,
    ),
    (
        lambda: branches(nn.Concat(1), nn.Linear(3, 2), nn.Identity()),
        lambda: x(2, 3),
        lambda i, m: dtorch.cat([i @ m.get(0).weight.t() + m.get(0).bias, i], 1),
    ),
    (
        lambda: branches(nn.DepthConcat(1), nn.SpatialConvolution(2, 1, 2, 2), nn.Square()),
        lambda: x(1, 2, 3, 4),
        lambda i, m: dtorch.cat(
            [F.pad(F.conv2d(i, m.get(0).weight, m.get(0).bias), (0, 1, 0, 1)), i * i], 1
        ),
    ),
    (
        lambda: branches(nn.ConcatTable(), nn.Mul(), nn.Square()),
        lambda: x(2, 3),
        lambda i, m: [i * m.get(0).weight, i * i],
    ),
    (
        lambda: branches(nn.ParallelTable(), nn.Mul(), nn.CAddTable()),
        lambda: [x(2), pair(3)],
        lambda i, m: [i[0] * m.get(0).weight, i[1][0] + i[1][1]],
    ),
    (
        lambda: branches(nn.Parallel(1, 0), nn.Linear(3, 1), nn.Linear(3, 2)),
        lambda: x(3, 2),
        lambda i, m: dtorch.cat(
            [m.get(k).weight @ i[:, k] + m.get(k).bias for k in (0, 1)]
        ),
    ),
]  # fmt: skip


def hinge(values: Any) -> Any:
    return values.clamp(min=0)


def logits(i: Any) -> Any:
    return exp_normed(i, 1).log()


CRITERIA: list[tuple[Any, Any, Any, Any]] = [
    (nn.AbsCriterion, lambda: x(3, 4), lambda: x(3, 4), lambda i, t, m: (i - t).abs().mean()),
    (nn.MSECriterion, lambda: x(3, 4), lambda: x(12), lambda i, t, m: (i.view(-1) - t).pow(2).mean()),
    (lambda: nn.MSECriterion(False), lambda: x(3), lambda: x(3), lambda i, t, m: (i - t).pow(2).sum()),
    (
        nn.SmoothL1Criterion,
        lambda: x(3, 4),
        lambda: x(3, 4),
        lambda i, t, m: (lambda d: d.square().div(2).where(d < 1, d - 0.5))((i - t).abs()).mean(),
    ),
    (
        lambda: nn.WeightedMSECriterion(positive(4)),
        lambda: x(3, 4),
        lambda: x(3, 4),
        lambda i, t, m: (i - t * m.weight).square().mean(),
    ),
    (
        lambda: nn.BCECriterion(positive(4)),
        lambda: positive(3, 4) / 1.2,
        lambda: ints(2, 3, 4).double(),
        lambda i, t, m: -(m.weights * (t * i.log() + (1 - t) * (1 - i).log())).mean(),
    ),
    (
        nn.DistKLDivCriterion,
        lambda: x(3, 4),
        lambda: positive(3, 4),
        lambda i, t, m: (t * (t.log() - i)).mean(),
    ),
    (
        lambda: nn.ClassNLLCriterion(positive(4)),
        lambda: x(3, 4),
        lambda: dtorch.tensor([3, 0, 1]),
        lambda i, t, m: -(m.weights[t] * i[[0, 1, 2], t]).sum() / m.weights[t].sum(),
    ),
    (nn.ClassNLLCriterion, lambda: x(4), lambda: dtorch.tensor([2]), lambda i, t, m: -i[2]),
    (
        nn.SpatialClassNLLCriterion,
        lambda: x(2, 3, 2, 2),
        lambda: ints(3, 2, 2, 2),
        lambda i, t, m: -i.gather(1, t.unsqueeze(1)).mean(),
    ),
    (
        nn.CrossEntropyCriterion,
        lambda: x(3, 4),
        lambda: dtorch.tensor([[3], [0], [1]]),
        lambda i, t, m: -logits(i)[[0, 1, 2], t.view(-1)].mean(),
    ),
    (
        lambda: nn.MultiMarginCriterion(2, None, 0.5),
        lambda: x(3, 4),
        lambda: dtorch.tensor([3, 0, 1]),
        lambda i, t, m: (hinge(0.5 - i.gather(1, t.view(3, 1)) + i).square().sum() - 3 * 0.25) / 12,
    ),
    (
        nn.MultiLabelMarginCriterion,
        lambda: x(3),
        lambda: dtorch.tensor([2, 0, -1]),
        lambda i, t, m: (hinge(1 - i[2] + i[1]) + hinge(1 - i[0] + i[1])) / 3,
    ),
    (
        nn.MultiLabelSoftMarginCriterion,
        lambda: x(3, 4),
        lambda: ints(2, 3, 4).double(),
        lambda i, t, m: -(t * i.sigmoid().log() + (1 - t) * (-i).sigmoid().log()).mean(),
    ),
    (
        nn.SoftMarginCriterion,
        lambda: x(3, 4),
        lambda: signs(3, 4),
        lambda i, t, m: (1 + (-t * i).exp()).log().mean(),
    ),
    (
        lambda: nn.MarginCriterion(0.5),
        lambda: x(3, 4),
        lambda: signs(3, 4),
        lambda i, t, m: hinge(0.5 - t * i).mean(),
    ),
    (
        lambda: nn.MarginRankingCriterion(0.5, False),
        lambda: pair(4),
        lambda: signs(4),
        lambda i, t, m: hinge(0.5 - t * (i[0] - i[1])).sum(),
    ),
    (nn.MarginRankingCriterion, lambda: pair(1), lambda: 1, lambda i, t, m: hinge(1 - i[0] + i[1])),
    (
        nn.HingeEmbeddingCriterion,
        lambda: x(5),
        lambda: signs(5),
        lambda i, t, m: i.where(t == 1, hinge(1 - i)).mean(),
    ),
    (
        lambda: nn.L1HingeEmbeddingCriterion(20),
        lambda: pair(4),
        lambda: -1,
        lambda i, t, m: 20 - (i[0] - i[1]).abs().sum(),
    ),
    (
        nn.L1HingeEmbeddingCriterion,
        lambda: pair(4),
        lambda: 1,
        lambda i, t, m: (i[0] - i[1]).abs().sum(),
    ),
    (
        lambda: nn.CosineEmbeddingCriterion(0.1),
        lambda: pair(3, 4),
        lambda: signs(3),
        lambda i, t, m: (1 - cosines(*i)).where(t == 1, hinge(cosines(*i) - 0.1)).mean(),
    ),
    (
        nn.CosineEmbeddingCriterion,
        lambda: pair(4),
        lambda: dtorch.tensor([1]),
        lambda i, t, m: 1 - cosines(*i),
    ),
    (nn.L1Cost, lambda: x(3, 4), lambda: None, lambda i, t, m: i.abs().sum()),
    (
        lambda: nn.ClassSimplexCriterion(4),
        lambda: x(3, 4),
        lambda: dtorch.tensor([3, 0, 1]),
        lambda i, t, m: (i - m.simplex[t]).square().mean(),
    ),
    (
        lambda: nn.MultiCriterion().add(nn.MSECriterion(), 0.5).add(nn.AbsCriterion()),
        lambda: x(3),
        lambda: x(3),
        lambda i, t, m: 0.5 * (i - t).square().mean() + (i - t).abs().mean(),
    ),
    (
        lambda: nn.ParallelCriterion().add(nn.MSECriterion(), 0.5).add(nn.ClassNLLCriterion()),
        lambda: [x(3), x(2, 3)],
        lambda: [x(3), dtorch.tensor([0, 2])],
        lambda i, t, m: 0.5 * (i[0] - t[0]).square().mean() - (i[1][0, 0] + i[1][1, 2]) / 2,
    ),
]  # fmt: skip

# Tested by themselves: their gradient is not that of their output, or they have none.
PARTICULAR = {"Container", "Criterion", "CriterionTable", "GradientReversal", "L1Penalty", "Module"}
