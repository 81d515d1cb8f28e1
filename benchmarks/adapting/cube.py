"""Tetrahedra: a shell about the middle of the unit cube."""

from __future__ import annotations

from benchmarks.harness import Rows, main, row, timed

import numpy as np  # isort: skip
import skfem

import meshmove


def shell(x):
    """1 + 10 sech^2(50 (r^2 - 0.09))."""
    r2 = sum((c - 0.5) ** 2 for c in x)
    return 1 + 10 / np.cosh(np.clip(50 * (r2 - 0.09), -300, 300)) ** 2


def run(quick: bool = False) -> Rows:
    """Imbalance at the start and the end, and the time, of 30 x 30 x 30 x 6 tetrahedra."""
    n = 10 if quick else 30
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, n + 1)] * 3)
    seconds, out = timed(lambda: meshmove.adapt(mesh, monitor=shell))
    before, after = out.report.imbalance_before, out.report.imbalance_after
    volume = np.linalg.det((out.mesh.p[:, mesh.t[1:]] - out.mesh.p[:, mesh.t[:1]]).transpose(2, 0, 1))
    start = np.linalg.det((mesh.p[:, mesh.t[1:]] - mesh.p[:, mesh.t[:1]]).transpose(2, 0, 1))
    wrong = int((~(volume * start > 0)).sum())
    return [
        row(f"{mesh.nelements} tetrahedra: imbalance", f"{before:.3f} -> {after:.3f}", "<= 1/4", after <= before / 4),
        row("seconds", seconds, "< 30", seconds < 30),
        row("inverted cells", wrong, "0", wrong == 0),
    ]


if __name__ == "__main__":
    main(run)
