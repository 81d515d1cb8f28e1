"""MM-PDE: a neural time stepper on moving meshes."""

from .assimilation import Observation
from .fit import CONFIGS, Config, fit
from .model import Settings
from .stepper import MMPDE
from .trajectory import Frame, Trajectory

__all__ = ["CONFIGS", "MMPDE", "Config", "Frame", "Observation", "Settings", "Trajectory", "fit"]
