r"""A hot cylinder in a channel: from Gmsh's file to ParaView's, with every named boundary.

Slow flow, w, in a channel past a cylinder (Taylor-Hood elements), carries heat (linear elements):

.. math::
    -\Delta w + \nabla p = 0, \qquad \nabla \cdot w = 0, \qquad w \cdot \nabla T - k \Delta T = 0,

w = 0 on walls and cylinder, :math:`w = (6 y (H - y) / H^2, 0)` at the inlet; T = 1 on the cylinder, T = 0 at the
inlet, :math:`k \nabla T \cdot n = 0` elsewhere.

With k = 5e-4 (a Peclet number of 200 by the cylinder's diameter) T is a thin layer about the front of the cylinder and
a plume behind it. Upwinding is by streamline diffusion (Brooks & Hughes, Comput. Methods Appl. Mech. Engrg. 32, 1982).
The heat that the cylinder gives off is taken from the residual of the equations at its nodes.

The mesh comes as `meshio` reads it, is moved to T, and leaves as it came: nodes of the cylinder on its circle, those
of walls, inlet and outlet on their lines, all physical groups in the ``.vtu``.

The reference, heat and T on a raster, was solved with quadratic elements on a mesh 0.4 times as wide:
``python data/make_channel.py --scale 0.4 --out fine.msh`` and ``python cylinder_channel.py --fine fine.msh``.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.helpers import dot, grad
from skfem.io.meshio import from_meshio
from skfem.models.general import divergence
from skfem.models.poisson import vector_laplace

import meshmove
from meshmove.geometry import CellMesh, PointLocator
from meshmove.plugins.pyvista import plot

DATA = Path(__file__).parent / "data"
REFERENCE = DATA / "channel_reference.npz"
LENGTH, HEIGHT, RADIUS, DIFFUSIVITY = 2.2, 0.41, 0.05, 5e-4
STEP = 0.005  # of the raster


@skfem.BilinearForm
def transport(T, v, w):
    return DIFFUSIVITY * dot(grad(T), grad(v)) + dot(w["flow"], grad(T)) * v


@skfem.BilinearForm
def upwinding(T, v, w):
    speed = np.sqrt(dot(w["flow"], w["flow"]))
    time = 1 / np.sqrt((2 * speed / w.h) ** 2 + (12 * DIFFUSIVITY / w.h**2) ** 2)
    return time * dot(w["flow"], grad(T)) * dot(w["flow"], grad(v))


def flow(mesh):
    """The flow as a function on the cells: (basis, dofs)."""
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()), intorder=4)
    pressure = velocity.with_element(skfem.ElementTriP1())
    a, b = vector_laplace.assemble(velocity), -divergence.assemble(velocity, pressure)
    inlet = velocity.get_dofs("inlet").all("u^1")
    y = velocity.doflocs[1, inlet]
    x = np.zeros(velocity.N + pressure.N)
    x[inlet] = 6 * y * (HEIGHT - y) / HEIGHT**2
    given = velocity.get_dofs({"inlet", "walls", "cylinder"}).all()
    saddle = skfem.bmat([[a, b.T], [b, None]], "csr")
    return velocity, skfem.solve(*skfem.condense(saddle, x=x, D=given))[: velocity.N]


def temperature(mesh, element=None):
    """The temperature, (basis, dofs), and the heat that the cylinder gives off."""
    velocity, w = flow(mesh)
    basis = velocity.with_element(element or skfem.ElementTriP1())
    w = velocity.interpolate(w)
    equation = transport.assemble(basis, flow=w)
    hot, cold = basis.get_dofs("cylinder").all(), basis.get_dofs("inlet").all()
    T = basis.zeros()
    T[hot] = 1
    stable = equation + upwinding.assemble(basis, flow=w) if element is None else equation
    T = skfem.solve(*skfem.condense(stable, x=T, D=np.concatenate([hot, cold])))
    return basis, T, (equation @ T)[hot].sum()


def solve(mesh):
    """Nodal temperature on a `meshio.Mesh`."""
    return temperature(from_meshio(mesh))[1]


def raster():
    """Centres (2, n) of squares that fill the channel less the cylinder."""
    x = np.stack(np.meshgrid(*[np.arange(STEP / 2, s, STEP) for s in (LENGTH, HEIGHT)])).reshape(2, -1)
    return x[:, np.hypot(*(x - 0.2)) > RADIUS]


def on_raster(mesh, T):
    return PointLocator(CellMesh.single(mesh.p.T, mesh.t.T, "triangle")).find(raster()).interpolate(T)


def errors(mesh, heat, T):
    """Relative error of the heat, and L2 error of the temperature on the raster."""
    fem = from_meshio(mesh)
    _, found, given_off = temperature(fem)
    return abs(given_off / heat - 1), STEP * np.linalg.norm(on_raster(fem, found) - T)


def reference(fine: Path | None):
    if fine is not None:
        mesh = skfem.MeshTri.load(fine)
        _, T, heat = temperature(mesh, skfem.ElementTriP2())
        # the degrees of freedom, at vertices and midpoints, are the nodal values of the mesh halved
        np.savez_compressed(REFERENCE, heat=heat, T=on_raster(mesh.refined(), T).astype(np.float32))
    with np.load(REFERENCE) as stored:
        return float(stored["heat"]), stored["T"]


def main(out: Path = Path("out"), fine: Path | None = None) -> dict[str, float]:
    heat, T = reference(fine)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)

    uniform = meshmove.load(DATA / "channel.msh")
    adaptation, _ = meshmove.adapt_loop(uniform, solve, steps=2)
    adapted = adaptation.mesh
    adapted.point_data["temperature"] = solve(adapted)
    meshmove.save(adapted, out / "cylinder_channel.vtu")

    numbers = dict(zip(("uniform heat", "uniform"), errors(uniform, heat, T), strict=True))
    numbers |= zip(("adapted heat", "adapted"), errors(adapted, heat, T), strict=True)
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    saved = meshmove.load(out / "cylinder_channel.vtu")
    numbers["tags kept"] = sum(same_cells(uniform, saved, name) for name in uniform.field_data)
    print("L2 error of T {uniform:.3g} -> {adapted:.3g}, {factor:.2f} times less, same cells".format(**numbers))
    print("heat off by {uniform heat:.2%} -> {adapted heat:.2%}, {tags kept} groups kept".format(**numbers))
    titles = "as meshed: L2 error {uniform:.3g}".format(**numbers), "moved: L2 error {adapted:.3g}".format(**numbers)
    shown = {"before": uniform, "headings": titles, "label": "temperature"}
    plot(adaptation, "field", filename=out / "cylinder_channel.png", **shown)
    plot(adaptation, "field", filename=out / "cylinder_channel_zoom.png", zoom=(0.08, 0.48, 0.05, 0.35), **shown)
    return numbers


def same_cells(one, other, name) -> bool:
    """Whether a physical group has the same cells, by their nodes, in both meshes."""

    def cells(mesh):
        return {tuple(c) for b, ids in zip(mesh.cells, mesh.cell_sets[name], strict=True) for c in b.data[ids]}

    return cells(one) == cells(other) != set()


if __name__ == "__main__":
    typer.run(main)
