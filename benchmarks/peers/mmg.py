"""Meshes by MMG (mmgpy) with as many triangles as the mesh given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from numpy.typing import NDArray

from meshmove.meshes.source import Source
from meshmove.monitors import Recovery

__all__ = ["remeshed"]

Array = NDArray[np.float64]


def remeshed(
    mesh: skfem.MeshTri, f: Callable[[Array], Array], metric: str = "monitor", passes: int = 4
) -> skfem.MeshTri:
    """A mesh for f(x), sizes taken anew on the mesh of each pass and scaled towards the wanted number of cells.

    `metric`: "monitor", cells of equal f; "isotropic", density |H|^(2/3) of the recovered Hessian; "anisotropic", the
    metric det(|H|)^(-1/6) |H| of least L2 interpolation error (Loseille & Alauzet, SIAM J. Numer. Anal. 49, 2011).
    """
    from mmgpy import MmgMesh2D

    wanted, correction = mesh.nelements, 1.0
    points, cells = mesh.p, mesh.t
    for _ in range(passes):
        xx, xy, yy = _tensor(points, cells, f, metric)
        root = np.sqrt(xx * yy - xy**2)
        # unit triangles of the metric have the area sqrt(3) / 4
        total = 4 / np.sqrt(3) * (_areas(points, cells) * root[cells].mean(axis=0)).sum()
        scale = correction * wanted / total
        out = MmgMesh2D(np.ascontiguousarray(points.T), np.ascontiguousarray(cells.T.astype(np.int32)))
        out["tensor"] = scale * np.stack([xx, xy, yy], axis=1)
        # no gradation: the sizes asked for, not smoother ones
        out.remesh(verbose=-1, hgrad=-1.0)
        points, cells = out.get_vertices().T, out.get_triangles().T.astype(np.int64)
        correction *= wanted / cells.shape[1]
    return skfem.MeshTri(np.ascontiguousarray(points), np.ascontiguousarray(cells))


def _areas(p: Array, t: NDArray) -> Array:
    a, b = p[:, t[1]] - p[:, t[0]], p[:, t[2]] - p[:, t[0]]
    return 0.5 * np.abs(a[0] * b[1] - a[1] * b[0])


def _absolute(hessian: Array) -> Array:
    """|H| (n, 2, 2) of Hessians (2, 2, n)."""
    values, vectors = np.linalg.eigh(np.moveaxis(hessian, -1, 0))
    return np.einsum("nik,nk,njk->nij", vectors, np.abs(values), vectors)


def _tensor(p: Array, t: NDArray, f: Callable[[Array], Array], metric: str) -> tuple[Array, Array, Array]:
    if metric == "monitor":
        m = f(p)
        return m, 0 * m, m
    cells = Source.of(skfem.MeshTri(np.ascontiguousarray(p), np.ascontiguousarray(t))).cells
    recovery = Recovery(cells)
    # of several fields the sum of the absolute Hessians
    total = sum(_absolute(recovery.hessian(field)) for field in np.atleast_2d(f(p)))
    values, vectors = np.linalg.eigh(total)
    # a floor, so that no cell is asked to be larger than the domain allows
    values = np.maximum(values, 0.01 * values.mean())
    if metric == "isotropic":
        m = np.sqrt((values**2).sum(axis=1)) ** (2 / 3)
        return m, 0 * m, m
    full = np.einsum("nik,nk,njk->nij", vectors, values, vectors) * values.prod(axis=1)[:, None, None] ** (-1 / 6)
    return full[:, 0, 0], full[:, 0, 1], full[:, 1, 1]
