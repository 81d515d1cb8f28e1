r"""From strains of cells to a step of the nodes.

The first strain sigma of a cell is what the displacement's gradient should be there; the displacement comes closest,

.. math:: \min_{dx} \sum_K |K_0| \, | \nabla_0 dx - \sigma_K J_K |^2,

one solve with the Laplacian of the mesh at rest. The second does the same by one Jacobi step on the moved mesh.
"""

from __future__ import annotations

from .features import Mesh, View
from .meshes.arrays import Values, library_of

__all__ = ["BASIS", "step_of"]

#: tensors that strains are made of
BASIS = 4


def step_of(mesh: Mesh, view: View, coefficients: Values) -> Values:
    """The step (n, 2) for coefficients (2 BASIS, c) of both strains."""
    xp, j, slopes, size = library_of(coefficients), view.jacobian, view.slopes, view.size
    far, near = ((coefficients[k] * view.basis).sum(1) for k in (slice(0, BASIS), slice(BASIS, None)))
    strain = mesh.area * xp.stack([far[0] * j[0] + far[1] * j[1], far[1] * j[0] + far[2] * j[1]])
    rest = mesh.slope_components
    force = strain[:, 0, None] * rest[0] + strain[:, 1, None] * rest[1]
    step = mesh.lift(mesh.project(mesh.gathered(force)))
    pull = [near[0] * slopes[0] + near[1] * slopes[1], near[1] * slopes[0] + near[2] * slopes[1]]
    stiff = slopes[0] * slopes[0] + slopes[1] * slopes[1]
    local = mesh.gathered(size * xp.stack([*pull, stiff]))
    step = step + local[:, :2] / xp.atleast(local[:, 2:], 1e-12)
    return mesh.project(step) * mesh.to_nodes(view.curved)[:, None]
