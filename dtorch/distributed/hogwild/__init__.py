"""Lock-free training by several processes on one shared model (Niu et al. 2011, arXiv:1106.5730).

The trainer lives here and not in `dtorch.multiprocessing`, which knows memory and processes but no
training; and not in `dtorch.nn`, as it asks of a model no more than ``share_memory()`` and
``state_dict()``.
"""

from dtorch.distributed.hogwild.trainer import Crash, Hogwild, Result
from dtorch.distributed.hogwild.worker import Worker

__all__ = ["Crash", "Hogwild", "Result", "Worker"]
