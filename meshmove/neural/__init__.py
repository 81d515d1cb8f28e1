"""The neural mover: network, data-free loss, training, weights."""

from .batch import MeshBatch
from .dmm import DMM, Settings, Trace
from .mover import Neural
from .weights import WeightsError

__all__ = ["DMM", "MeshBatch", "Neural", "Settings", "Trace", "WeightsError"]
