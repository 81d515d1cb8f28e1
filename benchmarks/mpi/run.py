"""A mesh in pieces: one process against `adapt`, and up to eight against one.

``python -m benchmarks.mpi.run time space alike examples`` takes some of these parts only. Every run is kept in
build/bench-mpi.json by commit, so that a command that was cut short goes on where it was.

Seconds are those of the processor, the most of any process, since there are more processes than cores: on an idle
machine they are what the clock says, but for the waiting. Needs mpi4py, petsc4py and mpiexec: `make bench-mpi`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Rows, commit, main, row

BY_DEFAULT = False  # needs MPI

#: triangles along a side of the square, and tetrahedra along one of the cube, where time and memory are measured, and
#: triangles where results are compared
TIMED, SPACE, COMPARED = 707, 88, 40
PROCESSES, SEEDS = (1, 2, 3, 4, 8), (0, 1, 2)
KEPT = Path(__file__).parents[2] / "build" / "bench-mpi.json"


def started(size: int, command: list[str]) -> dict:
    """The last JSON object that a command prints on so many processes; on 0 without mpiexec."""
    start = [shutil.which("mpiexec") or "mpiexec", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]
    whole = [*([*start, "--allow-run-as-root", "-n", str(size)] if size else []), sys.executable, *command]
    key = f"{commit()} {size} {' '.join(command)}"
    known = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    if key not in known:
        done = subprocess.run(whole, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if done.returncode or not lines:
            raise RuntimeError(f"Expected {' '.join(whole)} to finish (it said: {done.stderr[-2000:]})")
        known[key] = json.loads(lines[-1][7:])
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(known, indent=1) + "\n")
    return known[key]


def on(size: int, kind: str, n: int, seed: int | str = "dolfinx", field: str = "layer", effort: float = 1) -> dict:
    """What `piece` tells of a run on so many processes."""
    return started(size, ["-m", "benchmarks.mpi.piece", kind, str(n), str(seed), field, str(effort)])


def time(quick: bool) -> Rows:
    """Time and memory of triangles, and how often messages pass."""
    n = 100 if quick else TIMED
    alone, one, two = on(0, "triangle", n, "serial"), on(1, "triangle", n), on(2, "triangle", n)
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
        each = [round(two[name] / two[of_what], 1) for name in ("exchanges", "reductions")]
        rows.append(
            row(f"exchanges and reductions for each of {two[of_what]} {of_what}, with all that is done once", each)
        )
    return rows + _messages(40 if quick else COMPARED)


def _messages(m: int) -> Rows:
    """What an evaluation and an iteration of a longer descent cost more than those of a shorter one."""
    short, long = (on(2, "triangle", m, 0, "aside", effort) for effort in (0.5, 1.0))
    rows = []
    for name, of_what, most in (("exchanges", "evaluations", 2), ("reductions", "iterations", 3)):
        each = (long[name] - short[name]) / max(long[of_what] - short[of_what], 1)
        text = f"{name} for each of the {of_what}, beside what is done once, {2 * m * m:,} triangles"
        rows.append(row(text, round(each, 2), f"<= {most}", each <= most))
    return rows


def space(quick: bool) -> Rows:
    """Millions of tetrahedra on two processes."""
    n = 12 if quick else SPACE
    two = on(2, "tetra", n)
    minutes, memory, of = two["wall"] / 60, two["together"], f"{6 * n**3:,} tetrahedra on two processes"
    return [
        row(f"{of}: minutes", round(minutes, 2), "< 15", minutes < 15, cpu=two["cpu"]),
        row(f"{of}: GB together", round(memory, 2), "< 20", memory < 20),
        row(f"{of}: inverted cells", two["inverted"], 0, two["inverted"] == 0, gain=two["before"] / two["after"]),
    ]


def alike(quick: bool) -> Rows:
    """Whether results depend on the partition, of a field with an axis on edges of the mesh and of one without."""
    m, processes = (30, PROCESSES[:3]) if quick else (COMPARED, PROCESSES)
    return [r for field in ("layer", "aside") for r in _alike(field, m, processes)]


def _alike(field: str, m: int, processes: tuple[int, ...]) -> Rows:
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


def examples(quick: bool) -> Rows:
    """A ring of Poisson's equation: the errors' factor in DOLFINx over that of the same problem in scikit-fem."""
    alone = started(0, ["-m", "benchmarks.mpi.example", "skfem"])["factor"]
    rows = []
    for size in (1, 2):
        factor = started(size, ["-m", "benchmarks.mpi.example", "dolfinx"])["factor"]
        text = f"examples/dolfinx/poisson_steep.py on {size} over examples/poisson_steep.py: gain in L2"
        rows.append(row(text, round(factor / alone, 3), "within 5 %", abs(factor / alone - 1) <= 0.05, factor=factor))
    return rows


PARTS = {"time": time, "space": space, "alike": alike, "examples": examples}


def run(quick: bool = False, parts: tuple[str, ...] = ()) -> Rows:
    return [r for part in parts or PARTS for r in PARTS[part](quick)]


if __name__ == "__main__":
    chosen = tuple(a for a in sys.argv[1:] if a in PARTS)
    sys.argv = [a for a in sys.argv if a not in chosen]
    main(lambda quick: run(quick, chosen))
