"""The neural mover: networks for monitors and for fields, data-free losses, training, weights."""

from meshmove.learning.weights import WeightsError

from .aligning.fields import FieldBatch
from .aligning.network import Aligner
from .batch import MeshBatch
from .dmm import DMM, Settings, Trace
from .mover import Neural

__all__ = ["DMM", "Aligner", "FieldBatch", "MeshBatch", "Neural", "Settings", "Trace", "WeightsError"]
