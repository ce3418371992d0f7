"""Classic path of the layers: ``dtorch.nn.modules.Linear`` is ``dtorch.nn.Linear``."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("dtorch.nn"), name)
