"""Measurements that keep a rollout on track: Kalman's gain, with a covariance that is chosen by leaving out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array

from .observation import Observation, refuse_outside

__all__ = ["Observer"]


#: correlation lengths that are tried, in shares of the mesh's size
LENGTHS = (0.05, 0.1, 0.2, 0.5, 2.0)
#: the forecast's error that is tried, relative to the spread of the field
SIZES = (3e-3, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
#: how much of what was learned about them is kept until the next measurements
MEMORY = 0.8
#: standard deviations by which misfits must be larger than the measurements' noise explains
EXCESS = 2.0
#: no correction is made that foretells a measurement from the others no better than this share of what none does
WORTH = 0.95


class Observer:
    r"""Corrects forecasts by measurements: :math:`u + P H^T (H P H^T + R)^{-1} (y - H u)`.

    The forecast's errors are taken for smooth, those of different fields for independent:
    :math:`P_{ab}(x, x') = \delta_{ab} \sigma_a^2 \exp(-|x - x'|^2 / 2 l^2)`. Length and size are those with which each
    measurement is foretold best by all others, over this frame and, with fading weight, those before; so nothing is to
    be tuned. No correction is made where that is no better than the forecast itself, or where the measurements differ
    from the forecast no more than their noise explains.

    Parameters
    ----------
    mesh
        Of the forecast.
    fields
        Their names.
    held
        Nodes (n,) whose values are known, where the correction vanishes.

    References
    ----------
    Evensen, Data Assimilation, 2009. Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.2,
    for the choice by leaving out.
    """

    def __init__(self, mesh: CellMesh, fields: Sequence[str], held: NDArray[np.bool_] | None = None) -> None:
        self._mesh, self._fields = mesh, tuple(fields)
        self._extent = float(np.ptp(mesh.points, axis=0).max())
        self._free = np.ones(mesh.n_points) if held is None else 1.0 - np.asarray(held, float)
        self._locator = PointLocator(mesh.simplicial())
        self._losses: dict[str, Array] = {}
        self._weight: dict[str, tuple[float, float]] = {}

    def __call__(self, values: Array, observation: Observation) -> Array:
        """The corrected forecast, (n, F).

        Raises
        ------
        FieldError
            A field is measured that the forecast has not, or a place is not in the mesh.
        """
        observation.check(self._mesh, self._fields)
        H, out = self._places(observation), values.copy()
        places, free = H @ self._mesh.points, H @ self._free
        gap, reach = cdist(places, places), cdist(self._mesh.points, places)
        for name, measured in observation.values.items():
            column = self._fields.index(name)
            u = values[:, column]
            off = np.asarray(measured, float) - H @ u
            found = self._weights(name, off, gap, free, observation.noise_of(name), max(float(u.std()), 1e-300))
            if found is not None:
                length, weights = found
                out[:, column] += self._free * (_kernel(reach, length) @ (free * weights))
        return out

    def _weights(
        self, name: str, off: Array, gap: Array, free: Array, noise: float, spread: float
    ) -> tuple[float, Array] | None:
        """Length of the kernel and weights (m,) of the measurements in the correction; None for no correction."""
        losses, tried = [float((off**2).mean()) / noise**2], []
        for length in LENGTHS:
            shape = np.outer(free, free) * _kernel(gap, length * self._extent)
            for size in SIZES:
                variance = (size * spread) ** 2
                inverse = np.linalg.inv(variance * shape + noise**2 * np.eye(len(off)))
                weights = inverse @ off
                losses.append(float(((weights / np.diag(inverse)) ** 2).mean()) / noise**2)
                tried.append((length * self._extent, variance * weights))
        total = self._losses[name] = MEMORY * self._losses.get(name, np.zeros(len(losses))) + np.array(losses)
        weight, variance = self._weight.get(name, (0.0, 0.0))  # of the mean of squares, each with a variance of 2
        weight, variance = self._weight[name] = MEMORY * weight + 1, MEMORY**2 * variance + 2 / len(off)
        if total[0] < weight + EXCESS * variance**0.5:
            return None
        best = int(total[1:].argmin())
        return tried[best] if total[1 + best] < WORTH * total[0] else None

    def _places(self, observation: Observation) -> csr_matrix:
        """(m, n): the measured values as combinations of those at nodes."""
        n = self._mesh.n_points
        if observation.nodes is not None:
            nodes = observation.ids(n)
            return csr_matrix((np.ones(len(nodes)), (np.arange(len(nodes)), nodes)), shape=(len(nodes), n))
        points = np.asarray(observation.points, float)
        where = self._locator.find(points)
        refuse_outside(points, where.outside)
        rows = np.repeat(np.arange(points.shape[1]), where.nodes.shape[1])
        return csr_matrix((where.weights.ravel(), (rows, where.nodes.ravel())), shape=(points.shape[1], n))


def _kernel(gap: Array, length: float) -> Array:
    return np.exp(-0.5 * (gap / length) ** 2)
