"""Gliding along the original boundary: which way each node may go, and the way back onto the boundary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.facets import Facets
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

__all__ = ["Slide"]


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
        for ids in fixed_facets(facets, boundary):
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
        nodes = facets.nodes[facets.constrained]
        label = facets.label[facets.constrained]
        self._shape = Shape(n, inertia_frame(mesh))
        if d == 2:
            chains = trace(mesh.points, nodes[:, :2], label, self._shape.frame)
            self._curves = curves_of(mesh.points, chains, known_bulges(mesh, chains.edges))
            self._add_curves(chains)
        elif len(nodes):
            surface = split_surface(mesh.points, nodes, label)
            chains = trace(mesh.points, surface.edges, surface.edge_label)
            self._curves = curves_of(mesh.points, chains, known_bulges(mesh, chains.edges))
            self._add_surfaces(mesh, surface, np.bincount(surface.edges.ravel(), minlength=n) > 0)
            self._add_curves(chains)
        self._tie(mesh.periodic)
        curved = np.zeros(n, bool)
        curved[self._curve_node] = curved[self._surface_node] = True
        self.shells = Shells(mesh, facets, curved)

    # -- building ---------------------------------------------------------------------------------------------------

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
            self._lines = node, along, lines.low[k] - at, lines.high[k] - at
        self._curve_node = gliding[curved[of_node[gliding]] & ~self.fixed[gliding]]
        self._curve_group = of_node[self._curve_node]
        if len(self._curve_node):
            self._shape.add_curves(self._curves, curved[chains.chain])
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
        self._surface_node = np.flatnonzero(inside & ~self.fixed & curved[of_node])
        self._surface_group = of_node[self._surface_node]
        if len(self._surface_node):
            self._surfaces = smooth_patches(mesh, surface, self._curves, curved[surface.patch])
            self._shape.add_surfaces(self._surfaces, surface, curved[surface.patch])
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
                    self._projector[m] = common(old, self._projector[s])
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

    @cached_property
    def frame(self) -> Array:
        """Orthonormal directions (dim, dim), a column each, to which most of the straight boundary is normal."""
        dim = self.origin.shape[1]
        one = np.abs(np.trace(self._flat_projector, axis1=1, axis2=2) - (dim - 1)) < 1e-6
        free = self._flat_projector[one]
        normals = np.linalg.eigh(free)[1][:, :, 0]
        axes = np.zeros((dim, 0))
        while axes.shape[1] < dim and len(normals):
            _, first, count = np.unique(free.round(6), axis=0, return_index=True, return_counts=True)
            axes = np.c_[axes, normals[first[count == count.max()].min()]]  # of equals the first: no axis is preferred
            left = np.abs(normals @ axes).max(axis=1) < 1e-6
            normals, free = normals[left], free[left]
        frame = np.linalg.qr(np.c_[axes, np.eye(dim)])[0]
        return np.eye(dim) if np.abs(np.sort(np.abs(frame), axis=0)[:-1]).max() < 1e-9 else frame

    def locked(self, frame: Array | None = None) -> NDArray[np.bool_]:
        """Components (n, dim) in a frame that cannot change: of fixed nodes, and those normal to its straight sides."""
        locked = np.repeat(self.fixed[:, None], self.origin.shape[1], axis=1)
        free = self._flat_projector if frame is None else self._flat_projector @ frame
        locked[self._flat_node] |= np.abs(free).max(axis=1) < 1e-9
        locked[self._slaves] = True  # they follow their master
        return locked

    def held_back(self, frame: Array | None = None) -> Array:
        """How much of each component (n, dim) in a frame is normal to the boundary on which a node glides: 0 to 1.

        On curved boundaries the same for all components, so that nothing depends on the frame.
        """
        n, d = self.origin.shape
        out = np.zeros((n, d))
        free = self._flat_projector if frame is None else frame.T @ self._flat_projector @ frame
        out[self._flat_node] = 1 - np.einsum("nii->ni", free)
        out[self._curve_node] = (d - 1) / d
        out[self._surface_node] = 1 / d
        return out

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
        """Largest distance of the middle of an edge or a facet from the curve or the surface that it stands for.

        `points` (n, dim) are the nodes. In parts of the mesh's size; 0 for straight boundaries. The moved boundary is
        made of such chords.
        """
        return self._shape.sag(points)

    def middles(self, ends: Ids, middle: Array) -> Array:
        """Points (k, dim) amid edges `ends` (k, 2), those of curved boundary edges put on their curve or surface."""
        return self._shape.middles(ends, middle)

    def retract(self, points: Array, ends: bool = True) -> Array:
        """Admissible positions (n, dim) closest to `points`; without `ends` also beyond the ends of straight lines."""
        out, f = points.copy(), self._flat_node
        shift = np.einsum("nij,nj->ni", self._flat_projector, points[f] - self.origin[f])
        out[f] = self.origin[f] + shift
        if ends and self._lines is not None:
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
