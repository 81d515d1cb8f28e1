"""The network that aligns in space against the classical default: H1 errors of interpolants, and CPU times.

*Alone* is ``adapt(mesh, u, mover="dmm", effort=0.1)``, *with steps* ``effort=0.8``; the classical default is
``adapt(mesh, u)``, which there is at effort 0.1, too. One move each from rest, of shells in the cube of 16x16x16 nodes,
and of drawn fields on drawn boxes and balls of tetrahedra and boxes of hexahedra, on none of which it was trained. The
H1 error is that of the field's interpolant, by a rule of degree 5 with the field's own gradient; times are CPU times of
all of `adapt`, one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
import torch
from torch import Tensor

import meshmove
from meshmove.geometry import CellMesh
from meshmove.neural import Neural
from meshmove.neural.aligning.meshes.drawn import uniform_cube
from meshmove.neural.aligning.meshes.simplices import Simplices
from meshmove.neural.aligning.network import Aligner
from meshmove.neural.aligning.objective import interpolation_error
from meshmove.neural.training.samples import unit
from meshmove.procedural import random_mesh
from meshmove.procedural.fields import random_field
from meshmove.procedural.meshes.grids import boxes

torch.set_num_threads(1)
BY_DEFAULT = False  #: four minutes

#: families of tetrahedra and hexahedra that cases are drawn from, by turns; training draws with other seeds
FAMILIES = ("ball", "box_delaunay", "box_tets", "box_hexes")
SEED = 424_243


@dataclass(frozen=True)
class Shell:
    """tanh(steepness (|x - centre| - radius)), as fields of `procedural` are."""

    steepness: float
    radius: float
    centre: Tensor

    def value(self, x: Tensor, graph: Tensor) -> Tensor:
        return torch.tanh(self.steepness * ((x - self.centre).norm(dim=1) - self.radius))

    def gradient(self, x: Tensor, graph: Tensor) -> Tensor:
        r = (x - self.centre).norm(dim=1, keepdim=True)
        return self.steepness / torch.cosh(self.steepness * (r - self.radius)) ** 2 * (x - self.centre) / r


def h1_error(mesh: CellMesh, field: Any) -> float:
    """Of the interpolant."""
    free = np.broadcast_to(np.eye(3), (mesh.n_points, 3, 3))
    batch = Simplices.of([mesh], [free], lambda forces: forces, torch.float64)
    return float(interpolation_error(batch, field, batch.points, fine=True)) ** 0.5


def outcome(mesh: CellMesh, field: Any, options: dict[str, Any]) -> tuple[float, float]:
    """By what factor the H1 error falls, and seconds."""
    u = field.value(torch.from_numpy(mesh.points), torch.zeros(mesh.n_points, dtype=torch.long)).numpy()
    seconds, out = timed(lambda: meshmove.adapt(mesh, u, **options), clock=CPU)
    assert out.report.inverted_cells == 0
    return h1_error(mesh, field) / h1_error(mesh.moved(out.moved.points), field), seconds


def shells(nodes: int) -> Iterator[tuple[str, CellMesh, Any]]:
    """About a corner of the cube, of tetrahedra and of hexahedra, a wide one and a thin one."""
    tetra = uniform_cube(nodes)
    points, hexahedra = boxes(np.random.default_rng(0), (nodes - 1,) * 3, np.ones(3))
    for kind, mesh in (
        ("tetra", tetra.moved(tetra.points + 0.5)),
        ("hexahedron", CellMesh.single(points, hexahedra, "hexahedron")),
    ):
        for steepness in (10.0, 20.0):
            yield f"shell {steepness:g}, {kind} {nodes}^3", mesh, Shell(steepness, 0.7, torch.zeros(3, dtype=float))


def drawn(count: int) -> Iterator[tuple[str, CellMesh, Any]]:
    """Cases by turns of `FAMILIES`."""
    for k in range(count):
        random, family = np.random.default_rng([SEED, k]), FAMILIES[k % len(FAMILIES)]
        mesh = unit(random_mesh(random, 3, nodes=(400, 1500), families=[family]))
        yield f"{family}, {mesh.n_points} nodes", mesh, random_field(random, mesh)


def movers(model: Aligner | None) -> dict[str, dict[str, Any]]:
    """Options of `adapt` by name."""
    return {
        "alone": {"mover": Neural(aligner=model), "effort": 0.1},
        "with steps": {"mover": Neural(aligner=model), "effort": 0.8},
        "classical at effort 0.1": {"effort": 0.1},
        "classical": {},
    }


def compared(
    name: str,
    cases: Iterator[tuple[str, CellMesh, Any]],
    model: Aligner | None,
    report: Callable[[dict[str, object]], None],
) -> None:
    """A row for each case, and medians of gains and times against the classical ones."""
    found: dict[str, list[tuple[float, float]]] = {m: [] for m in movers(model)}
    for what, mesh, field in cases:
        for mover, options in movers(model).items():
            found[mover].append(outcome(mesh, field, options))
        shown = ", ".join(f"{found[m][-1][0]:.2f} ({found[m][-1][1]:.2g} s)" for m in found)
        report(row(f"{what}: H1 gain {', '.join(found)} (CPU s)", shown))
    classical = np.array(found.pop("classical"))
    for mover, each in found.items():
        gain, seconds = np.median(np.array(each) / classical, axis=0)
        who = mover if "classical" in mover else f"network {mover}"
        text = f"{name}, {who} / classical, medians of {len(each)}: H1 gain, time"
        goal = (">= 0.85, <= 0.2", bool(gain >= 0.85 and seconds <= 0.2)) if mover == "alone" else (None, None)
        report(row(text, f"{gain:.2f}, {seconds:.2f}", *goal))


def run(quick: bool = False, model: Aligner | None = None) -> Rows:
    """All rows; `quick`: shells on 10^3 nodes, and eight drawn cases in place of sixteen. `model`: the shipped one."""
    meshmove.adapt(skfem.MeshTet().refined(2), lambda x: x[0] ** 3, mover="dmm")  # imports what it needs
    rows: Rows = []
    compared("shells", shells(10 if quick else 16), model, rows.append)
    compared("held out", drawn(8 if quick else 16), model, rows.append)
    return rows


if __name__ == "__main__":
    main(run)
