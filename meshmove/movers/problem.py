"""What every mover is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.boundary import Facets, Slide
from meshmove.geometry.quality import corner_volumes

from .functional import Density

__all__ = ["Move", "Mover", "Problem"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A mesh to move: where from, with what freedom, and towards which monitor.

    `mesh`: the reference (computational) mesh. `density`: the monitor as a positive function of space.
    `start`: positions (n, dim) to begin with, admissible and without inverted cells.
    `discrete`: the density comes from nodal values, so that sampling it at vertices suffices.
    """

    mesh: CellMesh
    facets: Facets
    slide: Slide
    density: Density
    start: Array
    effort: float = 1.0
    discrete: bool = False

    @cached_property
    def component(self) -> NDArray[np.int64]:
        return self.facets.components(self.mesh.n_cells)

    @cached_property
    def signs(self) -> Array:
        return np.sign(corner_volumes(self.mesh))

    def valid(self, points: Array) -> bool:
        """Whether no corner has lost its sign."""
        return bool((self.signs * corner_volumes(self.mesh, points) > 0).all())

    def imbalance(self, points: Array) -> float:
        """Relative spread of monitor mass over cells, at node positions (n, dim); see `imbalance`."""
        from .imbalance import imbalance

        return imbalance(self.mesh, points, self.density.value, self.component)


@dataclass(frozen=True, eq=False)
class Move:
    """Positions (n, dim) that a mover found: admissible, and without inverted cells."""

    points: Array
    iterations: int
    warnings: tuple[str, ...] = field(default=())


class Mover(Protocol):
    """Anything with a name that moves the nodes of a `Problem`."""

    name: str

    def __call__(self, problem: Problem) -> Move: ...
