"""What a time step of a moving mesh did, and the two ways to go on from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.result import LINE
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.outcomes import Outcome, Told

from .following.state import Went

__all__ = ["Step", "StepReport", "report_of"]


@dataclass(frozen=True)
class StepReport:
    """How a step of a `MovingMesh` went; prints as a small table.

    `tau`: the time constant with which nodes follow, infinite where they stood. `rate`: 1/time, of the field's change;
    `feature_speed`: of what moves in it; both None where that is not known yet. `largest_speed`: of a node.
    `transport_steps`, `alignment_steps`: of descent, 0 where the nodes' place went on in a straight line. `share`: of
    the way that was gone; less than one where more would have inverted cells; `boundary_share`: of a prescribed motion
    of the boundary. `min_volume_ratio`: the smallest
    corner volume of the mesh over that of the reference.
    """

    mover: str
    tau: float
    rate: float | None
    feature_speed: float | None
    largest_speed: float
    transport_steps: int
    alignment_steps: int
    share: float
    inverted_cells: int
    min_volume_ratio: float
    max_displacement: float
    seconds: float
    regions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    boundary_share: float = 1.0

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What the warnings tell of."""
        return tuple(dict.fromkeys(w.outcome for w in self.warnings if isinstance(w, Told)))

    def __str__(self) -> str:
        rows = [
            ("mover", f"{self.mover}, {self.transport_steps} and {self.alignment_steps} steps, {self.seconds:.3g} s"),
            ("time constant", f"{self.tau:.3g}" if np.isfinite(self.tau) else "none: nodes stood still"),
        ]
        if self.feature_speed is not None:
            rows.append(("speed of the field's features", f"{self.feature_speed:.3g}"))
        rows += [
            ("largest speed of a node", f"{self.largest_speed:.3g}"),
            ("inverted cells", str(self.inverted_cells)),
            ("smallest volume ratio", f"{self.min_volume_ratio:.3g}"),
        ]
        if self.share < 1:
            rows.append(("share of the way", f"{self.share:.3g}"))
        if self.boundary_share < 1:
            rows.append(("share of the boundary's way", f"{self.boundary_share:.3g}"))
        if self.regions:
            rows.append(("regions", f"kept apart by {', '.join(self.regions)}"))
        rows += [("warning", w[:LINE]) for w in self.warnings]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def report_of(went: Went, displacement: Array, velocity: Array) -> StepReport:
    """What a follower says of its step, with displacements (n, dim) and velocities (n, d) of the nodes."""
    return StepReport(
        mover="",
        tau=went.tau,
        rate=None if went.pace is None else went.pace.rate,
        feature_speed=None,
        largest_speed=_longest(velocity),
        transport_steps=went.steps[0],
        alignment_steps=went.steps[1],
        share=went.share,
        inverted_cells=0,
        min_volume_ratio=1.0,
        max_displacement=_longest(displacement),
        seconds=0.0,
    )


def _longest(vectors: Array) -> float:
    return float(np.sqrt((vectors**2).sum(axis=1)).max())


@dataclass(frozen=True, eq=False)
class Step:
    """One step in time: the mesh at its beginning and at its end, and how the nodes went from one to the other.

    Go on with *either* `carried` and no velocity in the equations (rezoning), *or* with `material` and the velocity in
    them (ALE): carried values have left the nodes' motion behind, material ones have it in them. Carried values in
    equations with the mesh's velocity count the motion twice.

    Attributes
    ----------
    old, mesh
        At the beginning and at the end; class, cells, tags as in the input.
    displacement
        (n_nodes, dim): what was added to the positions of the nodes.
    velocity
        (n_nodes, d), constant in the step, in the mesh's own d coordinates.
    reference
        The mesh that all steps are relative to.
    dt, time
        Length of the step, and the time at its end.
    report
        How it went.
    cells, moved
        The old and the new mesh as plain arrays.
    """

    old: Any
    mesh: Any
    displacement: Array
    velocity: Array
    reference: Any
    dt: float
    time: float
    report: StepReport
    cells: CellMesh = field(repr=False)
    moved: CellMesh = field(repr=False)
    _given: Any = field(repr=False)
    _carry: Callable[[], Any] = field(repr=False)
    _one: Callable[[Any], NDArray] = field(repr=False)
    _halfway: Callable[[], Any] = field(repr=False)

    @cached_property
    def middle(self) -> Any:
        """The mesh half-way: where the forms of a step of second order in time are to be assembled."""
        return self._halfway()

    @property
    def carried(self) -> Any:
        """The field at the nodes of the new mesh: the same function of space, up to the error of transfer.

        An array for an array, dofs for a pair (basis, dofs) (of ``Basis(step.mesh, basis.elem)``), a list or dict of
        them for a list or dict of fields. Transferred when first asked for.
        """
        return self._carried[0]

    @property
    def material(self) -> Any:
        """The nodal values as they were: each has gone along with its node, to equations with the mesh's velocity.

        In the shapes of `carried`.
        """
        return _copied(self._given)

    @property
    def fields(self) -> dict[str, NDArray]:
        """What was carried, by name: point data of the mesh, and "field"."""
        return dict(self._carried[1])

    @cached_property
    def _carried(self) -> tuple[Any, dict[str, NDArray]]:
        return self._carry()

    def transfer(self, values: Any) -> NDArray:
        """Another field of the old mesh, carried to the new one."""
        return self._one(values)

    def __getstate__(self) -> dict[str, Any]:
        """What was to be carried is carried first: a function of the user's need not be one that can be pickled."""
        _ = self._carried
        kept = {k: v for k, v in self.__dict__.items() if k != "_assembled"}  # made again by `plugins.skfem.ale`
        return {**kept, "_carry": None}

    def __iter__(self) -> Iterator[Any]:
        warnings.warn(
            "a step is an object now: take step.mesh, and either step.carried, or step.material with step.velocity; "
            "unpacking it to mesh, velocity and fields will go",
            DeprecationWarning,
            stacklevel=2,
        )
        return iter((self.mesh, self.velocity, self.fields))

    def __getitem__(self, k: Any) -> Any:
        return tuple(self)[k]

    def __repr__(self) -> str:
        kind = type(self.mesh).__name__
        speed = self.report.largest_speed
        return f"<Step of a {kind} from {self.time - self.dt:g} to {self.time:g}, largest speed of a node {speed:.3g}>"


def _copied(given: Any) -> Any:
    if isinstance(given, dict):
        return {k: _copied(v) for k, v in given.items()}
    if isinstance(given, list):
        return [_copied(v) for v in given]
    if given is None:
        return None
    return given.copy() if hasattr(given, "function_space") else np.array(given)
