"""What parts of the network that aligns and of its training are worth: equal short trainings from nothing.

Each has 250 steps of about 1,000 nodes, minutes of one core, which is a thirtieth of what the shipped weights had. Then
the drawn problems of `benchmarks.dmm.choosing`, which no training saw, by `adapt` with the network alone. *Whole*: as
shipped. *No lift*: the first strain is dropped, so that only Jacobi steps are left. *No transport*: training and
`adapt` start from rest. *E only*: the loss is the logarithm of the imbalance of a Hessian monitor, as in E, not of an
error. *Analytic Hessians*: training sees the fields' own, without what recovery makes of solutions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip
import torch
from torch import Tensor

from benchmarks.dmm.choosing import gains
from meshmove.neural.aligning import fit, network, single, strains
from meshmove.neural.aligning.features import Cells
from meshmove.neural.aligning.hessians import Walked
from meshmove.neural.aligning.meshes.simplices import Simplices
from meshmove.neural.aligning.meshes.tensors import dot
from meshmove.neural.aligning.objective import Objective
from meshmove.neural.aligning.samples import INTENSITY, Group
from meshmove.procedural.fields import AnalyticFields

torch.set_num_threads(1)
BY_DEFAULT = False  #: a quarter of an hour

CONFIG = fit.Config(
    steps=250,
    batch=1000,
    pool=64,
    fields=4,
    learning_rate=3e-3,
    validate_every=250,
    validation=12,
    average=0.98,
)
#: apart, in units of the mesh, are the gradients whose differences are second derivatives
APART = 2e-3


class Imbalance(Objective):
    """The logarithm of the imbalance of the Hessian monitor in the place of those of errors."""

    def errors(self, batch: Simplices, hessians: Walked, field: AnalyticFields, x: Tensor, fine: bool) -> Tensor:
        size = torch.stack([(dot(h, h) + 1e-12) ** 0.25 for h in hessians(x).permute(1, 2, 0)]).mean(0)
        volume = Cells.of(batch, x).size
        typical = batch.per_mesh(size * volume) / batch.per_mesh(volume)
        mass = (1 + INTENSITY * size / batch.to_cells(typical)) * volume
        share = mass / batch.area * batch.to_cells(batch.total / batch.per_mesh(mass))
        spread = batch.per_mesh(batch.area * (share - 1) ** 2) / batch.total
        return 0.5 * torch.log(spread + 1e-6).expand(2, -1)


def unlifted(mesh: Any, view: Any, coefficients: Any) -> Any:
    """A step of the second strain alone."""
    lift, mesh.lift = mesh.lift, lambda forces: 0 * forces
    try:
        return strains.step_of(mesh, view, coefficients)
    finally:
        mesh.lift = lift


def shown(self: Group, field: AnalyticFields) -> Tensor:
    """Nodal values that know what they are of."""
    u: Any = field.value(self.batch.points, self.batch.node_graph)
    u.field = field
    return u


RECOVERED = Group.recovered


def analytic(self: Group, u: Any, generator: torch.Generator | None = None) -> Walked:
    """The fields' own second derivatives at the nodes, where it is known whose values they are."""
    walked = RECOVERED(self, u, generator)
    if not hasattr(u, "field"):
        return walked
    x, graph = self.batch.points, self.batch.node_graph
    aside = 0.5 * APART * torch.eye(2)
    (xx, xy), (yx, yy) = (
        ((u.field.gradient(x + a, graph) - u.field.gradient(x - a, graph)) / APART).unbind(1) for a in aside
    )
    return Walked(self.batch, self._split, self._beside, torch.stack([xx, 0.5 * (xy + yx), yy], 1), self._around)


#: name -> what is otherwise: of which module or class, which name, and what stands there
ABLATIONS: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "whole": (),
    "no lift": ((network, "step_of", unlifted),),
    "no transport": ((fit, "CARRIED", 0.0), (single, "steep", lambda problem: False)),
    "E only": ((fit, "Objective", Imbalance),),
    "analytic Hessians": ((fit, "SOLVED", 0.0), (Group, "shown", shown), (Group, "recovered", analytic)),
}


def ablated(name: str, count: int, tell: Callable[[str], None] = lambda text: None) -> tuple[float, float]:
    """Factors by which the L2 and the H1 error of so many drawn problems fall, geometric means."""
    with ExitStack() as stack, TemporaryDirectory() as folder:
        for where, what, instead in ABLATIONS[name]:
            stack.enter_context(patch.object(where, what, instead))
        for progress in fit.fit(CONFIG, folder, accelerator="cpu"):
            tell(f"{name}: {progress}")
        found = gains(str(Path(folder) / "best.safetensors"), count)
    l2, h1 = np.exp(-np.log([[o.l2, o.h1] for _, o in found]).mean(axis=0))
    return float(l2), float(h1)


def run(quick: bool = False) -> Rows:
    """One row an ablation; `quick`: on eight problems."""
    rows: Rows = []
    for name in ABLATIONS:
        l2, h1 = ablated(name, 8 if quick else 24, lambda text: print(text, flush=True))
        rows.append(row(f"{name}: L2 and H1 error fall by", f"{l2:.2f}, {h1:.2f}"))
        print(rows[-1]["name"], rows[-1]["measured"], flush=True)
    return rows


if __name__ == "__main__":
    main(run)
