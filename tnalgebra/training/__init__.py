"""Data for experiments; networks are trained here once they exist."""

from .data import DATASETS, load_tensor

__all__ = ["DATASETS", "load_tensor"]
