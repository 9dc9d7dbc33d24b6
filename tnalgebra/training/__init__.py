"""Training of score networks: losses, optimizers, checkpoints; and data sets in their published formats."""

from .checkpoint import Checkpoint
from .data import DATASETS, load_tensor
from .dataset import Dataset
from .fit import fit
from .history import Epoch, History
from .idx import read_idx
from .optimizer import SGD, Adam, Optimizer, OptimizerState
from .riemannian import fit_riemannian
from .schedule import CosineDecay, ExponentialDecay, Warmup
from .source import load_data
from .trainer import FitResult

__all__ = [
    "DATASETS",
    "SGD",
    "Adam",
    "Checkpoint",
    "CosineDecay",
    "Dataset",
    "Epoch",
    "ExponentialDecay",
    "FitResult",
    "History",
    "Optimizer",
    "OptimizerState",
    "Warmup",
    "fit",
    "fit_riemannian",
    "load_data",
    "load_tensor",
    "read_idx",
]
