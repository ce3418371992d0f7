"""Transports of the collectives: one module for each way to move bytes between ranks."""
