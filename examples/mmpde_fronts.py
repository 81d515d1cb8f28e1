r"""Fronts that are thinner than the mesh: fields that evolve on a moving mesh, beside those on one that stays.

Burgers' equation on the unit square, u = 0 on the walls, viscosity 0.002: a smooth random start steepens into fronts
thinner than a cell of the 48 x 48. Both models are told the start at the nodes of these, and nothing else. What they
say 30 frames later, as functions that are linear on cells, is compared with the solution on 192 x 192.

One branch knows values at the nodes of the mesh that stays; the true ones are shown besides. On a grid splines through
them would be nearer: `python -m benchmarks.mmpde.run --only shipped` has both.

    python examples/mmpde_fronts.py [--seed 2] [--viscosity 0.002] [--out DIR]
"""

from pathlib import Path

import numpy as np
import pyvista
import typer

from meshmove.geometry import PointLocator
from meshmove.solvers import MMPDE
from meshmove.solvers.generators.burgers import burgers_frames, burgers_mesh, random_field

CELLS, FINE, FRAMES = 48, 192, 30


def main(seed: int = 2, viscosity: float = 0.002, out: Path = Path("out")) -> dict[str, float]:
    mesh, fine = burgers_mesh(CELLS), burgers_mesh(FINE)
    start = random_field(FINE + 1, np.random.default_rng(seed))
    *_, end = burgers_frames(start, np.linspace(0, 1, FRAMES + 1), viscosity)
    coarse = slice(None, None, FINE // CELLS)
    compared = {"true values at the nodes": (mesh, end[coarse, coarse].ravel())}
    picture = pyvista.ImageData(dimensions=(FINE + 1, FINE + 1, 1), spacing=(1 / FINE, 1 / FINE, 1))
    picture["u"] = end.T.ravel()
    grids = {"solution, 192 x 192": picture}
    for name, weights in (("one branch", "burgers-still"), ("two branches", "burgers")):
        model = MMPDE.from_pretrained(weights)
        moving = model.settings.moving
        rollout = model.rollout(mesh, start[coarse, coarse].ravel(), FRAMES, attributes={"viscosity": viscosity})
        grids[name] = grid = rollout.to_pyvista(moved=moving)[-1]
        compared[name] = mesh.moved(grid.points[:, :2]) if moving else mesh, grid["u"]

    errors = {}
    for name, (on, values) in compared.items():
        found = PointLocator(on).interpolate(values, fine.points.T)
        errors[name] = float(np.linalg.norm(found - end.ravel()) / np.linalg.norm(end))
        print(f"{name:26} relative L2 error {errors[name]:.4f}")

    plotter = pyvista.Plotter(shape=(1, 3), off_screen=True, window_size=(1500, 540), border=False)
    inner = slice(FINE // 5, -FINE // 5)
    steep = np.hypot(*np.gradient(end))[inner, inner]
    x, y = (np.array(np.unravel_index(np.argmax(steep), steep.shape)) + FINE // 5) / FINE
    for k, (name, grid) in enumerate(grids.items()):
        plotter.subplot(0, k)
        plotter.add_mesh(
            grid, scalars="u", clim=(end.min(), end.max()), show_edges=k > 0, edge_color="gray", lighting=False,
            show_scalar_bar=False,
        )  # fmt: skip
        off = f": off by {errors[name]:.1%}" if k else ""
        plotter.add_text(name + off, font_size=11, color="black")
        plotter.view_xy()
        plotter.enable_parallel_projection()
        plotter.camera.focal_point, plotter.camera.position = (x, y, 0), (x, y, 1)
        plotter.camera.parallel_scale = 0.21
        plotter.reset_camera_clipping_range()
    plotter.set_background("white")
    Path(out).mkdir(parents=True, exist_ok=True)
    plotter.screenshot(Path(out) / "mmpde_fronts.png")
    return errors


if __name__ == "__main__":
    typer.run(main)
