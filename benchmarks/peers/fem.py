"""Errors in L2 and H1, and time, of what users would pick instead, at equal numbers of cells or unknowns.

Every mover of this package solves for itself, three rounds of `adapt_loop` or Ritz descent, and its time has these
solves in it. MMG is given the exact solution on every mesh of its four passes (it changes the topology, at as many
cells); h-refinement is scikit-fem's example 22, at as many vertices; `smoothed()` is scikit-fem's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.harness import CPU, Rows, has, main, timed
from benchmarks.peers.fem_cases import CASES, Case, published_task
from benchmarks.peers.mmg import remeshed
from benchmarks.peers.refinement import h_refined

import numpy as np  # isort: skip
import skfem

import meshmove

BY_DEFAULT = False  #: for packages that are not installed with this one


def movers(case: Case) -> Iterator[tuple[str, Callable[[], skfem.MeshTri]]]:
    """Name, and how to make its mesh."""
    mesh = case.mesh
    yield "uniform", lambda: mesh
    yield "smoothed()", lambda: mesh.smoothed()
    for objective in ("equidistribution", "alignment"):
        yield objective, lambda objective=objective: meshmove.adapt_loop(mesh, case.solve, objective=objective).mesh
    yield "Ritz descent", lambda: meshmove.adapt_loop(mesh, case.solve, energy=case.energy).mesh


def peers(name: str, case: Case) -> Iterator[tuple[str, Callable[[], skfem.MeshTri]]]:
    """What changes the topology."""
    mesh = case.mesh
    if has("mmgpy"):
        for metric in ("isotropic", "anisotropic"):
            yield f"MMG, {metric}", lambda metric=metric: remeshed(mesh, case.exact, metric)
    if case.source is not None:
        coarse = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2)
        if name == "L-shape":
            coarse = coarse.remove_elements(np.flatnonzero((coarse.p[:, coarse.t].mean(axis=1) > 0.5).all(axis=0)))
        yield "h-refinement", lambda: h_refined(coarse, case.solve, case.source, mesh.nvertices)


def compared(name: str, case: Case) -> Rows:
    """A row for each of them: how many times less error than the mesh as it was, and CPU seconds."""
    rows: Rows = []
    before = case.errors(case.mesh)
    for who, make in (*movers(case), *peers(name, case)):
        seconds, mesh = timed(make, clock=CPU)
        l2, h1 = (a / b for a, b in zip(before, case.errors(mesh), strict=True))
        rows.append(
            {"case": case.name, "by": who, "L2 gain": l2, "H1 gain": h1, "cells": mesh.nelements,
             "vertices": mesh.nvertices, "seconds": seconds}
        )  # fmt: skip
    return rows


def task(samples: int) -> Rows:
    """Cuts of the errors on the published task, in percent: mean and least over the samples."""
    cuts: dict[str, list[tuple[float, float, float]]] = {}
    for case in published_task(samples):
        before = case.errors(case.mesh)
        for who, make in (*movers(case), *peers("task", case)):
            seconds, mesh = timed(make, clock=CPU)
            l2, h1 = (100 * (1 - b / a) for a, b in zip(before, case.errors(mesh), strict=True))
            cuts.setdefault(who, []).append((l2, h1, 1e3 * seconds))
    rows: Rows = []
    for who, values in cuts.items():
        l2, h1, ms = np.array(values).T
        hard = [float(l2[k]) for k in (6, 20, 24) if k < samples]
        rows.append(
            {"case": "published task", "by": who, "mean cut of L2": float(l2.mean()), "least": float(l2.min()),
             "samples 6, 20, 24": " ".join(f"{v:.0f}" for v in hard), "mean cut of H1": float(h1.mean()),
             "ms": float(np.median(ms))}
        )  # fmt: skip
    return rows


def run(quick: bool = False) -> Rows:
    """Six problems, then the published task; MMG only where mmgpy is installed."""
    wanted = ("peak", "L-shape") if quick else tuple(CASES)
    rows = [row for name in wanted for row in compared(name, CASES[name]())]
    return rows + task(3 if quick else 25)


if __name__ == "__main__":
    main(run)
