"""Warnings of 2017 about results that had changed: they can be turned on, and nothing is said.

Operands have been broadcast, and reduced dims left out, since then.
"""


class _Switch:
    """A warning that can be turned on and off; there is none behind it."""

    enabled = False


broadcast_warning = _Switch()
keepdim_warning = _Switch()
