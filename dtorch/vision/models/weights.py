"""Published weights: where they are, and how they get into a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo import load_url
from dtorch.nn.init import without_drawing
from dtorch.nn.module import Module
from dtorch.serialization.loading import load
from dtorch.vision.models.presets import ModelWeights

Model = TypeVar("Model", bound=Module)

PUBLISHED = "https://download.pytorch.org/models/"
_SCHEMES = ("http://", "https://", "file://")
_DEFAULT_NAMES = ("DEFAULT", "IMAGENET1K_V1")


def published(**files: str) -> dict[str, str]:
    """The table ``model_urls`` of a family: name of the model to address of its weights."""
    return {name: PUBLISHED + file for name, file in files.items()}


def wants_weights(pretrained: Any, weights: Any) -> bool:
    """Whether the two ways of asking for weights ask for any."""
    return bool(pretrained) or weights is not None


def find_weights(
    name: str, urls: Mapping[str, str], pretrained: Any, weights: Any, progress: bool
) -> Mapping[str, Any]:
    """The state dict that ``pretrained=`` or ``weights=`` of a model function names.

    Args:
        name: the model.
        urls: the family's published weights.
        pretrained: True for the published weights; anything else that is true is taken as
            ``weights``.
        weights: "DEFAULT" or "IMAGENET1K_V1", a member of the model's enumeration of weights, the
            address or the path of a file, or a state dict.
        progress: show the progress of a download.
    Raises:
        ArgumentError: no weights are published, or there is no such file.
        DownloadError: the file cannot be had.
    """
    wanted = weights
    if wanted is None:
        wanted = "DEFAULT" if pretrained is True else pretrained
    if isinstance(wanted, Mapping):
        return wanted
    if isinstance(wanted, ModelWeights):
        return _downloaded(wanted.url, progress)
    if isinstance(wanted, str) and wanted.rpartition(".")[2] in _DEFAULT_NAMES:
        if name not in urls:
            raise ArgumentError(
                f"{name}: no weights are published for this model; pass weights= the path of a "
                "file, or leave pretrained and weights out"
            )
        return _downloaded(urls[name], progress)
    if isinstance(wanted, str) and wanted.startswith(_SCHEMES):
        return _downloaded(wanted, progress)
    if isinstance(wanted, (str, os.PathLike)) and os.path.exists(wanted):
        return load(wanted)  # type: ignore[no-any-return]
    raise ArgumentError(
        f"{name}: weights is {wanted!r}, expected {' or '.join(map(repr, _DEFAULT_NAMES))}, an "
        "address, the path of a file, or a state dict"
    )


def _downloaded(url: str, progress: bool) -> Mapping[str, Any]:
    return load_url(url, progress=progress)  # type: ignore[no-any-return]


def build(
    name: str, urls: Mapping[str, str], make: Callable[..., Model], pretrained: Any, progress: bool,
    weights: Any, options: dict[str, Any],
) -> Model:  # fmt: skip
    """Make a model by ``make(**options)`` and, if asked for, load its weights."""
    if not wants_weights(pretrained, weights):
        return make(**options)
    state = find_weights(name, urls, pretrained, weights, progress)
    with without_drawing():
        model = make(**options)
    model.load_state_dict(state)
    return model
