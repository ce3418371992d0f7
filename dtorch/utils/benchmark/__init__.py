"""How long statements take: many runs, the median and how far they spread.

>>> from dtorch.utils.benchmark import Timer
>>> timer = Timer("x + 1", setup="import dtorch; x = dtorch.ones(3)", label="add")
>>> measured = timer.timeit(10)
>>> measured.number_per_run, measured.median > 0
(10, True)
"""

from dtorch.utils.benchmark.compare import Compare
from dtorch.utils.benchmark.timer import Language, Measurement, TaskSpec, Timer

__all__ = ["Compare", "Language", "Measurement", "TaskSpec", "Timer"]
