"""What is moved: the mesh in unit coordinates with its constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry import (
    CellMesh,
    InvalidMeshError,
    PointLocator,
    Sides,
    Slide,
    TangledMeshError,
    facets_of,
    inverted_cells,
)
from meshmove.geometry.arrays import Array
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.geometry.errors import first_ids
from meshmove.geometry.facets import without_interfaces
from meshmove.geometry.quality import vertex_volumes
from meshmove.meshes.source import Source, fixed_vertices, same_topology
from meshmove.monitors import NodalDensity, Recovery
from meshmove.monitors.monitor import smoother
from meshmove.movers import Alignment, Problem
from meshmove.movers.objectives.volumes import VOLUME
from meshmove.outcomes import Outcome

__all__ = ["UnitMesh", "lost_shape"]


#: nodes further from the reference's boundary than this, relative to its size, belong to another domain
OFF = 0.01


class UnitMesh:
    """The mesh in unit coordinates, with its constraints, ready to be moved."""

    def __init__(
        self, source: Source, fixed: Any, boundary: Any, reference: Any, unit: tuple[Array, float] | None = None
    ) -> None:
        """`unit`: centre and scale of the coordinates, where they are to be those of another mesh."""
        cells = source.cells
        if source.regions is None:  # an interface that `boundary` names is one all the same
            cells = without_interfaces(cells, boundary if isinstance(boundary, Mapping) else ())
        base = cells
        if reference is not None:
            base = Source.of(reference, None).cells
            check_cells(base)
            same_topology(cells, base)
            # what tells regions apart, and the names of boundaries, are the mesh's: a reference may have lost them
            named = cells.facets or base.facets
            base = replace(base, regions=cells.regions, region_names=cells.region_names, facets=named)
        low, high = base.points.min(axis=0), base.points.max(axis=0)
        self.centre: Array = (low + high) / 2 if unit is None else unit[0]
        self.scale = _length(base) if unit is None else unit[1]
        self.place = None if cells.frame is None else cells.in_space
        self.source = source
        pinned = fixed_vertices(source, fixed)
        self.current = self.unit(cells)
        self.base = self.unit(base) if reference is not None else self.current
        self.facets = facets_of(self.base)
        check_facets(self.base, self.facets, pinned)
        self.slide = Slide(self.base, self.facets, boundary, pinned)
        self.workspace: dict[Any, Any] = {}
        self._here: dict[str, Any] = {}
        self.start = self.current.points
        if reference is not None:
            self._begin()

    def again(self, source: Source) -> UnitMesh:
        """The same for `source`, the mesh with other positions: what depends on the reference alone is shared."""
        same_topology(source.cells, self.source.cells)
        other = copy(self)
        other.source, other._here = source, {}
        other.place = None if source.cells.frame is None else source.cells.in_space
        other.current = replace(self.unit(source.cells), facets=self.current.facets)
        other._begin()
        return other

    def is_of(self, source: Source) -> bool:
        """Whether this is the very same mesh, which has not changed since."""
        known, given = self.source, _arrays(source.cells)
        if source.mesh is not known.mesh or source.regions != known.regions:
            return False
        own = _arrays(known.cells)
        return own.keys() == given.keys() and all(np.array_equal(own[k], given[k]) for k in own)

    @property
    def recovery(self) -> Recovery:
        """Of the mesh where it is now."""
        return self._kept("recovery", lambda: Recovery(self.current, Sides.of(self.current, self.facets)))

    @property
    def locator(self) -> PointLocator:
        """Of the mesh where it is now, in simplices."""
        if self.current is not self.base:
            return self._kept("locator", lambda: PointLocator(self.current.simplicial()))
        if "locator" not in self.workspace:  # movers have it from there
            self.workspace["locator"] = PointLocator(self.base.simplicial())
        return self.workspace["locator"]

    @property
    def smoother(self) -> csr_matrix:
        """What evens out monitors on the mesh where it is now."""
        return self._kept("smoother", lambda: smoother(self.current))

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What depends on where the mesh is now, made once."""
        if name not in self._here:
            self._here[name] = make()
        return self._here[name]

    def _begin(self) -> None:
        """Start where the mesh is, or as close to it as the boundary of the reference allows."""
        bad = inverted_cells(self.base, self.current.points)
        if len(bad):
            raise TangledMeshError(
                f"Expected a mesh that keeps the orientation of its reference (cells {first_ids(bad)} do not)"
            )
        self.slide.hold(self.current.points)
        back = self.slide.retract(self.current.points)
        self._same_boundary(back)
        self.start = back if not len(inverted_cells(self.base, back)) else self.base.points

    def _same_boundary(self, back: Array) -> None:
        off = np.sqrt(((back - self.current.points) ** 2).sum(axis=1))
        bad = np.flatnonzero(off > OFF)
        if len(bad):
            raise InvalidMeshError(
                f"Expected a mesh on the boundary of its reference ({len(bad)} nodes are up to "
                f"{off.max() * self.scale:.3g} off it: vertices {first_ids(bad)}). Pass the mesh from which this one "
                "was moved, scaled and shifted as this one is."
            )

    def unit(self, cells: CellMesh) -> CellMesh:
        nodes = None if cells.nodes is None else (cells.nodes - self.centre) / self.scale
        return replace(cells, points=(cells.points - self.centre) / self.scale, nodes=nodes)

    def lost_shape(self, moved: CellMesh) -> tuple[str, ...]:
        """A complaint where a boundary of the moved mesh encloses another volume than that of the reference."""
        return lost_shape(self.slide, self.unit(moved).points)

    def problem(
        self,
        density: Any,
        start: Array,
        effort: float,
        predict: Callable[[Array], float] | None = None,
        objective: Alignment | None = None,
    ) -> Problem:
        discrete, slide = isinstance(density, NodalDensity), self.slide
        return Problem(
            self.base, self.facets, slide, density, start, effort, discrete, predict, self.workspace, objective
        )


