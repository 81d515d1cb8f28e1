"""Side by side with scikit-fem's P2 elements, meshing included: one problem, a batch of them, gradients; and GPUs."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.harness import Rows, row
from benchmarks.hypino.cases import Bench, Sample, at_level, relative_l2, seconds_of, values
from benchmarks.hypino.projection import restated

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.solvers import project
from meshmove.solvers.fem.evaluation import function_of
from meshmove.solvers.fem.linear import solve_finite_elements
from meshmove.solvers.fem.meshes import curved_along, mesh_of, skfem_mesh
from meshmove.solvers.fem.published_problems import BENCHMARKS
from meshmove.solvers.pde import LinearPDE
from meshmove.solvers.projection import Projector

__all__ = ["batch", "bumps", "differences", "finite_elements", "gpu", "gradient"]

Array = NDArray[np.float64]

SIZES = (0.4, 0.2, 0.1, 0.05, 0.03, 0.02)


def solved(pde: LinearPDE, size: float, smooth: bool = False) -> tuple[Any, Array]:
    """P2 elements as a careful user solves: the cells at re-entrant corners are halved, unless all is smooth."""
    if pde.timed:
        return solve_finite_elements(pde, size=size)
    mesh = skfem_mesh(pde.domain.mesh(size * float(pde.unit.half.max())))
    for corner in () if smooth else pde.unit.corners:
        at = pde.unit.to_physical(corner.at[:, None])
        for _ in range(8):
            vertex = np.hypot(*(mesh.p - at)).argmin()
            mesh = mesh.refined(np.flatnonzero((mesh.t == vertex).any(axis=0)))
    try:
        return solve_finite_elements(pde, curved_along(mesh, pde.domain))
    except Exception as error:  # scikit-fem has no class for it: it cannot invert the map of a coarse, curved cell
        if "Newton" not in str(error):
            raise
        return solve_finite_elements(pde, mesh)


def _curve(samples: list[Sample], sizes: tuple[float, ...], repeats: int = 1) -> tuple[list[float], list[float]]:
    """Seconds a problem and median errors as cells shrink, made monotone."""
    seconds, errors = [], []
    for size in sizes:
        spent, wrong = [], []
        for s in samples:
            one, found = seconds_of(lambda s=s, size=size: solved(restated(s.pde), size, s.formula), repeats)
            spent.append(one)
            wrong.append(relative_l2(function_of(*found)(s.x), s.u))
        seconds.append(float(np.mean(spent)))
        errors.append(max(median(wrong), 1e-300))
        if seconds[-1] > 3:
            break
    return np.maximum.accumulate(seconds).tolist(), np.minimum.accumulate(errors).tolist()


def _beside(error: float, seconds: float, curve: tuple[list[float], list[float]]) -> dict[str, object]:
    """What finite elements reach in the same time and when they reach the same error; who is ahead."""
    spent, wrong = curve
    same_error = at_level(1 / error, [1 / e for e in wrong], spent)
    same_time = at_level(min(max(seconds, spent[0]), spent[-1]), spent, wrong)
    return {
        "seconds": seconds,
        "fem_error_in_that_time": same_time,
        "fem_seconds_to_that_error": same_error,
        "ahead": "finite elements" if same_error <= seconds else "HyPINO",
    }


def finite_elements(bench: Bench) -> Rows:
    """Zero-shot and projection on the seven, beside finite elements in the same time and at the same error."""
    rows: Rows = []
    for s in bench.seven:
        curve = _curve([s], SIZES[:3] if bench.quick else SIZES, 1 if bench.quick else 2)
        for what, solve in (("zero-shot", bench.model.solve), ("projection", project)):
            seconds, solution = seconds_of(lambda s=s, solve=solve: solve(restated(s.pde)), 1 if bench.quick else 2)
            error = relative_l2(values(solution, s.x), s.u)
            rows.append(row(f"beside P2, {s.name}, {what}", error, None, None, **_beside(error, seconds, curve)))
    return rows


def batch(bench: Bench) -> Rows:
    """Elliptic problems of different shapes, 64 or `--problems`, 2 if quick: seconds a problem, from statement to end.

    Ahead is who needs less time at the median error; meshes are no coarser than the coarsest that is tried.
    """
    samples, n = bench.shapes, len(bench.shapes)
    curve = _curve(samples, (0.4, 0.2) if bench.quick else (0.4, 0.2, 0.1, 0.05))
    whole, emitted = seconds_of(lambda: bench.model.emit([restated(s.pde) for s in samples]))
    zero = [relative_l2(emitted.select(i)(s.x).numpy(), s.u) for i, s in enumerate(samples)]
    drawn, rasters = seconds_of(lambda: [restated(s.pde).unit.raster(bench.model.settings.raster) for s in samples])
    means = [s.pde.unit.means for s in samples]
    inner, _ = seconds_of(lambda: bench.model.write(means, rasters))
    found = [seconds_of(lambda s=s: project(restated(s.pde))) for s in samples]
    errors = [relative_l2(solution(s.x), s.u) for s, (_, solution) in zip(samples, found, strict=True)]
    rows: Rows = []
    for what, error, seconds in (
        ("zero-shot", median(zero), whole / n),
        ("projection", median(errors), float(np.mean([t for t, _ in found]))),
    ):
        beside = _beside(error, seconds, curve)
        met = beside["ahead"] == "HyPINO"
        rows.append(row(f"batch of {n}, {what}: median error", error, "ahead", met, **beside))
    rows += [row(f"batch of {n}: network alone, seconds a problem", inner / n)]
    rows += [row(f"batch of {n}: pictures, seconds a problem", drawn / n)]
    return rows


# -- gradients ------------------------------------------------------------------------------------------------------

_CENTRES = np.stack(np.meshgrid(*[np.linspace(-0.75, 0.75, 4)] * 2)).reshape(2, -1)


def bumps(x: Array) -> Array:
    """(16, n)."""
    return np.exp(-((x[:, None] - _CENTRES[:, :, None]) ** 2).sum(0) / (2 * 0.2**2))


def gradient(bench: Bench) -> Rows:
    """d/d(sixteen source amplitudes, five coefficients) of the mean of u over 200 points.

    Ours is one backward pass, which has the derivative by the source at every point besides. Finite elements: one
    mesh and a solve for each difference. (An adjoint solve written by hand would cost them two solves.)
    """
    rows: Rows = []
    for name in ("PS-G",) if bench.quick else ("PS-C", "PS-G", "HZ-G"):
        pde = BENCHMARKS[name].pde
        x = pde.unit.to_physical(pde.unit.interior(200, seed=5).points)
        ours_seconds, ours = seconds_of(lambda pde=pde, x=x: _backward(restated(pde), x))
        fem_seconds, (fem, solves) = seconds_of(lambda pde=pde, x=x: differences(pde, x, 0.1 if bench.quick else 0.05))
        apart = [
            float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in ((ours[:16], fem[:16]), (ours[16:], fem[16:]))
        ]
        rows.append(
            row(
                f"gradient {name}: seconds",
                ours_seconds,
                "ahead, to 1 %",
                ours_seconds < fem_seconds and max(apart) <= 1e-2,
                fem_seconds=fem_seconds,
                fem_solves=solves,
                source_differs=apart[0],
                coefficients_differ=apart[1],
            )
        )
    return rows


def _backward(pde: LinearPDE, x: Array) -> Array:
    import torch

    projector = Projector(pde)
    source = torch.tensor(projector.source, requires_grad=True)
    coefficients = torch.tensor(projector.coefficients[:, 0].copy(), requires_grad=True)
    projector(x, source=source, coefficients=coefficients).mean().backward()
    assert source.grad is not None and coefficients.grad is not None
    return np.concatenate([bumps(projector.points) @ source.grad.numpy(), coefficients.grad.numpy()])


def differences(pde: LinearPDE, x: Array, size: float) -> tuple[Array, int]:
    mesh = mesh_of(pde.domain, size)
    count = 0

    def mean(step: Array) -> float:
        nonlocal count
        count += 1
        terms = {t: c + d for t, c, d in zip(pde.terms, pde.coefficients, step[16:], strict=True)}

        def source(p: Array) -> Array:
            return pde.source_at(p) + step[:16] @ bumps(p)

        changed = LinearPDE(pde.domain, **terms, source=source, conditions=pde.conditions)
        return float(function_of(*solve_finite_elements(changed, mesh))(x).mean())

    zero, unit = mean(np.zeros(21)), np.eye(21)
    by_source = [mean(e) - zero for e in unit[:16]]  # the solution is linear in the source
    by_coefficient = [(mean(1e-3 * e) - mean(-1e-3 * e)) / 2e-3 for e in unit[16:]]
    return np.array(by_source + by_coefficient), count


# -- many at once ---------------------------------------------------------------------------------------------------


def gpu(bench: Bench) -> Rows:
    """A batch of 256 problems on a GPU: networks written and evaluated at 1,024 points, problems a second."""
    import torch

    name, target = "GPU, 256 problems: problems a second", ">= 1000"
    if not torch.cuda.is_available():
        return [row(name, "not measured: no GPU", target, None)]
    from meshmove.solvers.hypino import HyPINO
    from meshmove.solvers.hypino.training.problems import build, draw

    model = HyPINO.from_pretrained(bench.weights).cuda()
    p = build(draw(256, (977, 2), 1024, 16, 0.0).to("cuda"), model.settings.raster)
    spent = []
    with torch.no_grad():
        for _ in range(12):
            torch.cuda.synchronize()
            start = time.perf_counter()
            model(p.coefficients, p.raster)(p.X)
            torch.cuda.synchronize()
            spent.append(time.perf_counter() - start)
    rate = 256 / median(spent[2:])
    return [row(name, rate, target, rate >= 1000)]
