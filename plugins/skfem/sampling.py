"""Values of scikit-fem's finite element functions: at nodes, and at points of each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError
from meshmove.outcomes import Outcome

from .bases import fresh, pair_of

if TYPE_CHECKING:
    import skfem

__all__ = ["cell_values", "main_parts", "node_values", "which_parts"]


def main_parts(basis: Any, dofs: NDArray) -> list[tuple[Any, NDArray]]:
    """Of a basis of several fields the pairs that a mesh is moved to: vectors before scalars, then the highest degree.

    Of a flow that is the velocity: its error is the one that counts, and the pressure's follows.
    """
    from skfem import ElementComposite

    if not isinstance(basis.elem, ElementComposite):
        return [(basis, dofs)]
    parts = [(part, values) for values, part in basis.split(dofs)]
    ranks = [(type(part.elem).__name__ == "ElementVector", part.elem.maxdeg) for part, _ in parts]
    return [part for part, rank in zip(parts, ranks, strict=True) if rank == max(ranks)]


def which_parts(basis: Any, dofs: NDArray) -> tuple[str, ...]:
    """A warning that says which fields of several the mesh is moved to, if not all."""
    from skfem import ElementComposite

    if not isinstance(basis.elem, ElementComposite):
        return ()
    taken = main_parts(basis, dofs)
    if len(taken) == len(basis.elem.elems):
        return ()
    names = ["vectors of " * hasattr(e, "elem") + type(getattr(e, "elem", e)).__name__ for e in basis.elem.elems]
    first = taken[0][0].elem
    name = "vectors of " * hasattr(first, "elem") + type(getattr(first, "elem", first)).__name__
    return (
        Outcome.PART_OF_FIELDS.told(
            f"the basis has {len(names)} fields ({', '.join(names)}): the mesh moves to the {name}, as to the velocity "
            "of a flow. To move it to another, pass one of basis.split(dofs)"
        ),
    )


def cell_values(mesh: skfem.Mesh, field: Any, points: Array) -> NDArray:
    """Values (k, cells, points) of a function of k components at reference coordinates (dim, points) of each cell.

    Raises
    ------
    FieldError
        As `pair_of`, and for a basis of fields of several kinds within one element.
    """
    return np.concatenate([_sampled(mesh, *part, points)[0] for part in main_parts(*pair_of(mesh, field))])


def _sampled(mesh: skfem.Mesh, basis: Any, dofs: NDArray, points: Array) -> tuple[NDArray, bool]:
    """The same of one field, and whether it is a scalar."""
    import skfem

    sampled = skfem.CellBasis(
        basis.mesh, fresh(basis.elem), elements=basis.tind, quadrature=(points, np.ones(points.shape[1]))
    )
    if len(sampled.basis[0]) != 1:
        raise FieldError(
            f"Expected a basis of one field (got {type(basis.elem).__name__} of {len(sampled.basis[0])} fields). "
            "Use basis.split(dofs) and pass one of its pairs"
        )
    real, imaginary = (np.asarray(sampled.interpolate(p)) for p in (dofs.real, dofs.imag))
    values = real + 1j * imaginary if np.iscomplexobj(dofs) else real
    return values.reshape(-1, *values.shape[-2:]), values.ndim == 2


def node_values(mesh: skfem.Mesh, field: Any) -> NDArray:
    """A finite element function at the nodes: the mean over the cells that meet there.

    Parameters
    ----------
    mesh
        The mesh whose nodes are meant.
    field
        A pair (basis, dofs), in either order, on cells of `mesh`. The dofs may be complex. Of a basis of several
        fields: those of `main_parts`.

    Returns
    -------
    (n_nodes,), or (n_nodes, k) for a field of vectors. NaN where no cell of the basis meets.

    Raises
    ------
    FieldError
        The pair is of another kind, or belongs to another mesh, or `dofs` has another length.

    Examples
    --------
    >>> import skfem
    >>> mesh = skfem.MeshTri()
    >>> basis = skfem.Basis(mesh, skfem.ElementTriP0())
    >>> node_values(mesh, (basis, np.array([1.0, 3.0])))
    array([1., 2., 2., 3.])
    """
    pairs = main_parts(*pair_of(mesh, field))
    local = np.asarray(mesh.elem.doflocs).T
    found = [_sampled(mesh, *pair, local) for pair in pairs]
    basis = pairs[0][0]
    nodes = mesh.dofs.element_dofs[:, slice(None) if basis.tind is None else basis.tind].T.ravel()
    count = np.bincount(nodes, minlength=mesh.p.shape[1])
    parts = np.concatenate([values for values, _ in found]).reshape(-1, len(nodes))
    sums = np.stack([_summed(nodes, part, len(count)) for part in parts], axis=-1)
    mean = np.divide(sums, count[:, None], out=np.full(sums.shape, np.nan, sums.dtype), where=count[:, None] > 0)
    return mean[:, 0] if len(found) == 1 and found[0][1] else mean


def _summed(nodes: NDArray, values: NDArray, n: int) -> NDArray:
    if np.iscomplexobj(values):
        return _summed(nodes, values.real, n) + 1j * _summed(nodes, values.imag, n)
    return np.bincount(nodes, values, minlength=n)
