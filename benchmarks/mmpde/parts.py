"""The errors of MM-PDE beside those of other networks with the same budget, and with measurements on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from benchmarks.harness import Rows, row
from benchmarks.mmpde.cases import (
    MODELS,
    OTHER,
    RIVALS,
    SHIPPED,
    Case,
    best_on_the_mesh,
    judged,
    moved,
    persistence,
    unmoved,
)
from benchmarks.mmpde.training import Bench

import numpy as np  # isort: skip

from meshmove.progress import progress_of
from meshmove.solvers.mmpde import MMPDE
from meshmove.solvers.mmpde.assimilation import Observation

__all__ = ["assimilation", "observations", "one_bundle", "rivals", "rollout", "shipped"]

#: largest error relative to that of a single branch with as many parameters
BUNDLE = {"burgers": 0.7, "cylinder": 0.85}
LAST = {"burgers": 0.8, "cylinder": 0.8}
_NAMES = {"bundle": "one bundle", "last": "last frame"}
_AT_NODES = {"bundle_nodes": "one bundle, at nodes", "last_nodes": "last frame, at nodes"}
_SPLINES = {"bundle_splines": "one bundle, splines between nodes", "last_splines": "last frame, splines between nodes"}
_ALL = _NAMES | _AT_NODES | _SPLINES | {"bundle_told": "one bundle from values at nodes"}

#: share of the nodes that are measured, and noise in shares of a field's standard deviation
SHARE, NOISE = 0.02, 0.05
#: frames by which a wrong start is late
LATE = 5
#: names of the models in the package
PACKAGED = {"burgers": ("burgers", "burgers-still"), "cylinder": ("cylinder",)}
#: boundaries on which all fields are known
_HELD = {"burgers": ("bottom", "left", "right", "top"), "cylinder": ("inlet",)}


def shipped(bench: Bench) -> Rows:
    """The models in the package on the same tests, and what the truth itself amounts to on the mesh."""
    rows: Rows = []
    for case in bench.cases:
        found = {f'"{name}"': MMPDE.from_pretrained(name) for name in PACKAGED[case.name]}
        w = next(iter(found.values())).settings.bundle
        scores = {name: judged(model, case, bench.progress) for name, model in found.items()}
        scores |= {"the truth at nodes": unmoved(case, w), "the best that is linear": best_on_the_mesh(case, w)}
        for name, score in scores.items():
            measures = {m: v for m, v in asdict(score).items() if v == v}
            rows += [row(f"{case.name}: {_ALL[measure]}, {name}", value) for measure, value in measures.items()]
    return rows


def one_bundle(bench: Bench) -> Rows:
    """Mean relative error over a bundle, over the test starts at multiples of the bundle; median over seeds.

    Every model starts from the truth, at its own nodes.
    """
    return _beside_single(bench, "bundle", BUNDLE)


def rollout(bench: Bench) -> Rows:
    """Mean relative error at the last frame of the training horizon, over the test trajectories; median over seeds.

    Every model starts from the values at the nodes of the mesh.
    """
    return _beside_single(bench, "last", LAST)


def _beside_single(bench: Bench, measure: str, targets: dict[str, float]) -> Rows:
    rows: Rows = []
    for case in bench.cases:
        what = f"{case.name}: {_NAMES[measure]}"
        bundle = bench.trained(case, "mmpde").model.settings.bundle
        rows.append(row(f"{what}, persistence", getattr(persistence(case, bundle), measure)))
        rows.append(row(f"{what}, the truth at the nodes of the mesh", getattr(unmoved(case, bundle), measure)))
        rows.append(
            row(f"{what}, the best that is linear on the mesh", getattr(best_on_the_mesh(case, bundle), measure))
        )
        there = moved(case, bench.trained(case, "mmpde").model)
        rows.append(row(f"{what}, the truth at the moved nodes", getattr(there, measure)))
        models = ("mmpde", "wide", OTHER[case.name])
        rows += _errors(bench, case, measure, models)
        rows.append(_ratio(bench, case, measure, "mmpde", "wide", targets[case.name]))
        rows += _errors(bench, case, f"{measure}_nodes", models)
        if measure == "bundle":
            rows += _errors(bench, case, "bundle_told", ("mmpde",))
        if case.name == "burgers":  # nodes of a grid
            rows.append(row(f"{what}, splines through the truth", getattr(unmoved(case, bundle), f"{measure}_splines")))
            rows += _errors(bench, case, f"{measure}_splines", ("wide",))
        rows.append(_ratio(bench, case, f"{measure}_nodes", "mmpde", "wide"))
    return rows


def rivals(bench: Bench) -> Rows:
    """The Fourier neural operator and a U-Net on the grid, in the same time of training."""
    rows: Rows = []
    for case in bench.cases:
        if case.name != "burgers":  # not on a grid
            continue
        for measure in (*_NAMES, *_AT_NODES):
            rows += _errors(bench, case, measure, ("mmpde", "single", *RIVALS))
            rows += [_ratio(bench, case, measure, ours, name, 1.0) for ours in ("mmpde", "single") for name in RIVALS]
    return rows


def _of(bench: Bench, case: Case, measure: str, name: str) -> list[float]:
    return [getattr(s, measure) for s in bench.scores(case, name)]


def _errors(bench: Bench, case: Case, measure: str, names: Sequence[str]) -> Rows:
    rows: Rows = []
    for name in names:
        found = _of(bench, case, measure, name)
        what = f"{case.name}: {_ALL[measure]}, {(MODELS | RIVALS)[name]}"
        spread = {"least": min(found), "most": max(found)}
        rows.append(row(what, median(found), None, None, **spread, **_cost(bench, case, name)))
    return rows


def _cost(bench: Bench, case: Case, name: str) -> dict[str, object]:
    """Medians over seeds of what training took."""
    costs = [bench.trained(case, name, seed).cost for seed in range(bench.seeds)]
    return {key: median(c[key] for c in costs) for key in costs[0]}


def _ratio(bench: Bench, case: Case, measure: str, name: str, other: str, most: float | None = None) -> dict:
    """Of two medians; below 1 (less than, not as much as) where that is the limit."""
    ours, theirs = (median(_of(bench, case, measure, n)) for n in (name, other))
    ratio, labels = ours / theirs, MODELS | RIVALS
    what = f"{case.name}: {_ALL[measure]}, {labels[name]} / {labels[other]}"
    if most is None:
        return row(what, ratio)
    return row(what, ratio, "< 1" if most == 1 else f"<= {most:g}", ratio < 1 if most == 1 else ratio <= most)


# -- measurements ---------------------------------------------------------------------------------------------------


def observations(case: Case, i: int, draw: int, every: int) -> list[Observation]:
    """Noisy values of all fields at some nodes of the test trajectory i, which stay the same for all frames."""
    rng, truth = np.random.default_rng([i, draw]), case.values[i]
    nodes = rng.choice(truth.shape[1], max(1, round(SHARE * truth.shape[1])), replace=False)
    noise = NOISE * case.scale[1]
    found = []
    for frame in range(every, len(truth), every):
        seen = truth[frame, nodes] + noise * rng.standard_normal((len(nodes), len(noise)))
        fields = case.train.fields
        values = dict(zip(fields, seen.T, strict=True))
        found.append(Observation(frame, values, dict(zip(fields, noise.tolist(), strict=True)), nodes=nodes))
    return found


def assimilation(bench: Bench) -> Rows:
    """Error at the end of twice the training horizon: a free rollout, and one corrected at every fifth frame.

    The last frame is measured, too; without that measurement, the error after a free forecast is a row of its own.
    Then the same from a wrong start, the truth some frames later.
    """
    return [r for case in bench.cases for late in (0, LATE) for r in _assimilated(bench, case, late)]


def _assimilated(bench: Bench, case: Case, late: int) -> Rows:
    rows: Rows = []
    every = 2 if bench.quick else 5
    model = bench.trained(case, SHIPPED[case.name]).model
    mesh, end = case.test.mesh, len(case.test.times) - 1
    free, with_all, without_last = [], [], []
    for i in progress_of(range(len(case.test)), f"{case.name}: assimilation", bench.progress):
        given = dict(zip(case.train.attributes, case.attributes(i), strict=True))
        path = model.rollout(mesh, case.values[i, late], end, attributes=given)
        free.append(case.error(path.last().values, case.values[i, end]))
        for draw in range(2):
            seen = observations(case, i, draw, every)
            corrected = model.assimilate(path, seen, hold=_HELD[case.name]).last().values
            with_all.append(case.error(corrected, case.values[i, end]))
            if draw == 0:
                early = [s for s in seen if s.frame < end]
                forecast = model.assimilate(path, early, hold=_HELD[case.name]).last().values
                without_last.append(case.error(forecast, case.values[i, end]))
    start = f"start {late} frames late, " if late else ""
    what, alone = f"{case.name}: {start}frame {end}", median(free)
    rows.append(row(f"{what}, free rollout", alone))
    rows.append(row(f"{what}, with measurements", median(with_all)))
    rows.append(row(f"{what}, with measurements, but of the last frame", median(without_last)))
    ratio = median(with_all) / alone
    target = (None, None) if late else ("<= 0.5", ratio <= 0.5)
    rows.append(row(f"{what}, with measurements / free", ratio, *target))
    return rows
