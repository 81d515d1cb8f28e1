"""Meshes in many pieces, one on each process: one mover of them all, whatever passes the messages."""

from .adapt import DistributedAdaptation, adapt_distributed
from .laplacian import Schwarz
from .mesh import DistributedMesh
from .ranks import Alone, Ranks, RanksError, together

__all__ = [
    "Alone",
    "DistributedAdaptation",
    "DistributedMesh",
    "Ranks",
    "RanksError",
    "Schwarz",
    "adapt_distributed",
    "together",
]
