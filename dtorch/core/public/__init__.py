"""The functions of operations by the module that offers them, as the operation's block says.

Each module of this package has the functions of one ``home`` and is there to be imported with a
star; the stub beside it (``make stubs``) names them for type checkers.
"""

from typing import Any

from dtorch.core import functions
from dtorch.core.op import public_ops
from dtorch.core.other_names import ALSO_GENERAL, FROM_METHODS, OTHER_NAMES, changing

HOMES = ("general", "nn", "linalg", "fft", "special")


def names_of(home: str) -> dict[str, str]:
    """The operations of a home, by their names there: ``det`` in ``linalg`` is ``linalg_det``."""
    own = [name for name, op in public_ops().items() if op.home == home]
    names = {name.removeprefix(f"{home}_"): name for name in own}
    if home == "general":
        inplace = changing()
        names |= {
            f"{name}_": f"{own}_" for name, own in OTHER_NAMES.items() if f"{own}_" in inplace
        }
        names |= OTHER_NAMES | {name: name for name in (*ALSO_GENERAL, *FROM_METHODS, *inplace)}
    return dict(sorted(names.items()))


def offered(home: str) -> dict[str, Any]:
    """The functions of a home, by their names there."""
    return {name: getattr(functions, own) for name, own in names_of(home).items()}
