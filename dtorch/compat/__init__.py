"""Programs written for PyTorch, run on dtorch unedited.

``python -m dtorch.compat script.py`` runs a program in which ``import torch`` and ``import
torchvision`` give dtorch: its own modules, so ``torch.nn is dtorch.nn``, in every process that the
program starts, too. ``dtorch-launch --compat`` does the same for workers. In an interpreter that
runs already, `install` does it from there on.

Version checks of programs and libraries pass: ``torch.__version__`` names the release of PyTorch
whose API dtorch follows, and dtorch's own version behind a plus sign. ``dtorch.__version__`` stays
what it is.

Programs of 2017 do what today's semantics forbid, such as ``loss.data[0]``: `set_classic` allows
it, as ``--classic`` on the command lines and ``DTORCH_CLASSIC=1`` in the environment do.

>>> import dtorch, dtorch.compat
>>> dtorch.compat.install()
>>> import torch.nn.functional as F
>>> F is dtorch.nn.functional
True
>>> dtorch.compat.uninstall()
"""

from dtorch.compat.importing import install, is_installed, uninstall
from dtorch.compat.names import TORCH_VERSION, TORCHVISION_VERSION
from dtorch.core.classic import ClassicWarning, is_on as is_classic, switch as set_classic

__all__ = [
    "TORCHVISION_VERSION", "TORCH_VERSION", "ClassicWarning", "install", "is_classic",
    "is_installed", "set_classic", "uninstall",
]  # fmt: skip
