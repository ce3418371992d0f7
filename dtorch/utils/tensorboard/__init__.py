"""Logs for TensorBoard, through tensorboardX (extra ``tensorboard``)."""

from dtorch.utils.tensorboard.writer import SummaryWriter

__all__ = ["SummaryWriter"]
