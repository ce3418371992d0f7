"""tensorboardX's writer of event files, which takes tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from dtorch.core.tensor import Tensor

try:
    import tensorboardX
except ModuleNotFoundError as error:
    raise ImportError(
        "dtorch.utils.tensorboard needs the package tensorboardX, which is not installed: "
        "pip install 'dtorch[tensorboard]'",
        name="tensorboardX",
    ) from error


def _plain(value: Any) -> Any:
    """Arrays in place of tensors, also in lists and dicts."""
    if isinstance(value, Tensor):
        array = value.detach().cpu().array
        return array.astype("float32") if array.dtype.kind == "V" else array
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
    return value


def _taking_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of tensorboardX's; what the reference API can be told beyond it has no effect here."""
    known = inspect.signature(method).parameters

    @wraps(method)
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        for name in ("new_style", "double_precision"):  # how numbers are stored: as float32
            if name not in known:
                kwargs.pop(name, None)
        return method(self, *map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    return write


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]  # it has no types
    """Writes what a program measures to an event file, for TensorBoard.

    Args:
        log_dir: the folder. Default: ``runs/<time>_<machine><comment>``.
        comment, purge_step, max_queue, flush_secs, filename_suffix: as in tensorboardX.

    Example:
        >>> import dtorch, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with SummaryWriter(folder) as writer:
        ...         writer.add_scalar("loss", dtorch.tensor(0.5), global_step=1)
        ...     len(list(pathlib.Path(folder).iterdir()))
        1
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        folder = None if log_dir is None else str(log_dir)
        super().__init__(folder, comment, purge_step, max_queue, flush_secs, filename_suffix)

    @property
    def log_dir(self) -> str:
        """The folder."""
        return str(self.logdir)

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: Any = None, run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:  # fmt: skip
        """Settings of a run, and what came of them."""
        metrics = {name: float(value) for name, value in metric_dict.items()}
        super().add_hparams(_plain(hparam_dict), metrics, run_name, global_step)

    def add_tensor(
        self, tag: str, tensor: Tensor, global_step: int | None = None,
        walltime: float | None = None,
    ) -> NoReturn:  # fmt: skip
        """Not there: tensorboardX writes no tensors as such.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "add_tensor: tensorboardX does not write tensors; use add_histogram or add_scalar, or "
            "dtorch.save"
        )

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> NoReturn:  # fmt: skip
        """Not there: programs are not traced, so there is no graph of a model.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "add_graph: dtorch does not trace programs, so there is no graph to write; add_text can "
            "hold repr(model)"
        )


for _name, _method in inspect.getmembers(tensorboardX.SummaryWriter, inspect.isfunction):
    if _name.startswith("add_") and _name not in vars(SummaryWriter):
        setattr(SummaryWriter, _name, _taking_tensors(_method))
