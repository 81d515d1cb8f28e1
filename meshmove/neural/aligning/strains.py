r"""From strains of cells to a step of the nodes.

The first strain sigma of a cell is what the displacement's gradient should be there; the displacement comes closest,

.. math:: \min_{dx} \sum_K |K_0| \, | \nabla_0 dx - \sigma_K J_K |^2,

one solve with the Laplacian of the mesh at rest. The second does the same by one Jacobi step on the moved mesh.
A strain has a symmetric part, and may have an antisymmetric one, which turns the cell towards the Hessian's axes.
"""

from __future__ import annotations

from .features import Mesh, View
from .meshes.arrays import Values, library_of

__all__ = ["BASIS", "TURNS", "step_of"]

#: tensors that strains are made of
BASIS = 4
#: commutators that strains may be made of, besides
TURNS = 2


def step_of(mesh: Mesh, view: View, coefficients: Values) -> Values:
    """The step (n, 2) for coefficients (2 BASIS, c) of both strains, or (2 (BASIS + TURNS), c), those of turns last."""
    xp, j, slopes, size = library_of(coefficients), view.jacobian, view.slopes, view.size
    far, near = (_strain(coefficients, view, k) for k in (0, 1))
    strain = mesh.area * xp.stack([far[0] * j[0] + far[1] * j[1], far[2] * j[0] + far[3] * j[1]])
    rest = mesh.slope_components
    force = strain[:, 0, None] * rest[0] + strain[:, 1, None] * rest[1]
    step = mesh.lift(mesh.project(mesh.gathered(force)))
    pull = [near[0] * slopes[0] + near[1] * slopes[1], near[2] * slopes[0] + near[3] * slopes[1]]
    stiff = slopes[0] * slopes[0] + slopes[1] * slopes[1]
    local = mesh.gathered(size * xp.stack([*pull, stiff]))
    step = step + local[:, :2] / xp.atleast(local[:, 2:], 1e-12)
    return mesh.project(step) * mesh.to_nodes(view.curved)[:, None]


def _strain(coefficients: Values, view: View, which: int) -> list[Values]:
    """Components xx, xy, yx, yy of the first or the second strain of every cell."""
    xx, xy, yy = (coefficients[which * BASIS : (which + 1) * BASIS] * view.basis).sum(1)
    turning = coefficients[2 * BASIS + which * TURNS :][:TURNS]
    if not len(turning):
        return [xx, xy, xy, yy]
    turn = (turning * view.turns).sum(0)
    return [xx, xy + turn, xy - turn, yy]
