"""scikit-fem's periodic meshes, unfolded to places that move alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    import skfem

__all__ = ["is_periodic", "unfolded"]


def is_periodic(mesh: skfem.Mesh) -> bool:
    from skfem.mesh.mesh_dg import MeshDG

    return isinstance(mesh, MeshDG)


def unfolded(mesh: skfem.Mesh) -> tuple[NDArray, NDArray, csr_matrix, NDArray | None, NDArray]:
    """A periodic mesh holds each cell's nodes apart, and images share their number in `t`.

    Vertices here are the distinct places of each number: (points, cells, lift, pairs of images, their numbers).
    """
    nodes, ids = mesh.dofs.element_dofs.ravel(), mesh.t.ravel()
    place = mesh.p.T[nodes]
    first = np.zeros(int(ids.max()) + 1, int)
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    # cells agree on a place up to rounding; images are at least a cell apart
    apart = np.rint((place - place[first[ids]]) / (1e-9 * np.linalg.norm(np.ptp(place, axis=0)))).astype(np.int64)
    apart = np.where(np.abs(apart) <= 10, 0, apart)
    keys = np.column_stack([ids, np.rint(apart / 100)])
    unique, index, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    lift = csr_matrix((np.ones(len(nodes)), (nodes, inverse)), shape=(mesh.p.shape[1], len(index)))
    start = np.unique(unique[:, 0], return_index=True)[1]  # the first of each number's places
    owner = start[np.cumsum(np.isin(np.arange(len(unique)), start)) - 1]
    pairs = np.column_stack([np.arange(len(unique)), owner])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return (
        place[index],
        inverse.reshape(mesh.t.shape),
        lift,
        pairs if len(pairs) else None,
        unique[:, 0].astype(np.int64),
    )
