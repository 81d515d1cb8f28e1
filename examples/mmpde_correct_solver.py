r"""A coarse solver of yours, corrected by a network that has learned what it misses.

Burgers' equation on the unit square, u = 0 on the walls: finite volumes on 48 x 48 cells smear fronts over three of
them. The solver is a plain callable, `step(mesh, fields, dt, attributes) -> fields`; the network is given its frames
and adds to them what it misses, where these bend within a cell and as far as they are like those of its training. The
same model works on triangles of other kinds: here on Delaunay's, too, which have no rows.

To train one for a solver of your own: `MMPDE(settings, base=step).fit(data, folder)`.

    python examples/mmpde_correct_solver.py [--seed 2] [--viscosity 0.003] [--height 1.5] [--out DIR]
"""

from pathlib import Path

import numpy as np
import pyvista
import typer
from scipy.interpolate import RectBivariateSpline
from scipy.spatial import Delaunay

from meshmove.geometry import CellMesh
from meshmove.geometry.quality import vertex_volumes
from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.generators.burgers import burgers_frames, burgers_mesh, random_field

CELLS, FINE, FRAMES = 48, 192, 30


def delaunay(cells: int, seed: int) -> CellMesh:
    """Triangles of about cells x cells nodes at random places, but for those on the walls."""
    x = burgers_mesh(cells).points.copy()
    inner = (np.abs(x - 0.5) < 0.5 - 1e-9).all(axis=1)
    x[inner] += np.random.default_rng(seed).uniform(-0.3, 0.3, (inner.sum(), 2)) / cells
    triangles = Delaunay(x).simplices
    a, b, c = x[triangles].transpose(1, 0, 2)
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    return CellMesh.single(x, triangles[area > 1e-9], "triangle")  # walls are straight to rounding


def main(seed: int = 2, viscosity: float = 0.003, height: float = 1.5, out: Path = Path("out")) -> dict[str, float]:
    solver = BurgersStep()
    model = MMPDE.from_pretrained("burgers-corrected", base=solver)
    fine, nu = np.linspace(0, 1, FINE + 1), {"viscosity": viscosity}
    start = height * random_field(FINE + 1, np.random.default_rng(seed))
    (end,) = burgers_frames(start, [FRAMES * float(model.step)], viscosity)
    first, last = (RectBivariateSpline(fine, fine, u) for u in (start, end))

    errors, shown = {}, []
    for name, mesh in (("grid", burgers_mesh(CELLS)), ("Delaunay", delaunay(CELLS, seed))):
        u0, truth, weight = first.ev(*mesh.points.T), last.ev(*mesh.points.T), vertex_volumes(mesh)
        alone = u0
        for _ in range(FRAMES):
            alone = solver(mesh, {"u": alone}, float(model.step), nu)["u"]
        corrected = model.rollout(mesh, u0, FRAMES, attributes=nu).last().values[:, 0]
        for what, u in (("solver", alone), ("corrected", corrected)):
            off = float(np.sqrt(weight @ (u - truth) ** 2 / (weight @ truth**2)))
            errors[f"{what}, {name}"] = off
            print(f"{what + ', ' + name:20} relative L2 error {off:.4f}")
        shown.append((name, mesh, alone - truth, corrected - truth))

    most = max(np.abs(off).max() for _, _, off, _ in shown)
    plotter = pyvista.Plotter(shape=(2, 2), off_screen=True, window_size=(1000, 1060), border=False)
    for i, (name, mesh, *offs) in enumerate(shown):
        for j, (what, off) in enumerate(zip(("solver", "corrected"), offs, strict=True)):
            plotter.subplot(i, j)
            faces = np.column_stack([np.full(mesh.n_cells, 3), mesh.blocks[0].nodes])
            grid = pyvista.PolyData(np.column_stack([mesh.points, np.zeros(mesh.n_points)]), faces.ravel())
            plotter.add_mesh(
                grid, scalars=off, clim=(-most / 2, most / 2), cmap="coolwarm", lighting=False, show_scalar_bar=False
            )
            plotter.add_text(f"{what}, {name}: off by {errors[f'{what}, {name}']:.1%}", font_size=10, color="black")
            plotter.view_xy()
            plotter.camera.zoom(1.3)
    plotter.set_background("white")
    Path(out).mkdir(parents=True, exist_ok=True)
    plotter.screenshot(Path(out) / "mmpde_correct_solver.png")
    return errors


if __name__ == "__main__":
    typer.run(main)
