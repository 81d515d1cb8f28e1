"""How movers descend: limited-memory BFGS, its Gauss-Newton preconditioner, and the relaxation that goes before."""

from .lbfgs import Minimum, Pair, minimise

__all__ = ["Minimum", "Pair", "minimise"]
