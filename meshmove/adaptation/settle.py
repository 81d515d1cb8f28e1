"""From the positions that a mover found to the mesh as it is written, in which no cell has lost its sign.

Movers see straight cells in double precision. It takes curved cells, or rounding to the precision of the mesh, for a
cell to fold here. It is then mended where it is: curved edges inside regions are straightened, since straight cells
are valid; where that does not help, the nodes of the cell take less of their step, and those around them so much more
that displacements change gradually.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, Facets, Slide, Validity
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.curved import MidNodes
from meshmove.meshes.source import Source
from meshmove.outcomes import Outcome

from .unit_mesh import UnitMesh

__all__ = ["LEAST_BEND", "Placing", "Settled", "bulges_of", "on_facets", "settle"]


ROUNDS = 40
#: bulges of edges in folding cells are halved; below this share they vanish
LEAST_BEND = 0.2
#: nodes of folding cells take this share less of the step; displacements then rise no steeper along edges
SHORTER, STEEP, SWEEPS = 0.7, 0.3, 60


@dataclass(frozen=True, eq=False)
class Settled:
    """The user's mesh moved, the same as plain arrays, the displacement (n_nodes, dim), and what had to give way."""

    mesh: Any
    moved: CellMesh
    displacement: Array
    warnings: tuple[str, ...] = ()


def settle(source: Source, unit: UnitMesh, points: Array) -> Settled:
    """Write the mesh with vertices at `points` (n, dim), in unit coordinates, and check it as it was written."""
    return _Settling(source, unit, points).done()


class Placing:
    """The user's mesh with vertices here and there, again and again, as it is before anything is mended."""

    def __init__(self, source: Source, unit: UnitMesh) -> None:
        self._settling = _Settling(source, unit, unit.current.points)

    def __call__(self, points: Array) -> Any | None:
        """The mesh with vertices at `points` (n, dim), in unit coordinates; None where a curved cell folds."""
        return self._settling.placed(points)


