"""What `error_estimate` of a projection is calibrated on: problems of another seed than those it is judged on.

Shows the share of errors below the estimate and the median factor between them, for the constants as they are. The
held-out set (`python -m benchmarks.hypino.run --only calibration`) is for the report.
"""

from __future__ import annotations

import statistics

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip

from benchmarks.hypino.heldout import KINDS, judged

__all__ = ["SEED", "run"]

BY_DEFAULT = False  #: what a constant of the package is chosen by
SEED = 41_000


def run(quick: bool = False) -> Rows:
    """A row for each kind, and one for all."""
    found: dict[str, list[dict[str, float]]] = {}
    for k in range(24 if quick else 72):
        one = judged(k, SEED)
        for group in (KINDS[k % len(KINDS)], "all"):
            found.setdefault(group, []).append(one)
    rows: Rows = []
    for group, ones in found.items():
        below = float(np.mean([o["error"] <= max(o["estimate"], o["doubt"]) for o in ones]))
        factor = statistics.median(o["estimate"] / max(o["error"], 1e-300) for o in ones)
        good = below >= 0.9 and factor <= 10 if group == "all" else None
        rows.append(row(f"{group} ({len(ones)})", below, ">= 0.9" if good is not None else None, good, factor=factor))
    return rows


if __name__ == "__main__":
    main(run)
