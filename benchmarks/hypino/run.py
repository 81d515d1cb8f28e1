"""HyPINO against its targets: the seven published benchmarks, 200 held-out problems, finite elements, and meshes.

    python -m benchmarks.hypino.run [--quick] [--json FILE] [--weights NAME_OR_FILE] [--only PART ...]

Seconds are the processor's on one thread. References are formulas or converged finite elements, which are kept in
.cache/ after the first run. The errors are relative L2 errors where nothing else is said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import CPU, Rows, machine, record, table
from benchmarks.hypino.cases import Bench
from benchmarks.hypino.equal import equal_error
from benchmarks.hypino.fine_tuning import fine_tuning
from benchmarks.hypino.move import move
from benchmarks.hypino.projected import calibration, held_out, projection
from benchmarks.hypino.rivals import batch, finite_elements, gpu, gradient
from benchmarks.hypino.zero_shot import features, refinement, sweeps, zero_shot

__all__ = ["PARTS", "run"]

#: each can be run alone
PARTS: dict[str, Callable[[Bench], Rows]] = {
    "projection": projection,
    "held-out": held_out,
    "zero-shot": zero_shot,
    "sweeps": sweeps,
    "refinement": refinement,
    "features": features,
    "fine-tuning": fine_tuning,
    "finite-elements": finite_elements,
    "batch": batch,
    "equal-error": equal_error,
    "gradient": gradient,
    "gpu": gpu,
    "move": move,
    "calibration": calibration,
}


def run(
    quick: bool = False,
    weights: str = "hypino-small",
    only: Sequence[str] | None = None,
    done: Callable[[str, Rows, float], None] | None = None,
    problems: int = 64,
) -> Rows:
    """The rows of all parts, or of some; `done` is told of each with its seconds; `problems` are those of the batch."""
    bench = Bench(quick, weights, problems)
    rows: Rows = []
    for part in only or PARTS:
        start = CPU()
        rows += (more := PARTS[part](bench))
        if done is not None:
            done(part, more, CPU() - start)
    return rows


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer problems, fewer steps")
    parser.add_argument("--json", metavar="FILE", help="write the rows to this file as well")
    parser.add_argument("--record", action="store_true", help="keep the rows in benchmarks/results, by processor")
    parser.add_argument("--weights", metavar="NAME_OR_FILE", default="hypino-small", help="default: %(default)s")
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS, help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--problems", type=int, default=64, metavar="N", help="of the batch, default: %(default)s")
    args = parser.parse_args()

    def done(part: str, rows: Rows, seconds: float) -> None:
        sys.stdout.write(f"\n{part} ({seconds:.0f} s)\n{table(rows)}\n")
        sys.stdout.flush()

    rows = run(args.quick, args.weights, args.only, done, args.problems)
    found = {"machine": machine(), "rows": rows}
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1, default=str) + "\n")
    if args.record:
        record(Path(__file__), found)


if __name__ == "__main__":
    _main()
