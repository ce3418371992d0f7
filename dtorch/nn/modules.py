"""Classic path of the layers: ``dtorch.nn.modules.Linear`` is ``dtorch.nn.Linear``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dtorch.nn import *


if not TYPE_CHECKING:  # checkers know the names above, and that there are no others

    def __getattr__(name: str) -> Any:
        from dtorch import nn  # noqa: PLC0415 - which is being imported when this module is

        return getattr(nn, name)
