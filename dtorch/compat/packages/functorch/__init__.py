"""``import functorch`` in a process that was told by its path to use dtorch; see `dtorch.compat`."""

import dtorch.compat.importing

dtorch.compat.importing.stand_in(__name__)
