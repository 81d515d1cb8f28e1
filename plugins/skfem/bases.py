"""Bases of scikit-fem: is it one of this mesh, does its element remember another, and the same on the moved mesh."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError
from meshmove.options import as_numbers
from meshmove.outcomes import Outcome

if TYPE_CHECKING:
    import skfem

__all__ = ["basis_on", "check_pair", "fresh", "pair_of"]

#: a basis is of a mesh whose nodes are up to this part of its size elsewhere
SAME = 1e-9


def pair_of(mesh: skfem.Mesh, field: Any) -> tuple[Any, NDArray]:
    """A basis on all of `mesh` and its dofs, from a pair in either order.

    Raises
    ------
    FieldError
        No such pair; a basis on facets, on another mesh, or on the mesh at other positions; dofs that are too many or
        too few, masked or no numbers.
    """
    import skfem
    from skfem.assembly.basis.abstract_basis import AbstractBasis

    basis, dofs = field if isinstance(field, tuple | list) and len(field) == 2 else (field, None)
    if isinstance(dofs, AbstractBasis):  # as basis.split(dofs) gives them
        basis, dofs = dofs, basis
    if isinstance(basis, AbstractBasis) and not isinstance(basis, skfem.CellBasis):
        raise FieldError(
            f"Expected a basis over cells (got a {type(basis).__name__}, which knows the function on facets only). "
            "The degrees of freedom are the same: pass skfem.Basis(mesh, basis.elem) with them"
        )
    if not isinstance(basis, skfem.CellBasis) or dofs is None or isinstance(dofs, AbstractBasis):
        raise FieldError(f"Expected a pair (skfem.CellBasis, dofs) (got {type(basis).__name__})")
    dofs = as_numbers(dofs, "the dofs", f"{basis.N} numbers")
    if dofs.shape != (basis.N,):
        raise FieldError(f"Expected {basis.N} degrees of freedom, as the basis has (got shape {dofs.shape})")
    _check_mesh(mesh, basis)
    return basis, dofs


def _check_mesh(mesh: skfem.Mesh, basis: Any) -> None:
    if not np.array_equal(basis.mesh.t, mesh.t):
        raise FieldError(
            f"Expected a basis on the mesh that is moved, {mesh.t.shape[1]} cells "
            f"(got one on another mesh, {basis.mesh.t.shape[1]} cells)"
        )
    if basis.mesh is mesh:
        return
    same = basis.mesh.p.shape == mesh.p.shape
    mine, theirs = (m.p if same else m.p[:, m.dofs.element_dofs[: m.t.shape[0]]] for m in (mesh, basis.mesh))
    used = np.unique(mesh.dofs.element_dofs) if same else slice(None)
    off = np.sqrt(((mine - theirs) ** 2).sum(axis=0))[used]
    size = float(np.linalg.norm(np.ptp(mesh.p, axis=1)))
    if not off.max(initial=0.0) <= SAME * size:
        raise FieldError(
            "Expected a basis on the mesh that is moved (got one on the same cells at other positions, "
            f"{int((off > SAME * size).sum())} nodes up to {off.max():.3g} away). A basis of the mesh before it moved "
            "does not move with it: make one on this mesh, skfem.Basis(mesh, elem), and solve there, or pass "
            "(basis, dofs) to out.transfer()"
        )


def check_pair(mesh: skfem.Mesh, field: Any) -> tuple[str, ...]:
    """Warnings about a pair that is to be adapted to.

    Raises
    ------
    FieldError
        As `pair_of`; a basis on a part of the cells; an element that remembers another mesh.
    """
    basis, _ = pair_of(mesh, field)
    if basis.tind is not None and len(np.unique(basis.tind)) < mesh.t.shape[1]:
        raise FieldError(
            f"Expected a basis on all {mesh.t.shape[1]} cells of the mesh (got one on a subdomain of "
            f"{len(np.unique(basis.tind))} cells: its function is not known elsewhere). Pass "
            "skfem.Basis(mesh, basis.elem) with the same dofs, or the mesh of the subdomain alone, mesh.restrict(...)"
        )
    elements = _global_parts(basis.elem)
    for elem in elements:
        _check_memory(basis, elem)
    if not elements:
        return ()
    names = ", ".join(dict.fromkeys(type(elem).__name__ for elem in elements))
    text = (
        f"{names} remembers the first mesh that it is used on: on the moved mesh use a new element, or "
        "meshmove.plugins.skfem.basis_on(out.mesh, basis)"
    )
    return (Outcome.ELEMENT_REMEMBERS.told(text),)


def _check_memory(basis: Any, elem: Any) -> None:
    """Raise where an element with global degrees of freedom keeps the coefficients of another mesh."""
    if elem.V is None:
        return
    anew = fresh(elem)
    anew.gbasis(basis.mapping, np.asarray(elem.doflocs[:1], float).T, 0, tind=np.arange(1))
    same = anew.V.shape == elem.V.shape
    if same and np.allclose(anew.V, elem.V, rtol=1e-6, atol=1e-9 * np.abs(anew.V).max()):
        return
    name = type(elem).__name__
    raise FieldError(
        f"Expected an {name} that was made for this mesh (got one that remembers another mesh: scikit-fem keeps what "
        "it computed on the first, and matrices on the next are wrong). Make a new element for every mesh, "
        f"skfem.Basis(mesh, skfem.{name}()), or use meshmove.plugins.skfem.basis_on(mesh, basis); then solve again"
    )


def basis_on(mesh: skfem.Mesh, basis: skfem.CellBasis) -> skfem.CellBasis:
    """The same kind of basis on the moved mesh; degrees of freedom are numbered alike.

    Elements that scikit-fem defines by global degrees of freedom (Morley, Argyris, Hermite and others) remember the
    first mesh that they are used on. This makes a new one, with the quadrature and the cells of `basis`.

    Parameters
    ----------
    mesh
        With the cells of the basis' mesh, such as ``out.mesh``.
    basis
        On the mesh before it moved.

    Raises
    ------
    FieldError
        A mesh with other cells, or no mesh and basis.

    Examples
    --------
    >>> import meshmove, skfem
    >>> basis = skfem.Basis(skfem.MeshTri().refined(3), skfem.ElementTriMorley())
    >>> out = meshmove.adapt(basis.mesh, lambda x: np.tanh(9 * x[0] - 4))
    >>> moved = basis_on(out.mesh, basis)
    >>> bool(moved.N == basis.N), moved.elem is basis.elem
    (True, False)
    """
    if not hasattr(mesh, "t") or not hasattr(basis, "mesh"):
        got = f"{type(mesh).__name__} and {type(basis).__name__}"
        raise FieldError(f"Expected a mesh and a basis, as in basis_on(out.mesh, basis) (got {got})")
    if not np.array_equal(basis.mesh.t, mesh.t):
        raise FieldError(f"Expected a mesh with the {basis.mesh.t.shape[1]} cells of the basis (got {mesh.t.shape[1]})")
    return type(basis)(mesh, fresh(basis.elem), quadrature=basis.quadrature, elements=basis.tind)


def fresh(elem: Any) -> Any:
    """A copy of an element that remembers no mesh."""
    out = copy.copy(elem)
    out.__dict__.pop("V", None)
    if "elem" in out.__dict__:
        out.elem = fresh(out.elem)
    if "elems" in out.__dict__:
        out.elems = type(out.elems)(fresh(e) for e in out.elems)
    return out


def _global_parts(elem: Any) -> list[Any]:
    """The elements with global degrees of freedom that an element is or consists of."""
    from skfem.element import ElementGlobal

    inner = [*([elem.elem] if "elem" in vars(elem) else []), *vars(elem).get("elems", ())]
    return [elem] if isinstance(elem, ElementGlobal) else [part for e in inner for part in _global_parts(e)]
