"""Training of score networks: losses, optimizers, checkpoints; and data sets in their published formats."""

from typing import TYPE_CHECKING

from .checkpoint import Checkpoint
from .data import DATASETS, load_tensor
from .dataset import Dataset
from .fit import fit
from .history import Epoch, History
from .idx import read_idx
from .model import Model, Steps, load_model, train_model
from .optimizer import SGD, Adam, Optimizer, OptimizerState
from .patches import patches
from .riemannian import fit_riemannian
from .schedule import CosineDecay, ExponentialDecay, Warmup
from .source import load_data
from .trainer import FitResult

if TYPE_CHECKING:
    from .estimator import TensorNetworkClassifier, TensorNetworkRegressor

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
    "Model",
    "Optimizer",
    "OptimizerState",
    "Steps",
    "TensorNetworkClassifier",
    "TensorNetworkRegressor",
    "Warmup",
    "fit",
    "fit_riemannian",
    "load_data",
    "load_model",
    "load_tensor",
    "patches",
    "read_idx",
    "train_model",
]

if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str):
        """Import the estimators when they are asked for: scikit-learn is optional, and slow to import."""
        if name not in ("TensorNetworkClassifier", "TensorNetworkRegressor"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from . import estimator
        except ImportError as error:
            from .absent import absent

            return absent(name, error)
        return getattr(estimator, name)
