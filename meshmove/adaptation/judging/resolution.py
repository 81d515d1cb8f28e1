"""Whether a mesh resolves a field: what is recovered of one that it does not is no guide to where cells belong."""

from __future__ import annotations

import numpy as np

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.monitors import Recovery
from meshmove.monitors.isoparametric import isoparametric, second_moments
from meshmove.monitors.solution_error import barycentric
from meshmove.monitors.standard import Standard
from meshmove.outcomes import Outcome, Told

__all__ = ["cell_to_feature", "feature_squares", "unresolved", "warned"]


#: cells over features from which on a move is a guess: alignment raised the error of six of fourteen coarse meshes with
#: 0.99 and more (and lowered that of the others up to thirteen times), and of none with less
RESOLVED = 1.0


def cell_to_feature(recovery: Recovery, field: Array) -> float:
    r"""How wide cells are in parts of the features of a nodal field (n,), sqrt(12) |u - Iu|_1 / |Iu|_1.

    On an interval of length h that is h |u''| / |u'|. Features narrower than a cell look as wide as one: what is found
    of them stays between 1 and 2, whatever they are. Cells that are no simplices are split: patches of whole ones
    average what oscillates along both axes, 8x8 squares 1.4 wide beside features along each to 0.6. Diagonals go along
    the field: with those across a front the same cube of hexahedra told 0.58 for 1.08.
    """
    sides = recovery.sides
    mesh, u = sides.mesh, Standard.of(field).values[sides.vertex]
    if all(b.kind.is_simplex for b in mesh.blocks):
        error, rise = feature_squares(mesh, recovery.sided.hessian(u), u)
    else:
        split = mesh.split_along(u)
        error, rise = feature_squares(split, Recovery(split).hessian(u), u)
    return float(np.sqrt(12 * error / rise)) if rise > 0 else 0.0


def feature_squares(mesh: CellMesh, hessian: Array, u: Array) -> tuple[float, float]:
    """|u - Iu|_1^2 and |Iu|_1^2 over the cells of a mesh, of values (n,) with Hessians (dim, dim, n)."""
    dim, error = len(hessian), 0.0
    upper = np.stack([hessian[a, b] for a in range(dim) for b in range(a, dim)])
    x = mesh.points.T
    for block in mesh.blocks:
        nodes = block.nodes.T
        error += float(isoparametric(block.kind).squares(x[:, nodes], second_moments(upper[None][:, :, nodes])).sum())
    corners = np.concatenate([block.nodes for block in mesh.simplicial().blocks]).T
    gradients, volume = barycentric(x[:, corners])
    rise = (np.einsum("cvs,vs->cs", gradients, u[corners]) ** 2).sum(axis=0) @ volume
    return error, float(rise)


def unresolved(recovery: Recovery, fields: Array, aligned: bool = True) -> tuple[Told, ...]:
    """A warning where cells are about as wide as the features of one of the fields (n, k), or wider."""
    return warned(max(cell_to_feature(recovery, u) for u in fields.T), aligned)


def warned(ratio: float, aligned: bool = True) -> tuple[Told, ...]:
    """The warning, if one is due, of cells so many times as wide as features; `aligned`: the mesh is, to that field."""
    if not ratio >= RESOLVED:
        return ()
    text = (
        f"the mesh does not resolve the field: its cells are {ratio:.2g} times as wide as the features that it shows, "
        f"where less than {RESOLVED:g} is needed (true features may be narrower still). Compare errors, "
    )
    refine, gentler = "refine where the field changes", 'take objective="equidistribution", which gains and risks less'
    text += f"{refine}, or {gentler}" if aligned else f"or {refine}"
    return (Outcome.UNRESOLVED.told(text),)
