"""Monitor functions from nodal fields: where cells should be small, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import vertex_volumes

from .averaging import Averaging
from .interpolation_error import hessian_norm
from .recovery import Recovery
from .standard import Standard

__all__ = ["KINDS", "Monitor", "optimal_exponent", "smoother"]


KINDS = ("hessian", "gradient", "curvature")
#: largest intensity and exponent: what lies beyond is a monitor that leaves all cells in one place, or in none
STEEPEST, SHARPEST = 1e6, 100.0
#: most sweeps of smoothing: more flatten the monitor of any mesh, and take long
SWEEPS = 1000


def optimal_exponent(dim: int) -> float:
    """2d / (d + 4): the density of vertices, as a power of the Hessian's norm, with the least L2 error.

    For linear elements the error on a cell of size h is about h^2 |H|; with |K| ~ 1/m the sum of squares is least for
    m ~ |H|^(2d/(d+4)) (Huang & Russell, Adaptive Moving Mesh Methods, 2011, section 2.4; Chen, Sun & Xu,
    Math. Comp. 76, 2007, with p = 2).

    >>> optimal_exponent(2), optimal_exponent(3)
    (0.6666666666666666, 0.8571428571428571)
    """
    return 2 * dim / (dim + 4)


@dataclass(frozen=True)
class Monitor:
    r"""m = 1 + a s^p / mean(s^p), with an indicator s of the field.

    Several fields are combined by the largest of their mean-normalised indicators.

    Parameters
    ----------
    kind
        "hessian": s is the Frobenius norm of the recovered Hessian. "gradient": arc length,
        m = sqrt(1 + a |grad u|^2 / mean |grad u|^2). "curvature": s is the mean curvature of the graph of u,
        |div(grad u / sqrt(1 + |grad u|^2))|, u and the domain scaled to unit size.
    intensity
        a. About a / (1 + a) of the cells go where the indicator is. None: chosen for the least predicted error.
    exponent
        p. None: chosen (Hessian), or 1.
    smoothing
        Sweeps of averaging over neighbouring nodes. None: chosen, or 2.
    bounds
        Limits of m relative to its mean, such as (0.1, 50).

    Raises
    ------
    ValueError
        A kind of another name; an intensity, exponent or number of sweeps that is no number, negative or beyond what
        makes sense; bounds that are no pair of rising positive numbers.

    Examples
    --------
    >>> Monitor("hessian", intensity=4, exponent=0.5)
    Monitor(kind='hessian', intensity=4, exponent=0.5, smoothing=None, bounds=None)
    """

    kind: str = "hessian"
    intensity: float | None = None
    exponent: float | None = None
    smoothing: int | None = None
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Expected a monitor of {', '.join(map(repr, KINDS))}, or a callable (got {self.kind!r})")
        for name, most in (("intensity", STEEPEST), ("exponent", SHARPEST)):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 <= value <= most):
                raise ValueError(f"Expected a number up to {most:g} as {name} of at least 0 (got {value!r:.80})")
        sweeps = self.smoothing
        if sweeps is not None and not (_is_number(sweeps) and 0 <= sweeps <= SWEEPS and int(sweeps) == sweeps):
            raise ValueError(f"Expected up to {SWEEPS} smoothing sweeps of at least 0 (got {sweeps!r:.80})")
        if self.bounds is not None and not _are_bounds(self.bounds):
            raise ValueError(f"Expected two bounds 0 < low < high (got {self.bounds!r:.80})")

    @property
    def is_automatic(self) -> bool:
        return self.intensity is None

    def indicator(self, recovery: Recovery | Averaging, fields: Array, across: Communicator = SERIAL) -> Array:
        """s (n,) with mean one for nodal fields (n, k); zero where every field is linear or constant.

        `across`: the processes that share the nodes; what is right at those that each of them owns is taken over.
        """
        parts = []
        for field in np.atleast_2d(fields.T):
            s = recovery.sides.largest(self._of_one(recovery, Standard.of(field, across).values, across))
            s = across.update(s)
            whole, nodes = across.sum(np.array([across.own(s).sum(), len(across.own(s))]))
            parts.append(s / (whole / nodes or 1.0))
        return np.max(parts, axis=0)

    def _of_one(self, recovery: Recovery | Averaging, u: Array, across: Communicator) -> Array:
        """s (s,) on each side of the vertices."""
        sides, sided = recovery.sides, recovery.sided
        u = u[sides.vertex]
        if self.kind == "hessian":
            return hessian_norm(sided.hessian(u))
        g = sided.gradient(u)
        if self.kind == "gradient":
            return np.sqrt((g**2).sum(axis=0))
        spread = across.maximum(u.max(initial=-np.inf)) - across.minimum(u.min(initial=np.inf))
        flat = g / (spread or 1.0)
        unit = flat / np.sqrt(1 + (flat**2).sum(axis=0))
        if sides.whole:
            unit = across.update(unit.T).T
        return np.abs(sum(sided.gradient(c)[k] for k, c in enumerate(unit)))

    def values(
        self, mesh: CellMesh, indicator: Array, smooth: csr_matrix | None = None, across: Communicator = SERIAL
    ) -> Array:
        """m (n,) at the vertices, from an indicator (n,).

        `across`: the processes that share the mesh, of which `mesh` has all cells about the vertices that this one
        owns, and those about their neighbours.
        """
        s = indicator
        weight = vertex_volumes(mesh)
        exponent = self.exponent if self.exponent is not None else _default_exponent(self.kind, mesh.dim)
        s = (s / (across.maximum(s.max(initial=0.0)) or 1.0)) ** exponent
        smooth = smoother(mesh) if smooth is None else smooth
        for _ in range(2 if self.smoothing is None else int(self.smoothing)):
            s = across.update(smooth @ s)
        if self.kind == "gradient":
            s = s * s
        mean = _mean(s, weight, across)
        if not mean > 0:
            return np.ones(len(s))
        a = 4.0 if self.intensity is None else self.intensity
        m = 1 + a * s / mean
        if self.kind == "gradient":
            m = np.sqrt(m)
        if self.bounds is not None:
            mean = _mean(m, weight, across)
            m = np.clip(m, self.bounds[0] * mean, self.bounds[1] * mean)
        return m


def _mean(values: Array, weight: Array, across: Communicator) -> float:
    part, whole = across.sum(np.array([across.own(weight * values).sum(), across.own(weight).sum()]))
    return float(part / whole)


def _is_number(value: object) -> bool:
    """A real number of Python or NumPy, no truth value, not NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def _are_bounds(bounds: object) -> bool:
    pair = list(bounds) if isinstance(bounds, Iterable) else []
    return len(pair) == 2 and all(map(_is_number, pair)) and bool(0 < pair[0] < pair[1])


def _default_exponent(kind: str, dim: int) -> float:
    return optimal_exponent(dim) if kind == "hessian" else 1.0


def smoother(mesh: CellMesh) -> csr_matrix:
    """One sweep: half of the value stays, half is the mean over the neighbours, weighted by their volumes."""
    i, j = mesh.edges.T
    volume = vertex_volumes(mesh)
    n = mesh.n_points
    rows, cols = np.concatenate([i, j]), np.concatenate([j, i])
    around = np.bincount(rows, volume[cols], n).clip(1e-300)
    own = np.arange(n)
    entries = np.concatenate([np.full(n, 0.5), 0.5 * volume[cols] / around[rows]])
    return coo_matrix((entries, (np.concatenate([own, rows]), np.concatenate([own, cols]))), shape=(n, n)).tocsr()
