"""Finds the benchmarks of the repository and runs them, each in an interpreter of its own with one thread."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from meshmove.geometry.errors import MeshmoveError

__all__ = ["NAMES", "BenchmarkError", "folder", "module", "run"]

#: name on the command line -> module in the folder, and what it measures
NAMES = {
    "fem": ("fem", "finite element error against the uniform mesh"),
    "ring": ("ring", "imbalance and time on the unit square"),
    "suite": ("suite", "a hundred Delaunay meshes"),
    "growth": ("growth", "time and memory up to a million cells"),
    "cube": ("cube", "tetrahedra"),
    "random": ("robustness", "random meshes and monitors"),
    "transfer": ("transfer", "point location and field transfer"),
    "imports": ("imports", "import time"),
    "dmm": ("dmm", "the neural mover on the held-out suite"),
    "dmm-fem": ("dmm_fem", "finite element error with the neural mover"),
    "dmm-pairs": ("dmm_pairs", "ten thousand held-out pairs through the network alone"),
    "published": ("dmm_published", "the published neural mover on its own two data sets"),
    "hypino": ("hypino", "HyPINO: projection, zero-shot, refinement, finite elements beside it"),
    "mmpde": ("mmpde", "MM-PDE: one branch, FNO, U-Net, its parts, and the solvers of its data beside it"),
    "peers": ("peers", "MMG, MFEM's TMOP and Movement on the same meshes"),
}


class BenchmarkError(MeshmoveError):
    """The benchmarks are not there, are not called so, or failed."""


def folder() -> Path:
    """The benchmarks of the checkout that this package is installed from, or of the current folder.

    Raises
    ------
    BenchmarkError
        Neither has them: they are not part of the wheel.
    """
    for root in (Path(__file__).resolve().parents[1], Path.cwd()):
        if (root / "benchmarks" / "harness.py").is_file():
            return root / "benchmarks"
    raise BenchmarkError(
        "Expected to run in a checkout of the meshmove repository (its folder 'benchmarks' is not part of the "
        "installed package). Clone the repository or unpack the source distribution, and run `meshmove bench` there."
    )


def module(name: str) -> ModuleType:
    """A module of the benchmarks folder, imported as ``benchmarks.NAME``."""
    root = str(folder().parent)
    if root not in sys.path:
        sys.path.append(root)
    return importlib.import_module(f"benchmarks.{name}")


def run(name: str, quick: bool = False) -> list[dict[str, Any]]:
    """Run a benchmark in a fresh interpreter; its table goes to standard output, its rows come back.

    Raises
    ------
    BenchmarkError
        Unknown name, or the benchmark failed.
    """
    if name not in NAMES:
        raise BenchmarkError(f"Expected benchmarks among {', '.join(NAMES)} (got {name!r})")
    root = folder().parent
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{NAMES[name][0]}", "--json", str(out), *["--quick"] * quick]
        done = subprocess.run(command, cwd=root, env={**os.environ, **threads})
        if done.returncode or not out.is_file():
            raise BenchmarkError(f"Expected the benchmark {name!r} to finish (it stopped with code {done.returncode})")
        return json.loads(out.read_text())["rows"]


def summary(results: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """How many targets were met, and the names of those that were not."""
    judged = [(name, r) for name, rows in results.items() for r in rows if r.get("met") is not None]
    missed = [f"{name}: {r['name']} ({r['measured']}, target {r['target']})" for name, r in judged if not r["met"]]
    return "\n".join([f"{len(judged) - len(missed)} of {len(judged)} targets met", *missed])
