"""A step of the flow past a cylinder on cells twice as long as the mesh's: a base for the neural time stepper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.options import number
from meshmove.solvers.fem.flow import Flow
from meshmove.solvers.fem.meshes import skfem_mesh

from .wake import refined_wake_mesh, wake_flow, wake_mesh

__all__ = ["WakeStep"]

#: fields that go in and come out
FIELDS = "vorticity", "u", "v"
#: flows of so many Reynolds numbers are kept, with their factors
KEPT = 24
#: of `cylinder-corrected`, and the finest that this time step bears
SIZE, DT, SIDES = 0.43, 0.25 / 13, 16


@dataclass
class _Running:
    """A flow, and the velocity (2, n) with which its last step has ended."""

    flow: Flow
    end: Array | None = None


class WakeStep:
    """``step(mesh, fields, dt, attributes)`` for "vorticity", "u" and "v" and the attribute "reynolds".

    The flow is quadratic on a coarse mesh, and its unknowns are the nodes of that mesh once refined, `mesh`: there the
    model works. Nothing is interpolated. A step that begins where the last one of its Reynolds number has ended goes on
    with what that knew of pressure and time; any other finds them by trial, see `Flow.restart`.

    As it is, it is the one that the weights `cylinder-corrected` have learned to correct.

    Parameters
    ----------
    size
        Edge length of the coarse mesh in the wake.
    dt
        Longest time step inside; the convection, which is explicit, bears no longer ones than cells over speed.
    sides
        Of the polygon that stands for the cylinder.

    Examples
    --------
    >>> step = WakeStep(1.2, 0.02, sides=12)
    >>> n = step.mesh.n_points
    >>> still = {"vorticity": np.zeros(n), "u": np.ones(n), "v": np.zeros(n)}
    >>> after = step(step.mesh, still, 0.1, {"reynolds": 100.0})
    >>> sorted(after), bool(abs(after["vorticity"]).max() > 1)  # at the cylinder, on which the stream sticks
    (['u', 'v', 'vorticity'], True)
    """

    #: that of the files of models which correct it
    name = "wake-elements"

    def __init__(self, size: float = SIZE, dt: float = DT, *, sides: int = SIDES) -> None:
        self.dt = number(dt, "a positive time step")
        coarse = wake_mesh(size, sides=sides)
        #: the coarse mesh, of scikit-fem
        self.grid = skfem_mesh(coarse)
        #: on whose nodes fields are given, (n, 2) with the boundaries of the channel
        self.mesh: CellMesh = refined_wake_mesh(coarse, self.grid)
        self._flows: dict[tuple[float, float], _Running] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Of copies and pickles, which find what is factorised again."""
        return {**self.__dict__, "_flows": {}}

    def __call__(
        self, mesh: Any, fields: Mapping[str, Array], dt: float, attributes: Mapping[str, float]
    ) -> dict[str, Array]:
        """The fields (n,) after the time dt.

        Raises
        ------
        FieldError
            Fields or attribute are missing, fields are not finite values at the nodes, or the mesh is not `mesh`.
        FlowError
            The flow blew up.
        """
        reynolds, start = self._checked(mesh, fields, attributes)
        steps = max(1, int(np.ceil(dt / self.dt - 1e-9)))
        running = self._running(reynolds, dt / steps)
        flow, known, running.end = running.flow, running.end, None  # nothing is known while a step may be broken off
        if known is None or not np.array_equal(start, known):
            flow.restart(start)
        flow.step(steps)
        running.end = flow.velocity.copy()
        return {"vorticity": flow.vorticity(), "u": running.end[0].copy(), "v": running.end[1].copy()}

    def _running(self, reynolds: float, dt: float) -> _Running:
        key = reynolds, round(dt, 12)
        found = self._flows.pop(key, None) or _Running(wake_flow(self.grid, reynolds, dt))
        self._flows[key] = found  # the last one asked for is the last to be given up
        while len(self._flows) > KEPT:
            self._flows.pop(next(iter(self._flows)))
        return found

    def _checked(self, mesh: Any, fields: Mapping[str, Array], attributes: Mapping[str, float]) -> tuple[float, Array]:
        cells = mesh if isinstance(mesh, CellMesh) else Source.of(mesh).cells
        if cells.points.shape != self.mesh.points.shape or not np.allclose(cells.points, self.mesh.points, atol=1e-6):
            raise FieldError(f"Expected the mesh of {self.mesh.n_points} nodes that this step was made with, "
                             f"WakeStep.mesh (got another, of {cells.n_points})")  # fmt: skip
        missing = [name for name in FIELDS if name not in fields]
        if missing or "reynolds" not in attributes:
            raise FieldError(f"Expected the fields {list(FIELDS)} and an attribute 'reynolds' (got {[*fields]} and "
                             f"{[*attributes]})")  # fmt: skip
        found = {name: np.asarray(fields[name], float) for name in FIELDS}
        for name, values in found.items():
            if values.shape != (cells.n_points,) or not np.isfinite(values).all():
                raise FieldError(f"Expected finite values of {name!r} at {cells.n_points} nodes (got shape "
                                 f"{values.shape}, {int((~np.isfinite(values)).sum())} not finite)")  # fmt: skip
        return float(attributes["reynolds"]), np.stack([found[name] for name in FIELDS[1:]])
