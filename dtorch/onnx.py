"""Export to ONNX, which is not there yet: the names are, so that programs that may export run.

>>> from dtorch import onnx
>>> onnx.is_in_onnx_export()
False
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NoReturn

__all__ = [
    "OnnxExporterError", "OperatorExportTypes", "TrainingMode", "dynamo_export", "export",
    "is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic",
]  # fmt: skip


class OnnxExporterError(RuntimeError):
    """Something cannot be exported."""


class TrainingMode(Enum):
    """In which mode a model is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(Enum):
    """What becomes of operations that ONNX does not have."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


class _NotThereYet(OnnxExporterError, NotImplementedError):
    """Nothing can be exported yet."""


def export(model: Any, args: Any = (), f: Any = None, **options: Any) -> NoReturn:
    """Not there yet.

    Raises:
        OnnxExporterError, NotImplementedError: always; it says what to do instead.
    """
    raise _NotThereYet(
        "onnx.export: dtorch does not write ONNX files yet; save model.state_dict() with dtorch.save "
        "and export where PyTorch is installed, whose modules load it"
    )


dynamo_export = export


def is_in_onnx_export() -> bool:
    """Whether a model is being exported: no."""
    return False


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Any, opset_version: int) -> None:
    """Say how an operation is exported; nothing is, so this has no effect."""


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Forget how an operation is exported."""
