"""Optimizers whose state is shared between processes from the start, for lock-free training.

Any optimizer can be shared with its ``share_memory()``; these do so when they are made.
"""

from __future__ import annotations

from typing import Any

from dtorch.optim.adam import Adam, AdamW
from dtorch.optim.rmsprop import RMSprop
from dtorch.optim.sgd import SGD


class SharedAdam(Adam):
    """`Adam` with one set of averages for all processes.

    Make it before the processes start, on a model in shared memory, and pass both to them.

    >>> import dtorch
    >>> model = dtorch.nn.Linear(2, 1).share_memory()
    >>> optimizer = SharedAdam(model.parameters())
    >>> optimizer.state[model.weight]["exp_avg"].is_shared()
    True
    """

    def __init__(self, params: Any, *args: Any, **options: Any) -> None:
        super().__init__(params, *args, **options)
        self.share_memory()


class SharedAdamW(AdamW):
    """`AdamW` with one set of averages for all processes; see `SharedAdam`.

    >>> import dtorch
    >>> model = dtorch.nn.Linear(2, 1).share_memory()
    >>> optimizer = SharedAdamW(model.parameters())
    >>> optimizer.state[model.weight]["exp_avg"].is_shared()
    True
    """

    def __init__(self, params: Any, *args: Any, **options: Any) -> None:
        super().__init__(params, *args, **options)
        self.share_memory()


class SharedRMSprop(RMSprop):
    """`RMSprop` with one set of averages for all processes; see `SharedAdam`.

    >>> import dtorch
    >>> model = dtorch.nn.Linear(2, 1).share_memory()
    >>> optimizer = SharedRMSprop(model.parameters())
    >>> optimizer.state[model.weight]["square_avg"].is_shared()
    True
    """

    def __init__(self, params: Any, *args: Any, **options: Any) -> None:
        super().__init__(params, *args, **options)
        self.share_memory()


class SharedSGD(SGD):
    """`SGD` with one momentum for all processes; see `SharedAdam`.

    >>> import dtorch
    >>> model = dtorch.nn.Linear(2, 1).share_memory()
    >>> optimizer = SharedSGD(model.parameters(), momentum=0.9)
    >>> optimizer.state[model.weight]["momentum_buffer"].is_shared()
    True
    """

    def __init__(self, params: Any, *args: Any, **options: Any) -> None:
        super().__init__(params, *args, **options)
        self.share_memory()
