"""MM-PDE: a neural time stepper on moving meshes."""

from .fit import CONFIGS, Config, fit
from .model import Settings
from .observation import Observation
from .stepper import MMPDE
from .trajectory import Frame, Trajectory

__all__ = ["CONFIGS", "MMPDE", "Config", "Frame", "Observation", "Settings", "Trajectory", "fit"]