class _Settling:
    def __init__(self, source: Source, unit: UnitMesh, points: Array) -> None:
        self.source, self.unit, self.points = source, unit, points
        self.cells = source.cells
        self.middle = MidNodes(self.cells)
        self.validity = Validity(self.cells)
        self.share = np.ones(self.cells.n_points)
        self.bend = np.ones(len(self.middle.ids))
        self.rounding = False

    def placed(self, points: Array) -> Any | None:
        self.points = points
        step, displacement = self._displaced()
        if self.middle.curved and self.cells.nodes is not None:
            if len(self.validity.lost(self.cells.points + step, self.cells.nodes + displacement)):
                return None
        return self.source.converter.write(self.source.mesh, displacement)

    def _displaced(self) -> tuple[Array, Array]:
        """What vertices move by (n, dim), and all nodes (n_nodes, dim)."""
        step = self._step()
        return step, self.middle.displacement(step, self.bend, bulges_of(self.unit, self.cells, self.middle, step))

    def done(self) -> Settled:
        for _ in range(ROUNDS):
            step, displacement = self._displaced()
            nodes = None if self.cells.nodes is None else self.cells.nodes + displacement
            lost = self.validity.lost(self.cells.points + step, nodes)
            if not len(lost):
                mesh, moved = self._written(displacement)
                lost = self.validity.lost(moved.points, moved.nodes)
                if not len(lost):
                    return Settled(mesh, moved, displacement, self._warnings())
                self.rounding = True
            straight = self.validity.lost(self.cells.points + step)
            stubborn = self._straightened(np.setdiff1d(lost, straight), step)
            self._shortened(np.union1d(stubborn, straight))
        nothing = np.zeros((self.cells.n_nodes, self.cells.dim))
        why = "the mesh stays as it is: cells would fold in every shorter step that was tried"
        return Settled(*self._written(nothing), nothing, (why,))

    def _written(self, displacement: Array) -> tuple[Any, CellMesh]:
        mesh = self.source.converter.write(self.source.mesh, displacement)
        return mesh, self.source.read(mesh)

    def _step(self) -> Array:
        """What vertices move by, (n, dim), in the mesh's own units."""
        rest, there = self.unit.current.points, self.points
        if (self.share < 1).any():
            there = self.unit.slide.retract(rest + self.share[:, None] * (there - rest))
        step = (there - rest) * self.unit.scale
        step[np.abs(step) <= 1e-15 * self.unit.scale] = 0  # nodes that stayed are bit for bit where they were
        return step

    def _straightened(self, lost: Ids, step: Array) -> Ids:
        """Straighten edges of lost cells; the cells in which there is none left to be straightened."""
        if not len(lost) or not self.middle.curved:
            return lost
        stays = ~step[self.middle.ends].any(axis=(1, 2))
        loose = (
            ~on_facets(self.unit.facets, self.middle.ends) & ~stays & (self.bend > 0) & self.middle.bulge.any(axis=1)
        )
        number = np.full(self.cells.n_nodes, -1)
        number[self.middle.ids[loose]] = np.flatnonzero(loose)
        of_cell = [(cell, number[nodes]) for cell, nodes in self._nodes_of(lost)]
        bent = np.unique(np.concatenate([m[m >= 0] for _, m in of_cell])) if of_cell else np.zeros(0, np.int64)
        self.bend[bent] = np.where(self.bend[bent] <= LEAST_BEND, 0, 0.5 * self.bend[bent])
        helped = [cell[(m >= 0).any(axis=1)] for cell, m in of_cell]
        return np.setdiff1d(lost, np.concatenate(helped)) if helped else lost

    def _nodes_of(self, cells: Ids) -> list[tuple[Ids, Ids]]:
        """Block by block: which of these cells are in it and of second order, and their nodes (m, k)."""
        out, first = [], 0
        for block in self.cells.blocks:
            here = cells[(cells >= first) & (cells < first + len(block))]
            if len(here) and block.second_nodes is not None:
                out.append((here, block.second_nodes[here - first]))
            first += len(block)
        return out

    def _shortened(self, lost: Ids) -> None:
        if not len(lost):
            return
        simplices, owner = self.cells.corners
        hit = np.unique(simplices[np.isin(owner, lost)])
        share = self.share.copy()
        share[hit] *= SHORTER
        i, j = self.unit.current.edges.T
        size = np.linalg.norm(self.points - self.unit.current.points, axis=1)
        length = np.linalg.norm(self.unit.current.points[i] - self.unit.current.points[j], axis=1)
        rise = STEEP * length / np.maximum(np.maximum(size[i], size[j]), 1e-300)
        for _ in range(SWEEPS):
            new = share.copy()
            np.minimum.at(new, j, share[i] + rise)
            np.minimum.at(new, i, share[j] + rise)
            if self.cells.periodic is not None:
                a, b = self.cells.periodic.T
                np.minimum.at(new, a, new[b])
                np.minimum.at(new, b, new[a])
            if np.array_equal(new, share):
                break
            share = new
        self.share = share

    def _warnings(self) -> tuple[str, ...]:
        out = []
        bent, short = int((self.bend < 1).sum()), int((self.share < 1).sum())
        if bent:
            out.append(f"second-order cells would have folded: {bent} of their edges inside were straightened")
        if short:
            kept, many = self.share.min(), f"{short} of {self.cells.n_points} vertices"
            why = "second-order cells would have folded"
            if self.rounding:
                precision = self.source.converter.dtype(self.source.mesh)
                why = f"cells would have folded in the precision of the mesh, {precision}"
            out.append(f"{why}: {many} went less than their whole step, {100 * kept:.2g} % of it at the least")
        return tuple(map(Outcome.STEP_SHORTENED.told, out))


class _InUnits(Protocol):
    """What slides in the unit coordinates (x - centre) / scale."""

    slide: Slide
    centre: Array
    scale: float


def bulges_of(unit: _InUnits, cells: CellMesh, middle: MidNodes, step: Array) -> Array:
    """Bulges (k, dim) of the edges of cells whose vertices have made a step (n, dim), in the mesh's own units.

    On curved boundaries they are those of the curve or surface there.
    """
    bulges = middle.bulges(cells.points + step)
    if not middle.curved:
        return bulges
    went = np.flatnonzero(step[middle.ends].any(axis=(1, 2)))
    ends = middle.ends[went]
    chord = (cells.points + step)[ends].mean(axis=1)
    there = (chord + bulges[went] - unit.centre) / unit.scale
    bulges[went] = unit.slide.middles(ends, there) * unit.scale + unit.centre - chord
    return bulges


def on_facets(facets: Facets, ends: Ids) -> NDArray[np.bool_]:
    """Which edges (k, 2) are edges of facets that nodes may only glide along: their curve is the domain's."""
    nodes = facets.nodes[facets.constrained]
    following = np.where(np.roll(nodes, -1, axis=1) >= 0, np.roll(nodes, -1, axis=1), nodes[:, :1])
    pairs = np.stack([nodes, following], axis=2).reshape(-1, 2)
    pairs = np.sort(pairs[(pairs >= 0).all(axis=1)], axis=1)
    base = max(int(ends.max(initial=0)), int(pairs.max(initial=0))) + 1
    return np.isin(np.sort(ends, axis=1) @ np.array([base, 1]), pairs @ np.array([base, 1]))
