"""What the neural mover is trained on: procedural meshes and monitors, made on the fly and never from a solver."""

from .meshes.families import FAMILIES, random_mesh
from .monitors.batch import MonitorBatch
from .monitors.nodal import NodalMonitors

__all__ = ["FAMILIES", "MonitorBatch", "NodalMonitors", "random_mesh"]
