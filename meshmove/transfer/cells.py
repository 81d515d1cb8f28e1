r"""Transfer of the mean values of cells, through the facets that are swept.

A cell's integral gains, through each of its facets, that of the field over what the facet sweeps; neighbours lose it.
The field on the side that it comes from is linear, with the slope that fits the means around best (the second order of
van Leer, J. Comput. Phys. 32, 1979; swept regions as in Loubere & Shashkov, J. Comput. Phys. 209, 2005). What leaves
the range of the means around is cut off and given to neighbours (`repaired`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells.kinds import kind_of
from meshmove.geometry.cells.quadrature import gauss
from meshmove.geometry.facets import facets_of
from meshmove.geometry.mesh import CellMesh

from .conservative import check_same
from .repair import repaired

__all__ = ["swept_means"]

#: share of a cell that may leave it in a step of the explicit scheme; the way is taken in so many steps, up to
COURANT, STEPS = 0.5, 200
#: facets by their number of vertices
_FACETS = {3: "triangle", 4: "quad"}


def swept_means(mesh: CellMesh, moved: CellMesh, means: Array, slopes: Array | None = None) -> Array:
    """Mean values of the cells of the moved mesh: conservative where the domain keeps its shape, and bounded.

    Parameters
    ----------
    mesh, moved
        The same cells at the old and at the new positions.
    means
        (m, k) of the cells of `mesh`.
    slopes
        (m, dim, k) of the field in them; by default those that fit the means around.

    Raises
    ------
    InvalidMeshError
        Meshes that do not have the same cells.

    Examples
    --------
    >>> old = CellMesh.single([[0, 0], [1, 0], [0, 1], [.4, .3]], [[0, 1, 3], [1, 2, 3], [2, 0, 3]], "triangle")
    >>> new = old.moved(np.array([[0, 0], [1, 0], [0, 1], [.3, .4]]))
    >>> swept_means(old, new, np.array([[1.0], [2.0], [1.0]])).round(3).ravel().tolist()
    [1.0, 2.0, 1.0]
    """
    check_same(mesh, moved)
    way = _Way(mesh, moved.points - mesh.points)
    steps = way.steps
    for k in range(steps):
        means = way.after(k / steps, 1 / steps, means, slopes if k == 0 else None)
    return means


class _Way:
    """The motion of a mesh by (n, dim) in a straight line."""

    def __init__(self, mesh: CellMesh, by: Array) -> None:
        self.mesh, self.by = mesh, by
        facets = facets_of(mesh)
        self._nodes, self._cells = facets.nodes, facets.cells
        self._inner = facets.cells[:, 1] >= 0
        incidence = _incidence(mesh)
        around = (incidence @ incidence.T).tocoo()
        self._near = np.stack([around.row, around.col]).astype(np.int64)
        centre = np.zeros((len(self._nodes), mesh.dim))
        for rows, nodes in self._groups():
            centre[rows] = mesh.points[nodes].mean(axis=1)
        outwards = centre - _moments(mesh)[1][self._cells[:, 0]]
        area = self._swept(0.0, 0.0, outwards)[0]
        self._sign = np.where(area < 0, -1.0, 1.0)

    def _groups(self) -> Iterator[tuple[Ids, Ids]]:
        count = (self._nodes >= 0).sum(axis=1)
        for k in np.unique(count):
            rows = np.flatnonzero(count == k)
            yield rows, self._nodes[rows, :k]

    def _swept(self, begin: float, length: float, against: Array | None = None) -> tuple[Array, Array]:
        """Volume (f,) that facets sweep from a share of the way on, and its first moment (f, dim), along their normals.

        `against` (f, dim): in the place of the motion, constant on each.
        """
        volume, moment = np.zeros(len(self._nodes)), np.zeros((len(self._nodes), self.mesh.dim))
        for rows, nodes in self._groups():
            shape, slope, weight = _rule(nodes.shape[1])
            for place, share in zip(*gauss(2), strict=True):
                corners = self.mesh.points[nodes] + (begin + place * length) * self.by[nodes]
                tangents = np.einsum("fvd,vcq->fqcd", corners, slope)
                w = np.einsum("fvd,vq->fqd", length * self.by[nodes], shape)
                flux = np.einsum("fqd,fqd->fq", w if against is None else against[rows][:, None], _normal(tangents))
                flux *= share * weight
                volume[rows] += flux.sum(axis=1)
                moment[rows] += np.einsum("fq,fvd,vq->fd", flux, corners, shape, optimize=True)
        return volume, moment

    @property
    def steps(self) -> int:
        """So many that little enough leaves each cell in one."""
        gain = self._sign * self._swept(0.0, 1.0)[0]
        out = self._sums(np.maximum(-gain, 0), np.maximum(gain, 0))
        volume = np.minimum(_moments(self.mesh)[0], _moments(self.mesh.moved(self.mesh.points + self.by))[0])
        most = float((out / np.where(volume > 0, volume, np.inf)).max(initial=0.0))
        return int(np.clip(np.ceil(most / COURANT), 1, STEPS))

    def after(self, begin: float, length: float, means: Array, slopes: Array | None) -> Array:
        """Means (m, k) after a share of the way, by one explicit step."""
        mesh = replace(self.mesh, points=self.mesh.points + begin * self.by)
        volume, centre = _moments(mesh)
        slopes = self._slopes(centre, means) if slopes is None else slopes
        gain, moment = (self._sign * part.T for part in self._swept(begin, length))
        side = np.where((gain > 0) & self._inner, self._cells[:, 1], self._cells[:, 0])
        away = moment.T - gain[:, None] * centre[side]
        flux = gain[:, None] * means[side] + np.einsum("fd,fdk->fk", away, slopes[side])
        after = volume + self._sums(gain, -gain)
        columns = [volume * u + self._sums(f, -f) for u, f in zip(means.T, flux.T, strict=True)]
        new = np.stack(columns, axis=1) / np.where(after > 0, after, 1)[:, None]
        low, high = means.copy(), means.copy()
        a, b = self._near
        np.minimum.at(low, a, means[b])
        np.maximum.at(high, a, means[b])
        return repaired(new, np.maximum(after, 0), self._cells[self._inner].T, low, high)

    def _sums(self, first: Array, second: Array) -> Array:
        """(m,) of what the cells on both sides of facets get."""
        m, inner = self.mesh.n_cells, self._inner
        every = np.bincount(self._cells[:, 0], first, m) + np.bincount(self._cells[inner, 1], second[inner], m)
        return np.asarray(every, float)

    def _slopes(self, centre: Array, means: Array) -> Array:
        """(m, dim, k) by least squares, from the cells that share a vertex."""
        (a, b), m, d = self._near, len(centre), centre.shape[1]
        apart = centre[b] - centre[a]
        apart /= np.where(a == b, 1.0, np.linalg.norm(apart, axis=1))[:, None]
        rise = (means[b] - means[a]) / np.where(a == b, 1.0, np.linalg.norm(centre[b] - centre[a], axis=1))[:, None]
        normal = np.stack([[np.bincount(a, apart[:, i] * apart[:, j], m) for j in range(d)] for i in range(d)])
        right = np.stack([[np.bincount(a, apart[:, i] * r, m) for r in rise.T] for i in range(d)])
        return np.einsum("mij,jkm->mik", np.linalg.pinv(normal.transpose(2, 0, 1), rcond=1e-8, hermitian=True), right)


def _incidence(mesh: CellMesh) -> csr_matrix:
    """Which cells (m,) have which vertices (n,)."""
    cells = np.repeat(np.arange(mesh.n_cells), np.concatenate([np.full(len(b), b.kind.vertices) for b in mesh.blocks]))
    nodes = np.concatenate([b.nodes.ravel() for b in mesh.blocks])
    return csr_matrix((np.ones(len(nodes)), (cells, nodes)), (mesh.n_cells, mesh.n_points))


def _rule(vertices: int) -> tuple[Array, Array, Array]:
    """Shape functions (v, q), their slopes (v, c, q) and weights (q,) on a facet."""
    if vertices == 2:
        x, weight = gauss(2)
        return np.stack([1 - x, x]), np.repeat([[[-1.0]], [[1.0]]], 2, axis=2), weight
    kind = kind_of(_FACETS[vertices])
    x, weight = kind.quadrature(2 if kind.is_simplex else 5)
    return *kind.shape(x), weight


def _normal(tangents: Array) -> Array:
    """Normals (..., dim) of facets with tangents (..., dim - 1, dim), as long as these span."""
    if tangents.shape[-1] == 2:
        return np.stack([tangents[..., 0, 1], -tangents[..., 0, 0]], axis=-1)
    return np.cross(tangents[..., 0, :], tangents[..., 1, :])


def _moments(mesh: CellMesh) -> tuple[Array, Array]:
    """Volumes (m,) and centroids (m, dim) of the cells."""
    volumes, centres = [], []
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(2 if block.kind.is_simplex else 5)
        shape, slope = block.kind.shape(xi)
        x = mesh.points[block.nodes]
        dx = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", x, slope))) * weight
        volume = dx.sum(axis=1)
        moment = np.einsum("mq,vq,mvd->md", dx, shape, x, optimize=True)
        some = (volume > 0)[:, None]
        volumes.append(volume)
        centres.append(np.where(some, moment / np.where(some, volume[:, None], 1), x.mean(axis=1)))
    return np.concatenate(volumes), np.concatenate(centres)
