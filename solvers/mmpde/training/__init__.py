"""Training of the neural time stepper."""

from .config import CONFIGS, Config
from .fit import Progress, fit

__all__ = ["CONFIGS", "Config", "Progress", "fit"]
