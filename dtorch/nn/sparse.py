"""Tables of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

from dtorch.core.creation import empty
from dtorch.core.errors import SettingError
from dtorch.core.functions import embedding, embedding_bag
from dtorch.core.ops.embedding import check_padding
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import expect_ints
from dtorch.core.tensor import Tensor
from dtorch.nn.init import normal_
from dtorch.nn.module import Module

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(Module):
    """A table of vectors that stand for numbers, as words.

    Args:
        num_embeddings, embedding_dim: rows and columns of the table.
        padding_idx: a row that starts at zero and gets no gradient.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `dtorch.nn.functional.embedding`.

    Shape: input ``(*)`` of int64, output ``(*, embedding_dim)``.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, normal with mean 0 and variance 1.

    Raises:
        RuntimeError: a given weight of another shape.
        IndexError: a number that is no row.

    Example:
        >>> import dtorch
        >>> table = Embedding.from_pretrained(dtorch.tensor([[0.0, 1.0], [2.0, 3.0]]))
        >>> table(dtorch.tensor([1, 1, 0])).tolist()
        [[2.0, 3.0], [2.0, 3.0], [0.0, 1.0]]
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        expect_ints("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = check_padding("Embedding", padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if _weight is None:
            self.weight = Parameter(empty(shape, device=device, dtype=dtype), not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != shape:
                raise SettingError(
                    f"Embedding: the weight has shape {tuple(_weight.shape)}, expected {shape}"
                )
            self.weight = Parameter(_weight, not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """A table of given vectors, which by default is not trained."""
        if embeddings.ndim != 2:
            raise SettingError(
                f"from_pretrained: embeddings have shape {tuple(embeddings.shape)}, expected 2 "
                "dimensions"
            )
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            _weight=embeddings, _freeze=freeze,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        if self.sparse:
            text += ", sparse=True"
        return text


class EmbeddingBag(Module):
    """Sums, means or maxima of the rows that each bag of numbers asks for.

    Args:
        num_embeddings, embedding_dim: rows and columns of the table.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        include_last_offset: the last offset is the length of the input.
        padding_idx: a row that counts nothing.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in
            `dtorch.nn.functional.embedding_bag`.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, normal with mean 0 and variance 1.

    Shape: input ``(N, L)``, a bag in each row; or ``(M,)`` with the offsets ``(N,)`` at which bags
    begin. Output ``(N, embedding_dim)``.

    Example:
        >>> import dtorch
        >>> rows = dtorch.tensor([[0.0, 1.0], [2.0, 3.0]])
        >>> table = EmbeddingBag.from_pretrained(rows, mode="sum")
        >>> table(dtorch.tensor([1, 1, 0]), dtorch.tensor([0, 2])).tolist()
        [[4.0, 6.0], [0.0, 1.0]]
    """

    include_last_offset = False  # in files of before 1.6
    padding_idx: int | None = None  # in files of before 1.10

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, _weight: Tensor | None = None, include_last_offset: bool = False,
        padding_idx: int | None = None, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        expect_ints("EmbeddingBag", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = check_padding("EmbeddingBag", padding_idx, num_embeddings)
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        shape = (num_embeddings, embedding_dim)
        if _weight is None:
            self.weight = Parameter(empty(shape, device=device, dtype=dtype))
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != shape:
                raise SettingError(
                    f"EmbeddingBag: the weight has shape {tuple(_weight.shape)}, expected {shape}"
                )
            self.weight = Parameter(_weight)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Any:
        return embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, include_last_offset: bool = False, padding_idx: int | None = None,
    ) -> EmbeddingBag:  # fmt: skip
        """A table of given vectors, which by default is not trained."""
        if embeddings.ndim != 2:
            raise SettingError(
                f"from_pretrained: embeddings have shape {tuple(embeddings.shape)}, expected 2 "
                "dimensions"
            )
        rows, columns = embeddings.shape
        made = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        made.weight.requires_grad_(not freeze)
        return made

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        text += f", mode={self.mode!r}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        return text
