"""The network that aligns on the held-out suite: predicted errors against the classical default, and inverted cells.

Five hundred meshes, those of them that have triangles only; the fields are the logarithms of the suite's monitors. Then
every such mesh, made smaller, with many fields through the network alone, as one batch: no judge, only the guard.

    python -m benchmarks.dmm.aligning_pairs [heldout] [cuts] [invalid] [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip
import torch

import meshmove
from benchmarks.dmm.aligning import heldout
from benchmarks.dmm.heldout import CASES, SUITE, case, plan
from benchmarks.dmm.heldout_meshes import MESHES
from benchmarks.dmm.heldout_monitors import MONITORS
from meshmove.geometry import inverted_cells
from meshmove.neural import Aligner, FieldBatch
from meshmove.neural.aligning.fields import Part

torch.set_num_threads(1)
BY_DEFAULT = False  #: half an hour on a core of its own
#: fields that a mesh meets, nodes of a mesh
FIELDS, NODES = 24, 300


def moved(model: Aligner, seed: int) -> tuple[int, int, int]:
    """Pairs, inverted cells, and moves of which a round was cut by more than half, of the mesh of case `seed`."""
    p = plan(seed)
    mesh = MESHES[p.dim][p.shape](np.random.default_rng([SUITE, seed, 2]), NODES)
    if any(b.kind.name != "triangle" for b in mesh.blocks):
        return 0, 0, 0
    part, fields = Part.of(mesh), []
    for k in range(FIELDS):
        rng = np.random.default_rng([SUITE, seed, 4, k])
        width = 2 * mesh.n_points**-0.5 * rng.uniform(0.9, 4.0)
        form = MONITORS[rng.choice(list(MONITORS))](rng, 2, width, float(np.exp(rng.uniform(np.log(3), np.log(60)))))
        fields.append(np.log(form(2 * part.mesh.points.T)))
    batch = FieldBatch([part] * FIELDS)
    with torch.no_grad():
        rounds = model(batch.batch, batch.hessians(batch.joined(fields)))
    positions = rounds[-1][0].double().split(batch.sizes)
    wrong = sum(len(inverted_cells(part.mesh, x.numpy())) for x in positions)
    least = torch.stack([share for *_, share in rounds]).amin(0)
    return FIELDS, wrong, int((least < 0.5).sum())


def invalid(seeds: range) -> Iterator[dict[str, object]]:
    """Inverted cells and cut rounds of all pairs."""
    model = Aligner.from_pretrained()
    pairs, wrong, cut = np.sum([moved(model, seed) for seed in seeds], axis=0)
    yield row(f"inverted cells, {pairs} pairs, network and guard alone", int(wrong), "0", wrong == 0)
    yield row("share of these of which a round was cut by more than half", cut / pairs, "<= 0.01", cut <= 0.01 * pairs)


def cuts(seeds: range) -> Iterator[dict[str, object]]:
    """How many of the moves by `adapt` with the network alone had a round cut by more than half, and which meshes."""
    cut, moves = [], 0
    for seed in seeds:
        name, mesh, monitor, *_ = case(seed)
        if any(not b.kind.is_simplex for b in mesh.blocks):
            continue
        share = meshmove.adapt(mesh, np.log(monitor(mesh.points.T)), mover="dmm", effort=0.1).report.step_cut
        moves += 1
        if share is not None and share < 0.5:
            cut.append(str(name))
    yield row(
        f"of {moves} moves so many had a round cut by more than half", len(cut), "<= 1 %", len(cut) <= moves / 100
    )
    if cut:
        yield row("these are", "; ".join(cut))


#: by name, each with the step between the meshes that it looks at with `quick`
PARTS = {"heldout": (heldout, 60), "cuts": (cuts, 6), "invalid": (invalid, 60)}


def run(quick: bool = False, names: tuple[str, ...] = tuple(PARTS)) -> Rows:
    """All rows, or those of the parts named; `quick`: every 60th mesh, and of cuts every sixth."""
    return [r for part, step in map(PARTS.__getitem__, names) for r in part(range(0, CASES, step if quick else 1))]


if __name__ == "__main__":
    chosen = tuple(a for a in sys.argv[1:] if a in PARTS)
    sys.argv = [a for a in sys.argv if a not in PARTS]
    main(lambda quick: run(quick, chosen or tuple(PARTS)))
