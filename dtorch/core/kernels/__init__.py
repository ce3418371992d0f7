"""Kernels of the CPU: compiled equals of operations and gradient formulas, one file a family.

Imported only where there is a native module. Importing this package imports all its modules, which
register them; each kernel returns None for arrays and arguments that are not for it, and the
definition runs instead.
"""

import importlib
import pkgutil

__all__ = [module.name for module in pkgutil.iter_modules(__path__)]

for _name in __all__:
    importlib.import_module(f"{__name__}.{_name}")
