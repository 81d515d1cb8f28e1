r"""From strains of cells to a step of the nodes.

The first strain sigma of a cell is what the displacement's gradient should be there; the displacement comes closest,

.. math:: \min_{dx} \sum_K |K_0| \, | \nabla_0 dx - \sigma_K J_K |^2,

one solve with the Laplacian of the mesh at rest. The second does the same by one Jacobi step on the moved mesh.
A strain has a symmetric part, and may have an antisymmetric one, which turns the cell towards the Hessian's axes.
"""

from __future__ import annotations

from itertools import combinations

from .features import Mesh, View
from .meshes.arrays import Values, library_of
from .meshes.tensors import INDEX

__all__ = ["BASIS", "TURNS", "step_of"]

#: tensors that strains are made of, by dimension
BASIS = {2: 4, 3: 6}
#: commutators that strains may be made of, besides
TURNS = {2: 2, 3: 3}


def step_of(mesh: Mesh, view: View, coefficients: Values) -> Values:
    """The step (n, dim) for coefficients (2 BASIS, c) of both strains, or (2 (BASIS + TURNS), c), turns last."""
    xp, j, slopes, size = library_of(coefficients), view.jacobian, view.slopes, view.size
    dim = len(j)
    far, near = (_strain(coefficients, view, k) for k in (0, 1))
    strain = mesh.area * xp.stack([sum(s * row for s, row in zip(line, j, strict=True)) for line in far])
    rest = mesh.slope_components
    force = sum(strain[:, k, None] * rest[k] for k in range(dim))
    step = mesh.lift(mesh.project(mesh.gathered(force)))
    pull = [sum(s * row for s, row in zip(line, slopes, strict=True)) for line in near]
    stiff = (slopes * slopes).sum(0)
    local = mesh.gathered(size * xp.stack([*pull, stiff]))
    step = step + local[:, :dim] / xp.atleast(local[:, dim:], 1e-12)
    return mesh.project(step) * mesh.to_nodes(view.curved)[:, None]


def _strain(coefficients: Values, view: View, which: int) -> list[list[Values]]:
    """The first or the second strain of every cell, row by row."""
    dim, own = len(view.jacobian), view.basis.shape[1]
    symmetric = (coefficients[which * own : (which + 1) * own] * view.basis).sum(1)
    rows = [[symmetric[k] for k in line] for line in INDEX[dim]]
    turns = view.turns.shape[1]
    turning = coefficients[2 * own + which * turns :][:turns]
    if len(turning):
        for (i, k), turn in zip(combinations(range(dim), 2), (turning * view.turns).sum(1), strict=True):
            rows[i][k], rows[k][i] = rows[i][k] + turn, rows[k][i] - turn
    return rows
