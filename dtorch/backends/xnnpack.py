"""XNNPACK, which dtorch does not use."""

enabled = False
