"""HyPINO's answer as it comes, what refinement makes of it, and what its features are worth."""

from __future__ import annotations

from statistics import median

from benchmarks.harness import Rows, row
from benchmarks.hypino.cases import SEVEN, Bench, Sample, mse, published_grid, relative_l2, seconds_of, smape, values
from benchmarks.hypino.heldout import case
from benchmarks.hypino.projection import restated

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.solvers.pde import LinearPDE
from meshmove.solvers.projection import Tanh
from meshmove.solvers.projection.boundary_rows import conditions
from meshmove.solvers.projection.field import Emission

__all__ = ["features", "refinement", "sweeps", "zero_shot"]

Array = NDArray[np.float64]


def zero_shot(bench: Bench) -> Rows:
    """Relative L2 error, MSE and SMAPE: the seven on the published grid, the held-out set by kind, and training's.

    `above_1`: the share of problems whose error is as large as the solution.
    """
    rows: Rows = []
    for name in SEVEN[2:5] if bench.quick else SEVEN:
        relative, square, percent = _measured(bench, published_grid(name))
        rows.append(row(f"zero-shot {name}", relative, None, None, mse=square, smape=percent))
    groups: dict[str, list[tuple[float, float, float]]] = {}
    for sample in bench.held_out:
        found = _measured(bench, sample)
        manufactured = "manufactured" if sample.formula else "no formula"
        for group in (f"{manufactured}, {sample.kind}", manufactured, "all held-out"):
            groups.setdefault(group, []).append(found)
    for group, all_found in sorted(groups.items()):
        relative, square, percent = (median(column) for column in zip(*all_found, strict=True))
        judged = group == "manufactured"
        rows.append(
            row(
                f"zero-shot, median of {len(all_found)} {group}",
                relative,
                "<= 0.25" if judged else None,
                relative <= 0.25 if judged else None,
                mse=square,
                smape=percent,
                above_1=float(np.mean([r > 1 for r, *_ in all_found])),
            )
        )
    return [*rows, _like_training(bench)]


def sweeps(bench: Bench) -> Rows:
    """What more sweeps for the rough solution make of answers: the seven, and 16 manufactured ones of the held-out set.

    Seconds are the processor's of all the seven, from the statements to the networks.
    """
    counts = (60, 120, 240)
    formulas = [k for k in range(3 if bench.quick else 24) if k % 3 != 2]
    others = [(it.pde, x := it.pde.unit.to_physical(it.pde.unit.interior(2000, seed=99).points), it.exact(x))
              for it in map(case, formulas) if it.exact is not None]  # fmt: skip
    rows: Rows = []
    for n in counts:
        seconds, seven = seconds_of(lambda n=n: [bench.model.emit(restated(s.pde), sweeps=n) for s in bench.seven])
        known = [relative_l2(values(u, s.x), s.u) for u, s in zip(seven, bench.seven, strict=True)]
        found = [relative_l2(bench.model.emit(pde, sweeps=n)(x).numpy(), u) for pde, x, u in others]
        mean = float(np.exp(np.mean(np.log(known))))
        more = {"worst": max(known), "seconds": seconds, "held_out": float(np.exp(np.mean(np.log(found))))}
        more |= {"held_out_median": median(found), "held_out_above_1": float(np.mean(np.array(found) > 1))}
        rows.append(row(f"{n} sweeps: geometric mean of the {len(known)}", mean, "<= 0.01", mean <= 0.01, **more))
    return rows


def _measured(bench: Bench, s: Sample) -> tuple[float, float, float]:
    u = values(bench.model.solve(s.pde, project=False), s.x)
    return relative_l2(u, s.u), mse(u, s.u, s.share), smape(u, s.u, s.share)


