"""Closed vessels of random shape with holes, their meshes, and what they are filled with at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, identity, vstack
from skfem.models.poisson import mass

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.domains import Disk, Domain, Ellipse, Rectangle
from meshmove.solvers.fem.constrained import factorised
from meshmove.solvers.fem.meshes import skfem_mesh

__all__ = ["Vessel", "blobs", "random_vessel", "sides", "vessel_of"]


def random_vessel(rng: np.random.Generator) -> Domain:
    """A rectangle of height 1 and random width with one or two round holes, "wall", "hole 1" and "hole 2".

    >>> random_vessel(np.random.default_rng(1)).boundary_names
    ('wall', 'hole 1', 'hole 2')
    """
    width = rng.uniform(1.2, 2.0)
    places = [(0.35, 0.65)] if rng.random() < 0.5 else [(0.22, 0.32), (0.68, 0.78)]
    domain: Domain = Rectangle((0, 0), (width, 1), "wall")
    for i, (low, high) in enumerate(places, 1):
        center = (width * rng.uniform(low, high), rng.uniform(0.35, 0.65))
        axes = tuple(rng.uniform(0.08, 0.18, 2))
        angle = rng.uniform(0, np.pi)
        name = f"hole {i}"
        domain -= Disk(center, axes[0], name) if rng.random() < 0.5 else Ellipse(center, axes, angle, name)
    return domain


class Vessel(NamedTuple):
    """A domain, its mesh, the once refined mesh, and the projection from there."""

    domain: Domain
    mesh: CellMesh
    fine: skfem.MeshTri
    projection: Callable[[Array], Array]


def vessel_of(rng: np.random.Generator, nodes: tuple[int, int]) -> Vessel:
    domain = random_vessel(rng)
    size = np.sqrt(1.22 * domain.area / rng.uniform(*nodes))  # 1.15 for equilateral triangles, more at small curves
    mesh = domain.mesh(size, engine="scipy", seed=int(rng.integers(2**31)))
    grid = skfem_mesh(mesh)
    fine = grid.refined(1)  # its first vertices are those of the grid, then come the middles of the grid's facets
    rows, middles = np.repeat(np.arange(grid.nfacets), 2), np.full(2 * grid.nfacets, 0.5)
    halves = csr_matrix((middles, (rows, grid.facets.T.ravel())), (grid.nfacets, grid.nvertices))
    prolongation = vstack([identity(grid.nvertices, format="csr"), halves]).tocsr()
    fine_mass = mass.assemble(skfem.Basis(fine, skfem.ElementTriP1())).tocsr()
    restriction = (prolongation.T @ fine_mass).tocsr()
    coarse_mass = factorised(restriction @ prolongation)
    return Vessel(domain, mesh, fine, lambda values: coarse_mass.solve(restriction @ values))


def blobs(vessel: Vessel, rng: np.random.Generator) -> Array:
    n = int(rng.integers(1, 4))
    centers = vessel.domain.sample_interior(n, seed=int(rng.integers(2**31)))
    width, height = rng.uniform(0.08, 0.14, (n, 1)), rng.uniform(0.5, 1.0, (n, 1))
    away = ((vessel.fine.p[:, None] - np.asarray(centers).reshape(2, n, 1)) ** 2).sum(axis=0)
    return (height * np.exp(-away / (2 * width**2))).sum(axis=0)


def sides(mesh: CellMesh) -> dict[str, NDArray[np.int64]]:
    """ "wall" and "hole", however many holes there are."""
    holes = [nodes for name, nodes in mesh.facets.items() if name != "wall"]
    return {"wall": mesh.facets["wall"], "hole": np.concatenate(holes)}
