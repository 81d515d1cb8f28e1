"""Time and memory from ten thousand to a million triangles, each size in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Rows, main, ring, row, square, timed

import numpy as np  # isort: skip

CELLS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
WAYS = ("monitor", "field")


def field(x):
    """A front along a circle."""
    return np.tanh(20 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.1))


def measure(way: str, cells: int) -> dict:
    """One move in this process."""
    import meshmove

    meshmove.adapt(square(8), field)  # imports
    mesh = square(round((cells / 2) ** 0.5))
    options = {"monitor": ring(10, 0.15)} if way == "monitor" else {"field": field(mesh.p)}
    seconds, out = timed(lambda: meshmove.adapt(mesh, **options))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cells": mesh.nelements,
        "seconds": seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9,
        "imbalance_before": out.report.imbalance_before,
        "imbalance": out.report.imbalance_after,
    }


def run(quick: bool = False) -> Rows:
    """For a given monitor and for a field with defaults: exponent of the time, and the million."""
    sizes = CELLS[:3] if quick else CELLS
    heads, details = [], []
    for way in WAYS:
        found = []
        for cells in sizes:
            command = [sys.executable, "-m", "benchmarks.adapting.growth", way, str(cells)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
            if done.returncode:
                raise RuntimeError(f"{way} at {cells} cells failed:\n{done.stderr}")
            found.append(json.loads(done.stdout.splitlines()[-1]))
        details += [{"case": f"by {way}", **f} for f in found]
        x, y = (np.log([f[key] for f in found]) for key in ("cells", "seconds"))
        exponent = float(np.polyfit(x, y, 1)[0])
        last = found[-1]
        heads.append(row(f"by {way}: exponent of the time", exponent, "<= 1.15", exponent <= 1.15))
        if not quick:
            heads.append(row(f"by {way}: a million, seconds", last["seconds"], "< 60", last["seconds"] < 60))
            heads.append(row(f"by {way}: a million, GB", last["peak_gb"], "< 6", last["peak_gb"] < 6))
    return heads + details


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in WAYS:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main(run)
