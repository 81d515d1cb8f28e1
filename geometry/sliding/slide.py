"""Gliding along the original boundary: which way each node may go, and the way back onto the boundary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.facets import Facets
from meshmove.geometry.mesh import CellMesh

from .constraints import Constraints

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
        self._hold_to(Constraints(mesh, facets, boundary, fixed))

    @classmethod
    def under(cls, constraints: Constraints, frame: Array | None = None) -> Slide:
        """With constraints that are known; `frame`: that of the whole mesh, where they are those of a piece of it."""
        out = cls.__new__(cls)
        out._hold_to(constraints)
        if frame is not None:
            out.__dict__["frame"] = frame
        return out

    def _hold_to(self, found: Constraints) -> None:
        self._constraints = found
        self.origin, self.fixed, self.shells = found.origin, found.fixed, found.shells
        self.curved_edges = found.curved_edges
        self.home = self.origin  #: where fixed nodes stay
        self._retracted: Array | None = None
        self.refresh(self.origin)

    @property
    def moves(self) -> bool:
        """Whether any node may move at all."""
        return not bool(self.fixed.all())

    @cached_property
    def frame(self) -> Array:
        """Orthonormal directions (dim, dim), a column each, to which most of the straight boundary is normal."""
        to = self._constraints
        dim = self.origin.shape[1]
        one = np.abs(np.trace(to.projector, axis1=1, axis2=2) - (dim - 1)) < 1e-6
        free = to.projector[one]
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
        to = self._constraints
        locked = np.repeat(self.fixed[:, None], self.origin.shape[1], axis=1)
        free = to.projector if frame is None else to.projector @ frame
        locked[to.flat] |= np.abs(free).max(axis=1) < 1e-9
        locked[to.slaves] = True  # they follow their master
        return locked

    def held_back(self, frame: Array | None = None) -> Array:
        """How much of each component (n, dim) in a frame is normal to the boundary on which a node glides: 0 to 1.

        On curved boundaries the same for all components, so that nothing depends on the frame.
        """
        to = self._constraints
        n, d = self.origin.shape
        out = np.zeros((n, d))
        free = to.projector if frame is None else frame.T @ to.projector @ frame
        out[to.flat] = 1 - np.einsum("nii->ni", free)
        out[to.curve_node] = (d - 1) / d
        out[to.surface_node] = 1 / d
        return out

    @property
    def tied(self) -> tuple[Ids, Ids]:
        """Periodic slaves, and the master of each."""
        to = self._constraints
        return to.slaves, to.masters

    def hold(self, points: Array) -> None:
        """Keep the nodes that the caller fixed where `points` (n, dim) have them, instead of at their origin."""
        to = self._constraints
        self.home = self.origin.copy()
        self.home[to.held] = points[to.held]

    def refresh(self, points: Array) -> None:
        """Take the tangents of curved boundaries at `points`."""
        if points is not self._retracted:
            self.retract(points)
        self._curve_tangent, self._surface_normal = self._there

    def tangent(self, vectors: Array) -> Array:
        """Admissible part of displacements or forces (n, dim) at the points last refreshed."""
        to = self._constraints
        out = vectors.copy()
        out[self.fixed] = 0
        f = to.flat
        out[f] = np.einsum("nij,nj->ni", to.projector, out[f])
        if len(to.curve_node):
            t, v = self._curve_tangent, out[to.curve_node]
            out[to.curve_node] = t * (t * v).sum(1, keepdims=True)
        if len(to.surface_node):
            s, v = self._surface_normal, out[to.surface_node]
            out[to.surface_node] = v - s * (s * v).sum(1, keepdims=True)
        return out

    def gather(self, forces: Array) -> Array:
        """Admissible forces (n, dim); those on periodic slaves act on their masters."""
        to = self._constraints
        if len(to.slaves):
            forces = forces.copy()
            np.add.at(forces, to.masters, forces[to.slaves])
            forces[to.slaves] = 0
        return self.tangent(forces)

    def spread(self, steps: Array) -> Array:
        """Admissible steps (n, dim); periodic slaves copy their masters."""
        to = self._constraints
        out = self.tangent(steps)
        if len(to.slaves):
            out[to.slaves] = out[to.masters]
        return out

    def basis(self) -> csr_matrix:
        """Orthonormal admissible directions at the points last refreshed: (n dim, k), a column each.

        A column moves a periodic node together with its images.
        """
        to = self._constraints
        n, d = self.origin.shape
        free = ~self.fixed
        for ids in (
            to.flat,
            to.curve_node,
            to.surface_node,
            to.slaves,
        ):
            free[ids] = False
        node = np.flatnonzero(free)
        parts = [(np.repeat(node, d), np.tile(np.eye(d), (len(node), 1)))]
        own = ~np.isin(to.flat, to.slaves)
        values, vectors = np.linalg.eigh(to.projector[own])
        which, column = np.nonzero(values > 0.5)
        parts.append((to.flat[own][which], vectors[which, :, column]))
        if len(to.curve_node):
            parts.append((to.curve_node, self._curve_tangent))
        if len(to.surface_node):
            s = self._surface_normal
            across = np.eye(3)[np.abs(s).argmin(1)]
            first = np.cross(s, across)
            first /= np.linalg.norm(first, axis=1, keepdims=True)
            parts += [(to.surface_node, first), (to.surface_node, np.cross(s, first))]
        nodes = np.concatenate([p[0] for p in parts])
        directions = np.concatenate([p[1] for p in parts])
        rows = (nodes[:, None] * d + np.arange(d)).ravel()
        columns = np.repeat(np.arange(len(nodes)), d)
        basis = csr_matrix((directions.ravel(), (rows, columns)), shape=(n * d, len(nodes)))
        basis.eliminate_zeros()
        if len(to.slaves):
            copy = np.arange(n * d).reshape(n, d)
            copy[to.slaves] = copy[to.masters]
            basis = basis[copy.ravel()]
        return basis

    def sag(self, points: Array) -> float:
        """Largest distance of the middle of an edge or a facet from the curve or the surface that it stands for.

        `points` (n, dim) are the nodes. In parts of the mesh's size; 0 for straight boundaries. The moved boundary is
        made of such chords.
        """
        return self._constraints.shape.sag(points)

    def middles(self, ends: Ids, middle: Array) -> Array:
        """Points (k, dim) amid edges `ends` (k, 2), those of curved boundary edges put on their curve or surface."""
        return self._constraints.shape.middles(ends, middle)

    def retract(self, points: Array, ends: bool = True) -> Array:
        """Admissible positions (n, dim) closest to `points`; without `ends` also beyond the ends of straight lines."""
        to = self._constraints
        out, f = points.copy(), to.flat
        shift = np.einsum("nij,nj->ni", to.projector, points[f] - self.origin[f])
        out[f] = self.origin[f] + shift
        if ends and to.lines is not None:
            node, along, low, high = to.lines
            t = np.clip(((points[node] - self.origin[node]) * along).sum(1), low, high)
            out[node] = self.origin[node] + t[:, None] * along
        out[self.fixed] = self.home[self.fixed]
        tangent: Any = None
        normal: Any = None
        if len(to.curve_node):
            c = to.curve_node
            out[c], tangent = to.curves.project(points[c], to.curve_group)
        if len(to.surface_node):
            s = to.surface_node
            out[s], normal = to.surfaces.project(points[s], to.surface_group)
        if len(to.slaves):
            m = to.masters
            out[to.slaves] = self.origin[to.slaves] + (out[m] - self.origin[m])
        # the way back comes with the tangents there, which the caller may want next
        self._retracted, self._there = out, (tangent, normal)
        return out
