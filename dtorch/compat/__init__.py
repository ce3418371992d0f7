"""Programs written for PyTorch, run on dtorch unedited.

``python -m dtorch.compat script.py`` runs a program in which ``import torch`` and ``import
torchvision`` give dtorch: its own modules, so ``torch.nn is dtorch.nn``, in every process that the
program starts, too. ``dtorch-launch --compat`` does the same for workers. In an interpreter that
runs already, `install` does it from there on.

Version checks of programs and libraries pass: ``torch.__version__`` names the release of PyTorch
whose API dtorch follows, and dtorch's own version behind a plus sign. ``dtorch.__version__`` stays
what it is.

>>> import dtorch, dtorch.compat
>>> dtorch.compat.install()
>>> import torch.nn.functional as F
>>> F is dtorch.nn.functional
True
>>> dtorch.compat.uninstall()
"""

from dtorch.compat.importing import install, is_installed, uninstall
from dtorch.compat.names import TORCH_VERSION, TORCHVISION_VERSION

__all__ = ["TORCHVISION_VERSION", "TORCH_VERSION", "install", "is_installed", "uninstall"]
