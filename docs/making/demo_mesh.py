r"""Makes the mesh of ``meshmove demo``, meshmove/data/channel.msh: a warm cylinder in a channel.

    -k Laplace(T) + w . grad(T) = 0,  T = 1 on the cylinder, T = 0 at the inlet, k = 1/400 of the channel's mean flow,

with the Stokes velocity w of a parabolic inflow, second-order on second-order triangles; T is stored at the vertices.
"""

from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
import skfem
from scipy.sparse import bmat
from skfem.helpers import dot, grad
from skfem.models.general import divergence
from skfem.models.poisson import vector_laplace

import meshmove
from meshmove.geometry.domains import Disk, Rectangle

NAMES = ("wall", "outlet", "inlet", "cylinder")


def domain_mesh() -> tuple[skfem.MeshTri, dict[str, np.ndarray]]:
    """A channel with a cylinder a little off its middle, and the names of its sides."""
    box = Rectangle((0, 0), (2.2, 0.41), names=("wall", "outlet", "wall", "inlet"))
    cells = (box - Disk((0.5, 0.2), 0.08, name="cylinder")).mesh(0.025, engine="gmsh")
    mesh = skfem.MeshTri(np.ascontiguousarray(cells.points.T), np.ascontiguousarray(cells.blocks[0].nodes.T))
    return mesh, dict(cells.facets)


def temperature(mesh: skfem.MeshTri, sides: dict[str, np.ndarray]) -> np.ndarray:
    """T at the vertices."""
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()), intorder=4)
    pressure = velocity.with_element(skfem.ElementTriP1())
    a, b = vector_laplace.assemble(velocity), -divergence.assemble(velocity, pressure)
    system = bmat([[a, b.T], [b, None]], format="csr")
    x = np.zeros(system.shape[0])
    facets = {n: mesh.facets_satisfying(lambda p, n=n: _on(p, n), boundaries_only=True) for n in sides}
    inlet = velocity.get_dofs(facets["inlet"]).all("u^1")
    y = velocity.doflocs[1, inlet]
    x[inlet] = 6 * y * (0.41 - y) / 0.41**2
    held = np.unique(np.concatenate([velocity.get_dofs(facets[n]).all() for n in ("wall", "inlet", "cylinder")]))
    x = skfem.solve(*skfem.condense(system, x=x, D=held))
    w = velocity.interpolate(x[: velocity.N])

    heat = velocity.with_element(skfem.ElementTriP2())

    @skfem.BilinearForm
    def transport(t, v, at):
        return dot(grad(t), grad(v)) * 0.41 / 400 + dot(at["w"], grad(t)) * v

    matrix = transport.assemble(heat, w=w)
    t = np.zeros(heat.N)
    hot, cold = heat.get_dofs(facets["cylinder"]).all(), heat.get_dofs(facets["inlet"]).all()
    t[hot] = 1
    t = skfem.solve(*skfem.condense(matrix, x=t, D=np.union1d(hot, cold)))
    return t[heat.nodal_dofs[0]]


def _on(p: np.ndarray, name: str) -> np.ndarray:
    on = {"inlet": p[0] < 1e-9, "outlet": p[0] > 2.2 - 1e-9, "wall": np.minimum(p[1], 0.41 - p[1]) < 1e-9}
    return on[name] if name in on else np.hypot(p[0] - 0.5, p[1] - 0.2) < 0.081


def main() -> None:
    """Write the file."""
    mesh, sides = domain_mesh()
    lines = np.concatenate([sides[n] for n in NAMES])
    tags = np.repeat(np.arange(1, len(NAMES) + 1), [len(sides[n]) for n in NAMES])
    physical = [tags, np.full(mesh.nelements, 5)]
    out = meshio.Mesh(
        np.c_[mesh.p.T, np.zeros(mesh.p.shape[1])],
        [("line", lines), ("triangle", mesh.t.T)],
        point_data={"temperature": temperature(mesh, sides)},
        cell_data={"gmsh:physical": physical, "gmsh:geometrical": physical},
        field_data={n: np.array([k + 1, 1]) for k, n in enumerate(NAMES)} | {"fluid": np.array([5, 2])},
    )
    path = Path(meshmove.__file__).parent / "data" / "channel.msh"
    meshmove.save(out, path)
    print(f"{path}: {mesh.p.shape[1]} nodes, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
