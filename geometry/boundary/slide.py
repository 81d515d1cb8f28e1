"""Gliding along the original boundary: which way each node may go, and the way back onto the boundary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from ..mesh import CellMesh
from ..quality import simplex_volumes
from .curves import FLAT, Chains, CurveProjector, trace
from .facets import Facets
from .surfaces import SurfaceProjector, split_surface

__all__ = ["Slide"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


class Slide:
    """The admissible positions of the nodes of a mesh.

    Interior nodes are free. Nodes on exterior facets, on interfaces between regions and on named facets glide
    along their original line, arc, plane or surface; corners, branching points and points where a boundary's name
    changes stay. Periodic images move together.

    Parameters
    ----------
    mesh
        The original mesh: positions are admissible with respect to it.
    facets
        `facets_of(mesh)`.
    boundary
        "slide", "fixed", or a mapping from boundary name to either (names left out slide).
    fixed
        Ids or mask of vertices that must not move.
    """

    def __init__(
        self,
        mesh: CellMesh,
        facets: Facets,
        boundary: str | Mapping[str, str] = "slide",
        fixed: Iterable[int] | NDArray | None = None,
    ) -> None:
        n, d = mesh.n_points, mesh.dim
        self.origin = mesh.points
        self.fixed = np.zeros(n, bool)
        if fixed is not None:
            self.fixed[np.asarray(fixed)] = True
        for ids in _fixed_facets(facets, boundary):
            nodes = facets.nodes[ids]
            self.fixed[nodes[nodes >= 0]] = True
        self._held = np.flatnonzero(self.fixed)
        self.home = self.origin  #: where fixed nodes stay

        self._projector = np.zeros((n, d, d))  # of nodes on straight lines and planes
        self._flat = np.zeros(n, bool)
        self._lines: tuple[Any, ...] | None = None  # nodes on straight lines: ids, directions, reach to both ends
        self._curve_node = np.zeros(0, np.int64)
        self._surface_node = np.zeros(0, np.int64)
        #: edges (e, 2) on curved lines and surfaces: stretched far, they would cut off what they span
        self.curved_edges = np.zeros((0, 2), np.int64)
        self._chords = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        nodes = facets.nodes[facets.constrained]
        label = facets.label[facets.constrained]
        self._size = _frame(mesh)
        if d == 2:
            self._add_curves(trace(mesh.points, nodes[:, :2], label, self._size))
        elif len(nodes):
            surface = split_surface(mesh.points, nodes, label)
            curves = trace(mesh.points, surface.edges, surface.edge_label)
            self._add_surfaces(surface, np.bincount(surface.edges.ravel(), minlength=n) > 0)
            self._add_curves(curves)
        self._tie(mesh.periodic)

    # -- building ---------------------------------------------------------------------------------------------------

    def _add_curves(self, chains: Chains) -> None:
        p = self.origin
        self.fixed |= chains.corner
        gliding = np.flatnonzero(chains.neighbours[:, 0] >= 0)
        of_node = np.full(len(p), -1, dtype=np.int64)
        of_node[chains.edges] = chains.chain[:, None]
        curved = np.zeros(chains.chain.max(initial=-1) + 1, bool)
        order = np.argsort(chains.chain, kind="stable")
        stops = np.searchsorted(chains.chain[order], np.arange(len(curved) + 1))
        lines: list[tuple[Any, ...]] = []
        for k in range(len(curved)):
            x = p[np.unique(chains.edges[order[stops[k] : stops[k + 1]]])]
            along = x[np.argmax(((x - x[0]) ** 2).sum(1))] - x[0]
            along = _axis(along)
            off = x - x[0] - np.outer((x - x[0]) @ along, along)
            curved[k] = np.abs(off).max() > FLAT * np.ptp(x, axis=0).max()
            if not curved[k]:
                members = gliding[of_node[gliding] == k]
                self._projector[members] = np.outer(along, along)
                self._flat[members] = True
                # a re-entrant corner does not stop a node that has slid past it by inverting a cell
                reach = (x @ along).min() - p[members] @ along, (x @ along).max() - p[members] @ along
                lines.append((members, np.broadcast_to(along, (len(members), p.shape[1])), *reach))
        self._lines = tuple(np.concatenate(column) for column in zip(*lines, strict=True)) if lines else None
        self._curve_node = gliding[curved[of_node[gliding]] & ~self.fixed[gliding]]
        self._curve_group = of_node[self._curve_node]
        if len(self._curve_node):
            self._curves = CurveProjector(p, chains, curved[chains.chain])
            if p.shape[1] == 2:
                self._chords = chains.edges[curved[chains.chain]], chains.chain[curved[chains.chain]]
            self.curved_edges = np.concatenate([self.curved_edges, chains.edges[curved[chains.chain]]])

    def _add_surfaces(self, surface, on_edge: NDArray[np.bool_]) -> None:
        p = self.origin
        of_node = np.full(len(p), -1, dtype=np.int64)
        of_node[surface.triangles] = surface.patch[:, None]
        inside = (of_node >= 0) & ~on_edge
        curved = np.zeros(surface.patch.max(initial=-1) + 1, bool)
        order = np.argsort(surface.patch, kind="stable")
        stops = np.searchsorted(surface.patch[order], np.arange(len(curved) + 1))
        member_order = np.argsort(of_node, kind="stable")
        members_at = np.searchsorted(of_node[member_order], np.arange(len(curved) + 1))
        for k in range(len(curved)):
            triangles = surface.triangles[order[stops[k] : stops[k + 1]]]
            x = p[np.unique(triangles)]
            centred = x - x.mean(0)
            normal = _axis(np.linalg.svd(centred.T @ centred)[0][:, 2])
            curved[k] = np.abs(centred @ normal).max() > FLAT * np.ptp(x, axis=0).max()
            if not curved[k]:
                members = member_order[members_at[k] : members_at[k + 1]]
                members = members[inside[members]]
                self._projector[members] = np.eye(3) - np.outer(normal, normal)
                self._flat[members] = True
        self._surface_node = np.flatnonzero(inside & ~self.fixed & curved[of_node])
        self._surface_group = of_node[self._surface_node]
        if len(self._surface_node):
            self._surfaces = SurfaceProjector(p, surface, curved[surface.patch])
            sides = surface.triangles[curved[surface.patch]][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
            self.curved_edges = np.concatenate([self.curved_edges, np.unique(np.sort(sides, axis=1), axis=0)])

    def _tie(self, periodic: Ids | None) -> None:
        """Periodic images become slaves of one master that obeys the constraints of all of them."""
        n = len(self.origin)
        self._master = np.arange(n)
        if periodic is not None and len(periodic):
            a, b = np.asarray(periodic, dtype=np.int64).T
            group = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1]
            first = np.full(group.max() + 1, n)
            np.minimum.at(first, group, np.arange(n))
            self._master = first[group]
            curved = np.zeros(n, bool)
            curved[self._curve_node] = curved[self._surface_node] = True
            slaves = np.flatnonzero(self._master != np.arange(n))
            for s in slaves:
                m = self._master[s]
                self.fixed[m] |= self.fixed[s] | curved[s] | curved[m]
                if self._flat[s]:
                    old = self._projector[m] if self._flat[m] else np.eye(self.origin.shape[1])
                    self._projector[m] = _common(old, self._projector[s])
                    self._flat[m] = True
            self.fixed[slaves] = self.fixed[self._master[slaves]]
            self._projector[slaves] = self._projector[self._master[slaves]]
            self._flat[slaves] = self._flat[self._master[slaves]]
            keep = ~self.fixed
            if len(self._curve_node):
                self._curve_group = self._curve_group[keep[self._curve_node]]
            self._curve_node = self._curve_node[keep[self._curve_node]]
            if len(self._surface_node):
                self._surface_group = self._surface_group[keep[self._surface_node]]
            self._surface_node = self._surface_node[keep[self._surface_node]]
        self._slaves = np.flatnonzero(self._master != np.arange(n))
        self._flat &= ~self.fixed
        self._flat_node = np.flatnonzero(self._flat)
        self._flat_projector = self._projector[self._flat_node]
        del self._projector
        self._retracted: Array | None = None
        self.refresh(self.origin)

    # -- using ------------------------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        """Whether any node may move at all."""
        return not bool(self.fixed.all())

    @property
    def locked(self) -> NDArray[np.bool_]:
        """Components (n, dim) that cannot change: of fixed nodes, and those normal to axis-parallel boundaries."""
        locked = np.repeat(self.fixed[:, None], self.origin.shape[1], axis=1)
        locked[self._flat_node] |= np.abs(self._flat_projector).max(axis=2) == 0
        locked[self._slaves] = True  # they follow their master
        return locked

    @property
    def tied(self) -> tuple[Ids, Ids]:
        """Periodic slaves, and the master of each."""
        return self._slaves, self._master[self._slaves]

    def hold(self, points: Array) -> None:
        """Keep the nodes that the caller fixed where `points` (n, dim) have them, instead of at their origin."""
        self.home = self.origin.copy()
        self.home[self._held] = points[self._held]

    def refresh(self, points: Array) -> None:
        """Take the tangents of curved boundaries at `points`."""
        if points is not self._retracted:
            self.retract(points)
        self._curve_tangent, self._surface_normal = self._found

    def tangent(self, vectors: Array) -> Array:
        """Admissible part of displacements or forces (n, dim) at the points last refreshed."""
        out = vectors.copy()
        out[self.fixed] = 0
        f = self._flat_node
        out[f] = np.einsum("nij,nj->ni", self._flat_projector, out[f])
        if len(self._curve_node):
            t, v = self._curve_tangent, out[self._curve_node]
            out[self._curve_node] = t * (t * v).sum(1, keepdims=True)
        if len(self._surface_node):
            s, v = self._surface_normal, out[self._surface_node]
            out[self._surface_node] = v - s * (s * v).sum(1, keepdims=True)
        return out

    def gather(self, forces: Array) -> Array:
        """Admissible forces (n, dim); those on periodic slaves act on their masters."""
        if len(self._slaves):
            forces = forces.copy()
            np.add.at(forces, self._master[self._slaves], forces[self._slaves])
            forces[self._slaves] = 0
        return self.tangent(forces)

    def spread(self, steps: Array) -> Array:
        """Admissible steps (n, dim); periodic slaves copy their masters."""
        out = self.tangent(steps)
        if len(self._slaves):
            out[self._slaves] = out[self._master[self._slaves]]
        return out

    def basis(self) -> csr_matrix:
        """Orthonormal admissible directions at the points last refreshed: (n dim, k), a column each.

        A column moves a periodic node together with its images.
        """
        n, d = self.origin.shape
        free = ~self.fixed
        for ids in (self._flat_node, self._curve_node, self._surface_node, self._slaves):
            free[ids] = False
        node = np.flatnonzero(free)
        parts = [(np.repeat(node, d), np.tile(np.eye(d), (len(node), 1)))]
        own = self._master[self._flat_node] == self._flat_node
        values, vectors = np.linalg.eigh(self._flat_projector[own])
        which, column = np.nonzero(values > 0.5)
        parts.append((self._flat_node[own][which], vectors[which, :, column]))
        if len(self._curve_node):
            parts.append((self._curve_node, self._curve_tangent))
        if len(self._surface_node):
            s = self._surface_normal
            across = np.eye(3)[np.abs(s).argmin(1)]
            first = np.cross(s, across)
            first /= np.linalg.norm(first, axis=1, keepdims=True)
            parts += [(self._surface_node, first), (self._surface_node, np.cross(s, first))]
        nodes = np.concatenate([p[0] for p in parts])
        directions = np.concatenate([p[1] for p in parts])
        rows = (nodes[:, None] * d + np.arange(d)).ravel()
        columns = np.repeat(np.arange(len(nodes)), d)
        basis = csr_matrix((directions.ravel(), (rows, columns)), shape=(n * d, len(nodes)))
        basis.eliminate_zeros()
        if len(self._slaves):
            copy = np.arange(n * d).reshape(n, d)
            copy[self._slaves] = copy[self._master[self._slaves]]
            basis = basis[copy.ravel()]
        return basis

    def sag(self, points: Array) -> float:
        """Largest distance of the middle of an edge from the curve that its ends (n, 2) glide on, in two dimensions.

        In parts of the mesh's size; 0 for straight boundaries. The moved boundary is made of such chords.
        """
        edges, chain = self._chords
        if not len(edges) or not len(self._curve_node):
            return 0.0
        middle = points[edges].mean(axis=1)
        off = (self._curves.project(middle, chain)[0] - middle) @ self._size
        return float(np.sqrt((off**2).sum(axis=1)).max())

    def retract(self, points: Array) -> Array:
        """Admissible positions (n, dim) closest to `points`."""
        out, f = points.copy(), self._flat_node
        shift = np.einsum("nij,nj->ni", self._flat_projector, points[f] - self.origin[f])
        out[f] = self.origin[f] + shift
        if self._lines is not None:
            node, along, low, high = self._lines
            t = np.clip(((points[node] - self.origin[node]) * along).sum(1), low, high)
            out[node] = self.origin[node] + t[:, None] * along
        out[self.fixed] = self.home[self.fixed]
        tangent: Any = None
        normal: Any = None
        if len(self._curve_node):
            c = self._curve_node
            out[c], tangent = self._curves.project(points[c], self._curve_group)
        if len(self._surface_node):
            s = self._surface_node
            out[s], normal = self._surfaces.project(points[s], self._surface_group)
        if len(self._slaves):
            m = self._master[self._slaves]
            out[self._slaves] = self.origin[self._slaves] + (out[m] - self.origin[m])
        # the way back comes with the tangents there, which the caller may want next
        self._retracted, self._found = out, (tangent, normal)
        return out


def _frame(mesh: CellMesh) -> Array:
    """Linear map (dim, dim) to coordinates in which the domain has the moments of inertia of the unit cube.

    However a mesh is stretched, it is about one in size there, in all directions.
    """
    simplices, owner = mesh.corners
    volume = np.abs(simplex_volumes(mesh.points, simplices))
    centre = mesh.points[simplices].mean(axis=1)
    mean = volume @ centre / volume.sum()
    offset = mesh.points[simplices] - mean
    d = mesh.dim
    # second moments of a simplex: its vertices and its centre, weighted
    moments = np.einsum("s,sva,svb->ab", volume, offset, offset) / ((d + 1) * (d + 2))
    moments += np.einsum("s,sa,sb->ab", volume, centre - mean, centre - mean) * (d + 1) / (d + 2)
    values, vectors = np.linalg.eigh(moments / volume.sum())
    return vectors / np.sqrt(12 * np.maximum(values, 1e-300))


def _axis(direction: Array) -> Array:
    """Unit vector; components that are rounding errors become exact zeros, so that an axis stays an axis."""
    unit = direction / np.linalg.norm(direction)
    unit[np.abs(unit) < 1e-9] = 0
    return unit / np.linalg.norm(unit)


def _common(a: Array, b: Array) -> Array:
    """Projector onto the directions that two projectors share."""
    values, vectors = np.linalg.eigh(a @ b @ a)
    shared = vectors[:, values > 1 - 1e-9]
    return shared @ shared.T


def _fixed_facets(facets: Facets, boundary: str | Mapping[str, str]) -> list[Ids]:
    modes = ("slide", "fixed")
    if isinstance(boundary, str):
        if boundary not in modes:
            raise ValueError(f"Expected boundary 'slide', 'fixed' or a dict of them by name (got {boundary!r})")
        return [np.flatnonzero(facets.exterior)] if boundary == "fixed" else []
    if not isinstance(boundary, Mapping):
        raise ValueError(f"Expected boundary 'slide', 'fixed' or a dict of them by name (got {boundary!r})")
    out = []
    for name, mode in boundary.items():
        if not isinstance(name, str) or name not in facets.names:
            known = ", ".join(map(repr, facets.names)) or "none"
            raise ValueError(f"Expected the name of a boundary of the mesh (got {name!r}; it has: {known})")
        if not isinstance(mode, str) or mode not in modes:
            raise ValueError(f"Expected 'slide' or 'fixed' for boundary {name!r} (got {mode!r})")
        if mode == "fixed":
            out.append(facets.names[name])
    return out
