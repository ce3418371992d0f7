"""Names that are loaded when they are first asked for."""

import subprocess
import sys

import pytest

import dtorch
from dtorch.on_demand import on_demand

LOOK = """
import sys, dtorch
late = ("dtorch.serialization.loading", "dtorch.optim.lr_scheduler", "dtorch.autograd.profiler",
        "dtorch.backends.cudnn", "dtorch.multiprocessing", "dtorch.vision")
assert not [name for name in late if name in sys.modules]
dtorch.load, dtorch.optim.lr_scheduler.StepLR, dtorch.autograd.profiler.profile
assert all(name in sys.modules for name in late[:3])
"""


def test_what_few_programs_need_is_not_loaded_with_the_package():
    subprocess.run([sys.executable, "-c", LOOK], check=True, timeout=300)


def test_a_name_is_a_module_or_is_in_one():
    load = on_demand("dtorch.optim", {"lr_scheduler": "lr_scheduler", "StepLR": "lr_scheduler"})
    assert load("lr_scheduler") is dtorch.optim.lr_scheduler
    assert load("StepLR") is dtorch.optim.lr_scheduler.StepLR
    with pytest.raises(AttributeError, match=r"'dtorch\.optim' has no attribute 'StepRL'"):
        load("StepRL")
