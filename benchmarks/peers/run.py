"""What users would pick instead, on the same meshes in the same run, at equal numbers of cells.

MMG through mmgpy (changes the topology; isotropic sizes for a monitor, the L2-optimal metric for a field), MFEM's
TMOP through mfem (moves nodes as we do), Movement where Firedrake is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.adapting.fem import bell
from benchmarks.harness import Rows, has, imbalance, main, ring, square, timed
from benchmarks.peers.mmg import remeshed
from benchmarks.peers.movement import moved_by_movement
from benchmarks.peers.tmop import moved_by_tmop

import numpy as np  # isort: skip
import skfem

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import interpolation_error_of, l2_error, solve_poisson

BY_DEFAULT = False  #: for packages that are not installed with this one
PEERS = {"MMG": "mmgpy", "TMOP": "mfem", "Movement": "firedrake"}


def spread(mesh: skfem.MeshTri, m: Callable) -> float:
    """Imbalance of a mesh with a topology of its own: relative deviation of monitor mass over its cells."""
    basis = skfem.Basis(mesh, skfem.ElementTriP0(), intorder=5)
    mass = skfem.LinearForm(lambda v, w: m(w.x) * v).assemble(basis)
    return float(np.std(mass / mass.mean()))


def by_monitor(name: str, n: int, m: Callable, there: dict[str, bool]) -> Rows:
    mesh = square(n)

    def line(who: str, seconds: float, moved: skfem.MeshTri, value: float) -> dict[str, object]:
        return {"case": f"{name} {n}x{n}", "by": who, "imbalance": value, "cells": moved.nelements, "seconds": seconds}

    rows = [line("uniform", 0.0, mesh, imbalance(mesh.p, mesh.p, mesh.t, m))]
    for effort in (0.3, 1.0):
        seconds, out = timed(lambda effort=effort: meshmove.adapt(mesh, monitor=m, effort=effort).mesh)
        rows.append(line(f"meshmove, effort {effort}", seconds, out, imbalance(mesh.p, out.p, mesh.t, m)))
    if there["MMG"]:
        seconds, out = timed(lambda: remeshed(mesh, lambda x: m(x)))
        rows.append(line("MMG, four passes", seconds, out, spread(out, m)))
    if there["TMOP"]:
        seconds, out = timed(lambda: moved_by_tmop(mesh, m(mesh.p)))
        rows.append(line("TMOP", seconds, out, imbalance(mesh.p, out.p, mesh.t, m)))
    if there["Movement"]:
        seconds, out = timed(lambda: moved_by_movement(n, m))
        rows.append(line("Movement", seconds, out, spread(out, m)))
    return rows


def errors(name: str, n: int, exact: Callable, error: Callable[[Any], float], there: dict[str, bool]) -> Rows:
    """Error on the mesh that each makes from the exact solution, so that none has an advantage."""
    mesh = square(n)

    def line(who: str, seconds: float, moved: skfem.MeshTri) -> dict[str, object]:
        value = error(moved)
        gain = uniform / value
        return {"case": name, "by": who, "error": value, "gain": gain, "cells": moved.nelements, "seconds": seconds}

    uniform = error(mesh)
    rows = [line("uniform", 0.0, mesh)]
    seconds, out = timed(lambda: meshmove.adapt(mesh, exact))
    rows.append(line("meshmove", seconds, out.mesh))
    if there["MMG"]:
        for metric in ("isotropic", "anisotropic"):
            seconds, new = timed(lambda metric=metric: remeshed(mesh, exact, metric))
            rows.append(line(f"MMG, {metric}", seconds, new))
    if there["TMOP"]:
        seconds, new = timed(lambda: moved_by_tmop(mesh, out.monitor))
        rows.append(line("TMOP, our monitor", seconds, new))
    return rows


def run(quick: bool = False) -> Rows:
    """Imbalance for a monitor, then interpolation and finite element errors; absent peers are named."""
    there = {name: has(module) for name, module in PEERS.items()}
    rows: Rows = [
        {"peer": name, "package": module, "there": "yes" if there[name] else "not installed: left out"}
        for name, module in PEERS.items()
    ]
    meshmove.adapt(square(8), bell)  # imports
    for name, m in {"ring10": ring(10, 0.15), "ring20": ring(20, 0.16)}.items():
        for n in (40,) if quick else (40, 80):
            rows += by_monitor(name, n, m, there)
    rows += errors("bell 40x40, interpolation", 40, bell, lambda m: interpolation_error_of(m, bell), there)
    for name in ("ring", "peak"):
        problem = PROBLEMS[name]

        def fem_error(m: skfem.MeshTri, problem: Any = problem) -> float:
            return l2_error(m, solve_poisson(m, problem.source, problem.exact), problem.exact)

        for n in (40,) if quick else (40, 80):
            rows += errors(f"{name} {n}x{n}, P1 Poisson", n, problem.exact, fem_error, there)
    return rows


if __name__ == "__main__":
    main(run)
