"""A training loop with plugins (classic API)."""

from dtorch.utils.trainer import plugins
from dtorch.utils.trainer.trainer import Trainer

__all__ = ["Trainer", "plugins"]
