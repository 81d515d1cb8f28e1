"""The neural mover: network, data-free loss, training, weights."""

from meshmove.learning.weights import WeightsError

from .batch import MeshBatch
from .dmm import DMM, Settings, Trace
from .mover import Neural

__all__ = ["DMM", "MeshBatch", "Neural", "Settings", "Trace", "WeightsError"]
