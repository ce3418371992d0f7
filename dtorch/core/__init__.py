"""Tensors, the autograd graph and operations. Imports no other package of dtorch."""
