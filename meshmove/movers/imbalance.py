"""How far a mesh is from equidistribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import cell_volumes

__all__ = ["balance", "cell_mass", "imbalance", "size", "spread"]


def cell_mass(
    mesh: CellMesh,
    points: Array,
    monitor: Callable[[Array], Array],
    degree: int = 5,
    inside: Callable[[Array, Array], Array] | None = None,
) -> Array:
    """Integral of the monitor over every moved cell (n_cells,), by quadrature of the given degree.

    `inside`: the monitor (m, q) in cells with vertices (m, v, dim), where the shape functions (v, q) are these, for
    monitors that have a quicker way than point by point.
    """
    out, first = [], 0
    sign = np.sign(cell_volumes(mesh))
    for block in mesh.blocks:
        xi, w = block.kind.quadrature(degree)
        shape, slope = block.kind.shape(xi)
        vertices = points[block.nodes]
        if block.kind.is_simplex:
            jacobian = np.linalg.det(np.einsum("mvi,vj->mij", vertices, slope[:, :, 0]))[:, None]
        else:
            jacobian = np.linalg.det(np.einsum("mvi,vjq->mqij", vertices, slope))
        if inside is None:
            x = np.einsum("mvd,vq->dmq", vertices, shape)
            m = np.asarray(monitor(x.reshape(len(x), -1)), float).reshape(x.shape[1:])
        else:
            m = inside(vertices, shape)
        out.append(((m * jacobian) @ w) * sign[first : first + len(block)])
        first += len(block)
    return np.concatenate(out)


def imbalance(
    mesh: CellMesh,
    points: Array,
    monitor: Callable[[Array], Array],
    component: NDArray[np.int64] | None = None,
) -> float:
    r"""sqrt(sum |K0| (q_K - 1)^2 / sum |K0|) with q_K = int_K m dx / (theta |K0|).

    Theta makes the mean of q one on every component (label of each cell). 0 is perfect equidistribution of the
    monitor with respect to the reference mesh.

    >>> square = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> bool(imbalance(square, square.points, lambda x: 1 + 0 * x[0]) < 1e-15)
    True
    >>> imbalance(square, square.points, lambda x: x[0])  # 2/3 below the diagonal, 1/3 above it
    0.333...
    """
    if component is None:
        component = np.zeros(mesh.n_cells, dtype=np.int64)
    return spread(cell_mass(mesh, points, monitor), np.abs(cell_volumes(mesh)), component)


def spread(mass: Array, volume: Array, component: NDArray[np.int64], across: Communicator = SERIAL) -> float:
    """The same of monitor masses, reference volumes and component labels of cells (n_cells,) that are known."""
    return size(balance(mass, volume, component, across), volume, across)


def balance(mass: Array, volume: Array, component: NDArray[np.int64], across: Communicator = SERIAL) -> Array:
    """q_K - 1 of every cell (n_cells,): by what share it has more than is due to it."""
    parts = int(across.maximum(component.max(initial=-1))) + 1
    masses, volumes = across.sum(np.stack([np.bincount(component, v, parts) for v in (mass, volume)]))
    theta = masses / volumes
    return mass / (theta[component] * volume) - 1


def size(balance: Array, volume: Array, across: Communicator = SERIAL) -> float:
    """The imbalance of cells that are off balance by so much."""
    square, whole = across.sum(np.array([(volume * balance**2).sum(), volume.sum()]))
    return float(np.sqrt(square / whole))
