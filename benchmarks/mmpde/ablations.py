"""Parts of MM-PDE left out or added, each trained for the same time: how fields are carried, the residual paths.

    python -m benchmarks.mmpde.ablations [--quick] [--minutes M] [--seeds N] [--models NAME ...] [--folder DIR]
                                         [--json FILE] [--record]

Of Burgers' equation, on few trajectories: 23 to learn from, 3 to choose weights by, 3 to test on. Two branches go on
from `burgers` of the package, its branch on the mesh as it is: what carries the fields first learns to reproduce them
(which is not part of the time), then all of it learns. One branch learns from scratch. The part "ablations" of
`benchmarks.mmpde.run` has the same models from scratch on all trajectories, and on the wake. Errors are relative L2
errors, of fields and at nodes, over a bundle and after 30 frames: medians over seeds. Trained models are kept in the
folder: what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Rows, machine, record, row, table
from benchmarks.mmpde import families
from benchmarks.mmpde.cases import CARRYING, MODELS, Case, Scores, case_of, config_of
from benchmarks.mmpde.shifted import USUAL
from benchmarks.mmpde.training import Bench, Trained, train

import torch  # isort: skip

from meshmove.solvers.data import TrajectoryDataset
from meshmove.solvers.generators.burgers import burgers_mesh
from meshmove.solvers.mmpde import MMPDE
from meshmove.solvers.mmpde.training.reproduction import reproduce
from meshmove.solvers.mmpde.training.samples import Samples

__all__ = ["ALL", "BESIDE", "ablations", "run"]

BY_DEFAULT = False  #: minutes for each training
#: trajectories to learn from and to choose weights by, and to test on
LEARNED, TESTS = families.USUAL, 3
#: how what has learned learns further: by shorter steps, the second branch and what carries the fields
FURTHER: dict[str, Any] = {"ahead": 0.0, "learning_rate": 5e-4, "matrices": 2.5e-3, "validation": 4}
#: models, and the one that each is set beside, if any
BESIDE = {"mmpde": None} | dict.fromkeys(CARRYING, "mmpde") | {"wide": None, "increment": "wide"}
#: where all have learned from scratch
ALL = {"mmpde": None, "single": "mmpde", "wide": "mmpde"} | dict.fromkeys(CARRYING, "mmpde") | {"increment": "wide"}
_MEASURES = {
    "bundle": "field, one bundle",
    "last": "field, 30 frames",
    "bundle_nodes": "at nodes, one bundle",
    "last_nodes": "at nodes, 30 frames",
}


@dataclass(frozen=True)
class Few(Bench):
    """A run of the benchmark on few trajectories of Burgers' equation, which other benchmarks have, too."""

    data: tuple[str, ...] = ("burgers",)
    options: dict[str, Any] = field(default_factory=lambda: {"cells": families.CELLS})

    @cached_property
    def cases(self) -> list[Case]:
        if self.quick:
            return [case_of("burgers", self.folder / "data", True)]
        where, mesh = self.folder / "data", burgers_mesh(families.COARSE)
        fine = families.usual(LEARNED, where, self.progress)
        learned, validation = TrajectoryDataset((fine.on(mesh),)).split(0.9)
        test = USUAL.truth(where)[:TESTS]
        return [Case("burgers", learned, validation, test, USUAL.frames, self.options)]

    def trained(self, case: Case, name: str, seed: int = 0) -> Trained:
        if name != "mmpde" and name not in CARRYING:
            return super().trained(case, name, seed)
        key = case.name, name, seed
        if key not in self._trained:
            moved = self.folder / "moved"
            start = _begun(case, name, seed, self.folder / "starts", moved)
            config = replace(config_of(case, name, seed, self.quick), settings=start.settings, **FURTHER)
            folder = self.folder / "runs" / f"{case.name}-{name}-{seed}"
            self._trained[key] = train(case, name, config, folder, moved, self.minutes, self.progress, start)
        return self._trained[key]

    def scores(self, case: Case, name: str) -> list[Scores]:
        files = [self.folder / "scores" / f"{case.name}-{name}-{seed}.json" for seed in range(self.seeds)]
        for seed, file in enumerate(files):
            if file.is_file():
                self._scores[case.name, name, seed] = Scores(**json.loads(file.read_text()))
        found = super().scores(case, name)
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for file, one in zip(files, found, strict=True):
            file.write_text(json.dumps(asdict(one)))
        return found


