r"""The H1 error of quadratic interpolation on simplices, from third derivatives, as a function of node positions.

The interpolant of a cubic field at vertices and edge midpoints errs by (see `quadratic`)

.. math::
    u - I u = \sum_m c_m \phi_m(\lambda), \qquad c_m = \sum_z s_{mz} \, T[z, z, z],

with phi the cubics l_i l_j (l_i - l_j) of the edges and l_i l_j l_k of the triangles. T are the third derivatives, and
the vectors z are the edges x_j - x_i, with s = 1/12, and for a triangle those from its centre to its vertices, with
s = 3/4. With G_kl = grad l_k . grad l_l and the means B of products of derivatives of the phi by l_k and l_l

.. math::
    J_K = \int_K |\nabla (u - I u)|^2 dx = |K| \sum_{mnkl} c_m c_n B_{mnkl} G_{kl},

exactly. This is quadratic in T: of several, their second moments are all that is needed.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

from .quadratic import basis, parts
from .solution_error import barycentric

__all__ = ["CubicError", "as_components", "third_components"]


#: entries of the largest array of a chunk of cells, so that it stays in the cache
CHUNK = 100_000


def third_components(dim: int) -> list[tuple[int, int, int]]:
    """The order of the components: xxx, xxy, xyy, yyy or xxx, xxy, xxz, xyy, xyz, xzz, yyy, yyz, yzz, zzz."""
    return list(combinations_with_replacement(range(dim), 3))


class CubicError:
    """J_K and its slopes for simplices of dimension 2 or 3.

    `moments` are the second moments (p, p, m) of third derivatives in the order of `third_components`: the mean of
    t t^T over the samples of a cell.
    """

    def __init__(self, dim: int) -> None:
        edges, faces = parts(dim)
        _, weights, slopes = basis(dim)
        self._b = np.einsum("q,mkq,nlq->mnkl", weights, slopes, slopes)
        self._components = third_components(dim)
        #: the vectors z as sums over vertices (Z, v), and what each adds to the c's (c, Z)
        rows: list[Array] = []
        self._shares = np.zeros((len(slopes), len(edges) + 3 * len(faces)))
        unit = np.eye(dim + 1)
        for m, (i, j) in enumerate(edges):
            self._shares[m, len(rows)] = 1 / 12
            rows.append(unit[j] - unit[i])
        for m, face in enumerate(faces, start=len(edges)):
            for i in face:
                self._shares[m, len(rows)] = 3 / 4
                rows.append(unit[i] - unit[face].mean(axis=0))
        self._vectors = np.array(rows)
        self._step = max(1, CHUNK // max(self._b[..., 0, 0].size, len(rows) * len(self._components)))

    def squares(self, x: Array, moments: Array) -> Array:
        """J_K (m,) of cells with vertices x (dim, dim+1, m)."""
        chunks = self._chunks(x.shape[2])
        return np.concatenate([np.zeros(0), *(_Cells(self, x[..., c], moments[..., c]).squares for c in chunks)])

    def slopes(self, x: Array, moments: Array) -> tuple[Array, Array, Array]:
        """J_K (m,), and its slopes by x (dim, dim+1, m) and by the moments (p, p, m)."""
        squares, by_x, by_moments = np.empty(x.shape[2]), np.empty(x.shape), np.empty(moments.shape)
        for c in self._chunks(x.shape[2]):
            cells = _Cells(self, x[..., c], moments[..., c])
            squares[c] = cells.squares
            by_x[..., c], by_moments[..., c] = cells.slopes()
        return squares, by_x, by_moments

    def _chunks(self, cells: int) -> list[slice]:
        return [slice(k, k + self._step) for k in range(0, cells, self._step)]

    def cubes(self, z: Array) -> Array:
        """What the components (p, Z, m) count in T[z, z, z] of vectors z (dim, Z, m)."""
        return np.stack([_times(abc) * z[abc[0]] * z[abc[1]] * z[abc[2]] for abc in self._components])

    def through_cubes(self, z: Array, by_cubes: Array) -> Array:
        """The slopes (dim, Z, m) by z of what is sloped by `cubes`."""
        out = np.zeros_like(z)
        for (a, b, c), by in zip(self._components, by_cubes, strict=True):
            pull = _times((a, b, c)) * by
            out[a] += pull * z[b] * z[c]
            out[b] += pull * z[a] * z[c]
            out[c] += pull * z[a] * z[b]
        return out


class _Cells:
    """The forward pass for some cells, and what the backward pass needs of it."""

    def __init__(self, rule: CubicError, x: Array, moments: Array) -> None:
        self._rule, self._moments = rule, moments
        self._gradients, self._volume = barycentric(x)
        self._z = np.einsum("zv,avm->azm", rule._vectors, x - x[:, :1])
        self._c = np.einsum("cz,pzm->pcm", rule._shares, rule.cubes(self._z))
        gram = np.einsum("akm,alm->klm", self._gradients, self._gradients)
        self._w = np.tensordot(rule._b, gram, 2)  # (c, c, m)
        self._seen = np.einsum("prm,rcm->pcm", moments, self._c)
        self._pulled = np.einsum("pcm,cdm->pdm", self._seen, self._w)
        self._density = np.einsum("pcm,pcm->m", self._pulled, self._c)
        self.squares = self._volume * self._density

    def slopes(self) -> tuple[Array, Array]:
        """Of the squares, by x (dim, dim+1, m) and by the moments (p, p, m)."""
        rule, g, volume = self._rule, self._gradients, self._volume
        by_moments = volume * np.einsum("pcm,cdm,rdm->prm", self._c, self._w, self._c, optimize=True)
        products = np.einsum("pcm,pdm->cdm", self._c, self._seen)
        by_gram = volume * np.tensordot(rule._b, products, ((0, 1), (0, 1)))
        by_gradients = 2 * np.einsum("klm,alm->akm", by_gram, g)
        by_x = volume * self._density * g
        by_x -= np.einsum("akm,ajm,bkm->bjm", by_gradients, g, g, optimize=True)
        by_cubes = np.einsum("cz,pcm->pzm", rule._shares, 2 * volume * self._pulled)
        return by_x + np.einsum("zv,azm->avm", rule._vectors, rule.through_cubes(self._z, by_cubes)), by_moments


def _times(abc: tuple[int, int, int]) -> int:
    """How often a component counts in T[z, z, z]."""
    return {1: 1, 2: 3, 3: 6}[len(set(abc))]


def as_components(third: NDArray, dim: int) -> Array:
    """(..., p, s) of symmetric third derivatives (..., dim, dim, dim, s)."""
    return np.stack([third[..., a, b, c, :] for a, b, c in third_components(dim)], axis=-2)
