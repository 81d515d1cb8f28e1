"""A mesh in pieces: one process against `adapt`, and up to eight against one.

Seconds are those of the processor, the most of any process, since there are more processes than cores: on an idle
machine they are what the clock says, but for the waiting. Needs mpi4py, petsc4py and mpiexec: `make bench-mpi`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

from benchmarks.harness import Rows, main, row

BY_DEFAULT = False  # needs MPI

#: triangles along a side of the square where time is measured, and where results are compared
TIMED, COMPARED = 316, 40
PROCESSES, SEEDS = (1, 2, 3, 4, 8), (0, 1, 2)


def on(size: int, kind: str, n: int, seed: int | str = 1, field: str = "layer") -> dict:
    """What `piece` tells of a run on so many processes."""
    start = [shutil.which("mpiexec") or "mpiexec", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]
    alone = [] if seed == "serial" else [*start, "--allow-run-as-root", "-n", str(size)]
    command = [*alone, sys.executable, "-m", "benchmarks.mpi.piece", kind, str(n), str(seed), field]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise RuntimeError(f"Expected {' '.join(command)} to finish (it said: {done.stderr[-2000:]})")
    return json.loads(lines[0][7:])


def run(quick: bool = False) -> Rows:
    """Time, memory, iterations and messages of a layer on triangles, and how alike results are."""
    n, m = (100, 30) if quick else (TIMED, COMPARED)
    alone, one, two = on(1, "triangle", n, "serial"), on(1, "triangle", n), on(2, "triangle", n)
    of = f"{2 * n * n:,} triangles"
    time, halved, memory = one["cpu"] / alone["cpu"], two["cpu"] / one["cpu"], two["memory"] / one["memory"]
    rows = [
        row(f"one process / adapt, {of}: seconds", round(time, 2), "<= 1.3", time <= 1.3, cpu=one["cpu"]),
        row(f"two processes / one, {of}: seconds", round(halved, 2), "<= 0.62", halved <= 0.62, cpu=two["cpu"]),
        row(f"two processes / one, {of}: memory", round(memory, 2), "<= 0.6", memory <= 0.6, GB=two["memory"]),
    ]
    gains = [r["before"] / r["after"] for r in (alone, one, two)]
    rows.append(row(f"gain by adapt, on one process and on two, {of}", [round(g, 3) for g in gains]))
    for of_what in ("iterations", "evaluations"):
        each = [two["exchanges"] / two[of_what], two["reductions"] / two[of_what]]
        text = f"exchanges and reductions for each of {two[of_what]} {of_what}, all told"
        rows.append(row(text, [round(e, 1) for e in each], "2 and 3"))
    for field in ("layer", "aside"):
        rows += _alike(field, m, PROCESSES[:3] if quick else PROCESSES)
    return rows


def _alike(field: str, m: int, processes: tuple[int, ...]) -> Rows:
    """How far apart results are over processes and partitions."""
    runs, rows = [on(k, "triangle", m, s, field) for k in processes for s in SEEDS], []
    for name in ("after", "imbalance"):
        values = [r[name] for r in runs]
        spread = (max(values) - min(values)) / min(values)
        what = {"after": "predicted error", "imbalance": "imbalance"}[name]
        over = f"1 to {runs[-1]['size']} processes and {len(SEEDS)} partitions"
        text = f"{what} over {over}, {field}, {2 * m * m:,} triangles"
        rows.append(row(text, f"{100 * spread:.2g} % apart", "<= 1 %", spread <= 0.01, values=values))
    steps = [r["iterations"] for r in runs]
    growth = max(steps) / steps[0]
    rows.append(
        row(f"iterations, most over those of one process, {field}", round(growth, 2), "<= 1.15", growth <= 1.15)
    )
    return rows


if __name__ == "__main__":
    main(run)
