"""Measurements that keep a rollout on track: a Kalman gain whose covariance follows the fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist

from meshmove.geometry import CellMesh, FieldError, PointLocator
from meshmove.monitors import Recovery, simplicial

__all__ = ["Observation", "Observer"]

Array = NDArray[np.float64]

#: correlation lengths that are tried, in shares of the mesh's size, and shares of errors that are misplacements
LENGTHS, MISPLACED = (0.03, 0.06, 0.12, 0.25), (0.0, 0.5, 0.9, 1.0)
#: the forecast's error that is tried, relative to the spread of the field
SIZES = (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True, eq=False)
class Observation:
    """What was measured at one frame.

    Parameters
    ----------
    frame
        Number of the frame, from 1 on.
    values
        (m,) of each field that was measured, by its name.
    noise
        Standard deviation of the measurements' errors, in the field's units; a number, or one for each field.
    points
        Places (d, m); or else `nodes`.
    nodes
        Ids (m,) of the nodes where it was measured.

    Raises
    ------
    FieldError
        Places and values do not fit, or are not finite; or the noise is not positive.
    """

    frame: int
    values: Mapping[str, ArrayLike]
    noise: float | Mapping[str, float]
    points: ArrayLike | None = None
    nodes: ArrayLike | None = None

    def __post_init__(self) -> None:
        if (self.points is None) == (self.nodes is None):
            raise FieldError("Expected either points (d, m) or nodes (m,) of the measurements (got both or none)")
        place = np.asarray(self.nodes if self.points is None else self.points)
        m = place.shape[-1]
        if self.frame < 1:
            raise FieldError(f"Expected measurements at a frame from 1 on (got {self.frame}); 0 is the start")
        for name, values in self.values.items():
            array = np.asarray(values, float)
            if array.shape != (m,) or not np.isfinite(array).all():
                raise FieldError(f"Expected {m} finite measurements of {name!r} (got shape {array.shape}, "
                                 f"{int((~np.isfinite(array)).sum())} not finite)")  # fmt: skip
            if not self.noise_of(name) > 0:
                raise FieldError(f"Expected a positive noise of {name!r} (got {self.noise_of(name)})")

    def noise_of(self, name: str) -> float:
        if isinstance(self.noise, Mapping) and name not in self.noise:
            raise FieldError(f"Expected the noise of {name!r} (got that of {list(self.noise)})")
        return float(self.noise[name] if isinstance(self.noise, Mapping) else self.noise)


class Observer:
    r"""Corrects a forecast by measurements: :math:`u + P H^T (H P H^T + R)^{-1} (y - H u)`.

    The forecast's errors are taken for misplaced fronts, :math:`-\delta \cdot \nabla u` with a smooth random
    displacement :math:`\delta`, and for smooth errors of the values:

    .. math:: P_{ab}(x, x') = k(|x - x'|) (s^2 \nabla u_a(x) \cdot \nabla u_b(x') + \sigma_a^2 \delta_{ab}),

    k a Gaussian. So measurements of one field correct the others. Lengths and amplitudes are those under which
    what was measured is most likely; nothing is to be tuned.

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
    Evensen, Data Assimilation, 2009. Dee, On-line estimation of error covariance parameters, Mon. Weather Rev. 123
    (1995). Ravela, Emanuel, McLaughlin, Data assimilation by field alignment, Physica D 230 (2007).
    """

    def __init__(self, mesh: CellMesh, fields: Sequence[str], held: NDArray[np.bool_] | None = None) -> None:
        self._mesh, self._fields = mesh, tuple(fields)
        self._extent = float(np.ptp(mesh.points, axis=0).max())
        self._free = np.ones(mesh.n_points) if held is None else 1.0 - np.asarray(held, float)
        self._recovery = Recovery(mesh)

    def measured(self, observation: Observation, values: Array) -> dict[str, Array]:
        """What a forecast (n, F) would measure, (m,) by field."""
        H = self._places(observation)
        return {name: H @ values[:, self._fields.index(name)] for name in observation.values}

    def __call__(self, values: Array, observation: Observation) -> Array:
        """The corrected forecast, (n, F).

        Raises
        ------
        FieldError
            A field is measured that the forecast has not.
        """
        unknown = [name for name in observation.values if name not in self._fields]
        if unknown:
            raise FieldError(f"Expected measurements of {list(self._fields)} (got some of {unknown})")
        H, x = self._places(observation), self._mesh.points
        seen = [self._fields.index(name) for name in observation.values]
        spread = np.maximum(values.std(axis=0), 1e-12)
        slope = np.stack([self._recovery.gradient(u) for u in values.T])  # (F, d, n)
        slope = slope / spread[:, None, None] * self._free
        amount = np.sqrt((slope[seen] ** 2).sum(axis=1).mean()) or 1.0
        at = [np.stack([H @ c for c in slope[a]]) for a in seen]  # (d, m) each
        ys = [np.asarray(y, float) for y in observation.values.values()]
        off = np.concatenate([(y - H @ values[:, a]) / spread[a] for y, a in zip(ys, seen, strict=True)])
        noise = [np.full(len(y), observation.noise_of(name) / spread[a])
                 for y, name, a in zip(ys, observation.values, seen, strict=True)]  # fmt: skip
        R = np.diag(np.concatenate(noise) ** 2)
        places, free = H @ x, H @ self._free
        gap = cdist(places, places)
        same = np.equal.outer(np.repeat(seen, len(gap)), np.repeat(seen, len(gap)))
        fronts = np.block([[a.T @ b for b in at] for a in at]) / amount**2
        plain = same * np.tile(np.outer(free, free), (len(seen), len(seen)))
        best, found = -np.inf, None
        for length, share in product(LENGTHS, MISPLACED):
            k = np.tile(_kernel(gap, length * self._extent), (len(seen), len(seen)))
            shape = k * (share * fronts + (1 - share) * plain)
            for size in SIZES:
                factor = cho_factor(size**2 * shape + R, lower=True)
                weights = cho_solve(factor, off)
                likelihood = -0.5 * off @ weights - np.log(np.diag(factor[0])).sum()
                if likelihood > best:
                    best, found = likelihood, (length, share, size, weights)
        assert found is not None
        length, share, size, weights = found
        k = _kernel(cdist(x, places), length * self._extent)
        out = values.copy()
        for a in range(len(self._fields)):
            rows = []
            for i, b in enumerate(seen):
                shape = share * (slope[a].T @ at[i]) / amount**2
                if a == b:
                    shape = shape + (1 - share) * np.outer(self._free, free)
                rows.append(k * shape)
            out[:, a] += spread[a] * size**2 * (np.concatenate(rows, axis=1) @ weights)
        return out

    def _places(self, observation: Observation) -> csr_matrix:
        """(m, n): the measured values as combinations of those at nodes."""
        n = self._mesh.n_points
        if observation.nodes is not None:
            nodes = np.asarray(observation.nodes)
            if nodes.size and not (nodes.min() >= 0 and nodes.max() < n):
                raise FieldError(f"Expected measurements at nodes below {n} (got up to {nodes.max()})")
            return csr_matrix((np.ones(len(nodes)), (np.arange(len(nodes)), nodes)), shape=(len(nodes), n))
        points = np.asarray(observation.points, float)
        where = PointLocator(simplicial(self._mesh)).find(points)
        beyond = np.flatnonzero(where.outside)
        if len(beyond):
            raise FieldError(
                f"Expected measurements in the mesh (got {len(beyond)} outside it, the first at {points[:, beyond[0]]})"
            )
        rows = np.repeat(np.arange(points.shape[1]), where.nodes.shape[1])
        return csr_matrix((where.weights.ravel(), (rows, where.nodes.ravel())), shape=(points.shape[1], n))


def _kernel(gap: Array, length: float) -> Array:
    return np.exp(-0.5 * (gap / length) ** 2)
