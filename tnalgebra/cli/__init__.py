"""The command line: ``tnalgebra compare``, ``path``, ``info``, ``train``, ``predict`` and ``experiment``."""

from . import learning, tensors
from .app import app, main

__all__ = ["app", "learning", "main", "tensors"]
