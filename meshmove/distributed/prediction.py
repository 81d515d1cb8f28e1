"""The error that a mesh in pieces is predicted to have: sums over the cells of all processes."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import numpy as np

from meshmove.adaptation.judging.resolution import feature_squares, warned
from meshmove.communicator import Communicator, box_of
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.monitors import Recovery
from meshmove.monitors.quadratic import quadratic_error_squares
from meshmove.monitors.solution_error import error_squares, mixed_error
from meshmove.monitors.standard import Standard
from meshmove.outcomes import Told

from .background import Background, PatchHessians, PatchThirds
from .overlap import Overlap
from .quadratic import SharedFineRecovery

__all__ = ["SharedPredictor", "extent_of"]


#: as for `adaptation.judging.prediction`: errors of this share of the field's spread are rounding errors
ROUNDING = 1e-12
REMEMBERED = 4


def extent_of(points: Array, across: Communicator) -> float:
    """Diagonal of the bounding box of all nodes."""
    low, high = box_of(points, across)
    return float(np.linalg.norm(high - low))


class SharedPredictor:
    """Predicted L2 error of finite elements of degree 1 or 2 for fields (n, k), as `Predictor` has it.

    Parameters
    ----------
    mesh
        The cells of this process.
    overlap, recovery
        Layers around them, and the recovery of derivatives there.
    fields
        Values (n, k) at the nodes of the piece.
    background
        Of the mesh as it is.
    middles
        Values (m, e, k) of quadratic elements at the middles of the cells' edges.
    """

    def __init__(
        self,
        mesh: CellMesh,
        across: Communicator,
        overlap: Overlap,
        recovery: Recovery,
        fields: Array,
        background: Background,
        middles: Array | None = None,
    ) -> None:
        self._mesh, self._across = mesh, across
        self._known: list[tuple[Array, float]] = []
        self.degree, n = 1 if middles is None else 2, len(fields)
        nodal = fields if middles is None else np.concatenate([fields, middles.reshape(-1, fields.shape[1])])
        standard = [Standard.of(u, across) for u in nodal.T]
        derivatives = [self._hessian(overlap, recovery, f.values[:n]) for f in standard]
        self.ratio = max(self._feature(d, f.values[:n]) for d, f in zip(derivatives, standard, strict=True))
        if middles is not None:
            fine, shape = SharedFineRecovery(overlap, across), middles.shape[:2]
            derivatives = [fine.third(f.values[:n], f.values[n:].reshape(shape)) for f in standard]
        rest = np.array([self._error(d) for d in derivatives])
        size = np.sqrt(extent_of(mesh.points, across) ** mesh.dim)
        noise = np.array([ROUNDING + 16 * np.finfo(float).eps * f.magnitude for f in standard])
        keep = np.flatnonzero(rest > size * noise)
        self._fields = [standard[k] for k in keep]
        self._scale = rest[keep] if len(keep) > 1 else np.ones(len(keep))
        self.rest = self._norm(rest[keep])
        if len(keep):
            kind = PatchHessians if middles is None else PatchThirds
            self.hessians = kind(np.stack([derivatives[k] for k in keep]), background, mesh)

    def _hessian(self, overlap: Overlap, recovery: Recovery, values: Array) -> Array:
        """(dim, dim, n), at ghosts too."""
        found = np.moveaxis(recovery.hessian(overlap.spread(values)), -1, 0)
        return np.moveaxis(self._across.update(np.ascontiguousarray(overlap.taken(found))), 0, -1)

    def _error(self, hessian: Array, points: Array | None = None) -> float:
        squares = error_squares if self.degree == 1 else quadratic_error_squares
        return mixed_error(self._across.sum(squares(self._mesh, hessian, points)))

    def _feature(self, hessian: Array, values: Array) -> float:
        error, rise = self._across.sum(np.array(feature_squares(self._mesh, hessian, values)))
        return float(np.sqrt(12 * error / rise)) if rise > 0 else 0.0

    def _norm(self, errors: Array) -> float:
        if len(errors) == 1:
            return self._fields[0].to_field(errors[0])
        return float(np.sqrt(np.sum((errors / self._scale) ** 2)))

    def warnings(self, aligned: bool) -> tuple[Told, ...]:
        """Where cells are as wide as the fields' features; `aligned`: the mesh is, to them."""
        return warned(self.ratio, aligned)

    def __call__(self, points: Array) -> float:
        """The error at node positions (n, dim); the last few that were asked for are remembered."""
        if not self._fields:
            return 0.0
        known = self._across.first([np.array_equal(there, points) for there, _ in self._known])
        if known is not None:
            return self._known[known][1]
        error = self._norm(self._across.settled(lambda: self._errors(points)))
        self._known = [*self._known, (points.copy(), error)][-REMEMBERED:]
        return error

    def _errors(self, points: Array) -> Array:
        values = self.hessians.value(points)
        return np.array([self._error(_full(h, points.shape[1], self.degree + 1), points) for h in values])


def _full(components: Array, dim: int, order: int) -> Array:
    """Symmetric derivatives (dim, ..., dim, n) of an order from their components (p, n)."""
    out = np.empty((*[dim] * order, components.shape[1]))
    for axes, values in zip(combinations_with_replacement(range(dim), order), components, strict=True):
        for place in permutations(axes):
            out[place] = values
    return out
