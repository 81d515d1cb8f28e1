"""MM-PDE against its targets: the package's models, the single branch, networks on the grid, parts, the data's solvers.

    python -m benchmarks.mmpde.run [--quick] [--data burgers|cylinder ...] [--only PART ...] [--minutes M] [--seeds N]
                               [--threads N] [--folder DIR] [--json FILE]

Every model is trained for the same minutes of the processor, one after the other, with the same batch and schedule.
Data sets, moved meshes and trained models are kept in the folder: an interrupted run goes on where it was. Errors are
relative L2 errors by the lumped mass on test trajectories; seconds are the processor's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import CPU, Rows, machine, table
from benchmarks.mmpde.ablations import ablations
from benchmarks.mmpde.beside import solver, step_time
from benchmarks.mmpde.cases import DATA
from benchmarks.mmpde.parts import assimilation, one_bundle, rivals, rollout, shipped
from benchmarks.mmpde.training import Bench

import torch  # isort: skip

__all__ = ["PARTS", "run"]

BY_DEFAULT = False  #: hours of training
#: each can be run alone
PARTS: dict[str, Callable[[Bench], Rows]] = {
    "shipped": shipped,
    "one-bundle": one_bundle,
    "rollout": rollout,
    "rivals": rivals,
    "ablations": ablations,
    "time": step_time,
    "solver": solver,
    "assimilation": assimilation,
}


def run(
    bench: Bench, only: Sequence[str] | None = None, done: Callable[[str, Rows, float], None] | None = None
) -> Rows:
    """The rows of all parts, or of some; `done` is told of each with its seconds."""
    rows: Rows = []
    for part in only or PARTS:
        start = CPU()
        rows += (more := PARTS[part](bench))
        if done is not None:
            done(part, more, CPU() - start)
    return rows


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small trajectories, a few steps; nothing is kept")
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA, help="default: both")
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS, help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--minutes", type=float, help="of the processor for each training, default: 20")
    parser.add_argument("--seeds", type=int, help="trainings of each model, default: 3")
    parser.add_argument("--threads", type=int, default=1, help="of a training, default: 1")
    parser.add_argument("--folder", type=Path, default=Path("out/mmpde"), help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    minutes, seeds = args.minutes or (0.005 if args.quick else 20.0), args.seeds or (1 if args.quick else 3)
    written: Rows = []

    def done(part: str, rows: Rows, seconds: float) -> None:
        sys.stdout.write(f"\n{part} ({seconds:.0f} s)\n{table(rows)}\n")
        sys.stdout.flush()
        written.extend(rows)
        if args.json:  # after every part, for all of them take long
            facts = {"machine": machine(), "minutes": minutes, "seeds": seeds, "rows": written}
            args.json.write_text(json.dumps(facts, indent=1, default=str) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if args.quick else args.folder
        run(Bench(folder, args.quick, tuple(args.data), minutes, seeds, progress=True), args.only, done)


if __name__ == "__main__":
    _main()
