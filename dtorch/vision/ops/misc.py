"""Layers with nothing to train."""

from __future__ import annotations

from dtorch.core.creation import ones, zeros
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module


class FrozenBatchNorm2d(Module):
    """Batch normalization of images by fixed statistics, scaled and shifted by fixed numbers.

    Shape: input and output ``(N, C, H, W)``.

    Attributes:
        weight, bias, running_mean, running_var: buffers ``(C,)``.

    Example:
        >>> import dtorch
        >>> layer = FrozenBatchNorm2d(1, eps=0.0)
        >>> layer.running_mean.fill_(2)
        tensor([2.])
        >>> layer(dtorch.ones(1, 1, 1, 2)).tolist()
        [[[[-1.0, -1.0]]]]
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", ones(num_features))
        self.register_buffer("bias", zeros(num_features))
        self.register_buffer("running_mean", zeros(num_features))
        self.register_buffer("running_var", ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """The input less the mean, divided by the standard deviation, scaled and shifted."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        scaled: Tensor = x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)
        return scaled

    def extra_repr(self) -> str:
        """Number of channels and ``eps``."""
        return f"{self.weight.shape[0]}, eps={self.eps}"