def _begun(case: Case, name: str, seed: int, folder: Path, moved: Path) -> MMPDE:
    """`burgers` with other ways to carry fields, which have learned to reproduce them."""
    file = folder / f"{name}-{seed}.safetensors"
    if file.is_file():
        return MMPDE.from_pretrained(file)
    shipped = MMPDE.from_pretrained("burgers")
    torch.manual_seed(seed)
    model = MMPDE(replace(shipped.settings, **CARRYING.get(name, {})))
    model.load_state_dict({**model.state_dict(), **shipped.state_dict()})
    model.monitor, model.mover, model.seen = shipped.monitor, shipped.mover, shipped.seen
    if model.settings.learned or model.settings.cut:
        moved.mkdir(parents=True, exist_ok=True)
        reproduce(model, Samples(case.train, model, lambda g: model.moving_on(g.mesh), moved, progress=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    return MMPDE.from_pretrained(model.save_pretrained(file))


def ablations(bench: Bench, beside: Mapping[str, str | None] = ALL) -> Rows:
    """Errors of each model, and how many times as large as those of the model beside it they are; below 1 it pays."""
    rows: Rows = []
    for case in bench.cases:
        for name, other in beside.items():
            rows.append(_errors(bench, case, name))
            if other is not None:
                rows += _ratios(bench, case, name, other)
    return rows


def run(bench: Bench, names: Sequence[str] = tuple(BESIDE)) -> Rows:
    """Of some models of `BESIDE`, with those that they are set beside."""
    return ablations(bench, {k: v for k, v in BESIDE.items() if k in names or k in {BESIDE[name] for name in names}})


def _errors(bench: Bench, case: Case, name: str) -> dict[str, Any]:
    scores = bench.scores(case, name)
    found = {what: median(getattr(s, measure) for s in scores) for measure, what in _MEASURES.items()}
    costs = [bench.trained(case, name, seed).cost for seed in range(bench.seeds)]
    found |= {key: median(c[key] for c in costs) for key in costs[0]}  # type: ignore[type-var]
    return row(f"{case.name}: {MODELS[name]}", found["field, 30 frames"], None, None, **found)


def _ratios(bench: Bench, case: Case, name: str, other: str) -> Rows:
    rows: Rows = []
    for measure, what in _MEASURES.items():
        pairs = zip(bench.scores(case, name), bench.scores(case, other), strict=True)
        each = [getattr(a, measure) / getattr(b, measure) for a, b in pairs]
        spread = {"least": min(each), "most": max(each)}
        rows.append(row(f"{case.name}: {what}, {MODELS[name]} / {MODELS[other]}", median(each), None, None, **spread))
    return rows


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small trajectories, a few steps; nothing is kept")
    parser.add_argument("--minutes", type=float, help="of the processor for each training, default: 6")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each model, default: %(default)s")
    parser.add_argument("--models", nargs="+", choices=BESIDE, default=tuple(BESIDE), help="default: all")
    parser.add_argument("--folder", type=Path, default=Path("out/mmpde/ablations"), help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    parser.add_argument("--record", action="store_true", help="keep the rows in benchmarks/results, by processor")
    args = parser.parse_args()
    torch.set_num_threads(1)
    minutes = args.minutes or (0.005 if args.quick else 6.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if args.quick else args.folder
        rows = run(Few(folder, args.quick, minutes=minutes, seeds=args.seeds, progress=True), args.models)
    sys.stdout.write(table(rows) + "\n")
    found = {"machine": machine(), "minutes": minutes, "rows": rows}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.record:
        record(Path(__file__), found)


if __name__ == "__main__":
    _main()
