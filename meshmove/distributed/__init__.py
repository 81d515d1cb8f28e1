"""Meshes in many pieces, one on each process: one mover of them all, whatever passes the messages."""

from .adapt import DistributedAdaptation, adapt_distributed
from .laplacian import Condensed, Schwarz
from .mesh import DistributedMesh
from .moving import DistributedMotion, DistributedStep
from .ranks import Alone, Ranks, RanksError, or_end, together

__all__ = [
    "Alone",
    "Condensed",
    "DistributedAdaptation",
    "DistributedMesh",
    "DistributedMotion",
    "DistributedStep",
    "Ranks",
    "RanksError",
    "Schwarz",
    "adapt_distributed",
    "or_end",
    "together",
]
