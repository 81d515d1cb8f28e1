"""Equations of transport and diffusion on a mesh that moves, in scikit-fem: arbitrary Lagrangian-Eulerian (ALE) steps.

`convective`, `conservative` and `BDF2` make the matrices of a step of a `MovingMesh`; `schemes` has the equations.
"""

from .schemes import BDF2, conservative, convective
from .solving import Matrices

__all__ = ["BDF2", "Matrices", "conservative", "convective"]
