"""What the neural mover is trained on: procedural meshes and monitors, made on the fly and never from a solver."""

from .meshes import FAMILIES, random_mesh
from .monitors import MonitorBatch
from .nodal import NodalMonitors

__all__ = ["FAMILIES", "MonitorBatch", "NodalMonitors", "random_mesh"]