def _like_training(bench: Bench) -> dict:
    """Manufactured problems from the generator that training uses, of a seed that it does not."""
    import torch

    from meshmove.solvers.hypino.training.objective import relative_error
    from meshmove.solvers.hypino.training.problems import build, draw

    n = 32 if bench.quick else 256
    p = build(draw(n, (977, 1), 1000, 16, 0.0), bench.model.settings.raster)
    with torch.no_grad():
        emitted = bench.model(p.coefficients, p.raster)
        relative = float(relative_error(p, emitted).median())
        u, exact, inside = emitted(p.X).numpy(), p.jets[:, 0].numpy(), p.inside.numpy()
    each = [(u[i, inside[i]], exact[i, inside[i]], float(inside[i].mean())) for i in range(n)]
    square, percent = median(mse(*e) for e in each), median(smape(*e) for e in each)
    name = f"zero-shot, median of {n} manufactured like training's"
    return row(name, relative, None, None, mse=square, smape=percent)


def refinement(bench: Bench) -> Rows:
    """Ten rounds (quick: three) on the seven."""
    rounds = 3 if bench.quick else 10
    rows: Rows = []
    lowered = raised = 0
    for s in bench.seven:
        before = relative_l2(values(bench.model.solve(s.pde, project=False), s.x), s.u)
        solution = bench.model.solve(s.pde, refine=rounds, project=False)
        after = relative_l2(values(solution, s.x), s.u)
        lowered += after < 0.999 * before
        raised += after > 1.001 * before
        kept = sum(r.kept for r in solution.history) - 1
        rows.append(
            row(f"refinement {s.name}", after, None, None, zero_shot=before, factor=before / after, rounds_kept=kept)
        )
    n = len(bench.seven)
    wanted = min(6, n)
    rows.append(row(f"refinement: lowered, of {n}", lowered, f">= {wanted}", lowered >= wanted))
    rows.append(row(f"refinement: raised, of {n}", raised, "0", raised == 0))
    return rows


def least_squares(pde: LinearPDE, feature: Emission | Tanh) -> Array:
    """Weights of features by dense least squares on points spread evenly, the same for all kinds of features."""
    unit, count = pde.unit, feature.size
    inside = unit.interior(max(12 * count, 1000), seed=1)
    magnitude = np.sqrt((inside.coefficients**2).mean(axis=1))
    rows = conditions(unit, magnitude, 2 / np.sqrt(count), 0.02)
    root = np.sqrt(inside.weights)
    X = np.concatenate([inside.points, rows.points], axis=1)
    operator = np.concatenate([inside.coefficients * root, rows.coefficients], axis=1)
    A = np.einsum("dn,dsn->ns", operator, feature.jets(X), optimize=True)
    size = np.maximum(np.linalg.norm(A, axis=0), 1e-300)
    weights, *_ = np.linalg.lstsq(A / size, np.concatenate([inside.source * root, rows.values]), rcond=1e-13)
    return weights / size


def features(bench: Bench) -> Rows:
    """Emitted features against as many random ones, same solve, on manufactured held-out problems.

    The largest slope of the random ones is that of 2, 4, 8, 16 with the lowest median error, chosen afterwards.
    """
    slopes = (2.0, 4.0, 8.0, 16.0)
    chosen = [s for s in bench.held_out if s.formula][: 4 if bench.quick else 40]
    rows: Rows = []
    for rounds in (0, 3):
        ours, random = [], []
        for s in chosen[: len(chosen) if not rounds else max(2, len(chosen) // 4)]:
            X = s.pde.unit.to_unit(s.x)
            emitted = Emission(bench.model.solve(s.pde, refine=rounds, project=False).emitted)
            tried = [emitted, *(Tanh(emitted.size, (1.0, slope)) for slope in slopes)]
            error, *others = (relative_l2(least_squares(s.pde, f) @ f.jets(X)[0], s.u) for f in tried)
            ours.append(error)
            random.append(others)
        table = np.array(random)
        best = int(np.median(table, axis=0).argmin())
        ratio = float(np.median(table[:, best] / np.array(ours)))
        rows.append(
            row(
                f"features, {rounds} rounds, {len(ours)} problems: random / emitted",
                ratio,
                ">= 3",
                ratio >= 3,
                median_emitted=median(ours),
                median_random=float(np.median(table[:, best])),
                slope=slopes[best],
            )
        )
    return rows
