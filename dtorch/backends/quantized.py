"""Arithmetic of quantised tensors, which dtorch does not have."""

engine = "none"
supported_engines = ["none"]
