"""The error that a mesh is predicted to have, as a function of where its nodes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.sides import Places
from meshmove.monitors import (
    NodalHessians,
    NodalThirds,
    Recovery,
    quadratic_solution_error,
    solution_error,
    third_derivatives,
)
from meshmove.monitors.quadratic import FineRecovery
from meshmove.monitors.sampled import SampledHessians
from meshmove.monitors.solution_error import moments_error
from meshmove.monitors.standard import Standard
from meshmove.movers import Alignment

from .own_hessian import OwnHessian

__all__ = ["BothNorms", "Predictor", "Predicts", "SharpPredictor", "weighted"]


#: a predicted error of this share of the field's spread is a rounding error of whoever computed the field
ROUNDING = 1e-12
#: positions whose error is remembered: movers, their guard and the choice among moves all ask for the same few
REMEMBERED = 4


class Remembered:
    """A function of node positions (n, dim) that knows its values at the last few of them.

    `across`: the processes that share the nodes, all of which have to know it, since all of them evaluate it or none.
    """

    def __init__(self, function: Callable[[Array], float], across: Communicator = SERIAL) -> None:
        self._function, self._across = function, across
        self._known: list[tuple[Array, float]] = []
        self._always: list[tuple[Array, float]] = []

    def always(self, points: Array, value: float) -> None:
        """What it is at some positions, however many others are asked for."""
        self._always = [(points, value)]

    def __call__(self, points: Array) -> float:
        remembered = (*self._always, *self._known)
        known = self._across.first([np.array_equal(there, points) for there, _ in remembered])
        if known is not None:
            return remembered[known][1]
        value = self._function(points)
        self._known = [*self._known, (points.copy(), value)][-REMEMBERED:]
        return value


class Predictor:
    """Predicted L2 error of finite elements of degree 1 or 2 for fields (n, k), on the same cells elsewhere.

    Several fields count alike: each error is taken relative to that at rest. Of the last `dual` fields, the adjoint
    solution of a goal, and the others each counts by what the other is (see `weighted`). Where interfaces are, every
    cell sees the derivatives of its own side. `middles` (e, k): of quadratic elements, the fields at the middles of
    edges.
    """

    def __init__(
        self,
        mesh: CellMesh,
        recovery: Recovery,
        fields: Array,
        locator: PointLocator,
        degree: int = 1,
        dual: int = 0,
        middles: Array | None = None,
    ) -> None:
        self._locator, self._sides, self.degree = locator, recovery.sides, degree
        split = locator.mesh.n_cells == len(self._sides.simplices)
        self._places: Places | None = self._sides.home if split else None  # in cells of the locator
        self._remembered = Remembered(self._predicted)
        self._error = {1: solution_error, 2: quadratic_solution_error}[degree]
        nodal = fields if middles is None else np.concatenate([fields, middles])
        standard = [Standard.of(u) for u in nodal.T]
        if middles is not None:
            fine = FineRecovery(mesh, recovery.sides)
            derivatives = [fine.third(f.values) for f in standard]
        else:
            derivatives = [recovery.sided.hessian(f.values[self._sides.vertex]) for f in standard]
            if degree == 2:
                derivatives = [third_derivatives(recovery, h) for h in derivatives]
        if dual:
            derivatives = [*weighted(derivatives[:-dual], derivatives[-dual:])]
        rest = np.array([self._error(self._sides.mesh, d) for d in derivatives])
        size = np.sqrt(np.abs(mesh.extent) ** mesh.dim)
        noise = np.array([_noise(f) for f in standard])
        keep = np.flatnonzero(rest > size * noise)
        self._fields, self._derivatives = [standard[k] for k in keep], [derivatives[k] for k in keep]
        self._scale = rest[keep] if len(keep) > 1 else np.ones(len(keep))
        #: the error (k,) of each field that counts where the mesh is, in its own unit
        self.shown = np.array([self._fields[i].to_field(rest[k]) for i, k in enumerate(keep)])
        self.rest = self._norm(rest[keep])
        self._remembered.always(mesh.points, self.rest)

    def _norm(self, errors: Array) -> float:
        if len(errors) == 1:
            return self._fields[0].to_field(errors[0])
        return float(np.sqrt(np.sum((errors / self._scale) ** 2)))

    @cached_property
    def hessians(self) -> NodalHessians:
        """Of the fields that count: second derivatives for linear elements, third ones for quadratic elements."""
        kind = {1: NodalHessians, 2: NodalThirds}[self.degree]
        return kind(self._sides, self._locator, np.stack(self._derivatives), self._places)

    def __call__(self, points: Array) -> float:
        """The error at node positions (n, dim); the last few that were asked for are remembered."""
        return self._remembered(points)

    def _predicted(self, points: Array) -> float:
        if not self._derivatives:
            return 0.0
        sides = self._sides
        if self.degree == 1:
            at = self.hessians.matrices(points)
        else:
            shape = self._derivatives[0].shape[:-1]
            every = np.concatenate([d.reshape(-1, d.shape[-1]) for d in self._derivatives]).T
            self._places = sides.locate(points, self._locator, self._places)
            at = sides.interpolate(every, self._places).T.reshape(-1, *shape, len(sides.vertex))
        return self._norm(np.array([self._error(sides.mesh, d, points[sides.vertex]) for d in at]))


def weighted(fields: Sequence[Array], dual: Sequence[Array]) -> tuple[Array, ...]:
    """Derivatives (..., s) of fields and of an adjoint solution, of the same size at every point: the geometric mean.

    The error of a goal is at most the sum over cells of |u - Iu|_K |z - Iz|_K in the norm of the energy (Becker &
    Rannacher, Acta Numerica 10, 2001). Of derivatives scaled so, both squared errors of a cell are about that product,
    while each keeps its own directions.
    """
    sizes = [np.sqrt(sum((d**2).reshape(-1, d.shape[-1]).sum(axis=0) for d in part)) for part in (fields, dual)]
    both = np.sqrt(sizes[0] * sizes[1])
    scales = [np.divide(both, size, out=np.zeros_like(both), where=size > 0) for size in sizes]
    return tuple(d * scale for part, scale in zip((fields, dual), scales, strict=True) for d in part)


class SharpPredictor:
    """The same of a field for linear elements that gives its second derivatives itself, seen inside of the cells."""

    def __init__(self, mesh: CellMesh, recovery: Recovery, field: Array, own: OwnHessian) -> None:
        self._sides, standard = recovery.sides, Standard.of(field)
        self._field = standard
        self.hessians = SampledHessians(
            self._sides,
            mesh,
            lambda x: np.ldexp(own.values(x), -standard.exponent),
            lambda x: np.ldexp(own.hessians(x), -standard.exponent),
        )
        least = np.sqrt(np.abs(mesh.extent) ** mesh.dim) * _noise(standard)
        self.rest = self(mesh.points)
        self.shown = np.array([self.rest])
        if self.rest <= standard.to_field(least):
            self.rest = 0.0

    def __call__(self, points: Array) -> float:
        moments, _ = self.hessians.moments(points, np.ones(1))
        return self._field.to_field(moments_error(self._sides.mesh, moments, points[self._sides.vertex]))


def _noise(field: Standard) -> float:
    """A predicted error that tells nothing, over the root of the volume."""
    return ROUNDING + 16 * np.finfo(float).eps * field.magnitude


Predicts = Predictor | SharpPredictor


class BothNorms:
    """Geometric mean of the predicted L2 error and the predicted H1 error, which `Alignment` descends.

    What descent gains in H1 it may lose in L2, where cells become very long; the mean does not let either go far.

    `fields`: of the L2 error, in their unit. `plain`: that error over the one at rest, where a solve predicts it;
    `solved` says so.
    """

    def __init__(
        self, fields: Predicts, objective: Alignment, rest: Array, plain: Callable[[Array], float] | None = None
    ) -> None:
        self._fields, self.objective, self._plain = fields, objective, plain
        self.solved = plain is not None
        self._remembered = Remembered(self._both, objective.across)
        self.rest = self(rest)

    def __call__(self, points: Array) -> float:
        """At node positions (n, dim); the last few that were asked for are remembered."""
        return self._remembered(points)

    def _both(self, points: Array) -> float:
        return float(np.sqrt(self.plain(points) * self.objective.error(points)) * self._fields.rest)

    def plain(self, points: Array) -> float:
        """The predicted L2 error over that at rest."""
        return self._fields(points) / self._fields.rest if self._plain is None else self._plain(points)
