"""Makes data/references.npz: the four of the seven problems without a formula, on a grid of 129 by 129 points.

Elements of degree 4 on two meshes, the second with cells half as large; the finer values are stored (in single
precision, which rounds at 6e-8), and how much the two differ.

    python -m benchmarks.hypino.references
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness import timed  # sets the threads
from meshmove.solvers.fem.evaluation import function_of
from meshmove.solvers.fem.published_problems import BENCHMARKS, grid

import numpy as np  # isort: skip
from numpy.typing import NDArray  # isort: skip

__all__ = ["load", "make"]

FILE = Path(__file__).parent / "data" / "references.npz"
N = 129


def load(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid points inside the domain (2, m) and the reference there (m,), of any of the seven problems."""
    benchmark = BENCHMARKS[name]
    x = grid(N)
    x = x[:, benchmark.pde.domain.contains(x)]
    if benchmark.exact is not None:
        return x, benchmark.exact(x)
    with np.load(FILE) as stored:
        return grid(N)[:, np.unpackbits(stored[f"{name}.inside"], count=N * N).astype(bool)], stored[name].astype(float)


def make(path: Path = FILE) -> None:
    """Solve, and store values, masks (packed bits) and the differences between the two meshes."""
    out: dict[str, NDArray] = {}
    for name, benchmark in BENCHMARKS.items():
        if benchmark.exact is not None:
            continue
        inside = benchmark.pde.domain.contains(grid(N))
        x = grid(N)[:, inside]
        coarse = function_of(*benchmark.solve(benchmark.size))(x)
        seconds, fine = timed(lambda b=benchmark, x=x: function_of(*b.solve(b.size / 2))(x))
        change = float(np.linalg.norm(fine - coarse) / np.linalg.norm(fine))
        sys.stdout.write(f"{name}: {inside.sum()} points, the two meshes differ by {change:.1e}, {seconds:.1f} s\n")
        sys.stdout.flush()
        out |= {
            name: fine.astype(np.float32),
            f"{name}.inside": np.packbits(inside),
            f"{name}.change": np.array(change),
        }
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **out)  # type: ignore[arg-type]


if __name__ == "__main__":
    make()
