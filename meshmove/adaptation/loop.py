"""Solve and move in turns, and meshes that move through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.options import count, number

from .adapt import adapt, check_options, lasting
from .result import Adaptation, Report

__all__ = ["LoopResult", "MovingMesh", "adapt_loop"]


#: a time step from here on leaves velocities finite
TINY = 1e-200


@dataclass(frozen=True, eq=False)
class LoopResult:
    """The last `Adaptation` of a loop, and the report of each round.

    Unpacks to ``(adaptation, history)``; `mesh` is the final mesh.
    """

    adaptation: Adaptation
    history: tuple[Report, ...]

    @property
    def mesh(self) -> Any:
        return self.adaptation.mesh

    @property
    def report(self) -> Report:
        return self.adaptation.report

    def __iter__(self) -> Iterator[Any]:
        return iter((self.adaptation, self.history))


def adapt_loop(
    mesh: Any,
    solve: Callable[[Any], Any],
    *,
    steps: int = 3,
    progress: Callable[[int, Report], None] | None = None,
    **adapt_options: Any,
) -> LoopResult:
    """Solve, move the mesh to the solution, solve again on the moved mesh, and so on.

    Every round moves relative to the first mesh (`reference`), so that rounds do not drift.

    Parameters
    ----------
    mesh
        As for `adapt`.
    solve
        solve(mesh) -> field, in any form that `adapt` takes.
    steps
        Number of rounds; solve is called once in each.
    progress
        Called with the number of the round, from 1, and its report.
    adapt_options
        Passed on to `adapt`.

    Raises
    ------
    ValueError
        Steps that are no whole number from 1 on, no function, or an option that `adapt` does not know or take.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> mesh = skfem.MeshTri().refined(3)
    >>> out, history = adapt_loop(mesh, lambda m: np.exp(-50 * ((m.p - 0.5) ** 2).sum(axis=0)), steps=2)
    >>> len(history), out.mesh.t is mesh.t or bool((out.mesh.t == mesh.t).all())
    (2, True)
    """
    steps = count(steps, "at least one step", low=1)
    if not callable(solve):
        raise ValueError(f"Expected a function solve(mesh) (got {type(solve).__name__})")
    if progress is not None and not callable(progress):
        raise ValueError(f"Expected a function progress(number, report) (got {type(progress).__name__})")
    check_options(adapt_options)
    first = Source.of(mesh).mesh
    adapt_options = {"reference": first, **lasting(adapt_options)}
    current, history = first, []
    for k in range(1, steps + 1):
        out = adapt(current, solve(current), **adapt_options)
        current = out.mesh
        history.append(out.report)
        if progress is not None:
            progress(k, out.report)
    return LoopResult(out, tuple(history))


class MovingMesh:
    """A mesh that follows a field through time.

    Parameters
    ----------
    mesh
        The computational mesh: every step moves relative to it.
    adapt_options
        Passed on to `adapt`. Conservative transfer is often wanted here.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> moving = MovingMesh(skfem.MeshTri().refined(3), monitor="gradient")
    >>> for t in (0.3, 0.4):
    ...     front = np.tanh(20 * (moving.mesh.p[0] - t))
    ...     mesh, velocity, fields = moving.step(front, dt=0.1)
    >>> velocity.shape == mesh.p.T.shape, list(fields)
    (True, ['field'])
    """

    def __init__(self, mesh: Any, **adapt_options: Any) -> None:
        check_options(adapt_options)
        self.reference = Source.of(mesh).mesh
        self.mesh = self.reference
        self.time = 0.0
        self.last: Adaptation | None = None
        self._options = {"reference": self.reference, **lasting(adapt_options)}

    def step(self, field: Any, dt: float) -> tuple[Any, Array, dict[str, NDArray]]:
        """Move the current mesh to `field` over a time step.

        Returns the moved mesh, the velocity of its nodes during the step, (n_nodes, d) in
        the mesh's own d coordinates, and the fields carried to it.
        """
        dt = number(dt, "a positive time step", low=TINY)
        out = adapt(self.mesh, field, **self._options)
        self.mesh, self.last = out.mesh, out
        self.time += dt
        step = out.displacement if out.cells.frame is None else out.cells.frame.raise_(out.displacement)
        return out.mesh, step / dt, dict(out.fields)

    def __repr__(self) -> str:
        return f"<MovingMesh of a {type(self.mesh).__name__} at time {self.time:g}>"
