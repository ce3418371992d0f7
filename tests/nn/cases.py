"""Layers and functions whose outputs and gradients are compared with stored ones of PyTorch.

``(name, expression, inputs)``: the expression is evaluated with the names of ``nn`` and with ``F``
for ``nn.functional``, by the script that stored the outputs and by the test. Inputs are
``("float", shape)``, ``("positive", shape)`` or ``("index", shape, number of values)``.
"""

from __future__ import annotations

from typing import Any

Case = tuple[str, str, list[tuple[Any, ...]]]


def image(*shape: int) -> list[tuple[Any, ...]]:
    return [("float", shape)]


CASES: list[Case] = [
    ("linear", "Linear(3, 4)", image(2, 5, 3)),
    ("bilinear", "Bilinear(2, 3, 4)", [("float", (5, 2)), ("float", (5, 3))]),
    ("conv1d", "Conv1d(4, 6, 3, stride=2, padding=1, groups=2)", image(2, 4, 9)),
    ("conv1d same", "Conv1d(2, 3, 4, padding='same', dilation=2)", image(2, 2, 9)),
    ("conv2d", "Conv2d(3, 4, (3, 2), stride=(1, 2), padding=1, dilation=(2, 1))", image(2, 3, 7, 6)),
    ("conv2d circular", "Conv2d(2, 2, 3, padding=1, padding_mode='circular')", image(1, 2, 4, 5)),
    ("conv2d reflect", "Conv2d(2, 2, 3, padding=2, padding_mode='reflect')", image(1, 2, 4, 5)),
    ("conv2d unbatched", "Conv2d(2, 3, 3)", image(2, 4, 5)),
    ("conv3d", "Conv3d(2, 3, 2, stride=2, padding=1)", image(1, 2, 3, 4, 3)),
    ("conv transpose1d", "ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2)", image(2, 4, 5)),
    ("conv transpose2d", "ConvTranspose2d(3, 2, (2, 3), 2, 1, (1, 0))", image(2, 3, 3, 4)),
    ("conv transpose3d", "ConvTranspose3d(2, 1, 2, dilation=2)", image(1, 2, 2, 2, 2)),
    ("max pool", "MaxPool2d(3, 2, 1, ceil_mode=True)", image(2, 2, 6, 7)),
    ("max pool dilated", "MaxPool2d(2, 1, dilation=2)", image(1, 2, 5, 5)),
    ("avg pool", "AvgPool2d(3, 2, 1, ceil_mode=True)", image(2, 2, 6, 7)),
    ("avg pool exclusive", "AvgPool2d(3, 2, 1, count_include_pad=False)", image(1, 2, 6, 7)),
    ("avg pool3d", "AvgPool3d(2, 1)", image(1, 2, 3, 3, 3)),
    ("lp pool", "LPPool2d(2, 3, 2)", [("positive", (1, 2, 6, 7))]),
    ("adaptive avg", "AdaptiveAvgPool2d((3, 2))", image(2, 2, 7, 5)),
    ("adaptive max", "AdaptiveMaxPool2d((3, None))", image(2, 2, 7, 5)),
    ("adaptive avg3d", "AdaptiveAvgPool3d(2)", image(1, 2, 3, 5, 4)),
    (
        "fractional",
        "lambda x, r: F.fractional_max_pool2d(x, 2, (3, 4), _random_samples=r)",
        [("float", (2, 2, 7, 8)), ("chance", (2, 2, 2))],
    ),
    (
        "fractional3d",
        "lambda x, r: F.fractional_max_pool3d(x, 2, (2, 3, 2), _random_samples=r)",
        [("float", (1, 2, 5, 6, 4)), ("chance", (1, 2, 3))],
    ),
    ("batch norm", "BatchNorm2d(3, momentum=0.3)", image(4, 3, 2, 2)),
    ("batch norm eval", "BatchNorm1d(3).eval()", image(4, 3)),
    ("instance norm", "InstanceNorm2d(3, affine=True)", image(2, 3, 3, 2)),
    ("instance norm tracked", "InstanceNorm1d(3, track_running_stats=True)", image(2, 3, 5)),
    ("layer norm", "LayerNorm((3, 4))", image(2, 3, 4)),
    ("rms norm", "RMSNorm(4)", image(2, 3, 4)),
    ("group norm", "GroupNorm(2, 4)", image(2, 4, 3)),
    ("local response", "LocalResponseNorm(3, alpha=0.5)", image(2, 5, 3, 2)),
    ("embedding", "Embedding(7, 3, padding_idx=2)", [("index", (2, 5), 7)]),
    ("embedding freq", "Embedding(3, 2, scale_grad_by_freq=True)", [("index", (2, 5), 3)]),
    ("embedding bag", "EmbeddingBag(7, 3, mode='mean', padding_idx=1)", [("index", (3, 4), 7)]),
    ("embedding bag max", "EmbeddingBag(7, 3, mode='max')", [("index", (3, 4), 7)]),
    ("rnn", "RNN(3, 4, 2, nonlinearity='relu', bidirectional=True)", image(5, 2, 3)),
    ("lstm", "LSTM(3, 4, 2, bidirectional=True)", image(5, 2, 3)),
    ("lstm batch first", "LSTM(3, 4, batch_first=True)", image(2, 5, 3)),
    ("lstm projected", "LSTM(3, 5, 2, proj_size=2)", image(4, 2, 3)),
    ("gru", "GRU(3, 4, 2, bidirectional=True)", image(5, 2, 3)),
    ("gru unbatched", "GRU(3, 4)", image(5, 3)),
    ("rnn cell", "RNNCell(3, 4)", [("float", (2, 3)), ("float", (2, 4))]),
    ("gru cell", "GRUCell(3, 4)", [("float", (2, 3)), ("float", (2, 4))]),
    ("attention", "MultiheadAttention(8, 2)", [("float", (4, 2, 8))] * 3),
    (
        "attention other sizes",
        "MultiheadAttention(8, 2, kdim=4, vdim=6, add_bias_kv=True, add_zero_attn=True)",
        [("float", (4, 2, 8)), ("float", (5, 2, 4)), ("float", (5, 2, 6))],
    ),
    ("encoder layer", "TransformerEncoderLayer(8, 2, 16, 0.0)", image(4, 2, 8)),
    (
        "encoder layer first",
        "TransformerEncoderLayer(8, 2, 16, 0.0, 'gelu', batch_first=True, norm_first=True)",
        image(2, 4, 8),
    ),
    ("decoder layer", "TransformerDecoderLayer(8, 2, 16, 0.0)", [("float", (4, 2, 8))] * 2),
    (
        "transformer",
        "Transformer(8, 2, 1, 1, 16, 0.0)",
        [("float", (4, 2, 8)), ("float", (3, 2, 8))],
    ),
    ("prelu", "PReLU(3)", image(2, 3, 4)),
    *(
        (name, f"{name}()", image(3, 4))
        for name in (
            "ReLU6", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Hardtanh", "Hardswish",
            "Hardsigmoid", "LeakyReLU", "LogSigmoid", "Softplus", "Softsign", "Tanhshrink",
            "Hardshrink", "Softshrink", "GLU",
        )
    ),
    ("gelu tanh", "GELU('tanh')", image(3, 4)),
    ("softmin", "Softmin(1)", image(3, 4)),
    ("nearest", "lambda x: F.interpolate(x, scale_factor=1.7)", image(1, 2, 4, 5)),
    ("bilinear up", "lambda x: F.interpolate(x, scale_factor=1.7, mode='bilinear')", image(1, 2, 4, 5)),
    (
        "bilinear recomputed",
        "lambda x: F.interpolate(x, scale_factor=1.7, mode='bilinear', recompute_scale_factor=True)",
        image(1, 2, 4, 5),
    ),
    (
        "bicubic",
        "lambda x: F.interpolate(x, (7, 3), mode='bicubic', align_corners=True)",
        image(1, 2, 4, 5),
    ),
    (
        "bilinear antialias",
        "lambda x: F.interpolate(x, (3, 4), mode='bilinear', antialias=True)",
        image(1, 2, 8, 9),
    ),
    (
        "bicubic antialias",
        "lambda x: F.interpolate(x, (3, 4), mode='bicubic', antialias=True)",
        image(1, 2, 8, 9),
    ),
    ("trilinear", "lambda x: F.interpolate(x, (3, 2, 5), mode='trilinear')", image(1, 1, 2, 3, 4)),
    ("upsampling bilinear", "UpsamplingBilinear2d(scale_factor=2)", image(1, 2, 3, 4)),
    *(
        (
            f"grid sample {mode} {padding} {align}",
            f"lambda x, g: F.grid_sample(x, g, '{mode}', '{padding}', {align})",
            [("float", (1, 2, 4, 5)), ("wide", (1, 3, 3, 2))],
        )
        for mode in ("bilinear", "nearest", "bicubic")
        for padding in ("zeros", "border", "reflection")
        for align in (False, True)
    ),
    (
        "grid sample 3d",
        "lambda x, g: F.grid_sample(x, g, 'bilinear', 'reflection', False)",
        [("float", (1, 2, 3, 4, 5)), ("wide", (1, 2, 3, 2, 3))],
    ),
    (
        "affine grid",
        "lambda t: F.affine_grid(t, (2, 1, 3, 4), align_corners=False)",
        image(2, 2, 3),
    ),
    ("pixel shuffle", "PixelShuffle(2)", image(1, 8, 2, 3)),
    ("channel shuffle", "ChannelShuffle(2)", image(1, 6, 2, 3)),
    ("unfold", "Unfold((2, 3), dilation=2, padding=1, stride=2)", image(2, 3, 6, 7)),
    ("fold", "Fold((4, 5), (2, 3), padding=1)", image(2, 12, 25)),
    ("pad reflect", "lambda x: F.pad(x, (2, 1, 0, 1), 'reflect')", image(2, 3, 4)),
    ("pad crop", "lambda x: F.pad(x, (-1, 2, 1, -1), value=0.5)", image(2, 3, 4)),
    ("normalize", "lambda x: F.normalize(x, 3, -1)", image(2, 3, 4)),
    ("pdist", "lambda x: F.pdist(x, 1.5)", image(4, 3)),
    ("pairwise", "PairwiseDistance(1.5)", [("float", (3, 4))] * 2),
    ("cosine", "CosineSimilarity()", [("float", (3, 4))] * 2),
    *(
        (f"{name} {reduction}", f"{name}(reduction='{reduction}')", inputs)
        for reduction in ("mean", "sum", "none")
        for name, inputs in (
            ("L1Loss", [("float", (3, 4))] * 2),
            ("MSELoss", [("float", (3, 4))] * 2),
            ("SmoothL1Loss", [("float", (3, 4))] * 2),
            ("HuberLoss", [("float", (3, 4))] * 2),
            ("KLDivLoss", [("float", (3, 4)), ("fraction", (3, 4))]),
            ("BCELoss", [("fraction", (3, 4))] * 2),
            ("BCEWithLogitsLoss", [("float", (3, 4)), ("fraction", (3, 4))]),
            ("PoissonNLLLoss", [("float", (3, 4)), ("positive", (3, 4))]),
            ("GaussianNLLLoss", [("float", (3, 4))] * 2 + [("positive", (3, 4))]),
            ("HingeEmbeddingLoss", [("float", (3, 4)), ("sign", (3, 4))]),
            ("MarginRankingLoss", [("float", (4,))] * 2 + [("sign", (4,))]),
            ("CosineEmbeddingLoss", [("float", (4, 3))] * 2 + [("sign", (4,))]),
            ("SoftMarginLoss", [("float", (3, 4)), ("sign", (3, 4))]),
            ("MultiLabelSoftMarginLoss", [("float", (3, 4)), ("fraction", (3, 4))]),
            ("MultiMarginLoss", [("float", (3, 4)), ("index", (3,), 4)]),
            ("MultiLabelMarginLoss", [("float", (3, 4)), ("index", (3, 4), 4)]),
            ("TripletMarginLoss", [("float", (3, 4))] * 3),
            ("NLLLoss", [("float", (3, 4, 2)), ("index", (3, 2), 4)]),
            ("CrossEntropyLoss", [("float", (3, 4, 2)), ("index", (3, 2), 4)]),
        )
    ),
    (
        "cross entropy smoothed",
        "CrossEntropyLoss(weight=torch.tensor([1., 2., 3., 0.5]).double(), label_smoothing=0.3, "
        "ignore_index=1)",
        [("float", (6, 4)), ("index", (6,), 4)],
    ),
    (
        "cross entropy probabilities",
        "CrossEntropyLoss(weight=torch.tensor([1., 2., 3., 0.5]).double(), label_smoothing=0.3)",
        [("float", (6, 4)), ("fraction", (6, 4))],
    ),
    ("mse weighted", "lambda x, y, w: F.mse_loss(x, y, weight=w)", [("positive", (3, 4))] * 3),
    (
        "bce pos weight",
        "BCEWithLogitsLoss(pos_weight=torch.tensor([1., 2., 3., 0.5]).double())",
        [("float", (3, 4)), ("fraction", (3, 4))],
    ),
    (
        "ctc",
        "lambda x: F.ctc_loss(F.log_softmax(x, 2), torch.tensor([[1, 2, 2], [3, 1, 1]]), "
        "torch.tensor([6, 5]), torch.tensor([3, 2]))",
        image(6, 2, 5),
    ),
    (
        "ctc zero infinity",
        "lambda x: F.ctc_loss(F.log_softmax(x, 2), torch.tensor([1, 2, 2, 3]), "
        "torch.tensor([3, 5]), torch.tensor([3, 1]), reduction='none', zero_infinity=True)",
        image(6, 2, 5),
    ),
    (
        "dot product attention",
        "lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        [("float", (2, 4, 3)), ("float", (2, 5, 3)), ("float", (2, 5, 2))],
    ),
    ("weight norm", "utils.parametrizations.weight_norm(Linear(3, 4))", image(2, 3)),
    ("classic weight norm", "utils.weight_norm(Conv2d(2, 3, 2))", image(1, 2, 3, 3)),
    ("spectral norm", "utils.parametrizations.spectral_norm(Linear(3, 4))", image(2, 3)),
    ("classic spectral norm", "utils.spectral_norm(Linear(3, 4))", image(2, 3)),
]  # fmt: skip
