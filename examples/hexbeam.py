r"""Hexahedra in PyVista: the beam that ships with it, and a front across it.

`pyvista.examples.load_hexbeam()` has 40 hexahedra, 2 x 2 x 10, too few to show anything: scikit-fem halves them twice,
to 8 x 8 x 40. On the beam [0, 1]^2 x [0, 5] stands an oblique front, such as a quenched bar has,

.. math:: T = \tanh(10 (z - 2.5 + (x - 0.5) / 2 + (y - 0.5) / 2)).

The accessor ``grid.meshmove`` moves the grid to its point data "T". How much is gained by the same cells elsewhere is
the error of trilinear interpolation of T in L2, on either mesh.
"""

from pathlib import Path

import numpy as np
import pyvista
import skfem
import typer
from pyvista.examples import load_hexbeam
from skfem.io.meshio import from_meshio, to_meshio

from meshmove.plugins.pyvista import plot


def front(x):
    return np.tanh(10 * (x[2] - 2.5 + (x[0] - 0.5) / 2 + (x[1] - 0.5) / 2))


@skfem.Functional
def squared_error(w):
    return (w["u"] - front(w.x)) ** 2


def interpolation_error(grid: pyvista.UnstructuredGrid) -> float:
    mesh = from_meshio(pyvista.to_meshio(grid))
    basis = skfem.Basis(mesh, skfem.ElementHex1(), intorder=6)
    return np.sqrt(squared_error.assemble(basis, u=basis.interpolate(front(mesh.p))))


def refined(grid: pyvista.UnstructuredGrid, times: int) -> pyvista.UnstructuredGrid:
    """Each hexahedron in eight, `times` over."""
    return pyvista.from_meshio(to_meshio(from_meshio(pyvista.to_meshio(grid)).refined(times)))


def main(out: Path = Path("out")) -> dict[str, float]:
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    grid = refined(load_hexbeam(), 2)
    grid["T"] = front(grid.points.T)
    moved = grid.meshmove.adapt("T", effort=0.5)

    numbers = {"cells": moved.n_cells, "uniform": interpolation_error(grid), "adapted": interpolation_error(moved)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("L2 error {uniform:.3g} -> {adapted:.3g}, {factor:.2f} times less, same cells".format(**numbers))
    titles = "uniform: L2 error {uniform:.3g}".format(**numbers), "moved: L2 error {adapted:.3g}".format(**numbers)
    plot(moved, "T", before=grid, headings=titles, filename=out / "hexbeam.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
