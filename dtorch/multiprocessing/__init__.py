"""Processes that share tensors."""
