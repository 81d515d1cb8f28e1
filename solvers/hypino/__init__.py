"""HyPINO: a hypernetwork that reads a linear problem and writes networks that solve it."""

from .model import HyPINO, Settings
from .solution import Solution
from .target import Emitted

__all__ = ["Emitted", "HyPINO", "Settings", "Solution"]
