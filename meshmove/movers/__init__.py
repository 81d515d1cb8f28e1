"""Movers: given a mesh and a monitor, find better node positions."""

from .align import Align
from .checked import moved_by
from .density import Density
from .imbalance import cell_mass, imbalance
from .monge_ampere import MongeAmpere, untangled
from .objectives.alignment import Alignment
from .objectives.energy import EnergyFunctional
from .objectives.equidistribution import Functional
from .objectives.quadratic import QuadraticAlignment
from .problem import Move, Mover, Problem
from .ritz import Ritz
from .smooth import Smooth

__all__ = [
    "Align",
    "Alignment",
    "Density",
    "EnergyFunctional",
    "Functional",
    "MongeAmpere",
    "Move",
    "Mover",
    "Problem",
    "QuadraticAlignment",
    "Ritz",
    "Smooth",
    "cell_mass",
    "imbalance",
    "moved_by",
    "untangled",
]