def lost_shape(slide: Slide, points: Array) -> tuple[str, ...]:
    """A complaint where a boundary of nodes at `points` (n, dim) encloses another volume than at rest."""
    change = slide.shells.change(points)
    bad = np.flatnonzero(np.abs(change) > VOLUME * (1 + 1e-6))
    if not len(bad):
        return ()
    worst = change[bad[np.abs(change[bad]).argmax()]]
    what, way = ("area", "volume")[points.shape[1] - 2], "more" if worst > 0 else "less"
    text = (
        f"a curved boundary encloses {100 * abs(worst):.2g} % {way} {what} than before, where {100 * VOLUME:.2g} % "
        'is what movers keep to: hold it with boundary="fixed", or refine it'
    )
    return (Outcome.SHAPE_LOST.told(text),)


def _arrays(cells: CellMesh) -> dict[Any, Any]:
    """All that a move depends on."""
    out: dict[Any, Any] = {("cells", k, b.kind.name): b.nodes for k, b in enumerate(cells.blocks)}
    out |= {("facet", name): nodes for name, nodes in cells.facets.items()}
    return out | {k: getattr(cells, k) for k in ("points", "nodes", "regions", "region_names", "periodic")}


def _length(mesh: CellMesh) -> float:
    """Length of the box whose points spread about its centre as those of the mesh do, whatever the frame.

    The mesh's own bounding box would be up to sqrt(dim) times larger when the mesh is turned. Digits beyond the twelfth
    are rounding errors: without them a unit square has unit length.
    """
    weight = vertex_volumes(mesh)
    offset = mesh.points - weight @ mesh.points / weight.sum()
    moments = (weight * offset.T) @ offset / weight.sum()
    return float(f"{np.sqrt(12 * np.linalg.eigvalsh(moments)[-1]):.12g}")
