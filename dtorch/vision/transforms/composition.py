"""Transforms of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.generator import default_generator
from dtorch.vision.transforms.random import chance, integer, permutation
from dtorch.vision.transforms.transform import Transform, check_probability

Function = Callable[[Any], Any]


class Compose(Transform):
    """Several transforms, one after another.

    Example:
        >>> Compose([Lambda(lambda number: number + 1), Lambda(abs)])(-3)
        2
    """

    def __init__(self, transforms: Sequence[Function]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        lines = "".join(f"    {transform!r}\n" for transform in self.transforms)
        return f"{type(self).__name__}(\n{lines})"


class Lambda(Transform):
    """A function as transform."""

    def __init__(self, lambd: Function) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: got {type(lambd).__name__}, expected something callable")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)


class RandomApply(Transform):
    """All of the transforms with probability ``p``, else none."""

    def __init__(self, transforms: Sequence[Function], p: float = 0.5) -> None:
        self.transforms = transforms
        self.p = check_probability("RandomApply", p)

    def __call__(self, img: Any) -> Any:
        if chance(self.p):
            for transform in self.transforms:
                img = transform(img)
        return img


class RandomChoice(Transform):
    """One of the transforms.

    Args:
        p: weight of each. Default: all alike.
    """

    def __init__(self, transforms: Sequence[Function], p: Sequence[float] | None = None) -> None:
        if p is not None and len(p) != len(transforms):
            raise ArgumentError(
                f"RandomChoice: {len(p)} weights for {len(transforms)} transforms, expected as many"
            )
        self.transforms = transforms
        self.p = p

    def __call__(self, img: Any) -> Any:
        if self.p is None:
            return self.transforms[integer(len(self.transforms))](img)
        total = sum(self.p)
        weights = [weight / total for weight in self.p]
        return self.transforms[int(default_generator.numpy.choice(len(weights), p=weights))](img)


class RandomOrder(Transform):
    """All transforms, in random order."""

    def __init__(self, transforms: Sequence[Function]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for number in permutation(len(self.transforms)):
            img = self.transforms[number](img)
        return img
