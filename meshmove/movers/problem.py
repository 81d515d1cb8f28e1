"""What every mover is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh, PointLocator, Validity
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import cell_volumes
from meshmove.geometry.sliding import Facets, Slide

from .density import Density, Means
from .imbalance import balance, cell_mass, size
from .laplacian import Inverses, inverse
from .lift import Lift
from .objectives.alignment import Alignment
from .objectives.equidistribution import Functional
from .objectives.volumes import VOLUME

__all__ = ["Move", "Mover", "Problem", "aligns"]


#: an edge or facet may stray from what it stands for by this share of the mesh's size, or this many times as far as at
#: the start: on a circle, edges 1.5 times as long stray 2.25 times as far
SAG, SAG_GROWTH = 0.015, 2.5
#: halvings of the way back to a boundary that keeps its shape
HALVINGS = 7


@dataclass(frozen=True, eq=False)
class Problem:
    """A mesh to move: where from, with what freedom, and towards which monitor.

    `mesh`: the reference (computational) mesh. `density`: the monitor as a positive function of space.
    `start`: positions (n, dim) to begin with, admissible and without inverted cells.
    `discrete`: the density comes from nodal values, so that sampling it at vertices suffices.
    `predict`: predicted error at node positions; where it is known, it judges meshes instead of the imbalance.
    `workspace`: where movers keep what depends on the mesh and its constraints alone, such as factorisations.
    `objective`: the predicted error as a functional of node positions that can be descended, where there is one.
    `across`: the processes that share the mesh, of which `mesh` has the cells of this one with their nodes; `inverses`:
    what inverts a Laplacian that is the sum of theirs.
    """

    mesh: CellMesh
    facets: Facets
    slide: Slide
    density: Density
    start: Array
    effort: float = 1.0
    discrete: bool = False
    predict: Callable[[Array], float] | None = None
    workspace: dict[Any, Any] = field(default_factory=dict)
    objective: Alignment | None = None
    across: Communicator = SERIAL
    inverses: Inverses = inverse

    def kept(self, name: Any, make: Callable[[], Any]) -> Any:
        """What `workspace` has under a name, made where it has it not."""
        if name not in self.workspace:
            self.workspace[name] = make()
        return self.workspace[name]

    @property
    def component(self) -> NDArray[np.int64]:
        return self.kept("component", lambda: self.facets.components(self.mesh.n_cells))

    @property
    def n_points(self) -> int:
        """Number of vertices of the whole mesh."""
        return self.kept("n_points", lambda: int(self.across.sum(np.array(len(self.across.own(self.mesh.points))))))

    @property
    def moves(self) -> bool:
        """Whether any node may move at all."""
        return self.kept("moves", lambda: not self.across.every(not self.slide.moves))

    @property
    def lift(self) -> Lift:
        return self.kept("lift", lambda: Lift(self.mesh, self.slide, 1.0, self.across, self.inverses))

    def same(self, points: Array, others: Array) -> bool:
        """Whether all nodes are where they are in `others`."""
        return self.across.every(np.array_equal(points, others))

    @property
    def validity(self) -> Validity:
        return self.kept("validity", lambda: Validity(self.mesh))

    @property
    def locator(self) -> PointLocator:
        """Of the mesh at rest, in simplices."""
        return self.kept("locator", lambda: PointLocator(self.mesh.simplicial()))

    @property
    def rule(self) -> str:
        """Where the monitor is sampled: see `Functional`."""
        return "vertices" if self.discrete else "interior"

    def functional(self, distortion: float, density: Density | None = None, rule: str | None = None) -> Functional:
        """E of this mesh and its monitor, or another."""
        density, rule, slide = self.density if density is None else density, rule or self.rule, self.slide

        def made() -> Functional:
            component, edges, shells = self.component, slide.curved_edges, slide.shells
            return Functional(self.mesh, density, distortion, rule, component, edges, shells, self.across)

        return self.kept(("functional", distortion, rule), made).of(density)

    def valid(self, points: Array) -> bool:
        """Whether no cell has lost its sign anywhere (mid-side nodes of second-order cells follow later)."""
        return self.across.every(self.validity.keeps(points))

    def admissible(self, points: Array) -> bool:
        """Whether the mesh is valid, and its boundary still has the shape that it stands for."""
        return self.valid(points) and self.keeps_shape(points)

    def keeps_shape(self, points: Array) -> bool:
        """Whether the boundary's edges and facets cut off little, and it encloses what it did."""
        change = np.abs(self.slide.shells.change(points))
        if (change > VOLUME).any() and (change > self._most_change()).any():
            return False
        return self._sag(points) <= max(SAG, SAG_GROWTH * self.rest_sag)

    def drawn_back(self, points: Array) -> tuple[Array, float]:
        """Admissible positions on the way from the start to `points`, and how far along they are."""
        low, high, best = 0.0, 1.0, self.start
        for _ in range(HALVINGS):
            share = (low + high) / 2
            there = self.slide.retract(self.start + share * (points - self.start))
            if self.admissible(there):
                low, best = share, there
            else:
                high = share
        return best, low

    def _most_change(self) -> Array:
        """By how much of its volume each shell may be off: no more than at the start, where that was moved before."""
        return np.maximum(VOLUME, np.abs(self.slide.shells.change(self.start)) * (1 + 1e-9))

    @property
    def rest_sag(self) -> float:
        """How far the mesh's own boundary edges stray from its curves."""
        return self.kept("rest sag", lambda: self._sag(self.mesh.points))

    def _sag(self, points: Array) -> float:
        return float(self.across.maximum(np.array(self.slide.sag(points))))

    def imbalance(self, points: Array) -> float:
        """Relative spread of monitor mass over cells, at node positions (n, dim); see `imbalance`."""
        return size(self.balance(points), self.volume, self.across)

    def balance(self, points: Array) -> Array:
        """By what share (n_cells,) each cell has more of the monitor than is due to it; see `imbalance`."""
        return self.across.settled(lambda: balance(self.mass(points), self.volume, self.component, self.across))

    def mass(self, points: Array) -> Array:
        """Monitor mass (n_cells,) of the cells; exactly where they are those that a discrete monitor is linear on."""
        simplices = self.across.serial and all(b.kind.is_simplex for b in self.mesh.blocks)
        means = self.density.means(self.mesh, points) if simplices and isinstance(self.density, Means) else None
        if means is not None:
            return means * cell_volumes(self.mesh, points) * np.sign(cell_volumes(self.mesh))
        inside = getattr(self.density, "inside", None)
        return cell_mass(self.mesh, points, self.density.value, inside=inside)

    @property
    def volume(self) -> Array:
        """|K0| of every cell, (n_cells,)."""
        return self.kept("volume", lambda: np.abs(cell_volumes(self.mesh)))

    def merit(self, points: Array) -> float:
        """What a move is to make small: the predicted error, or else the imbalance."""
        return self.imbalance(points) if self.predict is None else self.predict(points)


