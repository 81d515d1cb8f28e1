"""HyPINO: a hypernetwork that reads a linear problem and writes networks that solve it."""

from meshmove.solvers.solution import Solution

from .emitted import Emitted
from .hypino import HyPINO
from .network import Settings

__all__ = ["Emitted", "HyPINO", "Settings", "Solution"]
