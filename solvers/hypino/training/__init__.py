"""Training of the hypernetwork on problems made on the fly."""

from .config import CONFIGS, Config
from .fit import Progress, fit

__all__ = ["CONFIGS", "Config", "Progress", "fit"]
