"""Data for experiments; networks are trained here once they exist."""

from .data import DATASETS, load_tensor
from .dataset import Dataset
from .idx import read_idx
from .source import load_data

__all__ = ["DATASETS", "Dataset", "load_data", "load_tensor", "read_idx"]
