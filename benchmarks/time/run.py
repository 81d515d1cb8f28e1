"""Meshes that move through time against meshes that stand: errors, node speeds, conservation, and what a step costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
from skfem.models.poisson import laplace, mass, unit_load

import meshmove
from benchmarks.time.loops import loops
from benchmarks.time.more_problems import EVERY
from benchmarks.time.problems import P1, PROBLEMS, Fixed, error, followed, rezoned, square
from meshmove.plugins.skfem.ale import conservative

#: L2 errors to reach at 24 and 48 steps on 625 nodes
TARGETS = {"Burgers front": (3.5e-3, 2.3e-3), "rotating bump": (2e-3, 1.6e-3), "heat source": (1.2e-3, 1.2e-3)}
N, STEPS = 24, (24, 48)
#: steps to see how fast nodes go, steps of conservation in a quick run, and cells a side of what costs are measured on
FINE, COUNT, SIZES = (96, 384), 100, (50, 100)
#: some six minutes
BY_DEFAULT = False


def errors(quick: bool) -> Rows:
    """ALE loops on 625 nodes, and how fast their nodes go."""
    rows, speeds = [], []
    for problem in PROBLEMS:
        for steps, target in zip(STEPS[:1] if quick else STEPS, TARGETS[problem.name], strict=False):
            mesh, u, fastest = followed(problem, N, steps)
            moved, fixed = error(problem, mesh, u, problem.end), Fixed(problem, N, steps)
            rest = error(problem, fixed.mesh, fixed.run(), problem.end)
            rows.append(row(f"{problem.name}, {steps} steps: L2 error", moved, target, moved <= target, fixed=rest))
            ratio = fastest / problem.pace
            speeds.append(row(f"{problem.name}, {steps} steps: node speed / feature's", ratio, 4, ratio <= 4))
    return rows + speeds


def finer(quick: bool) -> Rows:
    """ALE loops on finer meshes, where features pass more cells in a step."""
    rows = []
    for problem in PROBLEMS:
        for n in SIZES:
            fixed, (mesh, u, _) = Fixed(problem, n, STEPS[1]), followed(problem, n, STEPS[1])
            moved, rest = error(problem, mesh, u, problem.end), error(problem, fixed.mesh, fixed.run(), problem.end)
            name = f"{problem.name}, {(n + 1) ** 2:,} nodes, {STEPS[1]} steps: L2 error"
            rows.append(row(name, moved, "fixed", moved <= rest, fixed=rest))
    return rows


def defaults(quick: bool) -> Rows:
    """Rezoning against the mesh at rest: by default on all problems, in other ways on three."""
    rows = []
    for problem in EVERY:
        fixed = Fixed(problem, N, STEPS[0])
        rest = error(problem, fixed.mesh, fixed.run(), problem.end)
        others = ("interpolate", "conservative") if problem in PROBLEMS and not quick else ()
        for transfer in ("swept", *others):
            for start in (True,) if quick else (True, False):
                found = error(problem, *rezoned(problem, N, STEPS[0], transfer, start), problem.end)
                name = f"{problem.name}: carried, {transfer}, {'started' if start else 'not started'}"
                rows.append(row(name, found, "fixed", found <= rest, fixed=rest))
    return rows


def shorter_steps(quick: bool) -> Rows:
    """Rezoning of the front as the step goes to zero: what it loses at 24 steps is the error in time."""
    rows, problem = [], PROBLEMS[0]
    for steps in STEPS[1:] if quick else (STEPS[1], 2 * STEPS[1]):
        fixed = Fixed(problem, N, steps)
        rest = error(problem, fixed.mesh, fixed.run(), problem.end)
        for transfer in ("conservative", "swept"):
            found = error(problem, *rezoned(problem, N, steps, transfer, True), problem.end)
            rows.append(
                row(f"{problem.name}: carried, {transfer}, {steps} steps", found, "fixed", found <= rest, fixed=rest)
            )
    return rows


def speeds(quick: bool) -> Rows:
    """The largest speed of a node over that of the feature, as the step goes to zero."""
    rows = []
    for problem in PROBLEMS[:2]:
        for steps in FINE[:1] if quick else FINE:
            ratio = followed(problem, N, steps)[2] / problem.pace
            rows.append(row(f"{problem.name}, {steps} steps: node speed / feature's", ratio, 4, ratio <= 4))
    return rows


def conservation(quick: bool) -> Rows:
    """A constant, and the mass of a bump, over many steps of a mesh that follows a rotating bump."""
    count, problem, dt = COUNT if quick else 10 * COUNT, PROBLEMS[1], 0.01
    moving = meshmove.MovingMesh(square(8))
    moving.start(lambda x: problem.exact(x, 0.0))
    one, u = np.ones(81), problem.exact(moving.mesh.p, 0.0)

    def total(values: Any) -> float:
        basis = skfem.Basis(moving.mesh, P1)
        return float((basis.interpolate(values) * basis.dx).sum())

    first, worst = total(u), 0.0
    for k in range(count):
        step = moving.step(problem.exact(moving.mesh.p, k * dt), dt)
        matrices = conservative(step, P1)
        one, u = matrices.solve(one), matrices.solve(u)
        worst = max(worst, abs(total(u) / first - 1))
    off = float(np.abs(one - 1).max())
    return [
        row(f"a constant over {count} steps", off, 1e-12, off <= 1e-12),
        row(f"mass over {count} steps, relative", worst, 1e-12, worst <= 1e-12),
    ]


def there_and_back(quick: bool) -> Rows:
    """A mesh after a monitor that went away and came back, against where it was."""
    count, at = 100 if quick else 500, [0.3]
    moving = meshmove.MovingMesh(
        square(8), monitor=lambda x: 1 + 10 * np.exp(-100 * ((x[0] - at[0]) ** 2 + (x[1] - 0.5) ** 2))
    )
    moving.start()
    for _ in range(40):
        moving.step(dt=0.01)
    before = moving.mesh.p
    for k in range(count + 40):
        at[0] = 0.3 + 0.4 * max(0.0, 1 - abs(1 - 2 * (k + 1) / count))
        moving.step(dt=0.01)
    off = float(np.abs(moving.mesh.p - before).max())
    return [row(f"there and back in {count} steps, 40 at rest: off by", off, 1e-6, off <= 1e-6)]


def there_and_back_with_a_field(quick: bool) -> Rows:
    """The same with a bump as the field, which is recovered on the mesh itself, and a time constant that is held."""
    count, rows = 100 if quick else 500, []
    for n in (8,) if quick else (8, 16):
        at, dt = [0.3], 0.01

        def bump(x: Any, at: list[float] = at) -> Any:
            return np.exp(-80 * ((x[0] - at[0]) ** 2 + (x[1] - 0.5) ** 2))

        moving = meshmove.MovingMesh(square(n), tau=3 * dt)
        moving.start(bump)
        for _ in range(100):
            moving.step(bump, dt)
        before = moving.mesh.p
        for k in range(count + 150):
            at[0] = 0.3 + 0.4 * max(0.0, 1 - abs(1 - 2 * (k + 1) / count))
            step = moving.step(bump, dt)
        off, still = float(np.abs(moving.mesh.p - before).max()), step.report.largest_speed
        words = f"a bump there and back in {count} steps, 150 at rest, {(n + 1) ** 2} nodes"
        rows.append(row(f"{words}: off by", off, 1e-6, off <= 1e-6))
        rows.append(row(f"{words}: largest speed", still, 1e-2, still <= 1e-2))
    return rows


def costs(quick: bool) -> Rows:
    """A step of the mesh against one assembly and solve of P1 on it; steps take a front by about half its width."""
    rows, problem = [], PROBLEMS[0]
    for n in SIZES[:1] if quick else SIZES:
        mesh, dt = square(n), (problem.end - problem.start) / n

        def solve(mesh: skfem.MeshTri = mesh) -> Any:
            basis = skfem.Basis(mesh, P1)
            matrix = laplace.assemble(basis) + mass.assemble(basis)
            return skfem.solve(*skfem.condense(matrix, unit_load.assemble(basis), D=mesh.boundary_nodes()))

        moving = meshmove.MovingMesh(mesh)
        moving.start(lambda x: problem.exact(x, problem.start))
        ratios = []  # the nodes' place is found in some steps only: the mean counts, of four and more rounds
        for k in range(23):
            u = problem.exact(moving.mesh.p, problem.start + k * dt)
            step = timed(lambda u=u, m=moving, d=dt: m.step(u, d), clock=CPU)[0]
            ratios.append(step / timed(solve, clock=CPU)[0])
        ratio = float(np.mean(ratios[3:]))
        rows.append(row(f"{mesh.nvertices} nodes: a step / an assembly and solve", ratio, 1, ratio <= 1))
    return rows


#: each can be run alone: ``--only loops``
PARTS: dict[str, Callable[[bool], Rows]] = {
    "errors": errors,
    "defaults": defaults,
    "shorter-steps": shorter_steps,
    "speeds": speeds,
    "conservation": conservation,
    "there-and-back": there_and_back,
    "there-and-back-with-a-field": there_and_back_with_a_field,
    "costs": costs,
    "finer": finer,
    "loops": loops,
}
#: not in a quick run, unless they are asked for
LONG = ("finer", "loops")


def run(quick: bool = False, only: Sequence[str] | None = None) -> Rows:
    """All of it, or some parts; beside errors those of the fixed mesh of as many nodes."""
    parts = only or [part for part in PARTS if not (quick and part in LONG)]
    return [r for part in parts for r in PARTS[part](quick)]


if __name__ == "__main__":
    main(run, PARTS)
