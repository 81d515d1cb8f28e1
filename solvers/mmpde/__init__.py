"""MM-PDE: a neural time stepper on moving meshes."""

from .correcting.base import BaseError
from .network import Settings
from .observation import Observation
from .rollout import Frame, Trajectory
from .stepper import MMPDE
from .training.config import CONFIGS, Config
from .training.fit import fit

__all__ = ["CONFIGS", "MMPDE", "BaseError", "Config", "Frame", "Observation", "Settings", "Trajectory", "fit"]
