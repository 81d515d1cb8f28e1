"""Nodes of all pieces follow a field: what `motion.following` does, with derivatives and monitors across processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from meshmove.geometry import Sides
from meshmove.geometry.arrays import Array
from meshmove.monitors import Averaging, smoother
from meshmove.motion.following.course import Place
from meshmove.motion.following.follower import Follower
from meshmove.movers import Mover

from ..background import Background, PatchDensity, PatchHessians
from ..mesh import DistributedMesh
from ..moves import of_space
from ..overlap import overlap_of
from ..ranks import Ranks
from ..unit import SharedMesh

__all__ = ["SharedFollower"]


class SharedFollower(Follower):
    """Moves the nodes of a mesh in pieces after a field; see `Follower`.

    Derivatives are taken on layers of cells around what a process owns. Second derivatives at an interface between
    regions are the mean of those of its sides, as for `adapt_distributed`. Cells that are no simplices are not aligned.

    Parameters
    ----------
    unit
        The piece with its constraints, in unit coordinates.
    mesh, ranks
        The piece, and who has the others.
    """

    def __init__(
        self,
        unit: SharedMesh,
        mesh: DistributedMesh,
        ranks: Ranks,
        monitor: Any,
        mover: Mover | None = None,
        align: bool = True,
        effort: float = 1.0,
        tau: float | None = None,
    ) -> None:
        self._shared, self._piece, self._ranks = unit, mesh, ranks
        align = align and all(b.kind.is_simplex for b in unit.base.blocks)
        super().__init__(unit, monitor, mover, align, effort, tau)  # type: ignore[arg-type]

    def _prepare(self) -> None:
        self.overlap = overlap_of(self._piece, self._ranks, self._shared.layout, self._shared.base.points)
        self._sides = Sides.of(self.overlap.mesh)
        self._smooth = smoother(self.overlap.mesh)
        self._rest = self._background(self._shared.base.points)
        self._function: Any = None

    def _derivatives(self, points: Array) -> Averaging:
        return Averaging(self._sides.moved(self.overlap.spread(points)), self.overlap.layout)

    def _around(self, values: Array) -> Array:
        return self.overlap.spread(values)

    def _own(self, values: Array) -> Array:
        return self._shared.layout.update(self.overlap.taken(values))

    def _of_space(self) -> Any:
        if self._function is None:
            self._function = of_space(self.monitor, self._shared, self._ranks)
        return self._function

    def _led(
        self, indicator: Array, hessians: Array | None, derivatives: Averaging, points: Array, place: Place | None
    ) -> Place:
        base = self._shared.base
        now, rest = self._background(points), self._rest
        seen = now.interpolated(self._own(indicator), base.points)
        m = self.monitor.values(self.overlap.mesh, self._around(seen), self._smooth, derivatives.across)
        density, bent = PatchDensity(self._own(m), rest), None
        if hessians is not None:
            means = derivatives.sides.averaging
            nodal = [self._own(means @ h.reshape(-1, h.shape[-1]).T) for h in hessians]
            there = now.interpolated(np.hstack(nodal), base.points)
            parts = there.T.reshape(len(nodal), base.dim, base.dim, -1)
            bent = PatchHessians(parts, rest, base)
        return self._gone(density, bent, points, place)

    def _background(self, points: Array) -> Background:
        """The cells of all processes with vertices at `points` (n, dim) of those of this one."""
        now = replace(self._shared.base, points=points)
        return Background(self._ranks, self._shared.layout, self._piece.owners, now)