@dataclass(frozen=True, eq=False)
class Move:
    """Positions (n, dim) that a mover found: admissible, and without inverted cells.

    `step_cut`: of a mover that proposes, the share of a step that its guard let through at worst; `polish`: steps of
    classical descent after it; `judged`: the mover has itself compared these positions with the start, by
    `Problem.merit`, or what comes after it will; `met`: False where a mover could not go to its aim at once.
    """

    points: Array
    iterations: int
    warnings: tuple[str, ...] = field(default=())
    step_cut: float | None = None
    polish: int | None = None
    judged: bool = False
    met: bool = True


class Mover(Protocol):
    """Anything with a name that moves the nodes of a `Problem`.

    It may write to `Problem.start`, which is a copy, and to `Problem.workspace`. What it returns is checked
    (`moved_by`). A `Move` of another shape or type, or with positions that are not finite, is a `MoverError`. Nodes off
    their boundary are brought back, cells that are inverted send the nodes back towards the start, and a mesh that is
    worse than the start by `Problem.merit` is not taken; the report's warnings say so.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, problem: Problem) -> Move: ...


def aligns(mover: Mover, mesh: CellMesh) -> bool:
    """Whether a mover, other than `Align`, lowers the predicted error on such a mesh by itself, and says so."""
    says = getattr(mover, "aligns", None)
    return callable(says) and bool(says(mesh))
