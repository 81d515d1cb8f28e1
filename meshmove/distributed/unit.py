"""A mesh in pieces in unit coordinates, with its constraints, ready to be moved: see `adaptation.unit_mesh`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.settle import on_facets
from meshmove.communicator import box_of
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.checks import check_cells
from meshmove.geometry.quality import simplex_volumes
from meshmove.movers import Alignment, Problem
from meshmove.movers.laplacian import Inverses

from .background import PatchDensity
from .boundary.facets import facets_across
from .boundary.skin import skin_of, slide_of
from .layout import Layout
from .mesh import DistributedMesh
from .ranks import Ranks, together

__all__ = ["SharedMesh"]


class SharedMesh:
    """The piece of this process in the unit coordinates (x - centre) / scale of the whole.

    `base`: its cells; `slide`: how its nodes may glide.
    """

    def __init__(
        self,
        mesh: DistributedMesh,
        ranks: Ranks,
        layout: Layout,
        inverses: Inverses,
        boundary: Any,
        fixed: NDArray[np.bool_],
    ) -> None:
        self.layout, self.inverses = layout, inverses
        with together(ranks):
            if len(mesh.cells):
                check_cells(mesh.local() if mesh.second is None else mesh.second.cells)
        volume, first, second = _moments(mesh, np.zeros(mesh.dim), layout)
        low, high = box_of(mesh.points, layout)
        self.centre = (low + high) / 2
        mean = first / volume
        volume, first, second = _moments(mesh, mean, layout)
        spread = second / volume - np.outer(first, first) / volume**2
        self.scale = float(f"{np.sqrt(12 * np.linalg.eigvalsh(spread)[-1]):.6g}")
        self.base = mesh.local((mesh.points - self.centre) / self.scale)
        values, vectors = np.linalg.eigh(spread / self.scale**2)
        frame = vectors / np.sqrt(12 * np.maximum(values, 1e-300))
        self.across = facets_across(mesh, ranks)
        self._ids, self._skin = mesh.global_ids, skin_of(mesh, ranks, self.across, self.base.points, fixed, self.scale)
        self.facets = self.across.facets
        self.slide = slide_of(self._skin, mesh, ranks, layout, self.base.points, boundary, fixed, frame)
        self.workspace: dict[Any, Any] = {"component": self.across.component}
        self.start = self.base.points

    def to_unit(self, points: Array) -> Array:
        """Points (n, dim) of the mesh's own coordinates in these."""
        return (points - self.centre) / self.scale

    def to_space(self, points: Array) -> Array:
        """The other way."""
        return points * self.scale + self.centre

    def on_facets(self, ends: Ids) -> NDArray[np.bool_]:
        """Which edges (k, 2) of the piece are edges of the boundary or of interfaces, in whichever piece."""
        skin, ids = self._skin, self._ids[ends]
        if not len(skin.ids):
            return np.zeros(len(ends), bool)
        at = np.searchsorted(skin.ids, ids).clip(max=len(skin.ids) - 1)
        return (skin.ids[at] == ids).all(axis=1) & on_facets(skin.facets, at)

    def problem(
        self,
        density: Any,
        start: Array,
        effort: float,
        predict: Callable[[Array], float] | None = None,
        objective: Alignment | None = None,
    ) -> Problem:
        return Problem(
            self.base,
            self.facets,
            self.slide,
            density,
            start,
            effort,
            isinstance(density, PatchDensity),
            predict,
            self.workspace,
            objective,
            self.layout,
            self.inverses,
        )


def _moments(mesh: DistributedMesh, centre: Array, layout: Layout) -> tuple[float, Array, Array]:
    """Volume of the whole domain, and its first and second moments about a point."""
    local = mesh.local()
    simplices = local.simplicial().blocks[0].nodes
    x = mesh.points[simplices] - centre
    volume = np.abs(simplex_volumes(mesh.points, simplices))
    middle, d = x.mean(axis=1), mesh.dim
    # second moments of a simplex: its vertices and its middle, weighted
    second = np.einsum("s,sva,svb->ab", volume, x, x) / ((d + 1) * (d + 2))
    second += np.einsum("s,sa,sb->ab", volume, middle, middle) * (d + 1) / (d + 2)
    sums = layout.sum(np.concatenate([[volume.sum()], volume @ middle, second.ravel()]))
    return float(sums[0]), sums[1 : 1 + d], sums[1 + d :].reshape(d, d)
