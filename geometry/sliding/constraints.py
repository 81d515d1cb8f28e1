"""Which way each node of a mesh may go: fixed, along a line or a plane, on a curve or a surface, with its images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.facets import Facets
from meshmove.geometry.given import as_numbers, integers
from meshmove.geometry.mesh import CellMesh

from .chains import Chains, trace
from .curves import curves_of
from .frames import common, inertia_frame
from .middles import known_bulges
from .modes import fixed_facets
from .shape import Shape
from .shells import Shells
from .smooth import smooth_patches
from .straight import flat_patches, straight_chains
from .surfaces import Surface, split_surface

__all__ = ["Constraints"]


class Constraints:
    """What `Slide` holds nodes to, found once for a mesh; the parameters are those of `Slide`.

    `frame`: `inertia_frame` of the whole domain, where `mesh` has only the cells at its boundary.

    Attributes
    ----------
    origin : Array
        (n, dim), where nodes are in the mesh.
    fixed : NDArray
        Mask (n,) of nodes that stay.
    held : NDArray
        Ids of those that the caller fixed.
    flat, projector
        Ids (k,) of nodes on straight lines and planes, and the projector (k, dim, dim) on those.
    lines
        Of nodes on straight lines ids, directions, and reach to both ends; or None.
    curve_node, curve_group, curves
        Ids of nodes on curves, the chain of each, and the curves.
    surface_node, surface_group, surfaces
        The same on curved surfaces.
    curved_edges : NDArray
        (e, 2) on curved lines and surfaces: stretched far, they would cut off what they span.
    slaves, masters
        Ids of periodic images, and the one that each follows.
    shape, shells
        What boundary edges and facets stand for, and what volumes they enclose.
    """

    def __init__(
        self,
        mesh: CellMesh,
        facets: Facets,
        boundary: str | Mapping[str, str] = "slide",
        fixed: Iterable[int] | NDArray | None = None,
        frame: Array | None = None,
    ) -> None:
        n, d = mesh.n_points, mesh.dim
        self.origin = mesh.points
        self.fixed = np.zeros(n, bool)
        if fixed is not None:
            ids = np.atleast_1d(as_numbers(fixed, "nodes that stay", "ids or a mask"))
            self.fixed[ids if ids.dtype == bool else integers(ids, "nodes that stay")] = True
        for ids in fixed_facets(facets, boundary):
            nodes = facets.nodes[ids]
            self.fixed[nodes[nodes >= 0]] = True
        self.held = np.flatnonzero(self.fixed)

        self._projector = np.zeros((n, d, d))  # of nodes on straight lines and planes
        self._flat = np.zeros(n, bool)
        self.lines: tuple[Any, ...] | None = None  # nodes on straight lines: ids, directions, reach to both ends
        self.curve_node = np.zeros(0, np.int64)
        self.surface_node = np.zeros(0, np.int64)
        #: edges (e, 2) on curved lines and surfaces: stretched far, they would cut off what they span
        self.curved_edges = np.zeros((0, 2), np.int64)
        nodes = facets.nodes[facets.constrained]
        label = facets.label[facets.constrained]
        self.shape = Shape(n, inertia_frame(mesh) if frame is None else frame)
        if d == 2:
            chains = trace(mesh.points, nodes[:, :2], label, self.shape.frame)
            self.curves = curves_of(mesh.points, chains, known_bulges(mesh, chains.edges))
            self._add_curves(chains)
        elif len(nodes):
            surface = split_surface(mesh.points, nodes, label)
            chains = trace(mesh.points, surface.edges, surface.edge_label)
            self.curves = curves_of(mesh.points, chains, known_bulges(mesh, chains.edges))
            self._add_surfaces(mesh, surface, np.bincount(surface.edges.ravel(), minlength=n) > 0)
            self._add_curves(chains)
        self._tie(mesh.periodic)
        curved = np.zeros(n, bool)
        curved[self.curve_node] = curved[self.surface_node] = True
        self.shells = Shells(mesh, facets, curved)

    def piece(self, where: Ids, points: Array, mine: Callable[[Ids], NDArray[np.bool_]], shells: Shells) -> Constraints:
        """The constraints of some nodes of the mesh, among others that are free.

        Parameters
        ----------
        where
            Which node (n,) of the mesh each one is, -1 for those that it has not.
        points
            Their positions (n, dim).
        mine
            Of edges and triangles (k, v) of the mesh, whether the piece counts them: all of their nodes are in it.
        shells
            Those of the piece.
        """
        out = copy(self)
        rows = np.flatnonzero(where >= 0)
        number = np.full(len(self.origin), -1, np.int64)
        number[where[rows]] = rows
        out.origin, out.fixed = points, np.zeros(len(points), bool)
        out.fixed[rows] = self.fixed[where[rows]]
        out.held = number[self.held[number[self.held] >= 0]]
        out.flat, out.projector = _of_nodes(number, self.flat, self.projector)
        out.curve_node, out.surface_node = (_of_nodes(number, k)[0] for k in (self.curve_node, self.surface_node))
        if self.lines is not None:
            out.lines = _of_nodes(number, *self.lines)
        if len(self.curve_node):
            out.curve_node, out.curve_group = _of_nodes(number, self.curve_node, self.curve_group)
        if len(self.surface_node):
            out.surface_node, out.surface_group = _of_nodes(number, self.surface_node, self.surface_group)
        out.curved_edges = number[self.curved_edges[mine(self.curved_edges)]]
        out.shape, out.shells = self.shape.piece(number, len(points), mine), shells
        return out

    def _add_curves(self, chains: Chains) -> None:
        p = self.origin
        self.fixed |= chains.corner
        gliding = np.flatnonzero(chains.neighbours[:, 0] >= 0)
        of_node = np.full(len(p), -1, dtype=np.int64)
        of_node[chains.edges] = chains.chain[:, None]
        lines = straight_chains(p, chains)
        curved = lines.curved
        node = gliding[~curved[of_node[gliding]]]
        if len(node):
            k = of_node[node]
            along, at = lines.along[k], (p[node] * lines.along[k]).sum(1)
            self._projector[node] = along[:, :, None] * along[:, None, :]
            self._flat[node] = True
            # a re-entrant corner does not stop a node that has slid past it by inverting a cell
            self.lines = node, along, lines.low[k] - at, lines.high[k] - at
        self.curve_node = gliding[curved[of_node[gliding]] & ~self.fixed[gliding]]
        self.curve_group = of_node[self.curve_node]
        if len(self.curve_node):
            self.shape.add_curves(self.curves, curved[chains.chain])
            self.curved_edges = np.concatenate([self.curved_edges, chains.edges[curved[chains.chain]]])

    def _add_surfaces(self, mesh: CellMesh, surface: Surface, on_edge: NDArray[np.bool_]) -> None:
        p = self.origin
        of_node = np.full(len(p), -1, dtype=np.int64)
        of_node[surface.triangles] = surface.patch[:, None]
        inside = (of_node >= 0) & ~on_edge
        curved, normal = flat_patches(p, surface)
        node = np.flatnonzero(inside & ~curved[of_node])
        n = normal[of_node[node]]
        self._projector[node] = np.eye(3) - n[:, :, None] * n[:, None, :]
        self._flat[node] = True
        self.surface_node = np.flatnonzero(inside & ~self.fixed & curved[of_node])
        self.surface_group = of_node[self.surface_node]
        if len(self.surface_node):
            self.surfaces = smooth_patches(mesh, surface, self.curves, curved[surface.patch])
            self.shape.add_surfaces(self.surfaces, surface, curved[surface.patch])
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
            curved[self.curve_node] = curved[self.surface_node] = True
            slaves = np.flatnonzero(self._master != np.arange(n))
            for s in slaves:
                m = self._master[s]
                self.fixed[m] |= self.fixed[s] | curved[s] | curved[m]
                if self._flat[s]:
                    old = self._projector[m] if self._flat[m] else np.eye(self.origin.shape[1])
                    self._projector[m] = common(old, self._projector[s])
                    self._flat[m] = True
            self.fixed[slaves] = self.fixed[self._master[slaves]]
            self._projector[slaves] = self._projector[self._master[slaves]]
            self._flat[slaves] = self._flat[self._master[slaves]]
            keep = ~self.fixed
            if len(self.curve_node):
                self.curve_group = self.curve_group[keep[self.curve_node]]
            self.curve_node = self.curve_node[keep[self.curve_node]]
            if len(self.surface_node):
                self.surface_group = self.surface_group[keep[self.surface_node]]
            self.surface_node = self.surface_node[keep[self.surface_node]]
        self.slaves = np.flatnonzero(self._master != np.arange(n))
        self.masters = self._master[self.slaves]
        self.flat = np.flatnonzero(self._flat & ~self.fixed)
        self.projector = self._projector[self.flat]
        del self._projector, self._flat, self._master


def _of_nodes(number: Ids, nodes: Ids, *rest: Any) -> tuple[Any, ...]:
    """Nodes (k,) by their numbers in a piece without those that are not in it (-1), and such rows of others."""
    keep = number[nodes] >= 0
    return (number[nodes[keep]], *(r[keep] for r in rest))
